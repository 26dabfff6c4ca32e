// Package capturetest is a small world for tests of what uses package capture: X, storage
// and a clock. Its tests run in a bubble of testing/synctest, so that time passes only
// where they sleep.
package capturetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// Account is the account, and Job its job.
const (
	Account = "7"
	Handle  = "contoso7"
	Job     = "job7"
)

// World is X, storage and a clock.
type World struct {
	T       *testing.T
	X       *x.Server
	Blobs   *blobs.Server
	Storage blob.Account
	State   *state.Store
	Archive *archive.Archive
	Log     *Log

	reach int

	Count twitter.Counter // counts what is read of X by captures that are made later; nil: nobody does
}

// Log is what was logged; by several goroutines.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// New returns a world at noon of a day in June 2026, in which one account has a job.
// change may change what X is.
func New(t *testing.T, change func(*x.Options)) *World {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)))
	w := &World{T: t, Log: &Log{}, Blobs: blobs.New(blobs.Options{})}
	w.Storage = blob.Account{ConnectionString: w.Blobs.ConnectionString(), HTTP: w.Blobs.Client(), Buffers: blob.NewBuffers(32 << 20)}
	w.State, w.Archive = state.New(w.Storage.Container("state")), archive.New(w.Storage.Container("archive"))
	o := x.Options{Corpus: newCorpus(t), ConsumerKey: "key", ConsumerSecret: "secret",
		Limits: map[string]int{"GET /2/users/:id/tweets": 1 << 30, "GET /2/tweets": 1 << 30}}
	if change != nil {
		change(&o)
	}
	w.X, w.reach = x.New(o), o.Reach
	w.Must(w.State.TakeAccount(t.Context(), Account, Job, time.Now()))
	w.Must(w.State.UpdateJob(t.Context(), Job, func(j *state.Job) error {
		j.AccountID, j.Handle, j.AccountName = Account, Handle, "Contoso"
		return nil
	}))
	return w
}

// Must fails the test if there is an error.
func (w *World) Must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

func newCorpus(t *testing.T) *corpus.Corpus {
	t.Helper()
	dir := t.TempDir()
	users := []map[string]string{}
	for _, id := range []string{Account, "8"} {
		users = append(users, map[string]string{"id": id, "name": "Contoso " + id, "username": "contoso" + id, "created_at": "2025-12-20T10:00:00.000Z"})
	}
	posts, err := json.Marshal(map[string]any{"data": []any{}, "includes": map[string]any{"users": users}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"posts.json": string(posts), "accounts.json": fmt.Sprintf("[%q,%q]", Account, "8")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Logger logs into Log.
func (w *World) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(w.Log, nil)) }

// Gone returns a register of what is gone.
func (w *World) Gone() *gone.Register {
	return &gone.Register{State: w.State, Archive: w.Archive, Now: time.Now, Log: w.Logger()}
}

// Capture returns an instance that remembers nothing.
func (w *World) Capture() *capture.Capture {
	return capture.New(capture.Options{
		State: w.State, Archive: w.Archive, Manifest: manifest.New(w.Storage.Container("archive")), Log: w.Logger(), Version: "v1",
		Now: time.Now, Gone: w.Gone(), Reach: w.reach,
		Media:  twitter.Media{HTTP: w.X.Client()},
		Format: message.Format{To: "archive@contoso.example"},
		SignIn: func(context.Context, state.Job, bool) (capture.X, error) {
			token, secret := w.X.Token(Account)
			client := twitter.NewClient(w.X.Client(), "https://api.x.com", twitter.App{Key: "key", Secret: "secret"}, twitter.Token{Token: token, Secret: secret})
			if w.Count != nil {
				client = client.Counting(w.Count)
			}
			return client, nil
		},
	})
}

// Tick has new posts archived.
func (w *World) Tick() {
	w.T.Helper()
	if _, err := w.Capture().Run(w.T.Context()); err != nil {
		w.T.Fatalf("tick: %v", err)
	}
}

// Post makes n posts, a second apart, the last one just now.
func (w *World) Post(n int) (posts []corpus.Post) {
	for range n {
		time.Sleep(time.Second)
		posts = append(posts, w.X.Post(Account, corpus.Post{Text: "post"}))
	}
	return posts
}

// Record returns the account's record.
func (w *World) Record() state.Account {
	w.T.Helper()
	a, err := w.State.Account(context.WithoutCancel(w.T.Context()), Account)
	w.Must(err)
	return a
}

// Names lists the archive's blobs of that ending, without their folders, in order.
func (w *World) Names(ending string) (names []string) {
	for _, name := range w.Blobs.Names("archive") {
		if strings.HasSuffix(name, ending) {
			names = append(names, name[strings.LastIndex(name, "/")+1:])
		}
	}
	slices.Sort(names)
	return names
}

// Read returns the content of the archive's blob of that file name.
func (w *World) Read(file string) []byte {
	w.T.Helper()
	for _, name := range w.Blobs.Names("archive") {
		if strings.HasSuffix(name, "/"+file) {
			b, _ := w.Blobs.Get("archive", name)
			return b.Content
		}
	}
	w.T.Fatalf("there is no %s in the archive", file)
	return nil
}
