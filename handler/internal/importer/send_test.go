package importer_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"
)

// TestManyItems: what an event holds in memory does not depend on its items.
func TestManyItems(t *testing.T) {
	events, s, _, _ := world(t)
	const n = 200_000
	last := ""
	count := 0
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		in := json.NewDecoder(r.Body)
		for range 6 { // {"taskId":"t","status":0,"itemMetadata":[ without the last
			if _, err := in.Token(); err != nil {
				t.Error(err)
			}
		}
		_, _ = in.Token()
		for in.More() {
			var item struct{ ID, FileName string }
			if err := in.Decode(&item); err != nil || item.ID <= last || item.FileName != item.ID+".json" {
				t.Errorf("item %d is %+v after %s, %v", count, item, last, err)
				return
			}
			last = item.ID
			count++
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most := live(), uint64(0)
	watched := func(yield func(importer.ItemMetadata, error) bool) {
		i := 0
		for item, err := range many(n, nil) {
			if i++; i%20_000 == 0 {
				most = max(most, live())
			}
			if !yield(item, err) {
				return
			}
		}
	}
	if err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: watched}); err != nil {
		t.Fatal(err)
	}
	if count != n {
		t.Errorf("%d items arrived, want %d", count, n)
	}
	if most > before+8<<20 { // the event itself has 22 MB
		t.Errorf("the heap grew from %d to %d bytes", before, most)
	}
}

// TestItemsFail: the service never has a whole event when the items cannot be read,
// and the error is theirs.
func TestItemsFail(t *testing.T) {
	broken := fault.New(fault.Storage, "the list broke off")
	for _, n := range []int{0, 3, large} {
		events, s, v, _ := world(t)
		err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: many(n, broken)})
		if !errors.Is(err, broken) || errors.Is(err, importer.ErrNotTaken) || fault.CauseOf(err) != fault.Storage || v.forgotten != 0 {
			t.Errorf("after %d items: %v, want %v", n, err, broken)
		}
		s.Close() // waits for its requests
		if n < large && len(s.bodies) != 0 || slices.Contains(s.broken, nil) {
			t.Errorf("after %d items the service had %d events, read with %v", n, len(s.bodies), s.broken)
		}
	}
	events, _, _, _ := world(t)
	err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: func(func(importer.ItemMetadata, error) bool) { panic("boom") }})
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a panic of the items: %v", err)
	}
}

// TestAnsweredEarly: an answer to a part of an event is none to the event, and a token
// refused so is not used again.
func TestAnsweredEarly(t *testing.T) {
	for _, status := range []int{200, 401} {
		events, s, v, _ := world(t)
		s.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: many(200_000, nil)})
		if !errors.Is(err, importer.ErrNotTaken) || status == 401 && v.forgotten == 0 {
			t.Errorf("status %d: %v, forgotten %d times, want ErrNotTaken", status, err, v.forgotten)
		}
	}
}

// TestInterrupted: the end of the tick is no failure of the service.
func TestInterrupted(t *testing.T) {
	events, s, _, _ := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.answer = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}
	if err := events.Complete(ctx, "j", completion); !errors.Is(err, context.Canceled) || fault.CauseOf(err) != fault.Interrupted {
		t.Errorf("%v (%s), want context.Canceled", err, fault.CauseOf(err))
	}
}
