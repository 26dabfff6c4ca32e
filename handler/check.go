package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"xarchive/handler/internal/config"
	"xarchive/handler/internal/connection"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/pages"
	"xarchive/handler/internal/telemetry"
)

const checkUsage = `
  handler check [-url https://<app>]

    tries settings, X, Entra, storage, Key Vault as the button "Test connection" does,
    compares what X is asked for with X's published specification, says whether people can sign in with Microsoft Entra,
    and changes nothing. It reads the app settings from the environment.
    -url is where browsers reach the connector; its callback address must be
    registered at X. Default: WEBSITE_HOSTNAME, else http://localhost:7071.
`

// checkCommand is `handler check`.
func checkCommand(ctx context.Context, args []string) int {
	flags := newFlags("check")
	address := flags.String("url", "", "")
	if _, err := parseFlags(flags, args, 0); err != nil {
		return refused(checkUsage, err)
	}
	if check(ctx, os.Stdout, os.Getenv, *address) {
		return exitWell
	}
	return exitWrong
}

// words names the comparison of what X is asked for with X's specification.
const words = "X's words"

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
	made, err := withoutHost(getenv, slog.New(slog.DiscardHandler))
	judge("Settings", "They are complete and well-formed.", err)
	says, faulty := telemetry.Check(getenv)
	judge("Telemetry", says, faulty)
	if err != nil {
		for _, name := range connection.Names() {
			fmt.Fprintf(w, "– %-15s Not tried: put the settings right first.\n", name)
		}
		return false
	}

	base := cmp.Or(address, pages.PublicURL(getenv("WEBSITE_HOSTNAME")), "http://localhost:7071")
	callback := pages.Callback(base)
	tests := made.checker.Tests(callback)
	tests[0].Good = "X accepts the app's keys, and the callback address " + callback + " is registered. The test costs nothing."
	for _, t := range tests {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		if err := t.Try(ctx); err != nil {
			say(false, t.Name, fault.Of(err).Words())
		} else {
			say(true, t.Name, t.Good)
		}
		cancel()
	}
	compared, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	switch sentence, wrong, unknown := made.checker.Words(compared); {
	case unknown:
		fmt.Fprintf(w, "– %-15s %s\n", words, sentence)
	default:
		say(!wrong, words, sentence)
	}
	compared, cancel = context.WithTimeout(ctx, checkTime)
	defer cancel()
	sentence, ready := made.guard.TryEntra(compared, pages.EntraReturn(base))
	fmt.Fprintf(w, "%s %-15s %s\n", map[bool]string{true: "✓", false: "–"}[ready], "Sign-in", sentence)
	timer(ctx, made.ticks, func(mark, sentence string) {
		well = well && mark != "✗"
		fmt.Fprintf(w, "%s %-15s %s\n", mark, "Timer", sentence)
	})
	return well
}

// withoutHost puts the connector together for a command, which has all of its settings and
// no Functions host.
func withoutHost(getenv func(string) string, log *slog.Logger) (*app, error) {
	cfg, err := config.Load(func(name string) string {
		value := getenv(name)
		if name == "FUNCTIONS_CUSTOMHANDLER_PORT" && value == "" {
			return "1" // the host's business, and nothing listens here
		}
		return value
	})
	if err != nil {
		return nil, err
	}
	return newApp(cfg, getenv, log, log, nil)
}

// timer says how the timer is doing, unless the state container cannot be read: the
// test of the storage says so.
func timer(ctx context.Context, ticks health.Ticks, say func(mark, sentence string)) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	last, err := ticks.LastTick(ctx)
	if err != nil {
		return
	}
	f := health.Timer(last, time.Now())
	say(map[health.Level]string{health.NeedsYou: "✗", health.Working: "–", health.Well: "✓"}[f.Level], f.Text)
}
