package main

import (
	"os"
	"runtime"
	"testing"

	"xarchive/tests/sandbox"
)

// app is the staged app, built once.
var app string

func TestMain(m *testing.M) { os.Exit(sandbox.RunStaged(m, "../..", &app)) }

// limits of storage calls, for one.
type limits struct{ calls, writes float64 }

// TestCosts: what the real binary asks of its storage and of X is no more than it
// was. Memory and CPU depend on the machine and are not looked at.
func TestCosts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what the handler uses is read from /proc")
	}
	check := func(f figure, storage limits, asked float64) {
		t.Helper()
		calls, writes, requests := f.per(float64(f.calls())), f.per(float64(f.writes())), f.per(float64(f.asked))
		t.Logf("%s: %.2f storage calls, %.2f of them writes, and %.2f requests to X for each %s", f.what, calls, writes, requests, f.unit)
		if calls > storage.calls || writes > storage.writes || requests > asked {
			t.Errorf("%s: %.2f storage calls, %.2f of them writes, and %.2f requests to X for each %s; expected %v, %v and %v at most",
				f.what, calls, writes, requests, f.unit, storage.calls, storage.writes, asked)
		}
	}
	quiet, err := idle(t.Context(), app, ticks{1, 3}, ticks{11, 3})
	if err != nil {
		t.Fatal(err)
	}
	// Two records to read and one to write for each account; the jobs are listed, and
	// the open tasks, by capture and by deliver.
	check(quiet[0], limits{3 + 3, 1}, 1)
	check(quiet[1], limits{11*3 + 3, 11}, 11)

	ways, err := whole(t.Context(), app, "200 text posts", posts{accounts: 1, each: 200})
	if err != nil {
		t.Fatal(err)
	}
	// With it the audit sees for the first time that there is nothing to look at: seven
	// calls, once.
	check(ways[0], limits{1.2 + 7./200, 1.1}, 0.02)
	// X is asked for the account's own number of posts once a day.
	check(ways[1], limits{2.2, 1.1}, 0.02)
}
