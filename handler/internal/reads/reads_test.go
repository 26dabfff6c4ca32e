package reads_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/reads"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
	"xarchive/tests/sandbox/blobs"
)

var noon = time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)

// world is a state container that several meters share.
type world struct {
	t         *testing.T
	blobs     *blobs.Server
	container *blob.Container
	state     *state.Store
	log       strings.Builder
	told      map[string]int // reads reported, by purpose
	left      float64
	mu        sync.Mutex
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, blobs: blobs.New(blobs.Options{}), told: map[string]int{}}
	account := blob.Account{ConnectionString: w.blobs.ConnectionString(), HTTP: w.blobs.Client(), Buffers: blob.NewBuffers(8 << 20)}
	w.container = account.Container("state")
	w.state = state.New(w.container)
	return w
}

func (w *world) XReads(_ context.Context, _, purpose string, n int, _ float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[purpose] += n
}

func (w *world) XReadsLeft(_ context.Context, share float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = share
}

// meter is that of a process that knows nothing yet, at a time.
func (w *world) meter(limit int, now time.Time) *reads.Meter {
	return reads.New(reads.Options{Store: w.state, Limit: limit, Report: w, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&w.log, nil))})
}

// read counts n posts from an id on.
func (w *world) read(m *reads.Meter, account string, p twitter.Purpose, first, n int, at time.Time) {
	w.t.Helper()
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprint(1_900_000_000_000_000_000+(first+i)*1_000_003))
	}
	if err := m.Counter(account)(w.t.Context(), twitter.Reads{Purpose: p, IDs: ids, At: at}); err != nil {
		w.t.Error(err)
	}
}

func (w *world) sum(now time.Time) reads.Summary {
	w.t.Helper()
	list, damaged, err := w.state.AllReads(w.t.Context())
	if err != nil || len(damaged) > 0 {
		w.t.Fatal(err, damaged)
	}
	return reads.Sum(list, now)
}

func (w *world) want(now time.Time, want state.ReadsFor) {
	w.t.Helper()
	if got := w.sum(now).By; fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("read %v, want %v", got, want)
	}
}

// TestCount: X bills a post or an account once a UTC day, by its own clock, whoever
// reads it and for whatever purpose; another process knows what this one read.
func TestCount(t *testing.T) {
	w := newWorld(t)
	m, other := w.meter(0, noon), w.meter(0, noon)
	w.read(m, "7", twitter.Posts, 0, 100, noon)
	w.read(m, "7", twitter.Posts, 50, 100, noon.Add(time.Hour))
	w.read(other, "7", twitter.LookUps, 140, 20, noon)
	w.read(m, "7", twitter.Audits, 0, 165, noon) // written by the other one meanwhile
	w.read(m, "7", twitter.Posts, 0, 10, noon.Add(12*time.Hour))
	w.read(m, "7", twitter.Posts, 0, 10, noon) // X's clock may go back
	w.read(m, "8", twitter.History, 0, 7, noon)
	for _, id := range []string{"7", "7", "9"} {
		if err := m.Counter("")(t.Context(), twitter.Reads{Purpose: twitter.Users, IDs: []string{id}, At: noon}); err != nil {
			t.Fatal(err)
		}
	}
	w.want(noon, state.ReadsFor{"posts": 160, "lookUps": 10, "audits": 5, "history": 7, "users": 2})
	if got := w.told["posts"]; got != 160 {
		t.Errorf("%d reads of posts are reported, want 160", got)
	}
	w.want(noon.AddDate(0, 1, 0), state.ReadsFor{})
}

// TestCountAtOnce: nothing is lost or doubled where many instances count at once.
func TestCountAtOnce(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	for i := range 16 {
		m := w.meter(0, noon)
		group.Go(func() {
			for n := range 10 {
				w.read(m, "7", twitter.Posts, i*50+n*10, 20, noon)
			}
		})
	}
	group.Wait()
	w.want(noon, state.ReadsFor{"posts": 860})
}

// TestManyPosts: a day of more posts than are remembered is counted all the same, and a
// record stays small.
func TestManyPosts(t *testing.T) {
	w := newWorld(t)
	m := w.meter(0, noon)
	for i := range 50 {
		w.read(m, "7", twitter.History, i*500, 500, noon)
	}
	w.read(m, "7", twitter.History, 0, 500, noon) // remembered
	w.want(noon, state.ReadsFor{"history": 25_000})
	b, _ := w.blobs.Get("state", "reads/7.json")
	if len(b.Content) > 200_000 {
		t.Errorf("the record has %d bytes", len(b.Content))
	}
}

