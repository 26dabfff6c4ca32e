package capture_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/state"
)

// TestFirst: an account that is to come first has its turn before those that have waited longer.
func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const all, news = 20, "119"
		for i := range all {
			w.job(fmt.Sprint(100 + i))
		}
		record, err := w.state.LoadAccount(t.Context(), news)
		if err != nil {
			t.Fatal(err)
		}
		record.Account.TriedAt = time.Now() // the others have waited longer
		if err := record.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, first := range []map[string]bool{nil, {news: true}} {
			var mu sync.Mutex
			var order []string
			c := capture.New(capture.Options{State: w.state, Archive: w.archive, Manifest: manifest.New(w.storage.Container("archive")), Log: slog.New(slog.DiscardHandler), Now: time.Now,
				First: func(context.Context) map[string]bool { return first },
				SignIn: func(_ context.Context, job state.Job, _ bool) (capture.X, error) {
					time.Sleep(time.Second)
					mu.Lock()
					defer mu.Unlock()
					order = append(order, job.AccountID)
					return nil, errors.New("nobody signs in")
				}})
			_, _ = c.Run(t.Context()) // every turn fails, and that they come is enough
			at := slices.Index(order, news)
			if len(order) < all || first == nil && at < all-8 || first != nil && at >= 8 {
				t.Errorf("first %v: turn %d of %d", first, at, len(order))
			}
			time.Sleep(time.Minute)
			if record, err = w.state.LoadAccount(t.Context(), news); err != nil {
				t.Fatal(err)
			}
			record.Account.TriedAt = time.Now()
			if err := record.Save(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
