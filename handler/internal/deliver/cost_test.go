package deliver_test

import (
	"context"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// drain is a container of the Import service that keeps nothing.
type drain struct {
	uploads int
	each    func(n int)
}

func (d *drain) Upload(_ context.Context, _ string, _ *blob.Staged, write func(io.Writer) error) error {
	if err := write(io.Discard); err != nil {
		return err
	}
	d.uploads++ // the caller is the only one: one item at a time is enough here
	d.each(d.uploads)
	return nil
}

// counting is an event API that keeps nothing.
type counting struct {
	items int
	each  func(n int)
}

func (c *counting) Complete(_ context.Context, _ string, done importer.Completion) error {
	for _, err := range done.Items {
		if err != nil {
			return err
		}
		c.items++
		c.each(c.items)
	}
	return nil
}

// cost is what a task of n items, a hundred a day, takes.
type cost struct {
	calls blobs.Counts
	heap  int64 // bytes in use near the end of uploading and of the event, beyond what was before and what is stored
}

func measure(t *testing.T, n int) (c cost) {
	w := newWorld(t)
	const perDay = 100
	w.texts = nil
	for i := range n {
		w.put(noon.AddDate(0, 0, -(n/perDay)+i/perDay).Add(time.Duration(i%perDay)*time.Minute), "x")
	}
	for i := range 300 { // of years before, which cost nothing
		w.put(noon.AddDate(-5, 0, -i), "x")
	}
	w.account(func(a *state.Account) { a.Covered = a.Covered.Add(state.Range{To: at(0)}) })
	w.request("t", 0, 0, func(t *state.Task) { t.Start, t.End = noon.AddDate(0, 0, -(n/perDay)-1), at(-1) })
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what lies in a sync.Pool outlives one
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		stored := 0
		for _, name := range w.blobs("tasks/items/") {
			b, _ := w.ours.Get("state", name)
			stored += cap(b.Content)
		}
		return int64(m.HeapAlloc) - int64(stored)
	}
	near := func(at int) {
		if at == n*9/10 {
			c.heap = max(c.heap, heap())
		}
	}
	var mu = make(chan struct{}, 1)
	events, inbox := &counting{each: near}, &drain{each: near}
	d := w.instance()
	d.Events = events
	d.OpenInbox = func(string) (deliver.Inbox, error) { return oneAtATime{inbox, mu}, nil }
	before := heap()
	w.ours.ResetCalls()
	if _, err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.calls = w.ours.Calls()
	c.heap -= before
	if events.items != n || inbox.uploads != n {
		t.Fatalf("%d uploads, %d items told, expected %d", inbox.uploads, events.items, n)
	}
	return c
}

type oneAtATime struct {
	inbox *drain
	turn  chan struct{}
}

func (o oneAtATime) Upload(ctx context.Context, name string, resume *blob.Staged, write func(io.Writer) error) error {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	return o.inbox.Upload(ctx, name, resume, write)
}

// TestCost: what a task takes of the storage grows with its items and with nothing else,
// and its memory with neither.
func TestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small, large := measure(t, 1_000), measure(t, 20_000)
		const days = 20_000 / 100
		got := large.calls
		t.Logf("1,000 items: %+v, %d KiB of heap", small.calls, small.heap>>10)
		t.Logf("20,000 items: %+v, %d KiB of heap", got, large.heap>>10)
		if limit := 20_000 + 20_000/100 + 50; got.Read > limit {
			t.Errorf("%d reads, expected %d at most: one an item, and its chunks", got.Read, limit)
		}
		if limit := 2*20_000/200 + 20; got.Write > limit {
			t.Errorf("%d writes, expected %d at most: two each 200 items", got.Write, limit)
		}
		if limit := days + days/28 + 20; got.List > limit {
			t.Errorf("%d listings, expected %d at most: one a day with messages", got.List, limit)
		}
		if limit := int64(20_000 * 300); got.BytesIn > limit {
			t.Errorf("%d bytes written, expected %d at most", got.BytesIn, limit)
		}
		if perItem := got.BytesIn / 20_000; perItem > small.calls.BytesIn/1_000+20 {
			t.Errorf("%d bytes an item, %d with 1,000 items", perItem, small.calls.BytesIn/1_000)
		}
		if large.heap-small.heap > 1<<20 {
			t.Errorf("%d KiB of heap for 20,000 items, %d KiB for 1,000", large.heap>>10, small.heap>>10)
		}
	})
}
