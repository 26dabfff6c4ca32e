package history_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/capture/capturetest"
	"xarchive/handler/internal/history"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// world is a world whose account has a past.
type world struct {
	*capturetest.World
	words *twitter.Words
	past  []corpus.Post // oldest first
}

// newWorld is a world in which n posts were posted in the months before, several a day
// and some in the same second, and X's timelines reach so many back.
func newWorld(t *testing.T, n, reach int) *world {
	w := &world{words: new(twitter.Words), World: capturetest.New(t, func(o *x.Options) { o.Reach = reach })}
	step := 150 * 24 * time.Hour / time.Duration(n)
	for i := range n {
		at := time.Now().Add(-150*24*time.Hour - time.Hour + time.Duration(i)*step)
		if i%7 == 1 {
			at = w.past[i-1].CreatedAt // in the same second
		}
		w.past = append(w.past, w.X.Post(capturetest.Account, corpus.Post{ID: corpus.NewID(at, i%4000), CreatedAt: at, Text: fmt.Sprintf("post %d", i)}))
	}
	return w
}

// reader is an instance that remembers nothing.
func (w *world) reader() *history.Reader {
	return history.New(history.Options{State: w.State, Capture: w.Capture(), Now: time.Now, Log: w.Logger(),
		Open: func(context.Context, string) (history.X, error) {
			return w.words.App(w.X.Client(), "https://api.x.com", twitter.App{Key: "key", Secret: "secret"}), nil
		}})
}

func (w *world) ask(from, to time.Time, maxReads int) {
	w.T.Helper()
	job, err := w.State.Job(w.T.Context(), capturetest.Job)
	w.Must(err)
	w.Must(w.State.ChangeHistory(w.T.Context(), job.AccountID, func(h *state.History) error {
		h.Ask(job, from, to, maxReads, time.Now())
		return nil
	}))
}

func (w *world) record() state.History {
	w.T.Helper()
	h, err := w.State.History(context.WithoutCancel(w.T.Context()), capturetest.Account)
	w.Must(err)
	return h
}

// run is what a tick does: new posts, then history for a minute.
func (w *world) run(r *history.Reader) {
	w.T.Helper()
	w.Tick()
	ctx, cancel := context.WithTimeout(w.T.Context(), time.Minute)
	defer cancel()
	_, err := r.Run(ctx)
	w.Must(err)
}

// untilEnded makes ticks.
func (w *world) untilEnded(ticks int) {
	w.T.Helper()
	for range ticks {
		if !w.record().Ended.IsZero() {
			return
		}
		time.Sleep(5 * time.Minute)
		w.run(w.reader())
	}
	w.T.Fatalf("it does not end: %+v", w.record())
}

// wantAll checks that each post of the past is archived, once.
func (w *world) wantAll(posts []corpus.Post) {
	w.T.Helper()
	have := map[string]int{}
	for _, name := range w.Names(".eml") {
		have[strings.TrimSuffix(name, ".eml")]++
	}
	if len(have) != len(posts) {
		w.T.Errorf("%d messages in the archive, want %d", len(have), len(posts))
	}
	for _, p := range posts {
		if have[p.ID] != 1 {
			w.T.Fatalf("post %s of %s is archived %d times", p.ID, p.CreatedAt, have[p.ID])
		}
	}
	if a := w.Record(); a.PostsTotal != len(posts) {
		w.T.Errorf("the record counts %d posts, want %d", a.PostsTotal, len(posts))
	}
}

