package capture_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/tests/sandbox/blobs"
)

// TestNextPageMeanwhile: while a page is retained, X is asked for the next one.
func TestNextPageMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(25) // three pages
		asked := map[int]chan struct{}{1: make(chan struct{}), 2: make(chan struct{}), 3: make(chan struct{})}
		w.x.OnCall(func(n int, _ string) { close(asked[n]) })
		var mu sync.Mutex
		var late []string
		w.blobs.Before(func(op blobs.Op) error {
			if op.Name != "PutBlob" || !strings.HasPrefix(op.Blob, "pages/") {
				return nil
			}
			next := 2
			switch {
			case strings.HasSuffix(op.Blob, "/00001.json"):
				next = 3
			case strings.HasSuffix(op.Blob, "/00002.json"):
				return nil // it is the last
			}
			select {
			case <-asked[next]:
			case <-time.After(time.Minute):
				mu.Lock()
				defer mu.Unlock()
				late = append(late, op.Blob)
			}
			return nil
		})
		w.mustTick()
		if len(late) > 0 {
			t.Errorf("X was not asked for the next page while these were retained: %v", late)
		}
		if got := w.x.Stats().Requests; got != 3 {
			t.Errorf("X was asked %d times, expected 3", got)
		}
		w.wantArchived(w.posted...)
	})
}

// TestPageNotRetained: when a page cannot be retained, the answer that X gave
// meanwhile is not used, and the next tick goes on without a loss.
func TestPageNotRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(35)
		w.blobs.Before(func(op blobs.Op) error {
			if op.Name == "PutBlob" && strings.HasSuffix(op.Blob, "/00001.json") {
				return &blobs.Drop{Final: true}
			}
			return nil
		})
		if err := w.tick(); err == nil {
			t.Error("a page could not be retained, and the tick succeeded")
		}
		if run := w.record().Run; run == nil || run.Pages != 1 {
			t.Errorf("run %+v, expected one with one page", run)
		}
		w.blobs.Before(nil)
		w.mustTick()
		w.wantArchived(w.posted...)
		w.noPages()
		if got := w.x.Stats().BilledReads; got != 35 {
			t.Errorf("%d post reads are billed, expected 35", got)
		}
	})
}
