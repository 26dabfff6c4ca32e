package capture_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/corpus"
)

// delivered says that a task has begun to deliver everything up to now.
func (w *world) delivered() {
	w.t.Helper()
	if err := w.state.AddDelivered(w.t.Context(), "job"+account, account, state.Range{To: time.Now().UTC()}); err != nil {
		w.t.Fatal(err)
	}
}

// late returns the keys of the messages that are noted for the first job's next task.
func (w *world) late() []string { return w.lateOf(account) }

func (w *world) lateOf(id string) (keys []string) {
	w.t.Helper()
	list, _, err := w.state.Late(w.t.Context(), "job"+id)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range list {
		keys = append(keys, l.Key)
	}
	slices.Sort(keys)
	return keys
}

// TestShownLate: a post that X shows late, behind newer ones, is archived, and
// delivered by the next task if its time is delivered already.
func TestShownLate(t *testing.T) {
	for _, after := range []time.Duration{45 * time.Second, 14 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.post(2)
			late := w.x.Post(account, corpus.Post{Text: "late"})
			w.x.ShowLate(late.ID, time.Now().Add(after))
			w.post(2)
			time.Sleep(35 * time.Second)
			for range 4 {
				w.mustTick()
				w.delivered()
				time.Sleep(5 * time.Minute)
			}
			w.wantArchived(append(w.posted, late)...)
			if got := w.late(); !slices.Equal(got, []string{late.ID}) {
				t.Errorf("noted for the next task: %v, want %s alone", got, late.ID)
			}
			if got := w.x.Stats().BilledReads; got != 5 {
				t.Errorf("%d post reads are billed, want 5", got)
			}
		})
	}
}

// TestLeftOut: posts missing in one answer and back in the next are archived.
func TestLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(10)
		w.x.LeaveOut(1, w.posted[4].ID, w.posted[5].ID, w.posted[6].ID)
		for range 2 {
			time.Sleep(5 * time.Minute)
			w.mustTick()
		}
		w.wantArchived(w.posted...)
	})
}

// TestKnownPostsLeftOut: while X leaves out posts that it has shown before, nothing is
// covered; afterwards everything is. A post that was deleted holds nothing up.
func TestKnownPostsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(10)
		time.Sleep(time.Minute)
		w.mustTick()
		before := w.record().Covered.End()
		w.x.LeaveOut(3, w.posted[8].ID, w.posted[9].ID)
		hidden := w.x.Post(account, corpus.Post{Text: "left out, too"})
		w.x.LeaveOut(3, hidden.ID)
		for range 3 {
			time.Sleep(5 * time.Minute)
			w.mustTick()
			if a := w.record(); !a.Covered.End().Equal(before) || a.Incomplete.IsZero() {
				t.Errorf("covered to %s while X's answers are incomplete", a.Covered.End())
			}
		}
		time.Sleep(5 * time.Minute)
		w.mustTick()
		if a := w.record(); a.Covered.End().Before(time.Now().Add(-time.Minute)) || !a.Incomplete.IsZero() {
			t.Errorf("covered to %s after the answers were complete again: %+v", a.Covered.End(), a)
		}
		w.wantArchived(append(w.posted, hidden)...)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(10)
		time.Sleep(time.Minute)
		w.mustTick()
		w.x.Delete(w.posted[9].ID)
		time.Sleep(time.Minute)
		w.mustTick()
		if a := w.record(); a.Covered.End().Before(time.Now().Add(-time.Minute)) {
			t.Errorf("a deletion holds the account up: covered to %s", a.Covered.End())
		}
	})
}

