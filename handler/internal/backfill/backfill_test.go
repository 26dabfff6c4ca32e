package backfill_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/backfill"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/capture/capturetest"
	"xarchive/handler/internal/dataexport"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/xexport"
)

// world is a world whose account was read once.
type world struct {
	*capturetest.World
	known []corpus.Post
}

func newWorld(t *testing.T, posts int) *world {
	w := &world{World: capturetest.New(t, nil)}
	w.known = w.Post(posts)
	time.Sleep(time.Minute)
	w.Tick()
	return w
}

// past are posts that only an export has, an hour apart.
func past(n int) (posts []xexport.Post) {
	from := time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC)
	for i := range n {
		at := from.Add(time.Duration(i) * time.Hour)
		posts = append(posts, xexport.Post{ID: corpus.NewID(at, i), At: at, Text: fmt.Sprint("post ", i), Deleted: i == 1})
	}
	return posts
}

// take imports an export, as one process does.
func (w *world) take(ctx context.Context, posts ...xexport.Post) (backfill.Report, error) {
	w.T.Helper()
	e := xexport.Export{Account: xexport.Account{ID: capturetest.Account, Username: capturetest.Handle, Name: "Contoso"}, Made: time.Date(2026, 6, 9, 0, 0, 0, 0, time.UTC), Posts: posts}
	file := filepath.Join(w.T.TempDir(), "twitter.zip")
	w.Must(os.WriteFile(file, e.Zip(), 0o600))
	x, err := dataexport.Open(file)
	w.Must(err)
	defer x.Close()
	sum, err := x.SHA256(w.T.Context())
	w.Must(err)
	lists := manifest.New(w.Storage.Container("archive"))
	return backfill.Run(ctx, backfill.Options{State: w.State, Manifest: lists, Export: x, SHA256: sum, Capture: capture.New(capture.Options{
		State: w.State, Archive: w.Archive, Manifest: lists, Gone: w.Gone(), Media: backfill.Media{Export: x}, Now: time.Now, Log: w.Logger(), Version: "v1",
		Format: message.Format{To: "archive@contoso.example"}})})
}

// lines are the lines of the manifest, by the key of the message.
func (w *world) lines() map[string][]manifest.Line {
	w.T.Helper()
	lists := manifest.New(w.Storage.Container("archive"))
	parts, err := lists.Parts(w.T.Context(), capturetest.Account)
	w.Must(err)
	out := map[string][]manifest.Line{}
	for _, p := range parts {
		b, err := lists.Blob(w.T.Context(), capturetest.Account, p.N)
		w.Must(err)
		for _, l := range b.Lines {
			out[l.Key] = append(out[l.Key], l)
		}
	}
	return out
}

// TestKilledAnywhere: an import that is killed at any call of storage, and run again,
// leaves the archive as one that was not: each post once, and listed with the export.
func TestKilledAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		through := false
		synctest.Test(t, func(t *testing.T) {
			w, posts := newWorld(t, 2), past(4)
			calls := 0
			dead := w.Blobs.DieAfter(func(blobs.Op) bool { calls++; return calls > n })
			_, err := w.take(t.Context(), posts...)
			w.Blobs.Before(nil)
			if through = !dead(); through {
				w.Must(err)
				return
			}
			time.Sleep(time.Minute) // its claim runs out
			w.Tick()
			r, err := w.take(t.Context(), posts...)
			if err != nil || !r.Whole() || r.Taken != 4 || r.Others != 0 {
				t.Fatalf("killed after %d calls: %+v, %v", n, r, err)
			}
			if names := w.Names(".eml"); len(names) != 6 {
				t.Errorf("killed after %d calls: %v", n, names)
			}
			lines := w.lines()
			for _, p := range posts {
				for _, l := range lines[p.ID] {
					if l.Export == "" || len(l.Raw) > 0 || !l.Captured.Equal(time.Date(2026, 6, 9, 0, 0, 0, 0, time.UTC)) {
						t.Errorf("killed after %d calls: %+v", n, l)
					}
				}
			}
			gone, err := w.State.Gone(t.Context(), capturetest.Account)
			w.Must(err)
			if got := w.Names(".gone.json"); len(got) != 1 || gone.Now() != 1 || len(lines[posts[1].ID+".gone"]) == 0 {
				t.Errorf("killed after %d calls: notes %v, %d listed", n, got, gone.Now())
			}
			w.Post(1)
			time.Sleep(time.Minute)
			w.Tick()
			if a := w.Record(); a.PostsTotal != 7 {
				t.Errorf("killed after %d calls: %d posts are counted of 7", n, a.PostsTotal)
			}
		})
		if through {
			if n < 20 {
				t.Errorf("an import makes %d calls only", n)
			}
			return
		}
	}
}

