package deliver_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// TestWindow: both ends of a window are in it.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.request("t", 2, 5)
		report := w.run()
		w.want("t", importer.Success, keys[2:6]...)
		if report.Open != 1 || report.Ended != 1 || report.Items != 4 || report.Skipped != 0 {
			t.Errorf("report %+v, expected one task ended with 4 items", report)
		}
	})
}

// TestWaits: a window that is not covered yet waits, even if only its last instant is
// missing, without a write or a lease, and accounts are read once for all tasks. After
// a day the Import service is told why.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.posts(9)
		w.account(func(a *state.Account) {
			a.Problem = &state.Problem{Cause: fault.XForbidden, Text: "status 403"}
		})
		for i := range 5 {
			w.request(fmt.Sprintf("t%d", i), 0, 9)
		}
		w.ours.ResetCalls()
		report := w.run()
		got := w.ours.Calls()
		if report.Waiting != 5 || got.Write+got.Lease+got.Delete != 0 || got.All() != 1+5+1 {
			t.Errorf("waiting took %+v and reported %+v; expected a listing, five tasks and one account read", got, report)
		}
		if w.service.calls.Load() != 0 || len(w.theirs.Names("inbox")) != 0 {
			t.Fatal("something was delivered before the window is covered")
		}
		time.Sleep(24 * time.Hour)
		w.run()
		for i := range 5 {
			id := fmt.Sprintf("t%d", i)
			w.want(id, importer.TemporaryFailure)
			for _, part := range []string{"not captured: from 2024-06-10T12:09:00Z", "X does not let the app read", "status 403"} {
				if reason := w.reason(id); !strings.Contains(reason, part) {
					t.Errorf("reason %q lacks %q", reason, part)
				}
			}
		}
	})
}

// TestGap: of a time that is missing for good the task says so, and everything that is
// archived is delivered; a time that is neither covered nor a gap is waited for.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.account(func(a *state.Account) {
			a.AddGap(state.Gap{Range: state.Range{From: at(1), To: at(5)}, Why: state.BeyondReach})
			a.Covered = state.Ranges{}.Add(state.Range{To: at(2)}).Add(state.Range{From: at(5), To: at(9)})
		})
		w.request("t", 0, 9)
		if w.run(); w.service.calls.Load() != 0 {
			t.Fatal("a time that is neither covered nor a gap was not waited for")
		}
		w.account(func(a *state.Account) { a.Covered = a.Covered.Add(state.Range{From: at(9), To: at(10)}) })
		w.run()
		w.want("t", importer.PermanentFailure, keys...)
		if reason := w.reason("t"); !strings.Contains(reason, "from 2024-06-10T12:02:00Z to 2024-06-10T12:05:00Z") || !strings.Contains(reason, "10 messages") {
			t.Errorf("reason %q, expected the gap's uncovered part and what was uploaded", reason)
		}
		if n := w.log.count("level=ERROR", `"task failed"`, "job=j", "task=t", "account=7", "reason="); n != 1 {
			t.Errorf("the failure was logged %d times, expected once:\n%s", n, w.log)
		}
	})
}

// TestDirty: a task waits until the posts that it asks about are looked up, and
// delivers what was found besides its window, each message once, all in order.
func TestDirty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.request("t", 2, 4, func(t *state.Task) { t.Dirty = []string{keys[1], keys[3], "99"} })
		w.ours.ResetCalls()
		w.run()
		if got := w.ours.Calls(); w.service.calls.Load() != 0 || got.Write+got.Lease+got.Delete != 0 {
			t.Fatalf("before the posts are looked up: %d events, %+v", w.service.calls.Load(), got)
		}
		name := func(i int) string { return archive.Name("7", at(i), keys[i]) }
		if err := w.state.PutFound(t.Context(), "j", "t", state.Found{Names: []string{name(8), name(1), name(3)}, Gone: map[string]string{"99": "Not Found Error"}}); err != nil {
			t.Fatal(err)
		}
		w.run()
		w.want("t", importer.Success, keys[1], keys[2], keys[3], keys[4], keys[8])
		if reason := w.reason("t"); !strings.Contains(reason, "post 99 is not on X (Not Found Error)") {
			t.Errorf("reason %q", reason)
		}
		w.request("u", 2, 4, func(t *state.Task) { t.Dirty = []string{"99"} })
		time.Sleep(24 * time.Hour)
		w.run()
		w.want("u", importer.TemporaryFailure)
		if reason := w.reason("u"); !strings.Contains(reason, "1 posts that the task asks about have not been looked up") {
			t.Errorf("reason %q", reason)
		}
	})
}

// TestKeepsAccount: a task stays with its account when its job turns to another one. A
// task from before the format was versioned has none, and gets the job's.
func TestKeepsAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(3)
		w.request("t", 0, 2)
		w.request("old", 0, 2, func(t *state.Task) { t.AccountID = "" })
		w.service.answer = importer.ErrNotTaken
		if _, err := w.tick(time.Minute); err == nil {
			t.Fatal("no error although the events were not taken")
		}
		w.job("j", "8")
		w.service.answer = nil
		time.Sleep(time.Hour)
		w.run()
		w.want("t", importer.Success, keys...)
		w.want("old", importer.Success, keys...)
		if ended, _ := w.state.EndedTask(t.Context(), "j", "old"); ended.AccountID != "7" {
			t.Errorf("the old task's account is %q, expected 7", ended.AccountID)
		}
	})
}

// TestBegunFirst: the window is noted as one that tasks deliver, and the task says so,
// before the archive is listed for the first time.
func TestBegunFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.posts(3)
		w.request("t", 0, 2)
		var mu sync.Mutex
		var order []string
		w.ours.Before(func(op blobs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case op.Name == "PutBlob" && op.Blob == "delivered/j.json":
				order = append(order, "noted")
			case op.Name == "PutBlob" && op.Blob == "tasks/open/j/t.json" && len(order) < 2:
				order = append(order, "begun")
			case op.Name == "ListBlobs" && op.Container == "archive":
				order = append(order, "listed")
			}
			return nil
		})
		w.run()
		if got := strings.Join(order, " "); got != "noted begun listed" {
			t.Errorf("the order was %q, expected noted, begun, listed", got)
		}
		ranges, err := w.state.Delivered(t.Context(), "j", "7")
		if err != nil || !ranges.Contains(state.Range{From: at(0), To: at(2).Add(time.Millisecond)}) {
			t.Errorf("delivered windows %v, %v", ranges, err)
		}
	})
}
