package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `This program is started by the Azure Functions host, without arguments. For a terminal there are
` + checkUsage + exportUsage + statementUsage + historyUsage + importUsage + `
  handler version
    says which version of the connector this is.
` + verifyUsage + usageEnd

const usageEnd = `
A command ends with 0 when all is well, with 1 when something is wrong, with 2 for
arguments that it does not know.
`

// Exit codes of every command.
const (
	exitWell  = 0
	exitWrong = 1
	exitUsage = 2
)

// command does what the arguments ask for and returns the process's exit code.
func command(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	switch args[0] {
	case "check":
		return checkCommand(ctx, args[1:])
	case "export":
		return exportCommand(ctx, args[1:])
	case "version":
		return versionCommand(os.Stdout, args[1:])
	case "statement":
		return statementCommand(ctx, args[1:])
	case "history":
		return historyCommand(ctx, args[1:])
	case "import":
		return importCommand(ctx, args[1:])
	case "verify":
		return verifyCommand(ctx, args[1:])
	}
	fmt.Fprint(os.Stderr, usage)
	return exitUsage
}