// TestCounts: what was imported is counted once, deleted posts as such, and no time is
// covered by it.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		covered := fmt.Sprint(w.Record().Covered)
		for range 2 {
			r, err := w.take(t.Context(), append(past(5), xexport.Post{ID: w.known[0].ID, At: w.known[0].CreatedAt, Text: w.known[0].Text})...)
			if err != nil || r.Posts != 6 || r.Taken != 5 || r.Others != 1 || r.Deleted != 1 || !r.Whole() {
				t.Errorf("%+v, %v", r, err)
			}
		}
		gone, err := w.State.Gone(t.Context(), capturetest.Account)
		w.Must(err)
		if a := w.Record(); a.PostsTotal != 8 || gone.Now() != 1 || fmt.Sprint(a.Covered) != covered {
			t.Errorf("%d posts, %d gone, covered %v, before %s", a.PostsTotal, gone.Now(), a.Covered, covered)
		}
		// A later export with one more takes that one.
		if r, err := w.take(t.Context(), past(6)...); err != nil || r.Taken != 1 || r.Others != 5 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestFuller: of a post that is archived only a text that the archive lacks is taken, once,
// beside its message. A text that the export cuts off, and another one, are not.
func TestFuller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		begun := strings.Repeat("words and words ", 14)
		for i, text := range []string{begun + "…", begun + "and all of it", "something else"} {
			w.known = append(w.known, w.X.Post(capturetest.Account, corpus.Post{Text: text, ID: corpus.NewID(time.Now(), i)}))
		}
		time.Sleep(time.Minute)
		w.Tick()
		var posts []xexport.Post
		for i, text := range []string{w.known[0].Text, begun + "and the end", begun + "…", "an edited text"} {
			posts = append(posts, xexport.Post{ID: w.known[i].ID, At: w.known[i].CreatedAt, Text: text})
		}
		before := w.Names(".eml")
		for range 2 {
			r, err := w.take(t.Context(), posts...)
			if err != nil || r.Others != 4 || r.Fuller != 1 || !r.Whole() {
				t.Errorf("%+v, %v", r, err)
			}
		}
		version := w.known[1].ID + ".version.eml"
		if got := w.Names(".eml"); len(got) != len(before)+1 || !slices.Contains(got, version) {
			t.Fatalf("%v, before %v", got, before)
		}
		m, err := message.Read(bytes.NewReader(w.Read(version)))
		if err != nil || m.Post.Text.Plain() != begun+"and the end" || m.Post.Export == nil || !slices.Equal(m.Changes, []post.Change{post.ChangedText}) {
			t.Errorf("%+v, %v", m, err)
		}
		if l := w.lines()[w.known[1].ID+".version"]; len(l) != 1 || l[0].Export == "" {
			t.Errorf("its line is %+v", l)
		}
		if a := w.Record(); a.PostsTotal != 4 {
			t.Errorf("%d posts are counted", a.PostsTotal)
		}
	})
}

