// Package e2e drives the real binary from outside: through the Functions host's
// protocol, against the sandbox. What is expected comes from the corpus, never from
// the code under test.
package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// app is the staged app, built once.
var app string

func TestMain(m *testing.M) { os.Exit(sandbox.RunStaged(m, "../..", &app)) }

// beginning is before anything was posted.
var beginning = time.Date(2006, 3, 1, 0, 0, 0, 0, time.UTC)

// world is a sandbox of a test's own.
type world struct {
	*sandbox.Sandbox
	t   *testing.T
	log *lockedBuffer
}

func start(t *testing.T, o sandbox.Options) *world {
	t.Helper()
	w := &world{t: t, log: &lockedBuffer{}}
	o.Dir, o.App, o.Stderr = t.TempDir(), app, w.log
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log)
	}
	w.Sandbox = s
	t.Cleanup(func() {
		if err := w.CheckReads(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the handler's log ends with\n%s", w.log.tail(60))
		}
	})
	return w
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) tail(n int) string {
	lines := strings.Split(l.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// connect sets a job up.
func (w *world) connect(job, account string) {
	w.t.Helper()
	if err := w.Connect(w.t.Context(), job, account); err != nil {
		w.t.Fatal(err)
	}
}

// request asks for a task.
func (w *world) request(task importservice.Task) {
	w.t.Helper()
	status, answer, err := w.Import.Request(w.t.Context(), task)
	if err != nil || status != 200 {
		w.t.Fatalf("requesting task %s: %d %s %v", task.TaskID, status, answer, err)
	}
}

// tick fires the timer and waits for its end, which must be good.
func (w *world) tick() {
	w.t.Helper()
	if err := w.tryTick(); err != nil {
		w.t.Fatal(err)
	}
}

// tryTick fires the timer and waits for its end.
func (w *world) tryTick() error {
	inv, err := w.Host.Tick(w.t.Context(), "ingest")
	if err == nil {
		err = inv.Err
	}
	return err
}

// until makes ticks until a condition holds; whether they succeed does not matter.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	pace := time.NewTicker(300 * time.Millisecond) // spares the machine; nothing depends on it
	defer pace.Stop()
	for ; !holds(); <-pace.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("never came to be: %s", what)
		}
		if err := w.Host.WaitReady(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		_ = w.tryTick()
	}
}

// ended tells whether a task's event has come.
func (w *world) ended(job, task string) bool {
	return slices.ContainsFunc(w.Import.Events(), func(e importservice.Event) bool { return e.JobID == job && e.TaskID == task })
}

// newest is the time of the newest post of all accounts.
func (w *world) newest() time.Time {
	var newest time.Time
	for _, account := range w.Corpus.Accounts() {
		for _, p := range w.Corpus.All(account) {
			if p.CreatedAt.After(newest) {
				newest = p.CreatedAt
			}
		}
	}
	return newest
}

// blobs reads the names of a container, with their metadata.
func (w *world) blobs(name string) map[string]map[string]*string {
	w.t.Helper()
	out := map[string]map[string]*string{}
	pager := w.container(name).NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(w.t.Context())
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return out
		}
		if err != nil {
			w.t.Fatal(err)
		}
		for _, b := range page.Segment.BlobItems {
			out[*b.Name] = b.Metadata
		}
	}
	return out
}

// messages reads the names of an account's messages, with their metadata.
func (w *world) messages(account string) map[string]map[string]*string {
	w.t.Helper()
	got := w.blobs("archive")
	maps.DeleteFunc(got, func(name string, _ map[string]*string) bool {
		return !strings.HasPrefix(name, account+"/") || !strings.HasSuffix(name, ".eml")
	})
	return got
}

func (w *world) container(name string) *container.Client {
	w.t.Helper()
	c, err := container.NewClientFromConnectionString(w.Blobs.ConnectionString(""), name, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) read(c *container.Client, name string) []byte {
	w.t.Helper()
	answer, err := c.NewBlobClient(name).DownloadStream(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// wantArchived compares the archive of an account with posts: each once, at its
// place, with its hash, and its message saying what the post says.
func (w *world) wantArchived(account string, posts []corpus.Post) {
	w.t.Helper()
	got := w.messages(account)
	if len(got) != len(posts) {
		w.t.Errorf("account %s: %d messages for %d posts", account, len(got), len(posts))
	}
	c := w.container("archive")
	for _, p := range posts {
		name := fmt.Sprintf("%s/%s/%s.eml", account, p.CreatedAt.UTC().Format("2006/01/02"), p.ID)
		meta, ok := got[name]
		if !ok {
			w.t.Errorf("there is no %s", name)
			continue
		}
		eml := w.read(c, name)
		sum := sha256.Sum256(eml)
		if sha := meta["Sha256"]; sha == nil || *sha != hex.EncodeToString(sum[:]) {
			if sha = meta["sha256"]; sha == nil || *sha != hex.EncodeToString(sum[:]) {
				w.t.Errorf("%s: its metadata %v do not hold its SHA-256", name, meta)
			}
		}
		w.checkMessage(p, eml)
	}
}

// wantDelivered compares a task's event and items with posts.
func (w *world) wantDelivered(job, task string, status int, posts []corpus.Post) {
	w.t.Helper()
	var event *importservice.Event
	for _, e := range w.Import.Events() {
		if e.JobID == job && e.TaskID == task {
			if event != nil {
				w.t.Errorf("task %s ended twice", task)
			}
			event = &e
		}
	}
	if event == nil {
		w.t.Errorf("task %s has not ended", task)
		return
	}
	items, err := w.Import.Items(w.t.Context(), job, task)
	if err != nil {
		w.t.Error(err)
		return
	}
	if event.Status != status || len(event.Items) != len(posts) || len(items) != len(posts) {
		w.t.Errorf("task %s: status %d, %d items listed, %d in the container; want %d and %d", task, event.Status, len(event.Items), len(items), status, len(posts))
	}
	files, listed := map[string][]byte{}, map[string]string{}
	for _, item := range items {
		files[item.Name] = item.Data
	}
	for _, item := range event.Items {
		listed[item.ID] = item.FileName
	}
	for _, p := range posts {
		data, ok := files[listed[p.ID]]
		if !ok {
			w.t.Errorf("task %s: post %s is not delivered", task, p.ID)
			continue
		}
		w.checkItem(p, data)
	}
}

// wantClean: nobody had anything to object to, and the log holds no secret.
func (w *world) wantClean() {
	w.t.Helper()
	if v := w.Import.Violations(); len(v) > 0 {
		w.t.Errorf("the Import service objects: %q", v)
	}
	if refused := w.Media.Refused(); len(refused) > 0 {
		w.t.Errorf("the connector went where it must not: %q", refused)
	}
	log := w.log.String()
	for _, account := range w.Corpus.Accounts() {
		token, secret := w.X.Token(account)
		for _, s := range []string{token, secret} {
			if s != "" && strings.Contains(log, s) {
				w.t.Error("the log holds an access token or its secret")
			}
		}
	}
	for _, s := range []string{sandbox.APISecretKey, "sandbox-x-api-secret-key", "sandbox-aad-application-secret", "sig=", "Bearer ", "oauth_signature"} {
		if strings.Contains(log, s) {
			w.t.Errorf("the log holds %q", s)
		}
	}
}
