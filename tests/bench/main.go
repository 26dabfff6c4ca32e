// Command bench measures what the connector costs: storage calls, bytes, CPU and
// memory of the real binary, driven by the stand-in for the Functions host between
// the stand-ins for X and the Import service. Storage is package blobs, on loopback:
// it counts calls, and adds no memory of its own to the process that is measured.
//
//	bench -app build/native                          prints the figures
//	bench -app build/native -doc docs/performance.md keeps them there, too
//	bench -app build/native -only posts              only the parts whose names hold "posts"
//
// Times are not among the figures: they say more about the machine than about the
// connector. CPU is the process's own, user and system. Memory is the peak of the
// resident set as Linux counts it (VmHWM), so that bench runs on Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	var (
		app  = flag.String("app", "", "folder of the staged app")
		doc  = flag.String("doc", "", "file whose figures are replaced; they are only printed if empty")
		only = flag.String("only", "", "measure only the parts whose names hold this; nothing is kept then")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *app, *doc, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, app, doc, only string) error {
	if app == "" {
		return errors.New("-app is missing: run `make bench`")
	}
	var all []figure
	for _, part := range parts {
		if !strings.Contains(part.name, only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "Measuring %s …\n", part.name)
		figures, err := part.measure(ctx, app)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", part.name, err)
		}
		all = append(all, figures...)
	}
	text := table(all)
	fmt.Print(text)
	if doc == "" || only != "" {
		return nil
	}
	machine, err := machine()
	if err != nil {
		return err
	}
	return keep(doc, machine+"\n\n"+text)
}
