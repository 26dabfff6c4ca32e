package capture_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

const account = "7"

// world is X, storage and a clock. Tests run in a bubble of testing/synctest, so
// that time passes only where they sleep.
type world struct {
	t       *testing.T
	x       *x.Server
	blobs   *blobs.Server
	storage blob.Account
	state   *state.Store
	archive *archive.Archive
	log     *logs
	skew    time.Duration // by which our clock is behind X's
	version string
	page    int
	reach   int
	revoked bool   // the token that the instances have is one that X refuses
	keys    string // of the app, instead of X's
	panics  string // part of the address of media over which the media client panics

	mu     sync.Mutex
	posted []corpus.Post // by all means
}

// newWorld returns a world at noon of a day in June 2026. files are media by name, in
// photos of that key.
func newWorld(t *testing.T, media ...string) *world { return newWorldOf(t, 10, 320, media...) }

// newWorldOf is newWorld with X's page size and reach.
func newWorldOf(t *testing.T, page, reach int, media ...string) *world {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)))
	w := &world{t: t, version: "v1", page: page, reach: reach, log: &logs{}}
	w.blobs = blobs.New(blobs.Options{})
	w.storage = blob.Account{ConnectionString: w.blobs.ConnectionString(), HTTP: w.blobs.Client(), Buffers: blob.NewBuffers(32 << 20)}
	w.state, w.archive = state.New(w.storage.Container("state")), archive.New(w.storage.Container("archive"))
	w.x = x.New(x.Options{Corpus: newCorpus(t, media), ConsumerKey: "key", ConsumerSecret: "secret", Reach: w.reach,
		Limits: map[string]int{"GET /2/users/:id/tweets": 1 << 30, "GET /2/tweets": 1 << 30}})
	w.job(account)
	return w
}

