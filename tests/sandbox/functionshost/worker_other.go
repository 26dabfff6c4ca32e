//go:build !linux

package functionshost

import "syscall"

// processAttributes puts the handler into a process group of its own, if a terminal's
// Ctrl-C is to reach the host alone.
func processAttributes(ownGroup bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: ownGroup}
}
