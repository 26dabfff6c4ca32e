package deliver_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

var seeds = flag.Int("seeds", 80, "how many random histories TestInterrupted runs through")

// history is a world in which one task has items of every kind to deliver.
type history struct {
	*world
	keys []string // what the task must deliver, in order
}

// big is an item of more than one block.
var big = strings.Repeat("x", blob.BlockSize+100)

func newHistory(t *testing.T, large string) *history {
	w := newWorld(t)
	w.swept = true
	h := &history{world: w}
	older := noon.AddDate(0, -2, 0)
	late := w.put(older, "late")
	w.late(late, older)
	looked := w.put(older.Add(time.Hour), "looked up")
	h.keys = append(h.keys, late, looked)
	for i := range 5 { // over two days
		h.keys = append(h.keys, w.put(noon.AddDate(0, 0, -1).Add(time.Duration(i)*time.Minute), fmt.Sprint("yesterday ", i)))
	}
	h.keys = append(h.keys, w.put(at(-1), large))
	h.keys = append(h.keys, w.posts(4)...)
	w.late(h.keys[9], at(1))
	w.request("t", 0, 3, func(t *state.Task) {
		t.Start, t.Dirty = noon.AddDate(0, 0, -1), []string{looked, h.keys[8], "99"}
	})
	found := state.Found{Names: []string{archive.Name("7", older.Add(time.Hour), looked), archive.Name("7", at(0), h.keys[8])}, Gone: map[string]string{"99": "gone"}}
	if err := w.state.PutFound(t.Context(), "j", "t", found); err != nil {
		t.Fatal(err)
	}
	return h
}

// finish runs undisturbed ticks until the task has ended, and checks what became of it.
func (h *history) finish(what string) {
	h.t.Helper()
	h.ours.Before(nil)
	h.theirs.Before(nil)
	h.service.answer = nil
	for range 30 {
		if len(h.blobs("tasks/open/")) == 0 {
			break
		}
		time.Sleep(time.Hour)
		_, _ = h.tick(10 * time.Minute) // what matters is the end
	}
	failed := h.t.Failed()
	h.want("t", importer.Success, h.keys...)
	if late := h.lateKeys(); len(late) > 0 {
		h.t.Errorf("late %v is not forgotten", late)
	}
	if inbox := h.theirs.Names("inbox"); len(inbox) != len(h.keys) {
		h.t.Errorf("%d blobs in the container, expected %d", len(inbox), len(h.keys))
	}
	if !failed && h.t.Failed() {
		h.t.Fatalf("%s; the log says:\n%s", what, h.log)
	}
}

// TestInterruptedAtEveryCall: whichever storage call a task is interrupted at, for good or
// for once, its request lost or its answer, in the end everything is delivered once.
func TestInterruptedAtEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		count := newHistory(t, big)
		seen := func(blobs.Op) error { calls++; return nil }
		var mu sync.Mutex
		counted := func(op blobs.Op) error { mu.Lock(); defer mu.Unlock(); return seen(op) }
		count.ours.Before(counted)
		count.theirs.Before(counted)
		count.run()
		count.finish("undisturbed")
		if calls < 50 {
			t.Fatalf("%d storage calls, that is no task", calls)
		}
		for _, kind := range []string{"request lost", "answer lost", "died before", "died after", "canceled"} {
			for n := range calls {
				large := "not so large" // big ones take long
				if kind == "died after" || kind == "canceled" {
					large = big
				}
				h := newHistory(t, large)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				h.disturb(kind, n, cancel)
				_, _ = h.instance().Run(ctx)
				cancel()
				h.finish(fmt.Sprintf("%s at call %d", kind, n))
			}
		}
	})
}

// disturb interrupts the n-th storage call from now on. A tick that is canceled does not
// hear that the call took effect.
func (h *history) disturb(kind string, n int, cancel func()) {
	var mu sync.Mutex
	left := n
	each := func(blobs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		left--
		switch {
		case left >= 0:
			return nil
		case left < -1 && strings.HasPrefix(kind, "died"):
			return &blobs.Drop{Final: true} // so does everything after it
		case left < -1:
			return nil
		case kind == "canceled":
			cancel()
			return nil
		}
		return &blobs.Drop{Final: true, After: kind == "answer lost" || kind == "died after"}
	}
	h.ours.Before(each)
	h.theirs.Before(each)
}

// TestInterrupted: random histories of ticks of any length, failures, deaths, events that
// are not taken or whose answer is lost, and several instances at once.
func TestInterrupted(t *testing.T) {
	for seed := range uint64(*seeds) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 8))
			h := newHistory(t, big)
			h.ours.SetLatency(time.Duration(random.IntN(30)) * time.Millisecond)
			h.theirs.SetLatency(time.Duration(random.IntN(2000)) * time.Millisecond)
			var what []string
			for range random.IntN(8) {
				kind := []string{"request lost", "answer lost", "died before", "died after", "none", "none"}[random.IntN(6)]
				n := random.IntN(80)
				if kind != "none" {
					h.disturb(kind, n, func() {})
				}
				h.service.answer = []error{nil, importer.ErrNotTaken}[random.IntN(2)]
				h.service.lose = random.IntN(3) == 0
				instances, length := 1+random.IntN(3), time.Duration(1+random.IntN(6000))*time.Millisecond
				what = append(what, fmt.Sprintf("%s at %d, %d instances, %s", kind, n, instances, length))
				var ticks sync.WaitGroup
				for range instances {
					ticks.Go(func() { _, _ = h.tick(length) })
				}
				ticks.Wait()
				h.ours.Before(nil)
				h.theirs.Before(nil)
				time.Sleep(time.Duration(random.IntN(int(2 * time.Minute))))
			}
			h.finish(fmt.Sprintf("seed %d: %s", seed, strings.Join(what, "; ")))
		})
		if t.Failed() {
			return
		}
	}
}

// TestStaleChunk: an instance that lost its claim unawares cannot replace what its successor
// has written.
func TestStaleChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.request("t", 0, 1)
		stale, err := w.state.ClaimTask(t.Context(), "j", "t")
		if err != nil {
			t.Fatal(err)
		}
		w.ours.Before(func(op blobs.Op) error {
			if op.Name == "RenewLease" { // it stands still
				return &blobs.Drop{Final: true}
			}
			return nil
		})
		time.Sleep(31 * time.Second)
		w.ours.Before(nil)
		next, err := w.state.ClaimTask(t.Context(), "j", "t")
		if err != nil {
			t.Fatal(err)
		}
		defer next.Release()
		items := func(ids ...string) (out []state.Item) {
			for _, id := range ids {
				out = append(out, state.Item{ID: id})
			}
			return out
		}
		if err := next.PutItems(t.Context(), 0, items("1", "2")); err != nil {
			t.Fatal(err)
		}
		if err := stale.PutItems(t.Context(), 0, items("1")); !errors.Is(err, state.ErrLost) {
			t.Errorf("%v, expected ErrLost", err)
		}
		if err := next.PutItems(t.Context(), 0, items("1", "2", "3")); err != nil {
			t.Errorf("replacing a chunk that is not counted: %v", err)
		}
		var got []string
		for item, err := range w.state.Items(t.Context(), "j", "t", 0, 1) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, item.ID)
		}
		if !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("the chunk holds %v", got)
		}
	})
}
