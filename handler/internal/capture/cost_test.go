package capture_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// jobs makes jobs of n accounts in all, and returns these.
func (w *world) jobs(n int) (accounts []string) {
	for i := range n {
		id := fmt.Sprint(7 + i)
		w.job(id)
		accounts = append(accounts, id)
	}
	return accounts
}

// TestIdleCost: each account without news costs a tick three storage calls, one of
// them a write, and the tick two more.
func TestIdleCost(t *testing.T) {
	for _, n := range []int{1, 100} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			for _, id := range w.jobs(n) {
				w.posted = append(w.posted, w.x.Post(id, corpus.Post{Text: "post"}))
			}
			w.mustTick()
			time.Sleep(time.Hour)
			w.mustTick()
			time.Sleep(5 * time.Minute)
			c := w.capture()
			w.blobs.ResetCalls()
			report, err := c.Run(t.Context())
			if err != nil || report.Accounts != n || report.Posts != 0 {
				t.Fatalf("%+v, %v; expected %d accounts and no posts", report, err, n)
			}
			calls := w.blobs.Calls()
			t.Logf("%d accounts: %+v", n, calls)
			if calls.All() > 3*n+2 || calls.Write > n || calls.List > 2 || calls.Lease+calls.Delete > 0 {
				t.Errorf("%d accounts: %+v; expected %d reads, %d writes and 2 listings at most", n, calls, 2*n, n)
			}
		})
	}
}

// TestPostCost: a hundred new posts cost at most 1.2 storage calls each, and one
// request to X.
func TestPostCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.page, w.reach = 0, 0 // X's own
		w.post(10)
		w.mustTick()
		time.Sleep(time.Hour)
		w.mustTick()
		w.post(100)
		c := w.capture()
		w.blobs.ResetCalls()
		asked := w.x.Stats().Requests
		report, err := c.Run(t.Context())
		if err != nil || report.Posts != 100 {
			t.Fatalf("%+v, %v; expected 100 posts", report, err)
		}
		calls := w.blobs.Calls()
		t.Logf("%+v", calls)
		if calls.All() > 120 || calls.Write > 106 || calls.List > 3 {
			t.Errorf("%+v for 100 posts; expected 120 calls, 106 writes (one keeps the raw answer) and 3 listings at most", calls)
		}
		if n := w.x.Stats().Requests - asked; n > 1 {
			t.Errorf("X was asked %d times, expected once", n)
		}
	})
}

// TestEveryAccountHasItsTurn: when a tick is much too short for all accounts, the next
// ones go on with those that had no turn.
func TestEveryAccountHasItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		accounts := w.jobs(100)
		for _, id := range accounts {
			for range 20 {
				time.Sleep(time.Second)
				w.posted = append(w.posted, w.x.Post(id, corpus.Post{Text: "post"}))
			}
		}
		w.blobs.SetLatency(20 * time.Millisecond)
		w.x.OnCall(func(int, string) { time.Sleep(500 * time.Millisecond) })
		skipped := 0
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			report, err := w.capture().Run(ctx)
			cancel()
			if err != nil {
				t.Errorf("tick: %v", err)
			}
			skipped += report.Skipped
			time.Sleep(5 * time.Minute)
		}
		if skipped == 0 {
			t.Error("every tick was long enough for all accounts: this shows nothing")
		}
		for _, id := range accounts {
			a, err := w.state.Account(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if a.LastRun.IsZero() || a.PostsTotal != 20 {
				t.Errorf("account %s: last run %v, %d of 20 posts; expected all after five ticks", id, a.LastRun, a.PostsTotal)
			}
		}
	})
}
