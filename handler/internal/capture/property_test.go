package capture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/verify"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// TestNothingIsMissing interrupts and resumes capture at every kind of call, in
// every way, while posts arrive and appear late. In the
// end every post is archived, or lies in a gap that is recorded.
//
// SEEDS and SEED choose how many seeds, and the first one. 1,000 is what a change of this package
// must pass.
func TestNothingIsMissing(t *testing.T) {
	first, n := uint64(1), uint64(60)
	if v, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		first, n = v, 1
	}
	if v, err := strconv.ParseUint(os.Getenv("SEEDS"), 10, 64); err == nil {
		n = v
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { torture(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

// dice is a source of randomness for several goroutines.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

func torture(t *testing.T, rng *rand.Rand) {
	d := &dice{rng: rng}
	w := newWorld(t)
	w.x.OnCall(func(int, string) {
		if d.n(12) == 0 {
			w.arrive(d)
		}
	})
	if d.n(8) == 0 {
		w.post(300 + d.n(60)) // near X's reach
	} else {
		w.post(d.n(60))
	}
	for range 4 + d.n(12) {
		time.Sleep(time.Duration(1+d.n(600)) * time.Second)
		for range d.n(4) {
			w.arrive(d)
		}
		if d.n(20) == 0 { // in the time that so many posts take at the least, measured by X's reach
			for range d.n(330) {
				time.Sleep(9 * time.Second)
				w.post(1)
			}
		}
		w.troubled(d)
	}
	// The trouble is over. What appears late has appeared after a quarter of an hour.
	w.blobs.Before(nil)
	w.x.Fail(nil)
	w.x.OnCall(nil)
	for range 6 {
		time.Sleep(4 * time.Minute)
		w.mustTick()
	}
	if os.Getenv("SEED") != "" {
		w.log.mu.Lock()
		defer w.log.mu.Unlock()
		w.t.Log(strings.Join(w.log.lines, ""))
	}
	w.nothingIsMissing()
}

// arrive makes a few posts; some are shown late.
func (w *world) arrive(d *dice) {
	for range 1 + d.n(3) {
		p := w.x.Post(account, corpus.Post{Text: "post"})
		w.mu.Lock()
		w.posted = append(w.posted, p)
		w.mu.Unlock()
		if d.n(8) == 0 {
			until := time.Now().Add(time.Duration(d.n(600)) * time.Second)
			w.trace("post %s is shown from %s on", p.ID, until.Format("15:04:05"))
			w.x.ShowLate(p.ID, until)
		}
	}
}

// troubled is a tick, or two at once, in which something goes wrong.
func (w *world) troubled(d *dice) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	at, how := d.n(60), d.n(10)
	if how == 9 { // the tick is short, and storage slow
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(1+d.n(5000))*time.Millisecond)
		defer stop()
	}
	var mu sync.Mutex
	calls := 0
	w.blobs.Before(func(op blobs.Op) error {
		mu.Lock()
		calls++
		here := calls == at
		mu.Unlock()
		if how == 9 {
			time.Sleep(20 * time.Millisecond)
		}
		if !here {
			return nil
		}
		switch how {
		case 0:
			return &blobs.Drop{}
		case 1:
			return &blobs.Drop{After: true}
		case 2:
			return &blobs.Drop{Final: true}
		case 3:
			return &blobs.Drop{After: true, Final: true}
		case 4:
			return &blobs.Answer{Status: 503, Code: "ServerBusy"}
		case 5:
			cancel()
		}
		return nil
	})
	asked := 0
	w.x.Fail(func(r *http.Request) x.Fault {
		w.trace("X is asked %s since %s until %s token %s", r.URL.Path, r.URL.Query().Get("since_id"), r.URL.Query().Get("until_id"), r.URL.Query().Get("pagination_token"))
		return x.Fault{}
	})
	if how == 6 || how == 7 {
		when, fault := d.n(6), x.Fault{Status: []int{500, 503, 429, 404, 403, 401}[d.n(6)]}
		if how == 7 {
			fault = x.Fault{Drop: d.n(2) == 0, CutAfter: d.n(400)}
		}
		w.x.Fail(func(*http.Request) x.Fault {
			mu.Lock()
			defer mu.Unlock()
			if asked++; asked == when {
				return fault
			}
			return x.Fault{}
		})
	}
	if how == 8 {
		w.x.ForgetTokens()
	}
	var instances sync.WaitGroup
	for range 1 + d.n(2)*d.n(2) {
		instances.Go(func() {
			_, err := w.capture().Run(ctx) // what goes wrong is reported, and made up for later
			w.trace("tick ended: trouble %d at call %d: %v", how, at, err)
		})
	}
	instances.Wait()
}

// nothingIsMissing checks what everything else is for.
func (w *world) nothingIsMissing() {
	w.t.Helper()
	a := w.record()
	have := w.archived()
	gaps := a.Missing()
	for _, p := range w.posted {
		if slices.Contains(have, p.ID) || gaps.Contains(instant(p.CreatedAt)) {
			continue
		}
		w.t.Errorf("post %s of %s is not archived and in no gap: covered %v, gaps %v", p.ID, p.CreatedAt, a.Covered, a.Gaps)
	}
	if len(w.posted) < w.reach-20 && len(gaps) > 0 {
		w.t.Errorf("a gap is recorded although X reaches all %d posts: %v", len(w.posted), a.Gaps)
	}
	if end := a.Covered.End(); end.Before(time.Now().Add(-time.Minute)) {
		w.t.Errorf("covered only to %s at %s: %+v", end, time.Now(), a)
	}
	if a.Run != nil {
		w.t.Errorf("a run is under way: %+v", *a.Run)
	}
	// Every message is in the manifest, and the other way round.
	report, err := verify.Account(context.WithoutCancel(w.t.Context()), verify.Options{Archive: w.archive,
		Manifests: manifest.New(w.storage.Container("archive")), Account: account, To: time.Now(), Newest: a.Manifest})
	if err != nil || !report.Sound() || report.Unlisted > 0 || report.Messages != len(have) {
		w.t.Errorf("the archive does not verify: %+v, %v", report, err)
	}
	// What a crash left behind is removed by the daily sweep once it is old enough.
	time.Sleep(8 * 24 * time.Hour)
	removed, ran, err := w.state.Sweep(w.t.Context(), time.Now())
	if err != nil || !ran {
		w.t.Errorf("the sweep: ran %v, removed %d, %v", ran, removed, err)
	}
	w.noPages()
}

// trace prints what happened, when a single seed is tried.
func (w *world) trace(format string, args ...any) {
	if os.Getenv("SEED") != "" {
		w.t.Logf("%s %s", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
}
