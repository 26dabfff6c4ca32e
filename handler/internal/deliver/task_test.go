package deliver_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// write puts a blob into the state behind the connector's back.
func (w *world) write(name, text string) {
	w.t.Helper()
	if _, err := w.stateContainer().Write(w.t.Context(), name, []byte(text), noCondition); err != nil {
		w.t.Fatal(err)
	}
}

// TestEventNotTaken: only when the event is taken the task ends, however long that
// takes; nothing is uploaded again for it.
func TestEventNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.service.answer = importer.ErrNotTaken
		w.request("t", 0, 9)
		for range 15 { // more often than uploads would be tried
			if _, err := w.tick(time.Minute); !errors.Is(err, importer.ErrNotTaken) {
				t.Fatalf("%v, expected that the event was not taken", err)
			}
			before := w.service.calls.Load()
			if w.run(); w.service.calls.Load() != before {
				t.Error("the event was sent again before it was due")
			}
			time.Sleep(time.Hour)
		}
		w.theirs.ResetCalls()
		w.service.answer = nil
		w.run()
		w.want("t", importer.Success, keys...)
		if w.theirs.Calls().All() != 0 {
			t.Error("items were uploaded again")
		}
	})
}

// TestRefused: an event that the service refuses for good ends the task, with its
// answer, and is logged as an error once. Late messages stay due.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.late(keys[9], at(9))
		w.service.answer = fmt.Errorf("sending: %w", &importer.RefusedError{Status: 404, Said: "the job is unknown"})
		w.request("t", 0, 2)
		w.run()
		ended, err := w.state.EndedTask(t.Context(), "j", "t")
		if err != nil || ended.Verdict.Status != int(importer.Success) || ended.Verdict.Refusal != "status 404 the job is unknown" {
			t.Errorf("verdict %+v, %v; expected success, refused with 404", ended.Verdict, err)
		}
		if n := w.log.count("level=ERROR"); n != 1 || w.log.count("level=ERROR", "refuses", "job=j", "task=t", "account=7") != 1 {
			t.Errorf("%d errors logged, expected the refusal once:\n%s", n, w.log)
		}
		if late := w.lateKeys(); !slices.Equal(late, keys[9:]) {
			t.Errorf("late %v, expected %v: nobody has taken it", late, keys[9:])
		}
		if w.run(); w.service.calls.Load() != 1 {
			t.Error("a refused event was sent again")
		}
	})
}

// TestJobGone: a task of a deleted job is dropped, without an event.
func TestJobGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.posts(10)
		w.request("t", 0, 9)
		w.request("old", 0, 9, func(t *state.Task) { t.AccountID = "" })
		var claims []*state.TaskClaim
		for _, id := range []string{"t", "old"} {
			claim, err := w.state.ClaimTask(t.Context(), "j", id) // in work while the job goes
			if err != nil {
				t.Fatal(err)
			}
			claims = append(claims, claim)
		}
		if err := w.state.DeleteJob(t.Context(), "j"); err != nil {
			t.Fatal(err)
		}
		for _, claim := range claims {
			claim.Release()
		}
		if w.run(); w.service.calls.Load() != 0 {
			t.Errorf("%d events, expected none", w.service.calls.Load())
		}
		if open := w.blobs("tasks/"); len(open) != 0 {
			t.Errorf("tasks %v, expected none", open)
		}
	})
}

// TestDamaged: a record that cannot be read stops nothing. Its bytes are set aside, an
// error is logged once, and every tick's error names it.
func TestDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(3)
		w.request("t", 0, 2)
		w.write("tasks/open/j/damaged.json", "{")
		w.write("tasks/open/j/newer.json", `{"v":99}`)
		w.write("late/j/damaged.json", "[]")
		for range 2 {
			report, err := w.tick(time.Minute)
			if !errors.Is(err, state.ErrDamaged) || !errors.Is(err, state.ErrNewer) || report.Damaged != 2 {
				t.Errorf("%v, report %+v; expected the two records", err, report)
			}
		}
		w.want("t", importer.Success, keys...)
		if aside := w.blobs("set-aside/records/"); len(aside) != 3 {
			t.Errorf("set aside: %v, expected three records", aside)
		}
		if n := w.log.count("level=ERROR"); n != 3 {
			t.Errorf("%d errors logged, expected one a record:\n%s", n, w.log)
		}
	})
}