// TestAllOfHistory: what the timeline's reach has left behind is read, in months that
// each have as many posts as X counts; the gap is closed, and says by what. The process
// is killed twice on the way, and new posts come first all the while.
func TestAllOfHistory(t *testing.T) {
	n, reach, killedAt := 10_000, 3200, []int{30, 30}
	if testing.Short() {
		n, reach, killedAt = 1000, 320, []int{9, 3}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, n, reach)
		time.Sleep(time.Minute)
		w.Tick()
		if a := w.Record(); len(a.Gaps) != 1 || a.PostsTotal != reach {
			t.Fatalf("%d posts, gaps %v; want %d and one gap", a.PostsTotal, a.Gaps, reach)
		}
		w.ask(time.Time{}, time.Time{}, 2*n)
		for _, call := range killedAt {
			ctx, kill := context.WithCancel(t.Context())
			calls := 0
			w.X.OnCall(func(int, string) {
				if calls++; calls == call {
					kill()
				}
			})
			_, _ = w.reader().Run(ctx) // killed in the middle of it
			if ctx.Err() == nil {
				t.Fatal("it was through before it was killed")
			}
			w.X.OnCall(nil)
			time.Sleep(5 * time.Minute)
			w.past = append(w.past, w.Post(1)...)
			time.Sleep(time.Minute)
			w.Tick()
			if a := w.Record(); a.Covered.End().Before(time.Now().Add(-time.Minute)) {
				t.Errorf("new posts have waited: covered to %s at %s", a.Covered.End(), time.Now())
			}
		}
		w.untilEnded(60)
		h := w.record()
		counted, found, added := 0, 0, 0
		for _, m := range h.Months {
			if !m.Complete() || m.Found != m.Counted {
				t.Errorf("month %s: %+v", m.From.Format("2006-01"), m)
			}
			counted, found, added = counted+m.Counted, found+m.Found, added+m.New
		}
		if counted != n || found != n || added != n-reach || h.Stopped != "" || h.Problem != nil {
			t.Errorf("counted %d, found %d, new %d, stopped %q, problem %+v; want %d, %d, %d", counted, found, added, h.Stopped, h.Problem, n, n, n-reach)
		}
		if h.Reads > n+n/10+200 || h.Stated != n+2 {
			t.Errorf("%d reads, %d stated by X; want hardly more than %d, and %d", h.Reads, h.Stated, n, n+2)
		}
		w.wantAll(w.past)
		a := w.Record()
		if len(a.Gaps) != 0 || len(a.Closed) != 1 || a.Closed[0].By != "search" || !a.Covered.Contains(state.Range{To: time.Now().Add(-5 * time.Minute)}) {
			t.Errorf("gaps %v, closed %+v, covered %v", a.Gaps, a.Closed, a.Covered)
		}
	})
}

// TestEstimate: without a number of reads the posts are counted, and nothing is read.
func TestEstimate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100, 3200)
		time.Sleep(time.Minute)
		w.Tick()
		reads := w.X.Stats().PostReads
		w.ask(time.Time{}, time.Time{}, 0)
		for range 3 {
			w.run(w.reader())
			time.Sleep(5 * time.Minute)
		}
		h := w.record()
		if posts, whole := h.Estimated(); posts != 100 || !whole || h.Reads != 0 || !h.Ended.IsZero() {
			t.Errorf("%+v", h)
		}
		if got := w.X.Stats(); got.ByPath["GET /2/tweets/search/all"] != 0 || got.PostReads != reads || got.Counts != len(h.Months) {
			t.Errorf("X was asked: %+v, %d months", got, len(h.Months))
		}
		w.ask(time.Time{}, time.Time{}, 1000)
		w.untilEnded(5)
		if got := w.X.Stats().Counts; got != len(h.Months) {
			t.Errorf("X was asked for %d counts, want %d: they are known", got, len(h.Months))
		}
		w.wantAll(w.past)
	})
}

// TestMaxReads: it reads no more than it may, and goes on when it may read more.
func TestMaxReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 500, 50)
		time.Sleep(time.Minute)
		w.Tick()
		w.ask(time.Time{}, time.Time{}, 220)
		w.untilEnded(10)
		if h := w.record(); h.Reads > 220 || h.Reads < 200 || h.Stopped == "" {
			t.Errorf("%d reads, stopped %q; want at most 220", h.Reads, h.Stopped)
		}
		w.ask(time.Time{}, time.Time{}, 5000)
		w.untilEnded(10)
		w.wantAll(w.past)
	})
}

