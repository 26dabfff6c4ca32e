package functionshost

import "syscall"

// processAttributes puts the handler into a process group of its own, so that a
// terminal's Ctrl-C reaches the host alone, and has the kernel kill it when the
// thread that started it is gone: man 2 PR_SET_PDEATHSIG.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