// TestBesideCapture: an import waits for the account's claim that another instance holds,
// and new posts are archived meanwhile.
func TestBesideCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		record, err := w.State.LoadAccount(t.Context(), capturetest.Account)
		w.Must(err)
		_, err = record.Claim(t.Context())
		w.Must(err)
		done := make(chan error, 1)
		go func() {
			_, err := w.take(t.Context(), past(3)...)
			done <- err
		}()
		time.Sleep(2 * time.Minute)
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		record.Release()
		w.Must(<-done)
		w.Post(2)
		time.Sleep(time.Minute)
		w.Tick()
		if got := w.Names(".eml"); len(got) != 6 {
			t.Errorf("%v", got)
		}
	})
}

// TestNotOurs: an account that no job archives, and one that was not read yet, are refused.
func TestNotOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{World: capturetest.New(t, nil)}
		if _, err := backfill.Job(t.Context(), w.State, post.User{ID: capturetest.Account}); !errors.Is(err, backfill.ErrNotRead) {
			t.Errorf("not read: %v", err)
		}
		if _, err := backfill.Job(t.Context(), w.State, post.User{ID: "99", Username: "other"}); !errors.Is(err, backfill.ErrNoJob) || !strings.Contains(err.Error(), "@other (99)") || !strings.Contains(err.Error(), "@"+capturetest.Handle) {
			t.Errorf("another's: %v", err)
		}
	})
}

// TestTwoAtOnce: of two imports of one export at the same time each post is listed and
// counted once: X's number of posts is compared with the count.
func TestTwoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, posts := newWorld(t, 1), past(20)
		record, err := w.State.LoadAccount(t.Context(), capturetest.Account)
		w.Must(err)
		_, err = record.Claim(t.Context()) // both archive, and wait to list
		w.Must(err)
		done := make(chan error, 2)
		for range 2 {
			go func() {
				r, err := w.take(t.Context(), posts...)
				if err == nil && (!r.Whole() || r.Taken != len(posts)) {
					err = fmt.Errorf("%+v", r)
				}
				done <- err
			}()
		}
		time.Sleep(time.Minute)
		record.Release()
		w.Must(errors.Join(<-done, <-done))
		if a := w.Record(); a.PostsTotal != 21 {
			t.Errorf("%d posts are counted of 21", a.PostsTotal)
		}
	})
}

// TestAsideIsImportedAgain: a post of an export that was set aside is not taken for one of X's
// API by a later version, which has neither its pictures nor the export; an import that can
// make its message archives it whole, and it is set aside no longer.
func TestAsideIsImportedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, posts := newWorld(t, 1), past(1)
		posts[0].Media = []xexport.Media{{ID: "77", Name: "77.jpg", Type: "photo", Data: []byte("\xff\xd8\xff picture")}}
		name := capturetest.Account + "/" + posts[0].At.Format("2006/01/02/") + posts[0].ID + ".eml"
		foreign := w.Storage.Container("archive")
		_, err := foreign.Write(t.Context(), name, []byte("foreign"), blob.Condition{})
		w.Must(err)
		if r, err := w.take(t.Context(), posts...); err != nil || r.Aside != 1 || !r.Whole() || w.Record().SetAside.Posts != 1 {
			t.Fatalf("%+v, %v, %+v", r, err, w.Record().SetAside)
		}
		w.Must(foreign.Remove(t.Context(), name, blob.Condition{}))
		record, err := w.State.LoadAccount(t.Context(), capturetest.Account)
		w.Must(err)
		record.Account.SetAside.Version = "v0"
		w.Must(record.Save(t.Context()))
		w.Tick()
		for _, l := range w.lines()[posts[0].ID] {
			if l.Export == "" {
				t.Errorf("listed as X's API gave it: %+v", l)
			}
		}
		if r, err := w.take(t.Context(), posts...); err != nil || r.Taken != 1 || !r.Whole() {
			t.Errorf("%+v, %v", r, err)
		}
		if text := w.Read(posts[0].ID + ".eml"); !bytes.Contains(text, []byte("image/jpeg")) {
			t.Errorf("its picture is not in the message")
		}
		if a := w.Record(); a.SetAside.Posts != 0 || a.PostsTotal != 2 {
			t.Errorf("%+v, %d posts are counted of 2", a.SetAside, a.PostsTotal)
		}
	})
}