// TestUnreadable: a task does not need its job's record, and waits for that of its account
// as long as for capture.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(3)
		w.request("t", 0, 2)
		w.write("jobs/j.json", "{")
		w.run()
		w.want("t", importer.Success, keys...)
		w.request("u", 0, 2)
		w.write("accounts/7.json", "{")
		if report := w.run(); report.Waiting != 1 {
			t.Errorf("report %+v, expected that the task waits", report)
		}
		time.Sleep(24 * time.Hour)
		w.run()
		w.want("u", importer.TemporaryFailure)
		if reason := w.reason("u"); !strings.Contains(reason, "cannot be read") {
			t.Errorf("reason %q", reason)
		}
	})
}

// TestLost: an instance that loses its claim stops, says so, and neither fails nor
// writes; the other one goes on.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.put(at(0), huge)
		w.account(func(a *state.Account) { a.Covered = a.Covered.Add(state.Range{To: at(1)}) })
		w.request("t", 0, 0)
		w.theirs.SetLatency(4 * time.Second)
		w.ours.Before(func(op blobs.Op) error {
			if op.Name == "RenewLease" {
				return &blobs.Answer{Status: 409, Code: "LeaseIdMismatchWithLeaseOperation"}
			}
			return nil
		})
		before, _ := w.ours.Get("state", "tasks/open/j/t.json")
		w.run()
		after, _ := w.ours.Get("state", "tasks/open/j/t.json")
		if w.log.count("level=INFO", "claim", "another instance goes on") != 1 || strings.Contains(w.log.String(), "context canceled") || w.log.count("level=WARN")+w.log.count("level=ERROR") > 0 {
			t.Errorf("the log says:\n%s", w.log)
		}
		if string(before.Content) == string(after.Content) {
			t.Error("the attempt never began")
		}
		if task := w.open(); task.Attempts != 0 || len(task.Partials) > 1 {
			t.Errorf("task %+v: a lost claim is no attempt", task)
		}
		w.ours.Before(nil)
		time.Sleep(time.Minute)
		w.run()
		w.want("t", importer.Success, key)
	})
}

// TestOldVerdict: the items of a verdict from before the format was versioned are told,
// oldest first.
func TestOldVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.write("tasks/open/j/t.json", `{"JobID":"j","TaskID":"t","Start":"2024-06-10T12:00:00Z","End":"2024-06-10T12:09:00Z","BlobSASURI":"https://x.invalid/c?sig=s",
			"ReceivedAt":"2024-06-10T12:10:00Z","Uploaded":["2.json","1.json"],"Verdict":{"Status":0,"Reason":"","Items":[
			{"ID":"2","Modified":"2024-06-10T12:02:00Z","FileName":"2.json"},{"ID":"1","Modified":"2024-06-10T12:01:00Z","FileName":"1.json"}]}}`)
		w.run()
		if e := w.service.events["t"]; e == nil || !slices.Equal(e.keys, []string{"1", "2"}) || e.problem != "" {
			t.Errorf("event %+v, expected the items 1 and 2", e)
		}
	})
}

// TestLostChunk: a task whose list of items is lost uploads them again.
func TestLostChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(3)
		w.request("t", 0, 2)
		w.service.answer = importer.ErrNotTaken
		if _, err := w.tick(time.Minute); err == nil {
			t.Fatal("no error")
		}
		w.service.answer = nil
		if err := w.stateContainer().Remove(t.Context(), "tasks/items/j/t/000000.json", noCondition); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := w.tick(time.Minute); !errors.Is(err, state.ErrNotFound) {
			t.Fatalf("%v, expected that the chunk is not found", err)
		}
		time.Sleep(time.Hour)
		w.run()
		w.want("t", importer.Success, keys...)
	})
}

// TestEndFails: what fails after the event was taken is no failed delivery; the next tick
// finishes the end, and the event, if it is sent again, is the same.
func TestEndFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, blob := range []string{"tasks/open/j/t.json", "tasks/ended/j/t.json", "late/j/"} {
			w := newWorld(t)
			keys := w.posts(3)
			w.late(keys[1], at(1))
			w.request("t", 0, 2)
			w.ours.Before(func(op blobs.Op) error {
				if w.service.calls.Load() > 0 && strings.HasPrefix(op.Blob, blob) && (op.Class == blobs.Write || op.Class == blobs.Delete) {
					return &blobs.Answer{Status: 409, Code: "AccountBeingCreated"}
				}
				return nil
			})
			if _, err := w.tick(time.Minute); err == nil || !strings.Contains(err.Error(), "event is settled") {
				t.Fatalf("%s: %v, expected a failure behind the event", blob, err)
			}
			if open := w.open(); open.Attempts != 0 || open.Problem != nil {
				t.Errorf("%s: %+v was counted as a failed delivery", blob, open)
			}
			w.ours.Before(nil)
			w.run()
			w.want("t", importer.Success, keys...)
			if late := w.lateKeys(); len(late) > 0 {
				t.Errorf("%s: late %v stayed behind", blob, late)
			}
		}
	})
}

