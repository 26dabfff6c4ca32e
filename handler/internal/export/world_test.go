package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
)

const account = "7"

// world is an archive in memory.
type world struct {
	server    *blobs.Server
	container *blob.Container
	archive   *archive.Archive
	names     []string // of messages, in the archive's order
}

func newWorld(t testing.TB) *world {
	c, s := blobtest.Server(t)
	return &world{server: s, container: c, archive: archive.New(c)}
}

// begin is the time of the first post.
var begin = time.Date(2023, 12, 30, 22, 0, 0, 0, time.UTC)

// fill archives messages: proper ones of every kind, seven hours apart, and raw ones
// that try the formats.
func (w *world) fill(t testing.TB) {
	t.Helper()
	for i := range 24 {
		w.post(t, i, fmt.Sprintf("post number %d\nFrom here on\n>From there\nÜber alles", i))
	}
	for i, raw := range []string{
		"From: a@x.invalid\r\n\r\nFrom the start\r\n>From\r\n>From one\r\n>>>From three\r\nno end",
		"",
		"\n",
		"From me, without a header",
		">From\r\n>\r\n\r\n>",
		"From: b@x.invalid\nTo: archive@contoso.example\n\nlines with LF\nFrom the middle\n\n",
		"From: \"odd name\"@contoso.example\r\nDate: none\r\n\r\n" + strings.Repeat("From long lines "+strings.Repeat(">", 100_000)+"\r\n", 12),
	} {
		at := begin.Add(time.Duration(i) * 11 * time.Hour)
		w.put(t, archive.Message{Key: fmt.Sprint(900 + i), PostID: fmt.Sprint(900 + i), Created: at, Kind: post.Tweet}, raw)
	}
	w.put(t, archive.Message{Key: "900.media.2", PostID: "900", Created: begin, Kind: post.Tweet}, "Subject: supplement\r\n\r\nlater\r\n")
}

// kindOf is the kind of the i-th post.
func kindOf(i int) post.Kind { return post.Kinds()[i%4] }

// post archives the i-th post with a text.
func (w *world) post(t testing.TB, i int, text string) {
	t.Helper()
	m, raw := proper(t, i, text)
	w.put(t, m, raw)
}

// proper is the message of the i-th post.
func proper(t testing.TB, i int, text string) (archive.Message, string) {
	t.Helper()
	id, at := fmt.Sprint(100+i), begin.Add(time.Duration(i)*7*time.Hour)
	data := map[string]any{"id": id, "text": text, "author_id": account, "created_at": at.Format(time.RFC3339)}
	if word := map[post.Kind]string{post.Retweet: "retweeted", post.Reply: "replied_to", post.Quote: "quoted"}[kindOf(i)]; word != "" {
		data["referenced_tweets"] = []any{map[string]any{"type": word, "id": "50"}}
	}
	document, err := json.Marshal(map[string]any{"data": data, "includes": map[string]any{
		"users":  []any{map[string]any{"id": account, "username": "Contoso", "name": "Contoso"}, map[string]any{"id": "8", "username": "bob", "name": "Bob"}},
		"tweets": []any{map[string]any{"id": "50", "text": "the original has Needles", "author_id": "8", "created_at": "2023-01-01T00:00:00Z"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := post.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	if p.Kind() != kindOf(i) {
		t.Fatalf("post %d is a %s, expected a %s", i, p.Kind(), kindOf(i))
	}
	format := message.Format{To: "archive@contoso.example", Mailboxes: map[string]string{"contoso": "Press@contoso.example"}}
	var raw bytes.Buffer
	if err := format.Write(&raw, p, document, nil); err != nil {
		t.Fatal(err)
	}
	return archive.Message{Key: id, PostID: id, Created: at, Kind: p.Kind()}, raw.String()
}

func (w *world) put(t testing.TB, m archive.Message, raw string) {
	t.Helper()
	e, _, err := w.archive.Put(t.Context(), account, m, func(to io.Writer) error {
		_, err := io.WriteString(to, raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.names = append(w.names, e.Name)
}

// content is a message as it is in the archive.
func (w *world) content(name string) string {
	b, _ := w.server.Get(blobtest.Name, name)
	return string(b.Content)
}

// entries are the archived messages in their order.
func (w *world) entries(t testing.TB) []archive.Entry {
	t.Helper()
	var all []archive.Entry
	for e, err := range w.archive.Walk(t.Context(), account, time.Time{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (w *world) options(format export.Format, dest string) export.Options {
	return export.Options{Archive: w.archive, Query: export.Query{Account: account, Format: format}, Dest: dest, Version: "test",
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }}
}

// run exports, and fails the test on an error.
func run(t testing.TB, o export.Options) export.Status {
	t.Helper()
	status, err := export.Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%s: %v", o.Query.Format, err)
	}
	return status
}

// item is a line of the manifest.
type item struct {
	Path, Account, PostID, Kind, Posted, SHA256, Source, LeftOut string

	Size   int64
	Offset *int64
}

// manifest reads the manifest of an export, whose messages must be there.
func manifest(t testing.TB, data string) (items []item) {
	t.Helper()
	for line := range strings.Lines(data) {
		var i item
		if err := json.Unmarshal([]byte(line), &i); err != nil {
			t.Fatalf("the manifest has %q: %v", line, err)
		}
		items = append(items, i)
	}
	return items
}

// tree is the content of every file below a path, and of the files beside it.
func tree(t testing.TB, dest string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Dir(dest), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(filepath.Dir(dest), path)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameTree compares two trees.
func sameTree(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, data := range want {
		if there, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if there != data {
			t.Errorf("%s has %d bytes, expected %d others", name, len(there), len(data))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is there, and was not expected", name)
		}
	}
}

// python runs a script, if there is a Python, and returns what it prints.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	var stderr bytes.Buffer
	c := exec.CommandContext(t.Context(), program, append([]string{"-c", script}, args...)...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return string(out)
}

// stop makes the server cancel a context at its n-th call from now.
func (w *world) stop(t *testing.T, n int) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	var calls atomic.Int64
	w.server.Before(func(blobs.Op) error {
		if calls.Add(1) == int64(n) {
			cancel(errStop)
		}
		return nil
	})
	t.Cleanup(func() { cancel(nil) })
	return ctx
}

var errStop = errors.New("stopped by the test")

// hashes are the SHA-256 of the archived messages, sorted.
func (w *world) hashes(t testing.TB) (all []string) {
	for _, e := range w.entries(t) {
		all = append(all, e.SHA256)
	}
	slices.Sort(all)
	return all
}
