package capture_test

import (
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/state"
)

// gapsAreOpen checks that no time that is said to be a gap counts as covered.
func (w *world) gapsAreOpen(id string) {
	w.t.Helper()
	a := w.recordOf(id)
	for _, g := range a.Gaps {
		if open := a.Covered.Missing(g.Range); len(open) != 1 || open[0] != g.Range {
			w.t.Errorf("the gap from %s to %s is covered, in part at least: %v", g.From, g.To, a.Covered)
		}
	}
}

// TestGapOfYoungAccount: a first read that does not reach the beginning leaves a gap.
// That all posts that are known are young does not close it.
func TestGapOfYoungAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(330) // in as many seconds; X reaches 320
		w.mustTick()
		if a := w.record(); len(a.Gaps) != 1 {
			t.Fatalf("gaps %v, want one", a.Gaps)
		}
		for range 4 {
			time.Sleep(4 * time.Minute)
			w.post(1)
			w.mustTick()
			w.gapsAreOpen(account)
		}
	})
}

// TestBill: a week of an account with ten posts a day, asked every five minutes: each post
// is billed once, but for those of a day's last two minutes.
func TestBill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		twice := 0
		for i := range 7 * 24 * 12 {
			if i%24 == 0 {
				w.post(1)
			}
			time.Sleep(5 * time.Minute)
			if left := time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)); left < 2*time.Minute {
				w.post(1)
				twice++
			}
			w.mustTick()
		}
		w.wantArchived(w.posted...)
		if got := w.x.Stats().BilledReads; got > len(w.posted)+twice {
			t.Errorf("%d post reads are billed for %d posts, %d of them of a day's last two minutes", got, len(w.posted), twice)
		}
		if a := w.record(); len(a.Gaps) > 0 || len(a.Covered) != 1 {
			t.Errorf("gaps %v, covered %v", a.Gaps, a.Covered)
		}
	})
}

// TestRunOfAnOlderVersion: a first read that an older version left behind, nearly at its
// end, is proved by nothing: that version noted neither its newest post nor when X
// gave its pages.
func TestRunOfAnOlderVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(340) // X reaches 320
		w.stopAt(31)
		if err := w.tick(); err == nil {
			t.Fatal("X was down, and the tick did not fail")
		}
		w.stopAt(0)
		w.x.Down(false)
		w.change(func(a *state.Account) {
			a.V = 0
			r := a.Run
			r.EndTime, r.CoverTo = r.Began, r.Began
			r.NewestID, r.LastPage, r.CursorBefore = "", time.Time{}, ""
		})
		for range 2 {
			time.Sleep(time.Minute)
			_ = w.tick() // X no longer takes the page token
		}
		w.mustTick()
		w.nothingIsMissing()
		if a := w.record(); len(a.Gaps) != 1 {
			t.Errorf("gaps %v, want one", a.Gaps)
		}
	})
}

// TestGapBeginsWithTheOverlap: a gap does not reach back to the last known post of an
// account that posts rarely: the time since was covered.
func TestGapBeginsWithTheOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(3)
		for range 10 {
			time.Sleep(24 * time.Hour)
			w.mustTick()
		}
		last := time.Now()
		w.post(330)
		time.Sleep(time.Minute)
		w.mustTick()
		a := w.record()
		if len(a.Gaps) != 1 || a.Gaps[0].From.Before(last.Add(-20*time.Minute)) {
			t.Errorf("gaps %v, want one that begins at about %s", a.Gaps, last)
		}
		if !a.Covered.Contains(rangeTo(last.Add(-20 * time.Minute))) {
			t.Errorf("covered %v: what was covered is so no longer", a.Covered)
		}
		w.gapsAreOpen(account)
	})
}
