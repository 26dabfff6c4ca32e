package capture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/x"
)

// TestNothingIsMissing interrupts, kills and resumes capture of two accounts at every
// kind of call, in every way, while posts arrive, appear late, are left out, are edited
// and deleted, while media and look-ups fail, and while tasks deliver. In the end
// every post is archived with its media, or lies in a gap that is recorded, and what
// was archived into a time already delivered is noted for the next task.
//
// SEEDS and SEED choose how many seeds, and the first one. 1,000 is what a change of
// this package must pass.
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
			synctest.Test(t, func(t *testing.T) { tortureSeed(t, rand.New(rand.NewPCG(seed, 7))) })
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

// torture is what is under way in a seed.
type torture struct {
	*world
	dice    *dice
	late    time.Duration   // by which posts are shown late, at most
	inside  atomic.Bool     // a hook is calling storage itself
	deleted map[string]bool // guarded by world.mu, as are the others
	muted   []string
	left    []string                // out of X's answers during this round
	listed  map[string]bool         // keys of messages that a task has found in the archive
	begun   map[string]state.Ranges // windows that tasks have begun, by account
}

var tortured = []string{account, "8"}

func tortureSeed(t *testing.T, rng *rand.Rand) {
	w := &torture{world: newWorld(t, "a", "boom"), dice: &dice{rng: rng}, deleted: map[string]bool{}, listed: map[string]bool{}, begun: map[string]state.Ranges{}}
	w.job(tortured[1])
	w.panics = "/boom.png"
	w.late = 10 * time.Minute
	if w.dice.n(4) == 0 { // at midnight the overlap is two minutes
		w.late = 100 * time.Second
		time.Sleep(11*time.Hour + time.Duration(w.dice.n(3600))*time.Second)
	}
	w.x.OnCall(func(int, string) {
		if w.dice.n(12) == 0 {
			w.arrive()
		}
		if w.dice.n(20) == 0 {
			w.leaveOut()
		}
	})
	if w.dice.n(8) == 0 {
		w.post(300 + w.dice.n(60)) // near X's reach
	} else {
		w.post(w.dice.n(60))
	}
	for range 4 + w.dice.n(12) {
		time.Sleep(time.Duration(1+w.dice.n(600)) * time.Second)
		for range w.dice.n(4) {
			w.arrive()
		}
		if w.dice.n(20) == 0 { // in the time that so many posts take at the least, measured by X's reach
			for range w.dice.n(330) {
				time.Sleep(9 * time.Second)
				w.post(1)
			}
		}
		w.x.FailMedia("a.png", [...]x.MediaFault{{}, {}, {Status: 503}, {BreakAfter: 20, Times: 4}}[w.dice.n(4)])
		w.troubled()
		w.unhide()
	}
	w.over()
	if os.Getenv("SEED") != "" {
		w.log.mu.Lock()
		defer w.log.mu.Unlock()
		w.t.Log(strings.Join(w.log.lines, ""))
	}
	for _, id := range tortured {
		w.nothingIsMissing(id)
		w.nothingIsUndelivered(id)
	}
	w.sweptClean()
}

// over ends all trouble, and lets capture make up for it. What appears late has appeared
// after a quarter of an hour; what is waited for is asked for every hour at least.
func (w *torture) over() {
	w.blobs.Before(nil)
	w.x.Fail(nil)
	w.x.OnCall(nil)
	w.x.Unmute(w.muted...)
	w.x.FailMedia("a.png", x.MediaFault{})
	w.panics, w.version = "", "v2"
	for i := range 10 {
		time.Sleep(4 * time.Minute)
		if i >= 6 {
			time.Sleep(time.Hour)
		}
		w.mustTick()
	}
}

// troubled is a tick, or two at once, in which something goes wrong.
func (w *torture) troubled() {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	at, how, task := w.dice.n(80), w.dice.n(11), w.dice.n(160)
	if how == 9 { // the tick is short, and storage slow
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(1+w.dice.n(5000))*time.Millisecond)
		defer stop()
	}
	var mu sync.Mutex
	calls, killed := 0, false
	w.blobs.Before(func(op blobs.Op) error {
		if w.inside.Load() {
			return nil
		}
		mu.Lock()
		calls++
		here, delivers, dead := calls == at, calls == task, killed
		mu.Unlock()
		if delivers {
			w.inside.Store(true)
			w.deliver(tortured[w.dice.n(2)])
			w.inside.Store(false)
		}
		if how == 9 {
			time.Sleep(20 * time.Millisecond)
		}
		if dead {
			return &blobs.Drop{Final: true}
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
		case 10: // this call takes effect, and then the process is no more
			mu.Lock()
			killed = true
			mu.Unlock()
			return &blobs.Drop{After: w.dice.n(2) == 0, Final: true}
		}
		return nil
	})
	asked := 0
	w.x.Fail(func(r *http.Request) x.Fault {
		w.trace("X is asked %s since %s until %s token %s", r.URL.Path, r.URL.Query().Get("since_id"), r.URL.Query().Get("until_id"), r.URL.Query().Get("pagination_token"))
		return x.Fault{}
	})
	if how == 6 || how == 7 {
		when, fault := w.dice.n(6), x.Fault{Status: []int{500, 503, 429, 404, 403, 401}[w.dice.n(6)]}
		if how == 7 {
			fault = x.Fault{Drop: w.dice.n(2) == 0, CutAfter: w.dice.n(400)}
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
	for range 1 + w.dice.n(2)*w.dice.n(2) {
		instances.Go(func() {
			_, err := w.capture().Run(ctx) // what goes wrong is reported, and made up for later
			w.trace("tick ended: trouble %d at call %d: %v", how, at, err)
		})
	}
	instances.Wait()
	w.blobs.Before(nil)
	for _, id := range tortured {
		if w.dice.n(4) == 0 {
			w.deliver(id)
		}
	}
}

// trace prints what happened, when a single seed is tried.
func (w *world) trace(format string, args ...any) {
	if os.Getenv("SEED") != "" {
		w.t.Logf("%s %s", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
}
