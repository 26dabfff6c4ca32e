package capture_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
)

// TestShownLateBehindGonePosts: that the newest known posts were deleted does not
// shorten the time that is read again.
func TestShownLateBehindGonePosts(t *testing.T) {
	for name, old := range map[string]int{"of an old account": 3, "of a young one": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.post(old)
				time.Sleep(time.Hour)
				w.mustTick()
				late := w.x.Post(account, corpus.Post{Text: "late"})
				w.x.ShowLate(late.ID, time.Now().Add(9*time.Minute))
				w.post(2)
				time.Sleep(time.Minute)
				w.mustTick()
				for _, p := range w.posted[old:] {
					w.x.Delete(p.ID)
				}
				for range 4 {
					time.Sleep(4 * time.Minute)
					w.mustTick()
				}
				w.wantArchived(append(w.posted, late)...)
			})
		})
	}
}

// TestShownLateBeforeAnEdit: the earlier version of an edited post is archived and in no
// timeline. It does not make a young account look like one with more posts than are
// known.
func TestShownLateBeforeAnEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		late := w.x.Post(account, corpus.Post{Text: "late"})
		w.x.ShowLate(late.ID, time.Now().Add(9*time.Minute))
		time.Sleep(time.Second)
		first, second := w.edited(20 * time.Second)
		for range 4 {
			time.Sleep(4 * time.Minute)
			w.mustTick()
		}
		w.wantArchived(late, first, second)
	})
}

// TestEditHidesNothing: an edit of a post that is known besides does not stand for
// another known post that X leaves out.
func TestEditHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.x.Post(account, corpus.Post{Text: "first version"})
		time.Sleep(time.Minute)
		w.mustTick()
		time.Sleep(20 * time.Minute)
		w.post(1) // left out below
		id := corpus.NewID(time.Now(), 77)
		w.x.Post(account, corpus.Post{ID: id, Text: "second version", EditHistory: []string{first.ID, id}})
		time.Sleep(time.Minute)
		w.mustTick()
		w.x.LeaveOut(1, w.posted[0].ID)
		time.Sleep(time.Minute)
		w.mustTick()
		if a := w.record(); a.Incomplete.IsZero() {
			t.Errorf("X left a known post out, and the time is covered: %v", a.Covered)
		}
	})
}

// TestDeliveredMeanwhile: a task that begins while late posts are being archived either
// finds a post in the archive, or the post is noted for the next task.
func TestDeliveredMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.page = 100
		w.post(2)
		var late []corpus.Post
		for range 40 {
			time.Sleep(time.Second)
			p := w.x.Post(account, corpus.Post{Text: "late"})
			w.x.ShowLate(p.ID, time.Now().Add(5*time.Minute))
			late = append(late, p)
		}
		w.post(2)
		time.Sleep(time.Minute)
		w.mustTick()
		time.Sleep(6 * time.Minute)
		var asked, delivering atomic.Bool
		var listed []string
		w.blobs.Before(func(op blobs.Op) error {
			switch {
			case strings.HasPrefix(op.Blob, "delivered/"):
				asked.Store(true)
			case asked.Load() && op.Container == "archive" && op.Name == "PutBlob" && delivering.CompareAndSwap(false, true):
				w.delivered()
				listed = w.archived()
			}
			return nil
		})
		w.mustTick()
		w.blobs.Before(nil)
		if !delivering.Load() {
			t.Fatal("no task began")
		}
		noted := w.late()
		for _, p := range late {
			if !slices.Contains(listed, p.ID) && !slices.Contains(noted, p.ID) {
				t.Errorf("post %s is neither delivered nor noted for the next task", p.ID)
			}
		}
	})
}

// TestLateIntoAGap: a task does not wait for a gap. What is archived into one after a
// task began is noted, too.
func TestLateIntoAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(10)
		time.Sleep(time.Minute)
		w.mustTick()
		w.x.LeaveOut(1000, w.posted[8].ID, w.posted[9].ID)
		for range 24 {
			time.Sleep(time.Hour)
			w.mustTick()
		}
		w.post(1)
		time.Sleep(time.Hour)
		w.blobs.Before(func(op blobs.Op) error {
			if op.Container == "archive" && op.Name == "PutBlob" && strings.HasSuffix(op.Blob, ".eml") {
				return &blobs.Drop{Final: true}
			}
			return nil
		})
		if err := w.tick(); err == nil {
			t.Fatal("storage failed, and the tick did not")
		}
		w.blobs.Before(nil)
		if a := w.record(); len(a.Gaps) != 1 {
			t.Fatalf("gaps %v, want one", a.Gaps)
		}
		w.delivered()
		w.mustTick()
		w.wantArchived(w.posted...)
		if got := w.late(); !slices.Equal(got, []string{w.posted[10].ID}) {
			t.Errorf("noted for the next task: %v, want %s", got, w.posted[10].ID)
		}
	})
}

// TestManyPostsWhileIncomplete: an account that posts hundreds of posts while X's answers
// are incomplete has all of them read again when they are complete.
func TestManyPostsWhileIncomplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, 100, 3200)
		w.post(10)
		time.Sleep(time.Minute)
		w.mustTick()
		hidden := w.x.Post(account, corpus.Post{Text: "left out, too"})
		w.x.LeaveOut(1<<20, w.posted[9].ID, hidden.ID)
		for range 7 {
			for range 100 {
				time.Sleep(30 * time.Second)
				w.post(1)
			}
			w.mustTick()
		}
		w.x.LeaveOut(0, w.posted[9].ID, hidden.ID)
		for range 2 {
			time.Sleep(time.Minute)
			w.mustTick()
		}
		w.wantArchived(append(w.posted, hidden)...)
		if a := w.record(); !a.Incomplete.IsZero() || len(a.Gaps) > 0 || len(a.Recent) > 100 {
			t.Errorf("incomplete since %v, gaps %v, %d posts are remembered", a.Incomplete, a.Gaps, len(a.Recent))
		}
	})
}

// change changes the account's record, as another version may have left it.
func (w *world) change(f func(*state.Account)) {
	w.t.Helper()
	r, err := w.state.LoadAccount(w.t.Context(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	f(&r.Account)
	if err := r.Save(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// TestCoveredAhead: that an older version covered time which is still to come does not end
// the overlap.
func TestCoveredAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(3)
		time.Sleep(time.Hour)
		w.mustTick()
		w.change(func(a *state.Account) { a.Covered = state.Ranges{{To: time.Now().Add(24 * time.Hour)}} })
		late := w.x.Post(account, corpus.Post{Text: "late"})
		w.x.ShowLate(late.ID, time.Now().Add(9*time.Minute))
		w.post(1)
		for range 4 {
			time.Sleep(4 * time.Minute)
			w.mustTick()
		}
		w.wantArchived(append(w.posted, late)...)
	})
}
