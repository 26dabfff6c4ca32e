//go:build !linux

package functionshost

import "syscall"

// processAttributes puts the handler into a process group of its own, so that a
// terminal's Ctrl-C reaches the host alone.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