// TestFairness: one task with a huge item does not keep ten small ones waiting, and goes on
// itself in each tick.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.put(at(-1), huge)
		keys := w.posts(30)
		w.request("huge", -1, -1)
		time.Sleep(time.Second)
		for i := range 10 {
			w.request(fmt.Sprintf("t%d", i), i, i+2)
		}
		w.theirs.SetLatency(10 * time.Second)
		report, err := w.tick(60 * time.Second)
		if err != nil || report.Ended != 10 {
			t.Fatalf("%+v, %v: expected the ten small tasks to end in the first tick", report, err)
		}
		for i := range 10 {
			w.want(fmt.Sprintf("t%d", i), importer.Success, keys[i:i+3]...)
		}
		staged := 0
		for n := 0; w.service.events["huge"] == nil && n < 20; n++ {
			switch task := w.open(); {
			case len(task.Partials) == 1 && task.Partials[0].Staged.Blocks > staged:
				staged = task.Partials[0].Staged.Blocks
			case len(task.Partials) == 0 && slices.Contains(w.theirs.Names("inbox"), "j/huge/"+importer.FileName(key)) && staged < math.MaxInt:
				staged = math.MaxInt // it is uploaded, only its event is left for one more tick
			default:
				t.Fatalf("tick %d did not bring the huge item further: %+v", n, task.Partials)
			}
			if _, err := w.tick(30 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		w.want("huge", importer.Success, key)
	})
}

// TestOrder: tasks get their turn in the order of their last one. Those for which there is
// no time are counted, and come first in the next tick.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.posts(10)
		for i := range 20 {
			w.request(fmt.Sprintf("t%02d", i), 0, 9, func(t *state.Task) { t.ReceivedAt = now().Add(time.Duration(-i) * time.Second) })
		}
		w.service.answer = importer.ErrNotTaken // they stay open
		w.theirs.SetLatency(time.Second)
		var mu sync.Mutex
		var turns []string
		w.ours.Before(func(op blobs.Op) error {
			if id, found := strings.CutPrefix(op.Blob, "tasks/open/j/"); found && op.Name == "AcquireLease" {
				mu.Lock()
				defer mu.Unlock()
				turns = append(turns, strings.TrimSuffix(id, ".json"))
			}
			return nil
		})
		report, _ := w.tick(2500 * time.Millisecond) // events are not taken
		if report.Skipped < 4 || report.Skipped+len(turns) != 20 || len(turns) < 8 {
			t.Fatalf("%d of 20 tasks had their turn, report %+v", len(turns), report)
		}
		first := slices.Clone(turns)
		time.Sleep(2 * time.Hour)
		turns = nil
		_, _ = w.tick(time.Hour)
		if !slices.Contains(first, "t19") || slices.Contains(first, "t00") {
			t.Errorf("the oldest task did not come first: %v", first)
		}
		for _, id := range turns[:20-len(first)] {
			if slices.Contains(first, id) {
				t.Errorf("%s had its second turn before all others had their first: %v, then %v", id, first, turns)
			}
		}
		if len(turns) != 20 {
			t.Errorf("%d turns in a long tick, expected 20", len(turns))
		}
	})
}

// TestClaimedElsewhere: a task that another instance has claimed, or had when it was
// killed, is counted and no failure.
func TestClaimedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.posts(10)
		w.request("t", 0, 9)
		claim, err := w.state.ClaimTask(t.Context(), "j", "t")
		if err != nil {
			t.Fatal(err)
		}
		report, err := w.tick(time.Minute)
		if err != nil || report.Claimed != 1 || report.Items != 0 {
			t.Errorf("want one task claimed elsewhere, got %+v, %v", report, err)
		}
		claim.Release()
		if report, err = w.tick(time.Minute); err != nil || report.Claimed != 0 || report.Ended != 1 {
			t.Errorf("after it: want one task ended, got %+v, %v", report, err)
		}
	})
}

// TestTwoInstances: a task is delivered by one instance at a time.
func TestTwoInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.request("t", 0, 9)
		w.theirs.SetLatency(time.Second)
		done := make(chan error)
		for range 3 {
			go func() {
				_, err := w.tick(time.Minute)
				done <- err
			}()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		w.want("t", importer.Success, keys...)
		if w.service.calls.Load() != 1 || w.theirs.Calls().ByName["PutBlob"] != 10 {
			t.Errorf("%d events and %+v, expected one and ten uploads", w.service.calls.Load(), w.theirs.Calls())
		}
	})
}
