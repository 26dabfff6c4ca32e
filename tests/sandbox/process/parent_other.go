//go:build !linux

package process

import "syscall"

// dieWithParent can do nothing here: no other system has such a signal.
func dieWithParent(*syscall.SysProcAttr) {}