// TestLimit: what is not new posts stops before the limit, and leaves what new posts will
// need; it is said once that the limit is near, by whichever process.
func TestLimit(t *testing.T) {
	w := newWorld(t)
	ask := func(m *reads.Meter, want, granted int) func() {
		t.Helper()
		got, done, err := m.Ask(t.Context(), want)
		if err != nil || got != granted {
			t.Fatalf("%d of %d posts are granted, %v, want %d", got, want, err, granted)
		}
		return done
	}
	ask(w.meter(0, noon), 1_000_000, 1_000_000)
	m := w.meter(10_000, noon)
	ask(m, 100, 100)()
	for back := range 7 {
		w.read(m, "7", twitter.Posts, back*1000, 100, noon.AddDate(0, 0, -back))
	}
	// 700 are read, and 100 a day are to come for 20.5 days.
	done := ask(m, 100_000, 10_000-700-2050)
	ask(m, 100, 0)
	done()
	done()
	ask(m, 7000, 7000)()
	w.read(m, "8", twitter.History, 0, 7000, noon)
	ask(m, 1000, 250)()
	if n := strings.Count(w.log.String(), "level=WARN"); n != 0 {
		t.Errorf("%d warnings at 77 %%:\n%s", n, w.log.String())
	}
	w.read(m, "7", twitter.Posts, 9000, 300, noon)
	w.read(m, "7", twitter.Posts, 9400, 300, noon)
	w.read(w.meter(10_000, noon), "7", twitter.Posts, 9800, 300, noon)
	if n := strings.Count(w.log.String(), "level=WARN"); n != 1 || !strings.Contains(w.log.String(), "X_READS_PER_MONTH") {
		t.Errorf("%d warnings beyond 80 %%, want one:\n%s", n, w.log.String())
	}
	w.read(m, "7", twitter.Posts, 20_000, 5000, noon) // new posts are read whatever the limit
	ask(m, 1, 0)
	if w.left >= 0 || w.left < -1 {
		t.Errorf("%f of the limit is left", w.left)
	}
	ask(w.meter(10_000, noon), 1, 0)
}

// TestSum: what the month comes to at the rate of the last seven days.
func TestSum(t *testing.T) {
	day := func(back, posts, users int) (string, state.ReadsFor) {
		return noon.AddDate(0, 0, -back).Format(time.DateOnly), state.ReadsFor{"posts": posts, "users": users}
	}
	r := state.Reads{Months: map[string]state.ReadsFor{"2026-06": {"posts": 1000, "history": 400, "users": 10, "counts": 2}, "2026-05": {"posts": 5}}, Days: map[string]state.ReadsFor{}}
	for back := range 9 {
		key, by := day(back, 70, 1)
		r.Days[key] = by
	}
	s := reads.Sum([]state.Reads{r}, noon)
	if s.Posts != 1400 || math.Abs(s.Dollars-7.12) > 1e-6 || s.PerDay != 70 || s.ToMonthsEnd != 1400+1435 || s.NewToCome != 1435 {
		t.Errorf("%+v", s)
	}
	if want := 7.12 + 20.5*(70*0.005+0.010); s.DollarsEnd < want-0.001 || s.DollarsEnd > want+0.001 {
		t.Errorf("%f dollars at the month's end, want %f", s.DollarsEnd, want)
	}
}

// TestDamagedRecord: a record that cannot be read stops no posts. It is kept aside, and
// one of a newer version is left alone.
func TestDamagedRecord(t *testing.T) {
	w := newWorld(t)
	for name, content := range map[string]string{"reads/7.json": "{", "reads/8.json": `{"v":9,"id":"8"}`} {
		if _, err := w.container.Write(t.Context(), name, []byte(content), blob.Condition{Absent: true}); err != nil {
			t.Fatal(err)
		}
	}
	m := w.meter(0, noon)
	w.read(m, "7", twitter.Posts, 0, 5, noon)
	w.read(m, "8", twitter.Posts, 0, 5, noon)
	if b, _ := w.blobs.Get("state", "reads/8.json"); string(b.Content) != `{"v":9,"id":"8"}` {
		t.Errorf("a newer record was overwritten: %s", b.Content)
	}
	if b, _ := w.blobs.Get("state", "reads/7.json"); !strings.Contains(string(b.Content), `"posts": 5`) {
		t.Errorf("the damaged record was not begun again: %s", b.Content)
	}
	aside := 0
	for _, name := range w.blobs.Names("state") {
		if strings.HasPrefix(name, "set-aside/records/reads/7.json.") {
			aside++
		}
	}
	if aside != 1 {
		t.Error("the damaged record's bytes are not kept")
	}
}