// TestLeftOutForADay: X leaves known posts out for longer than a day: the time is a gap,
// and the account goes on.
func TestLeftOutForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(10)
		time.Sleep(time.Minute)
		w.mustTick()
		w.x.LeaveOut(1000, w.posted[8].ID, w.posted[9].ID)
		for range 30 {
			time.Sleep(time.Hour)
			w.mustTick()
		}
		a := w.record()
		if len(a.Gaps) != 1 || a.Gaps[0].Why != state.LeftOut || a.Gaps[0].To.Sub(a.Gaps[0].From) < 23*time.Hour {
			t.Errorf("gaps %v, want one of a day", a.Gaps)
		}
		if a.Covered.End().Before(time.Now().Add(-time.Minute)) {
			t.Errorf("covered to %s at %s", a.Covered.End(), time.Now())
		}
		w.gapsAreOpen(account)
	})
}

// TestMidnight: a post that X shows late at midnight is found, and no post of the day
// before is billed again, but for those of the last two minutes.
func TestMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(time.Until(time.Date(2026, 6, 11, 23, 50, 0, 0, time.UTC)))
		w.post(5)
		time.Sleep(time.Until(time.Date(2026, 6, 11, 23, 59, 20, 0, time.UTC)))
		late := w.x.Post(account, corpus.Post{Text: "late"})
		w.x.ShowLate(late.ID, time.Now().Add(45*time.Second))
		w.post(1)
		time.Sleep(30 * time.Second)
		w.mustTick()
		for range 5 {
			time.Sleep(4 * time.Minute)
			w.mustTick()
		}
		w.wantArchived(append(w.posted, late)...)
		if got := w.x.Stats().BilledReads; got != 7+1 {
			t.Errorf("%d post reads are billed, want 7 and one of the last two minutes again", got)
		}
	})
}

// edited makes a post and, after a while, an edit of it.
func (w *world) edited(after time.Duration) (first, second corpus.Post) {
	first = w.x.Post(account, corpus.Post{Text: "first version"})
	time.Sleep(after)
	id := corpus.NewID(time.Now(), 77)
	second = w.x.Post(account, corpus.Post{ID: id, Text: "second version", EditHistory: []string{first.ID, id}})
	return first, second
}

// TestEditedWhileSettling: of a post that is edited within seconds both versions are
// archived, although X's timeline never shows the first.
func TestEditedWhileSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, second := w.edited(25 * time.Second)
		time.Sleep(10 * time.Second)
		w.mustTick()
		w.wantArchived(first, second)
		if !strings.Contains(w.message(second.ID), ".2@x.com>") {
			t.Error("the edit's message does not say that it is the second version")
		}
	})
}

// TestQuotedByRepeated: the post that a repeated post quotes is looked up, once, and
// shown; one that X no longer has is named with X's reason.
func TestQuotedByRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		quoted := w.x.Post("8", corpus.Post{Text: "the words that were quoted"})
		gone := w.x.Post("8", corpus.Post{Text: "words that are gone"})
		quoting := w.x.Post("9", corpus.Post{Text: "see this", Refs: []corpus.Ref{{Type: "quoted", ID: quoted.ID}}})
		other := w.x.Post("9", corpus.Post{Text: "and that", Refs: []corpus.Ref{{Type: "quoted", ID: gone.ID}}})
		first := w.x.Post(account, corpus.Post{Text: "RT @contoso9: see this", Refs: []corpus.Ref{{Type: "retweeted", ID: quoting.ID}}})
		second := w.x.Post(account, corpus.Post{Text: "RT @contoso9: and that", Refs: []corpus.Ref{{Type: "retweeted", ID: other.ID}}})
		w.x.Delete(gone.ID)
		time.Sleep(time.Minute)
		w.mustTick()
		w.wantArchived(first, second)
		if m := w.message(first.ID); !strings.Contains(m, "the words that were quoted") {
			t.Errorf("the quoted post is not shown:\n%s", m)
		}
		if m := w.message(second.ID); strings.Contains(m, "words that are gone") || !strings.Contains(m, gone.ID) {
			t.Errorf("the post that is gone is not named:\n%s", m)
		}
		if got := w.x.Stats().ByPath["GET /2/tweets"]; got != 1 {
			t.Errorf("%d look-ups, want 1", got)
		}
	})
}
