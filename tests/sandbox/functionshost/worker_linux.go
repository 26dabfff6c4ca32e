package functionshost

import "syscall"

// processAttributes puts the handler into a process group of its own, if a terminal's
// Ctrl-C is to reach the host alone, and has the kernel kill it when the
// thread that started it is gone: man 2 PR_SET_PDEATHSIG.
func processAttributes(ownGroup bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: ownGroup, Pdeathsig: syscall.SIGKILL}
}
