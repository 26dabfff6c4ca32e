package backfill_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/backfill"
	"xarchive/handler/internal/capture/capturetest"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/reads"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
	"xarchive/tests/sandbox/xexport"
)

// budget is how much may be read, and what was asked for.
type budget struct{ left, asked int }

func (b *budget) Ask(_ context.Context, want int) (int, func(), error) {
	b.asked += want
	return min(want, b.left), func() { b.left -= want }, nil
}

// lookUp looks posts up, as one process does.
func (w *world) lookUp(b *budget, most int) (backfill.LookedUp, error) {
	w.T.Helper()
	job, err := w.State.Job(w.T.Context(), capturetest.Job)
	w.Must(err)
	return backfill.LookUps{State: w.State, Manifest: manifest.New(w.Storage.Container("archive")), Capture: w.Capture(), Budget: b}.Run(w.T.Context(), job, most)
}

// TestLookUp: of imported posts X's API is asked for what the export lacks, within the
// budget and no more than was allowed; what it gives is archived beside them, with X's
// answer as its origin; what is gone is noted; and nothing is asked for twice.
func TestLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		from := time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC)
		var posts []xexport.Post
		for i, text := range []string{"plain", "what about this", "RT @contoso8: the begi…", "soon gone"} {
			at := from.Add(time.Duration(i) * time.Hour)
			p := corpus.Post{ID: corpus.NewID(at, i), CreatedAt: at, Text: text}
			switch i {
			case 1:
				p.Refs = []corpus.Ref{{Type: "quoted", ID: w.known[0].ID}}
			case 2:
				p.Refs = []corpus.Ref{{Type: "retweeted", ID: w.X.Post("8", corpus.Post{Text: "the beginning and the end"}).ID}}
			}
			p = w.X.Post(capturetest.Account, p)
			posts = append(posts, xexport.Post{ID: p.ID, At: at, Text: text, Mentions: []string{"contoso8"}})
		}
		r, err := w.take(t.Context(), posts...)
		if err != nil || r.Lacking != 4 {
			t.Fatalf("%+v, %v", r, err)
		}
		w.X.Delete(posts[3].ID)
		reads := w.X.Stats().PostReads
		if _, err := w.lookUp(&budget{left: 3}, 10); !errors.Is(err, backfill.ErrBudget) || w.X.Stats().PostReads != reads {
			t.Errorf("beyond the budget: %v, %d posts read", err, w.X.Stats().PostReads-reads)
		}
		b := &budget{left: 100}
		done, err := w.lookUp(b, 2) // the newest two
		if err != nil || done.Asked != 2 || done.Given != 1 || done.Gone != 1 || done.Left != 2 || b.asked != 2 {
			t.Errorf("%+v, %v", done, err)
		}
		done, err = w.lookUp(b, 10)
		if err != nil || done.Asked != 2 || done.Given != 2 || done.Left != 0 {
			t.Errorf("%+v, %v", done, err)
		}
		calls := w.X.Stats().ByPath["GET /2/tweets"]
		if done, err = w.lookUp(b, 10); err != nil || done.Asked != 0 || w.X.Stats().ByPath["GET /2/tweets"] != calls {
			t.Errorf("asked again: %+v, %v", done, err)
		}
		lines := w.lines()
		for i, p := range posts[:3] {
			m, err := message.Read(bytes.NewReader(w.Read(p.ID + ".version.eml")))
			if err != nil || m.Post.Export != nil || !slices.Contains(m.Changes, post.GivenByAPI) {
				t.Errorf("post %d: %+v, %v", i, m, err)
				continue
			}
			if i > 0 && m.Post.References[0].Post == nil {
				t.Errorf("post %d: the post that it refers to is not there", i)
			}
			if own := lines[p.ID]; len(own) != 1 || len(own[0].Raw) > 0 || own[0].Export == "" {
				t.Errorf("post %d: its line is %+v", i, own)
			}
			if l := lines[p.ID+".version"]; len(l) == 0 || len(l[0].Raw) == 0 || l[0].Export != "" {
				t.Errorf("post %d: the line of what X gives is %+v", i, l)
			}
		}
		if got := w.Names(".gone.json"); !slices.Equal(got, []string{posts[3].ID + ".gone.json"}) {
			t.Errorf("notes: %v", got)
		}
		if a := w.Record(); a.PostsTotal != 5 {
			t.Errorf("%d posts are counted", a.PostsTotal)
		}
		if r, err := w.take(t.Context(), posts...); err != nil || r.Taken != 4 || r.Lacking != 0 {
			t.Errorf("imported again: %+v, %v", r, err)
		}
		if n := len(slices.DeleteFunc(w.Names(".eml"), func(name string) bool { return !strings.Contains(name, ".version") })); n != 3 {
			t.Errorf("%d further messages", n)
		}
	})
}

// TestLookUpsAreNoNewPosts: what is looked up of imported posts is counted, and leaves as
// much of the month's limit as it has not used itself: the days to come do not need it.
func TestLookUpsAreNoNewPosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var posts []xexport.Post
		for _, p := range past(100) {
			p.Deleted = false
			w.X.Post(capturetest.Account, corpus.Post{ID: p.ID, CreatedAt: p.At, Text: p.Text})
			posts = append(posts, p)
		}
		_, err := w.take(t.Context(), posts...)
		w.Must(err)
		meter := reads.New(reads.Options{Store: w.State, Limit: 300, Report: unreported{}, Now: time.Now, Log: w.Logger()})
		w.Count = meter.Counter(capturetest.Account)
		job, err := w.State.Job(t.Context(), capturetest.Job)
		w.Must(err)
		done, err := backfill.LookUps{State: w.State, Manifest: manifest.New(w.Storage.Container("archive")), Capture: w.Capture(), Budget: meter}.Run(t.Context(), job, 100)
		if err != nil || done.Given != 100 {
			t.Fatalf("%+v, %v", done, err)
		}
		if left, read, err := meter.Ask(t.Context(), 1000); err != nil || left != 200 {
			t.Errorf("%d of 300 may still be read after 100, %v", left, err)
		} else {
			read()
		}
	})
}

// unreported is told of reads.
type unreported struct{}

func (unreported) XReads(context.Context, string, string, int, float64) {}
func (unreported) XReadsLeft(context.Context, float64)                  {}

// TestLookUpWaitsForItsLimit: where X's rate limit ends a look-up in the middle, X is asked
// again when it said, and not every few seconds until then.
func TestLookUpWaitsForItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{World: capturetest.New(t, func(o *x.Options) { o.Limits["GET /2/tweets"] = 1 })}
		w.known = w.Post(1)
		time.Sleep(time.Minute)
		w.Tick()
		var posts []xexport.Post
		for _, p := range past(150) {
			p.Deleted = false
			w.X.Post(capturetest.Account, corpus.Post{ID: p.ID, CreatedAt: p.At, Text: p.Text})
			posts = append(posts, p)
		}
		_, err := w.take(t.Context(), posts...)
		w.Must(err)
		before := w.X.Stats().ByPath["GET /2/tweets"]
		done, err := w.lookUp(&budget{left: 1000}, 150)
		if calls := w.X.Stats().ByPath["GET /2/tweets"] - before; err != nil || done.Given != 150 || calls > 3 {
			t.Errorf("%+v, %v, %d calls", done, err, calls)
		}
	})
}
