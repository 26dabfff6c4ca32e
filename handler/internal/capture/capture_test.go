package capture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/storage/storagetest"
	"xarchive/handler/internal/twitter"
)

// timeline is one account on X, in memory, so that a test can cut any call at
// any point. That the connector also agrees with X's wire format is shown by the
// tests over HTTP.
type timeline struct {
	mu     sync.Mutex
	now    time.Time
	posts  []string             // ids, newest first
	gone   map[string]bool      // not sent, as X leaves posts out of a page
	reads  map[string]int       // how often each post was sent
	times  map[string]time.Time // created_at by id
	calls  int
	fail   func(call int) error // what a call fails with
	after  func(call int)       // called when an answer is on its way
	tokens map[string]int       // page tokens: position
}

const account = "7"

// add posts n times. The first is a minute after what was before: X does not
// show posts of a time that has settled.
func (x *timeline) add(n int, rng *rand.Rand) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = x.now.Add(time.Minute)
	for range n {
		x.now = x.now.Add(time.Duration(rng.IntN(3000)) * time.Millisecond)
		id := fmt.Sprint(uint64(x.now.UnixMilli()-1288834974657)<<22 + uint64(len(x.posts)))
		x.times[id] = x.now
		x.posts = slices.Insert(x.posts, 0, id)
	}
	x.now = x.now.Add(time.Millisecond)
}

func (x *timeline) Timeline(ctx context.Context, id string, q twitter.Query) (twitter.Answer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls++
	if err := ctx.Err(); err != nil {
		return twitter.Answer{}, err
	}
	if err := x.fail(x.calls); err != nil {
		return twitter.Answer{}, err
	}
	var all []string
	reach := x.posts[:min(len(x.posts), twitter.Reach)]
	for _, p := range reach {
		if post.CompareIDs(p, q.SinceID) > 0 && (q.UntilID == "" || post.CompareIDs(p, q.UntilID) < 0) && x.times[p].Before(q.EndTime) {
			all = append(all, p)
		}
	}
	from := 0
	if q.PageFrom != "" {
		at, ok := x.tokens[q.PageFrom]
		if !ok {
			return twitter.Answer{}, twitter.ErrInvalid
		}
		from = at
	}
	to := min(from+twitter.PageSize, len(all))
	var data []string
	var sent []string
	for _, p := range all[from:to] {
		if !x.gone[p] {
			x.reads[p]++
			sent = append(sent, p)
			data = append(data, fmt.Sprintf(`{"id":%q,"text":"t","author_id":"7","created_at":%q}`, p, x.times[p].Format("2006-01-02T15:04:05.000Z")))
		}
	}
	meta := map[string]any{"result_count": len(sent)}
	if to < len(all) {
		token := fmt.Sprintf("%s-%d-%d", q.SinceID, x.calls, to)
		x.tokens[token] = to
		meta["next_token"] = token
	}
	m, _ := json.Marshal(meta)
	x.after(x.calls)
	return twitter.Answer{Raw: fmt.Appendf(nil, `{"data":[%s],"meta":%s}`, strings.Join(data, ","), m)}, nil
}

func (x *timeline) Lookup(context.Context, []string) (twitter.Answer, error) {
	return twitter.Answer{}, errors.New("nothing is to be looked up")
}

type world struct {
	x       *timeline
	state   *state.Store
	archive *archive.Archive
}

func newWorld(t *testing.T) *world {
	ctx := t.Context()
	w := &world{x: &timeline{
		now: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), gone: map[string]bool{}, reads: map[string]int{},
		times: map[string]time.Time{}, tokens: map[string]int{},
		fail: func(int) error { return nil }, after: func(int) {},
	}, state: state.New(storagetest.Container(t)), archive: archive.New(storagetest.Container(t))}
	if err := w.state.PutJob(ctx, state.Job{ID: "j", AccountID: account}); err != nil {
		t.Fatal(err)
	}
	return w
}

