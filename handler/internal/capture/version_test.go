package capture_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// editedQuote makes a quote of a post that X does not have and, after a while, an edit
// of it: X's timeline does not include all that the first version needs, so that it
// is looked up.
func (w *world) editedQuote(after time.Duration) (first, second corpus.Post) {
	refs := []corpus.Ref{{Type: "quoted", ID: "1700000000000000404"}}
	first = w.x.Post(account, corpus.Post{Text: "first version", Refs: refs})
	w.x.Mute(first.ID)
	time.Sleep(after)
	id := corpus.NewID(time.Now(), 77)
	second = w.x.Post(account, corpus.Post{ID: id, Text: "second version", Refs: refs, EditHistory: []string{first.ID, id}})
	return first, second
}

// TestVersionLater: an earlier version that X neither sends nor explains is asked for
// again and archived when it comes. Posts are not held up.
func TestVersionLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, second := w.editedQuote(25 * time.Second)
		w.ticks(8 * time.Minute)
		w.wantArchived(second)
		w.delivered()
		w.post(2)
		w.ticks(time.Hour)
		w.wantArchived(append(w.posted, second)...)
		w.x.Unmute(first.ID)
		w.ticks(2 * time.Hour)
		w.wantArchived(append(w.posted, first, second)...)
		if got := w.late(); !slices.Equal(got, []string{first.ID}) {
			t.Errorf("noted for the next task: %v, want %s", got, first.ID)
		}
		asked := w.x.Stats().ByPath["GET /2/tweets"]
		w.ticks(25 * time.Hour)
		if a := w.record(); len(a.Waiting) > 0 || len(a.Lost) > 0 || w.x.Stats().ByPath["GET /2/tweets"] != asked {
			t.Errorf("waiting %v, lost %v, asked %d times more", a.Waiting, a.Lost, w.x.Stats().ByPath["GET /2/tweets"]-asked)
		}
	})
}

// TestVersionNever: an earlier version that X has not given within a day is stated to
// be missing in a second message, and not asked for again.
func TestVersionNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, second := w.editedQuote(25 * time.Second)
		w.ticks(8 * time.Minute)
		w.delivered()
		w.ticks(26 * time.Hour)
		text := w.message(second.ID + ".missing")
		if !strings.Contains(text, first.ID) || !strings.Contains(text, "gave no reason") {
			t.Errorf("the statement does not name version %s:\n%.1500s", first.ID, text)
		}
		if got := w.late(); !slices.Equal(got, []string{second.ID + ".missing"}) {
			t.Errorf("noted for the next task: %v", got)
		}
		asked := w.x.Stats().ByPath["GET /2/tweets"]
		w.ticks(3 * time.Hour)
		if a := w.record(); len(a.Waiting) > 0 || len(a.Lost) != 1 || w.x.Stats().ByPath["GET /2/tweets"] != asked {
			t.Errorf("waiting %v, lost %v, asked %d times more", a.Waiting, a.Lost, w.x.Stats().ByPath["GET /2/tweets"]-asked)
		}
	})
}

// TestVersionRefused: that X refuses a look-up for more than a day ends like that, too.
func TestVersionRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, second := w.editedQuote(25 * time.Second)
		w.mustTick()
		w.x.Fail(func(r *http.Request) x.Fault {
			if r.URL.Path == "/2/tweets" {
				return x.Fault{Status: 403}
			}
			return x.Fault{}
		})
		for range 26 * 15 {
			time.Sleep(4 * time.Minute)
			_ = w.tick() // X's refusals are reported
		}
		if a := w.record(); len(a.Waiting) > 0 || len(a.Lost) != 1 {
			t.Errorf("waiting %v, lost %v", a.Waiting, a.Lost)
		}
		if text := w.message(second.ID + ".missing"); !strings.Contains(text, first.ID) {
			t.Errorf("the statement does not name version %s", first.ID)
		}
	})
}

// TestVersionOfAnother: a post of another account is not archived as an earlier version,
// whatever a post's history says.
func TestVersionOfAnother(t *testing.T) {
	for name, refs := range map[string][]corpus.Ref{"in the page": nil, "looked up": {{Type: "quoted", ID: "1700000000000000404"}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				foreign := w.x.Post("8", corpus.Post{Text: "of another", Refs: refs})
				time.Sleep(time.Second)
				id := corpus.NewID(time.Now(), 77)
				p := w.x.Post(account, corpus.Post{ID: id, Text: "edited, it says", EditHistory: []string{foreign.ID, id}})
				w.ticks(8 * time.Minute)
				w.wantArchived(p)
				if w.log.count("level=WARN", foreign.ID) == 0 {
					t.Error("the log does not say so")
				}
			})
		})
	}
}
