package process_test

import (
	"os/signal"
	"runtime"
	"syscall"
)

const kernelKillsOrphans = runtime.GOOS == "linux"

func signalIgnore() { signal.Ignore(syscall.SIGTERM) }
