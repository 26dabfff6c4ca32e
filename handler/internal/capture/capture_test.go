package capture_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPosts: posts are archived once, read from X once, and their time is covered.
func TestPosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(25)
		w.mustTick()
		time.Sleep(5 * time.Minute)
		w.post(3)
		time.Sleep(time.Minute)
		w.mustTick()
		w.wantArchived(w.posted...)
		w.noPages()
		if a := w.record(); !a.Covered.Contains(rangeTo(time.Now().Add(-30*time.Second))) || len(a.Gaps) > 0 || a.Run != nil {
			t.Errorf("covered %v, gaps %v, run %+v", a.Covered, a.Gaps, a.Run)
		}
		if got := w.x.Stats().BilledReads; got != 28 {
			t.Errorf("%d post reads are billed, want 28", got)
		}
	})
}

// TestIdle: an account without news costs five storage calls a tick, one of
// them a write, and nothing at X.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(5)
		w.mustTick()
		time.Sleep(time.Hour)
		w.mustTick()
		time.Sleep(5 * time.Minute)
		c := w.capture()
		w.blobs.ResetCalls()
		before := w.x.Stats()
		if _, err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if calls := w.blobs.Calls(); calls.All() > 5 || calls.Write > 1 || calls.Delete+calls.Lease > 0 {
			t.Errorf("%d calls: %+v", calls.All(), calls)
		}
		after := w.x.Stats()
		if after.PostReads != before.PostReads || after.Requests != before.Requests+1 {
			t.Errorf("X was asked %d times for %d posts", after.Requests-before.Requests, after.PostReads-before.PostReads)
		}
		if a := w.record(); a.Covered.End().Before(time.Now().Add(-31 * time.Second)) {
			t.Errorf("covered to %v at %v", a.Covered.End(), time.Now())
		}
	})
}
