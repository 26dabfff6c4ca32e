package process

import "syscall"

// dieWithParent has the kernel kill the child when the thread that started it
// is gone: man 2 PR_SET_PDEATHSIG.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
