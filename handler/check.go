package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"xarchive/handler/internal/config"
	"xarchive/handler/internal/connection"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/pages"
	"xarchive/handler/internal/telemetry"
)

const usage = `This program is started by the Azure Functions host, without arguments. For a terminal there is

  handler check [-url https://<app>]

    tries settings, X, Entra, storage, Key Vault as the button "Test connection" does,
    and changes nothing. It reads the app settings from the environment.
    -url is where browsers reach the connector; its callback address must be
    registered at X. Standard: WEBSITE_HOSTNAME, else http://localhost:7071.

    It ends with 0 when all is well, with 1 when something is wrong, with 2 for
    arguments it does not know.
`

// command does what the arguments ask for and returns the process's exit code.
func command(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	address := flags.String("url", "", "")
	if args[0] != "check" || flags.Parse(args[1:]) != nil || flags.NArg() > 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	if check(ctx, os.Stdout, os.Getenv, *address) {
		return 0
	}
	return 1
}

// checkTime bounds one test; somebody is waiting for it.
const checkTime = 30 * time.Second

// check tries everything, prints a line for each thing tried, and reports whether
// all is well. It needs no Functions host.
func check(ctx context.Context, w io.Writer, getenv func(string) string, address string) bool {
	well := true
	say := func(ok bool, what, sentence string) {
		mark := "✓"
		if !ok {
			mark, well = "✗", false
		}
		fmt.Fprintf(w, "%s %-15s %s\n", mark, what, sentence)
	}
	judge := func(what, good string, err error) {
		if err == nil {
			say(true, what, good)
			return
		}
		for sentence := range strings.SplitSeq(err.Error(), "\n") { // one for each fault
			say(false, what, sentence)
		}
	}
	cfg, err := config.Load(func(name string) string {
		value := getenv(name)
		if name == "FUNCTIONS_CUSTOMHANDLER_PORT" && value == "" {
			return "1" // the host's business, and nothing listens here
		}
		return value
	})
	var made *app
	if err == nil {
		made, err = newApp(cfg, getenv, slog.New(slog.DiscardHandler), nil)
	}
	judge("Settings", "They are complete and well-formed.", err)
	says, faulty := telemetry.Check(getenv)
	judge("Telemetry", says, faulty)
	if err != nil {
		for _, name := range connection.Names() {
			fmt.Fprintf(w, "– %-15s Not tried: put the settings right first.\n", name)
		}
		return false
	}

	callback := pages.Callback(cmp.Or(address, pages.PublicURL(getenv("WEBSITE_HOSTNAME")), "http://localhost:7071"))
	tests := made.checker.Tests(callback)
	tests[0].Good = "X accepts the app's keys, and the callback address " + callback + " is registered."
	for _, t := range tests {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		if err := t.Try(ctx); err != nil {
			say(false, t.Name, fault.Of(err).Words())
		} else {
			say(true, t.Name, t.Good)
		}
		cancel()
	}
	timer(ctx, made.ticks, func(mark, sentence string) {
		well = well && mark != "✗"
		fmt.Fprintf(w, "%s %-15s %s\n", mark, "Timer", sentence)
	})
	return well
}

// timer says how the timer is doing, unless the state container cannot be read: the
// test of the storage says so.
func timer(ctx context.Context, ticks pages.Ticks, say func(mark, sentence string)) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	last, err := ticks.LastTick(ctx)
	if err != nil {
		return
	}
	f := health.Timer(last, time.Now())
	say(map[health.Level]string{health.NeedsYou: "✗", health.Working: "–", health.Well: "✓"}[f.Level], f.Text)
}