// TestMaxReadsOnKnownPages: X gives the posts of a second again, and pages of nothing else count
// for what may be read, too, and for the month's limit.
func TestMaxReadsOnKnownPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 50)
		at := w.past[0].CreatedAt.Add(-time.Hour)
		for i := range 450 {
			w.past = append(w.past, w.X.Post(capturetest.Account, corpus.Post{ID: corpus.NewID(at, i), CreatedAt: at, Text: fmt.Sprintf("post %d", i)}))
		}
		time.Sleep(time.Minute)
		w.Tick()
		w.ask(time.Time{}, time.Time{}, 320)
		w.untilEnded(10)
		if h := w.record(); h.Reads > 320 || h.Reads < 300 || h.Stopped == "" {
			t.Errorf("%d reads, stopped %q; want at most 320", h.Reads, h.Stopped)
		}
		w.ask(time.Time{}, time.Time{}, 5000)
		w.untilEnded(10)
		w.wantAll(w.past)
	})
}

// TestRenamed: an account that has another name by now is searched for by that: the one it had
// when the job was saved may be a stranger's, whose posts cost as much.
func TestRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 120, 50)
		w.Must(w.State.UpdateJob(t.Context(), capturetest.Job, func(j *state.Job) error { j.Handle = "its_old_name"; return nil }))
		time.Sleep(time.Minute)
		w.Tick()
		w.ask(time.Time{}, time.Time{}, 5000)
		w.untilEnded(10)
		w.wantAll(w.past)
		if job, err := w.State.Job(t.Context(), capturetest.Job); err != nil || job.Handle != capturetest.Handle {
			t.Errorf("the job's account is @%s, %v", job.Handle, err)
		}
	})
}

// TestProtected: X's search has nothing of a protected account. That it counts none says nothing
// of what is missing: the gap stays, and the history says why it ended.
func TestProtected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 120, 50)
		time.Sleep(time.Minute)
		w.Tick()
		gaps := len(w.Record().Gaps)
		w.X.Protect(capturetest.Account, true)
		w.ask(time.Time{}, time.Time{}, 5000)
		w.untilEnded(10)
		if h := w.record(); gaps == 0 || len(w.Record().Gaps) != gaps || !strings.Contains(h.Stopped, "protected") {
			t.Errorf("%d gaps of %d, stopped %q", len(w.Record().Gaps), gaps, h.Stopped)
		}
	})
}

// TestWindow: only what was asked for is read, and a gap that is not within it stays.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 500, 50)
		time.Sleep(time.Minute)
		w.Tick()
		from, to := time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
		w.ask(from, to, 5000)
		w.untilEnded(10)
		want := 50
		for _, p := range w.past[:450] {
			if second := p.CreatedAt.Truncate(time.Second); !second.Before(from) && second.Before(to) {
				want++
			}
		}
		if got := len(w.Names(".eml")); got != want || want == 50 {
			t.Errorf("%d messages, want %d", got, want)
		}
		if a := w.Record(); len(a.Gaps) != 1 || len(a.Closed) != 0 {
			t.Errorf("gaps %v, closed %v; want the one gap to stay", a.Gaps, a.Closed)
		}
	})
}

// TestFewerThanCounted: a month in which X gives fewer posts than it counts closes no gap.
func TestFewerThanCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 300, 50)
		time.Sleep(time.Minute)
		w.Tick()
		w.ask(time.Time{}, time.Time{}, 0)
		w.run(w.reader())
		w.X.Delete(w.past[3].ID) // after X has counted it
		w.ask(time.Time{}, time.Time{}, 5000)
		w.untilEnded(10)
		if a := w.Record(); len(a.Gaps) != 1 || len(a.Closed) != 0 {
			t.Errorf("gaps %v, closed %v", a.Gaps, a.Closed)
		}
		if !strings.Contains(w.Log.String(), "fewer posts of a month than it counts") {
			t.Error("nobody says so")
		}
	})
}