// capture is a new instance each time: nothing is remembered but in storage.
func (w *world) capture() *capture.Capture {
	return &capture.Capture{
		State: w.state, Archive: w.archive, Now: func() time.Time { return w.x.now.Add(time.Minute) },
		SignIn: func(context.Context, string, bool) (capture.X, error) { return w.x, nil },
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func (w *world) archived(t *testing.T) map[string]bool {
	t.Helper()
	entries, err := w.archive.List(t.Context(), account, time.Time{}, w.x.now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, e := range entries {
		ids[e.PostID] = true
	}
	return ids
}

// invariant: whatever has happened, every post up to the cursor that X reached is
// archived, and every post in the covered time.
func (w *world) invariant(t *testing.T, unreachable map[string]bool) state.Account {
	t.Helper()
	a, err := w.state.Account(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	ids := w.archived(t)
	for _, p := range w.x.posts {
		if w.x.gone[p] || ids[p] {
			continue
		}
		if post.CompareIDs(p, a.Cursor) <= 0 && !unreachable[p] {
			t.Fatalf("post %s is below the cursor %s and not archived", p, a.Cursor)
		}
		if at := w.x.times[p]; a.Covered.Contains(state.Range{From: at, To: at.Add(1)}) {
			t.Fatalf("post %s of %v is not archived, its time is covered: %v", p, at, a.Covered)
		}
	}
	return a
}

// TestInterrupted cuts runs at random calls, with errors, with ends of the process
// right after an answer, with rate limits and with page tokens that X forgets. At
// every point the invariant holds; in the end every post is archived, and no
// post was read twice but in the moment of a cut.
func TestInterrupted(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			w := newWorld(t)
			w.x.add(rng.IntN(300), rng)
			for range 8 {
				w.x.add(rng.IntN(120), rng)
				ctx, cancel := context.WithCancel(t.Context())
				cut := w.x.calls + 1 + rng.IntN(5)
				how := rng.IntN(4)
				w.x.fail = func(call int) error {
					if call == cut && how == 1 {
						return twitter.ErrUnavailable
					}
					if call == cut && how == 2 {
						return &twitter.RateLimitError{Reset: w.x.now.Add(time.Minute + 15*time.Minute)}
					}
					return nil
				}
				w.x.after = func(call int) {
					if call == cut && how == 0 {
						go cancel() // before or after the page is kept: both happen
					}
				}
				err := w.capture().Run(ctx)
				cancel()
				if err != nil && !errors.Is(err, twitter.ErrUnavailable) {
					t.Fatal(err)
				}
				if how == 3 {
					clear(w.x.tokens)
				}
				w.invariant(t, nil)
				w.x.now = w.x.now.Add(time.Duration(rng.IntN(20)) * time.Minute)
			}
			w.x.fail = func(int) error { return nil }
			w.x.after = func(int) {}
			for range 3 {
				w.x.now = w.x.now.Add(20 * time.Minute)
				if err := w.capture().Run(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			a := w.invariant(t, nil)
			if got := w.archived(t); len(got) != len(w.x.posts) {
				t.Errorf("%d posts archived of %d", len(got), len(w.x.posts))
			}
			if a.Run != nil || a.Cursor != w.x.posts[0] || a.PostsTotal != len(w.x.posts) || len(a.Unreachable) != 0 {
				t.Errorf("in the end: %+v", a)
			}
			if !a.Covered.Contains(state.Range{To: w.x.times[w.x.posts[0]].Add(time.Millisecond)}) {
				t.Errorf("covered %v", a.Covered)
			}
		})
	}
}

// TestNeverReadTwice: without a process that dies between X's answer and the
// storage of it, no post is ever read twice, whatever fails.
func TestNeverReadTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	w := newWorld(t)
	w.x.add(1234, rng)
	for i := range 30 {
		cut := w.x.calls + 1 + rng.IntN(4)
		w.x.fail = func(call int) error {
			if call == cut {
				return twitter.ErrUnavailable
			}
			return nil
		}
		if i%3 == 0 {
			clear(w.x.tokens)
		}
		if err := w.capture().Run(t.Context()); err != nil && !errors.Is(err, twitter.ErrUnavailable) {
			t.Fatal(err)
		}
		w.x.add(rng.IntN(30), rng)
	}
	w.x.fail = func(int) error { return nil }
	for range 2 { // the first ends the read that is under way
		w.x.now = w.x.now.Add(time.Minute)
		if err := w.capture().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.invariant(t, nil)
	for id := range maps.Keys(w.archived(t)) {
		if w.x.reads[id] != 1 {
			t.Errorf("post %s was read %d times", id, w.x.reads[id])
		}
	}
	if len(w.x.reads) != len(w.x.posts) {
		t.Errorf("%d posts read of %d", len(w.x.reads), len(w.x.posts))
	}
}

// TestIdle: an idle account costs one request and no post; a second tick in the
// same second costs nothing.
func TestIdle(t *testing.T) {
	w := newWorld(t)
	w.x.add(3, rand.New(rand.NewPCG(1, 1)))
	for range 2 {
		if err := w.capture().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if w.x.calls != 1 {
		t.Errorf("%d requests, 1 is enough", w.x.calls)
	}
	w.x.now = w.x.now.Add(5 * time.Minute)
	if err := w.capture().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.x.calls != 2 || len(w.x.reads) != 3 {
		t.Errorf("%d requests, %d posts read", w.x.calls, len(w.x.reads))
	}
}

// TestRateLimit: before the reset X is not asked.
func TestRateLimit(t *testing.T) {
	w := newWorld(t)
	w.x.add(150, rand.New(rand.NewPCG(1, 1)))
	reset := w.x.now.Add(time.Minute + 10*time.Minute)
	w.x.fail = func(call int) error {
		if call == 2 {
			return &twitter.RateLimitError{Reset: reset}
		}
		return nil
	}
	for range 3 {
		if err := w.capture().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if w.x.calls != 2 {
		t.Errorf("%d requests before the reset, 2 are enough", w.x.calls)
	}
	w.x.now = w.x.now.Add(11 * time.Minute)
	if err := w.capture().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(w.archived(t)); got != 150 {
		t.Errorf("%d posts archived", got)
	}
}

// TestBeyondReach: more than 3,200 posts since the last read leave a gap that is
// recorded; nothing in it counts as covered, and everything around it is archived.
func TestBeyondReach(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	w := newWorld(t)
	w.x.add(20, rng)
	if err := w.capture().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.x.now = w.x.now.Add(time.Hour)
	w.x.add(3300, rng)
	if err := w.capture().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	lost := map[string]bool{}
	for _, id := range w.x.posts[twitter.Reach : len(w.x.posts)-20] {
		lost[id] = true
	}
	a := w.invariant(t, lost)
	if got, want := len(w.archived(t)), twitter.Reach+20; got != want {
		t.Errorf("%d posts archived, want %d", got, want)
	}
	for id := range lost {
		at := w.x.times[id]
		if !a.Unreachable.Contains(state.Range{From: at, To: at.Add(1)}) {
			t.Fatalf("lost post %s of %v is not in what is said to be unreachable: %v", id, at, a.Unreachable)
		}
	}
	// The next run goes on without a gap.
	w.x.now = w.x.now.Add(time.Hour)
	w.x.add(5, rng)
	if err := w.capture().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := w.invariant(t, lost); len(b.Unreachable) != len(a.Unreachable) {
		t.Errorf("unreachable: %v, before %v", b.Unreachable, a.Unreachable)
	}
}

// TestFirstReadBeyondReach: of an account with more than 3,200 posts the older
// ones cannot be had, and it is said.
func TestFirstReadBeyondReach(t *testing.T) {
	w := newWorld(t)
	w.x.add(3205, rand.New(rand.NewPCG(4, 4)))
	// X leaves some posts out of its pages after counting them.
	for i, id := range w.x.posts {
		w.x.gone[id] = i%500 == 3
	}
	if err := w.capture().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := w.state.Account(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Unreachable) != 1 || !a.Unreachable[0].From.IsZero() || a.Covered.Contains(state.Range{To: w.x.times[w.x.posts[3204]]}) {
		t.Errorf("unreachable %v, covered %v", a.Unreachable, a.Covered)
	}
}

// TestTwoInstances: two instances that tick at once do the work once.
func TestTwoInstances(t *testing.T) {
	w := newWorld(t)
	w.x.add(250, rand.New(rand.NewPCG(5, 5)))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := w.capture().Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(w.archived(t)) != 250 {
		t.Errorf("%d posts archived", len(w.archived(t)))
	}
	for id, n := range w.x.reads {
		if n != 1 {
			t.Errorf("post %s read %d times", id, n)
		}
	}
}

// TestArchivedBytes: what is archived holds X's own bytes of the post.
func TestArchivedBytes(t *testing.T) {
	w := newWorld(t)
	w.x.add(1, rand.New(rand.NewPCG(6, 6)))
	if err := w.capture().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := w.archive.FindPost(t.Context(), account, w.x.posts[0])
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.archive.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), w.x.posts[0]) {
		t.Error("the message does not hold the post's id")
	}
}
