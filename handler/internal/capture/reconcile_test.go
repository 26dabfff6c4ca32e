package capture_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/health"
	"xarchive/handler/internal/state"
)

// stated waits a day, ticks, and checks what X states beside what is archived.
func (w *world) stated(posts, archived, gone, missing int, unexplained bool) {
	w.t.Helper()
	time.Sleep(24 * time.Hour)
	w.mustTick()
	a := w.record()
	s := a.Stated
	if s == nil || s.Posts != posts || s.Archived != archived || s.Gone != gone || s.Missing != missing || s.Unexplained() != unexplained {
		w.t.Fatalf("%+v; want X's %d, %d archived, %d gone, %d missing, unexplained: %v", s, posts, archived, gone, missing, unexplained)
	}
	findings := 0
	for _, f := range health.Read(state.Job{AccountID: account}, a, nil, time.Now()).Findings {
		if f.Title == "X states more posts" {
			findings++
		}
	}
	if (findings == 1) != unexplained {
		w.t.Errorf("%d findings, unexplained: %v", findings, unexplained)
	}
}

// TestReconcile: once a day X's own number is put beside what is archived. What X never
// shows is noticed when it lasts, and said once; edits and deletions are not taken for it.
func TestReconcile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(20)
		w.mustTick()
		asked := func() int { return w.x.Stats().ByPath["GET /2/users/:id"] }
		w.stated(20, 20, 0, 0, false)
		before := asked()
		for range 3 {
			time.Sleep(5 * time.Minute)
			w.post(2)
			w.mustTick()
		}
		if got := asked() - before; got != 0 {
			t.Errorf("X was asked %d times more on the same day", got)
		}
		w.stated(26, 26, 0, 0, false)

		w.edited(time.Minute) // one post, two messages
		w.stated(27, 27, 0, 0, false)
		w.x.Overcount(account, 3) // posts that it shows nobody
		w.stated(30, 27, 0, 3, false)
		w.stated(30, 27, 0, 3, true)
		w.stated(30, 27, 0, 3, true)
		if n := w.log.count("X states more posts than are archived"); n != 1 {
			t.Errorf("it is said %d times, want once", n)
		}
		w.x.Overcount(account, 5)
		w.stated(32, 27, 0, 5, true)
		if n := w.log.count("X states more posts than are archived"); n != 2 {
			t.Errorf("it is said %d times, want once more when it grows", n)
		}
		w.x.Overcount(account, 0)
		w.x.Delete(w.posted[0].ID)
		w.stated(26, 27, 0, -1, false)
	})
}

// TestReconcileGap: where posts are beyond X's reach the difference is explained.
func TestReconcileGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(400) // X reaches 320 back
		w.mustTick()
		if len(w.record().Gaps) == 0 {
			t.Fatal("there is no gap: this shows nothing")
		}
		archived := w.record().PostsTotal
		for range 2 {
			w.stated(400, archived, 0, 400-archived, false)
		}
		if n := w.log.count("X states more posts"); n != 0 {
			t.Error(fmt.Sprint(n), "lines about a difference that a gap explains")
		}
	})
}
