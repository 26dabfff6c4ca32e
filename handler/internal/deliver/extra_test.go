package deliver_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// TestLate: late messages of earlier windows, and those that the walk of this window has
// passed already, come with the job's next task, each once and in order; then they are
// forgotten. A supplement is a message of its own.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		old := w.put(noon.AddDate(-1, 0, 0), "late and old")
		supplement := w.putAs("7", keys[1]+".media", at(1), "supplement")
		w.late(old, noon.AddDate(-1, 0, 0))
		w.late(supplement, at(1))
		w.late(keys[4], at(4)) // the walk uploads it, too
		w.late(keys[9], at(9))
		w.request("t", 3, 6)
		var passed string
		var once sync.Once
		w.theirs.Before(func(op blobs.Op) error { // archived while the window is on its way
			if op.Class == blobs.Write && strings.HasPrefix(op.Blob, "j/t/") {
				once.Do(func() {
					passed = w.put(at(3).Add(30*time.Second), "passed")
					w.late(passed, at(3).Add(30*time.Second))
				})
			}
			return nil
		})
		w.run()
		w.want("t", importer.Success, old, supplement, keys[3], passed, keys[4], keys[5], keys[6], keys[9])
		if late := w.lateKeys(); len(late) > 0 {
			t.Errorf("late %v is not forgotten", late)
		}
		w.request("u", 0, 0)
		w.run()
		w.want("u", importer.Success, keys[0])
	})
}

// TestLateStays: after a temporary failure late messages stay due; of those that can never
// be delivered the verdict says so, and they are forgotten.
func TestLateStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.late(keys[9], at(9))
		w.request("t", 0, 0, func(t *state.Task) { t.BlobSASURI = sas + "&se=1999-01-01T00:00:00Z" })
		w.theirs.Before(func(blobs.Op) error { return &blobs.Answer{Status: 403, Code: "AuthenticationFailed"} })
		w.run()
		w.want("t", importer.TemporaryFailure)
		if late := w.lateKeys(); !slices.Equal(late, keys[9:]) {
			t.Errorf("late %v, expected %v", late, keys[9:])
		}
		w.theirs.Before(nil)
		w.late("404", at(4)) // noted, but not there
		e, err := w.archive.Find(t.Context(), archive.Name("7", at(8), keys[8]))
		if err != nil {
			t.Fatal(err)
		}
		w.late(keys[8], at(8))
		w.overwrite(e.Name, "altered", map[string]string{"created": "2024-06-10T12:08:00.000Z", "sha256": e.SHA256})
		w.request("t", 0, 0)
		w.run()
		w.want("t", importer.PermanentFailure, keys[0], keys[9])
		for _, part := range []string{"404", keys[8]} {
			if reason := w.reason("t"); !strings.Contains(reason, part) {
				t.Errorf("reason %q lacks %q", reason, part)
			}
		}
		if late := w.lateKeys(); len(late) > 0 {
			t.Errorf("late %v is not forgotten", late)
		}
	})
}

// TestManyLate: what is delivered besides the window makes progress in each tick, too.
func TestManyLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(2)
		var late []string
		for i := range 500 {
			created := noon.AddDate(0, -1, 0).Add(time.Duration(i) * time.Second)
			late = append(late, w.put(created, fmt.Sprint("late ", i)))
			w.late(late[i], created)
		}
		w.request("t", 0, 1)
		w.theirs.SetLatency(200 * time.Millisecond)
		w.ours.SetLatency(5 * time.Millisecond)
		ticks := 0
		for ; w.service.events["t"] == nil && ticks < 40; ticks++ {
			if _, err := w.tick(1500 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		for len(w.blobs("tasks/open/")) > 0 && ticks < 60 {
			ticks++
			if _, err := w.tick(time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		w.want("t", importer.Success, append(late, keys...)...)
		if writes := w.theirs.Calls().Write; writes > 502+ticks*itemsAtOnce || ticks < 3 {
			t.Errorf("%d uploads of 502 items in %d ticks", writes, ticks)
		}
	})
}