// TestTrouble: X's refusals make it wait, cost new posts nothing, and it goes on; a token
// that X no longer takes is replaced.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 300, 50)
		time.Sleep(time.Minute)
		w.Tick()
		w.ask(time.Time{}, time.Time{}, 5000)
		r := w.reader()
		w.X.RefuseRate(1, 10*time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := r.Run(ctx)
		cancel()
		w.Must(err)
		if h := w.record(); h.Problem == nil || !h.Until.After(time.Now()) {
			t.Errorf("%+v", h)
		}
		if a := w.Record(); a.RateReset.After(time.Now()) || a.Problem != nil {
			t.Errorf("the account waits for it, too: %+v", a)
		}
		time.Sleep(20 * time.Minute)
		w.X.ForgetAppToken()
		w.untilEnded(10)
		w.wantAll(w.past)
	})
}

// budget grants nothing until it is open.
type budget bool

func (b *budget) Ask(_ context.Context, want int) (int, func(), error) {
	if *b {
		return want, func() {}, nil
	}
	return 0, func() {}, nil
}

// TestBudget: what new posts need is not read for it.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100, 50)
		time.Sleep(time.Minute)
		w.Tick()
		var b budget
		w.ask(time.Time{}, time.Time{}, 5000)
		r := history.New(history.Options{State: w.State, Capture: w.Capture(), Budget: &b, Now: time.Now, Log: w.Logger(),
			Open: func(context.Context, string) (history.X, error) {
				return w.words.App(w.X.Client(), "https://api.x.com", twitter.App{Key: "key", Secret: "secret"}), nil
			}})
		for range 3 {
			w.run(r)
			time.Sleep(5 * time.Minute)
		}
		if h := w.record(); h.Reads != 0 || h.Problem == nil {
			t.Errorf("%+v", h)
		}
		b = true
		time.Sleep(time.Hour)
		w.run(r)
		if h := w.record(); h.Ended.IsZero() {
			t.Errorf("%+v", h)
		}
	})
}

// TestKeysRefused: keys that X refuses are said to be that, and nothing is lost.
func TestKeysRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10, 50)
		c := w.words.App(w.X.Client(), "https://api.x.com", twitter.App{Key: "key", Secret: "wrong"})
		_, err := c.Count(t.Context(), twitter.Search{Handle: capturetest.Handle, From: time.Now().AddDate(0, 0, -1), To: time.Now().Add(-time.Minute)})
		if !errors.Is(err, twitter.ErrUnauthorized) {
			t.Errorf("%v", err)
		}
	})
}

// TestWhatHistoryRefersToIsHistory: also what is looked up of what older posts refer to is
// counted as history. As a read for new posts it would be expected every week to come, and
// nothing would be left of the month's limit.
func TestWhatHistoryRefersToIsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20, 20)
		at := time.Now().Add(-100 * 24 * time.Hour)
		w.X.Post("8", corpus.Post{ID: corpus.NewID(at, 1), CreatedAt: at, Text: "quoted"})
		w.X.Post("8", corpus.Post{ID: corpus.NewID(at, 2), CreatedAt: at, Text: "quotes", Refs: []corpus.Ref{{Type: "quoted", ID: corpus.NewID(at, 1)}}})
		p := w.X.Post(capturetest.Account, corpus.Post{ID: corpus.NewID(at, 3), CreatedAt: at, Text: "look", Refs: []corpus.Ref{{Type: "quoted", ID: corpus.NewID(at, 2)}}})
		time.Sleep(time.Minute)
		for range 25 {
			w.Post(1) // the one that quotes is beyond reach
		}
		w.Tick()
		var mu sync.Mutex
		var looked []twitter.Purpose
		w.Count = func(_ context.Context, r twitter.Reads) error {
			mu.Lock()
			defer mu.Unlock()
			if slices.Contains(r.IDs, corpus.NewID(at, 1)) {
				looked = append(looked, r.Purpose)
			}
			return nil
		}
		w.ask(time.Time{}, time.Time{}, 1000)
		w.untilEnded(20)
		if !slices.Contains(w.Names(".eml"), p.ID+".eml") || !slices.Equal(looked, []twitter.Purpose{twitter.History}) {
			t.Errorf("what the quoted post quotes was read for %v", looked)
		}
	})
}