// newCorpus is a corpus of accounts without posts.
func newCorpus(t *testing.T, media []string) *corpus.Corpus {
	t.Helper()
	dir := t.TempDir()
	var objects []map[string]string
	for _, name := range media {
		objects = append(objects, map[string]string{"media_key": "3_" + name, "type": "photo", "url": "https://pbs.twimg.com/media/" + name + ".png"})
		write(t, filepath.Join(dir, "media", name+".png"), "\x89PNG\r\n\x1a\n"+strings.Repeat(name, 100))
	}
	users := []map[string]string{}
	ids := []string{}
	for i := range 100 {
		id := fmt.Sprint(7 + i)
		ids = append(ids, id)
		users = append(users, map[string]string{"id": id, "name": "Contoso " + id, "username": "contoso" + id, "created_at": "2020-03-01T00:00:00.000Z"})
	}
	all, err := json.Marshal(map[string]any{"data": []any{}, "includes": map[string]any{"users": users, "media": objects}})
	if err != nil {
		t.Fatal(err)
	}
	accounts, _ := json.Marshal(ids)
	write(t, filepath.Join(dir, "posts.json"), string(all))
	write(t, filepath.Join(dir, "accounts.json"), string(accounts))
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// job makes a job of an account.
func (w *world) job(account string) {
	w.t.Helper()
	if err := w.state.TakeAccount(w.t.Context(), account, "job"+account, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	err := w.state.UpdateJob(w.t.Context(), "job"+account, func(j *state.Job) error {
		j.AccountID = account
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// capture is an instance that remembers nothing.
func (w *world) capture() *capture.Capture {
	media := w.x.Client()
	if w.panics != "" {
		media.Transport = panicking{media.Transport, w.panics}
	}
	return capture.New(capture.Options{
		State: w.state, Archive: w.archive, Manifest: manifest.New(w.storage.Container("archive")), Log: slog.New(slog.NewTextHandler(w.log, nil)), Version: w.version,
		Now:    func() time.Time { return time.Now().Add(-w.skew) },
		Gone:   &gone.Register{State: w.state, Archive: w.archive, Now: time.Now, Log: slog.New(slog.NewTextHandler(w.log, nil))},
		Media:  twitter.Media{HTTP: media},
		Format: message.Format{To: "archive@contoso.example"},
		SignIn: func(_ context.Context, job state.Job, _ bool) (capture.X, error) {
			token, secret := w.x.Token(job.AccountID)
			if w.revoked {
				token = "revoked"
			}
			return twitter.NewClient(w.x.Client(), "https://api.x.com", twitter.App{Key: cmp.Or(w.keys, "key"), Secret: "secret"}, twitter.Token{Token: token, Secret: secret}), nil
		},
		PageSize: w.page, Reach: w.reach,
	})
}

// panicking panics over some requests.
type panicking struct {
	http.RoundTripper
	over string
}

func (p panicking) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.String(), p.over) {
		panic("over " + r.URL.String())
	}
	return p.RoundTripper.RoundTrip(r)
}

// tick runs capture with no time limit.
func (w *world) tick() error {
	_, err := w.capture().Run(w.t.Context())
	return err
}

// mustTick is a tick that must not fail.
func (w *world) mustTick() {
	w.t.Helper()
	if err := w.tick(); err != nil {
		w.t.Fatalf("tick: %v", err)
	}
}

// post makes n posts, a second apart, the last one just now.
func (w *world) post(n int) {
	for range n {
		time.Sleep(time.Second)
		w.posted = append(w.posted, w.x.Post(account, corpus.Post{Text: "post"}))
	}
}

// record returns the first account's record.
func (w *world) record() state.Account { return w.recordOf(account) }

func (w *world) recordOf(id string) state.Account {
	w.t.Helper()
	a, err := w.state.Account(context.WithoutCancel(w.t.Context()), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// archived returns the keys of all archived messages of the first account, in order.
func (w *world) archived() []string { return w.archivedOf(account) }

// wantArchived checks that exactly the posts are archived.
func (w *world) wantArchived(posts ...corpus.Post) {
	w.t.Helper()
	var want []string
	for _, p := range posts {
		want = append(want, p.ID)
	}
	slices.SortFunc(want, post.CompareIDs)
	if got := w.archived(); !slices.Equal(got, want) {
		w.t.Errorf("%d messages in the archive, want %d", len(got), len(want))
		for _, id := range want {
			if !slices.Contains(got, id) {
				w.t.Errorf("post %s is missing", id)
			}
		}
		for _, key := range got {
			if !slices.Contains(want, key) {
				w.t.Errorf("message %s is too many", key)
			}
		}
	}
}

// message reads an archived message's text, header and all.
func (w *world) message(key string) string {
	w.t.Helper()
	for _, name := range w.blobs.Names("archive") {
		if strings.HasSuffix(name, "/"+key+".eml") {
			b, _ := w.blobs.Get("archive", name)
			return string(b.Content)
		}
	}
	w.t.Fatalf("there is no message %s in the archive: %v", key, w.archived())
	return ""
}

// noPages checks that nothing of X's raw answers stayed behind.
func (w *world) noPages() {
	w.t.Helper()
	for _, name := range w.blobs.Names("state") {
		if strings.HasPrefix(name, "pages/") {
			w.t.Errorf("%s stayed behind", name)
		}
	}
}

// asideNames lists what is set aside.
func (w *world) asideNames() (names []string) {
	for _, name := range w.blobs.Names("state") {
		if strings.HasPrefix(name, "set-aside/") {
			names = append(names, name)
		}
	}
	return names
}

// logs keeps log lines.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

// count returns how many lines hold all the words.
func (l *logs) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			n++
		}
	}
	return n
}

var _ io.Writer = (*logs)(nil)

// rangeTo is the time from its beginning to a moment.
func rangeTo(to time.Time) state.Range { return state.Range{To: to.UTC().Truncate(time.Second)} }

// instant is the time of one post.
func instant(at time.Time) state.Range {
	at = at.UTC().Truncate(time.Second)
	return state.Range{From: at, To: at.Add(time.Nanosecond)}
}
