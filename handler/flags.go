package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"xarchive/handler/internal/export"
)

// newFlags returns the flags of a command. What is wrong with arguments is said by
// refused, not by package flag.
func newFlags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// timeFlags adds --from and --to, which are read as docs/operations.md says.
func timeFlags(flags *flag.FlagSet, from, to *time.Time) {
	flags.Func("from", "", func(s string) (err error) { *from, err = export.ParseFrom(s); return err })
	flags.Func("to", "", func(s string) (err error) { *to, err = export.ParseTo(s); return err })
}

// parseFlags reads a command's arguments and returns those that are no flags, at most so
// many. Flags may be on either side of them.
func parseFlags(flags *flag.FlagSet, args []string, most int) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		if len(rest) == most {
			return nil, fmt.Errorf("%q is one argument too many", flags.Arg(0))
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

// refused says what is wrong with a command's arguments, and how they are written: usage is
// that command's. It returns the exit code.
func refused(usage string, err error) int {
	if !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%v\n\n", err)
	}
	fmt.Fprint(os.Stderr, strings.TrimPrefix(usage, "\n")+usageEnd)
	return exitUsage
}
