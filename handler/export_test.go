package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
)

const (
	account   = "2244994945"
	container = "mail"
	messages  = 40
)

// world is an archive behind a socket. The commands get the storage settings and no
// others.
type world struct {
	server *blobs.Server
	env    []string
	bodies []string // of the messages, in their order
	names  []string
}

func newWorld(t *testing.T) *world {
	w := &world{server: blobs.New(blobs.Options{})}
	mail := archive.New(blob.Account{ConnectionString: w.server.ConnectionString(), HTTP: w.server.Client()}.Container(container))
	for i := range messages {
		at := time.Date(2024, 2, 27, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 3 * time.Hour)
		body := fmt.Sprintf("From: Contoso <press@contoso.example>\r\nTo: archive@contoso.example\r\n\r\n%d\r\nFrom here\r\n%s\r\n", i, strings.Repeat("x", i*997))
		e, _, err := mail.Put(t.Context(), account, archive.Message{Key: fmt.Sprint(i + 1), PostID: fmt.Sprint(i + 1), Created: at, Kind: post.Tweet},
			func(to io.Writer) error { _, err := io.WriteString(to, body); return err })
		if err != nil {
			t.Fatal(err)
		}
		w.bodies, w.names = append(w.bodies, body), append(w.names, e.Name)
	}
	socket := httptest.NewServer(w.server)
	t.Cleanup(socket.Close)
	w.env = []string{"HOME=" + t.TempDir(), "ARCHIVE_CONTAINER=" + container, "STORAGE_CONNECTION_STRING=" + w.server.ConnectionStringAt(socket.URL)}
	w.server.ResetCalls()
	return w
}

// ran is a command that has ended.
type ran struct {
	code     int // -1 if a signal ended it
	out, err string
}

func (r ran) String() string { return fmt.Sprintf("exit code %d\n%s%s", r.code, r.out, r.err) }

// export runs `handler export`; started sees the process.
func (w *world) export(t *testing.T, started func(*os.Process), args ...string) ran {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(staged, "handler"), append([]string{"export"}, args...)...)
	c.Env = w.env
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if started != nil {
		started(c.Process)
	}
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{c.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// files are the files beside and below a path.
func files(t *testing.T, dest string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(filepath.Dir(dest), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(filepath.Dir(dest), path)
		if filepath.Base(name) == "out.export.json" {
			data = nil // it has the time
		}
		all[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestExportCommand: each format is made with the storage settings alone, and nothing in the
// account is changed.
func TestExportCommand(t *testing.T) {
	w := newWorld(t)
	for _, format := range []string{"maildir", "mbox", "eml", "zip", "review-set"} {
		dest := filepath.Join(t.TempDir(), "out")
		r := w.export(t, nil, "--account", account, "--format", format, dest)
		if r.code != 0 || !strings.Contains(r.out, "40 messages of account "+account) || !strings.Contains(r.out, "SHA-256") || r.err != "" {
			t.Errorf("%s: %v", format, r)
		}
		got := files(t, dest)
		for i, body := range w.bodies {
			path := map[string]string{"eml": "out/" + w.names[i], "review-set": fmt.Sprintf("out/press@contoso.example/%d.eml", i+1)}[format]
			if path != "" && got[path] != body {
				t.Errorf("%s: %s has %d bytes, expected the archived %d", format, path, len(got[path]), len(body))
			}
		}
	}
	// The flags may be behind DEST, and choose.
	dest := filepath.Join(t.TempDir(), "out")
	r := w.export(t, nil, dest, "-account="+account, "-format", "eml", "--from", "2024-02-28", "--to", "2024-02-28", "--kind", "tweet,quote")
	if got := len(files(t, dest)); r.code != 0 || got != 8+3 {
		t.Errorf("a day: %d files, expected 8 messages and 3 beside; %v", got, r)
	}
	for _, none := range [][]string{{"--from", "2030-01-01"}, {"--kind", "Quote"}} {
		r = w.export(t, nil, append(none, "--account", account, "--format", "mbox", filepath.Join(t.TempDir(), "out"))...)
		if r.code != 0 || !strings.Contains(r.out, "none of this time and kind") {
			t.Errorf("%q: %v", none, r)
		}
	}
	calls := w.server.Calls()
	if calls.Write+calls.Delete+calls.Lease > 0 {
		t.Errorf("the account was written to: %+v", calls)
	}
}

// TestLeftOut: an altered message is named, and the exit code says so.
func TestLeftOut(t *testing.T) {
	w := newWorld(t)
	stored, _ := w.server.Get(container, w.names[4])
	var once sync.Once
	w.server.Before(func(op blobs.Op) error {
		if op.Blob == w.names[4] {
			once.Do(func() { stored.Content[len(stored.Content)/2] ^= 1 }) // in the server's own memory
		}
		return nil
	})
	dest := filepath.Join(t.TempDir(), "out")
	r := w.export(t, nil, "--account", account, "--format", "mbox", dest)
	if r.code != 1 || !strings.Contains(r.out, "39 messages") || !strings.Contains(r.out, "1 MESSAGE LEFT OUT") ||
		strings.Count(r.out, w.names[4]) != 1 || !strings.Contains(r.err, "left out: "+w.names[4]) {
		t.Errorf("%v", r)
	}
}

// TestTrouble: what is wrong is said with what to do, and makes nothing.
func TestTrouble(t *testing.T) {
	w := newWorld(t)
	dest := filepath.Join(t.TempDir(), "out")
	all := []string{"--account", account, "--format", "eml", dest}
	with := func(setting string, args ...string) ran {
		name, _, _ := strings.Cut(setting, "=")
		before := w.env
		defer func() { w.env = before }()
		w.env = slices.DeleteFunc(slices.Clone(w.env), func(s string) bool { return strings.HasPrefix(s, name+"=") })
		w.env = append(w.env, setting)
		return w.export(t, nil, args...)
	}
	for _, c := range []struct {
		what string
		got  ran
		code int
		says string
	}{
		{"no storage", with("STORAGE_CONNECTION_STRING=", all...), 1, "STORAGE_ACCOUNT_URL"},
		{"no such container", with("ARCHIVE_CONTAINER=elsewhere", all...), 1, "Check ARCHIVE_CONTAINER"},
		{"another account", w.export(t, nil, "--account", "5", "--format", "zip", dest), 1, "Check --account"},
		{"a handle", w.export(t, nil, "--account", "@contoso", "--format", "zip", dest), 2, "not an account's id"},
		{"no account", w.export(t, nil, "--format", "zip", dest), 2, "--account is missing"},
		{"no format", w.export(t, nil, "--account", account, dest), 2, "--format is missing"},
		{"another format", w.export(t, nil, "--account", account, "--format", "pst", dest), 2, "review-set"},
		{"no DEST", w.export(t, nil, "--account", account, "--format", "zip"), 2, "DEST is missing"},
		{"two DEST", w.export(t, nil, append(all, "b")...), 2, "one argument too many"},
		{"no time", w.export(t, nil, append(all, "--from", "yesterday")...), 2, "2024-03-31"},
		{"no kind", w.export(t, nil, append(all, "--kind", "Thread")...), 2, "Retweet"},
		{"unknown flag", w.export(t, nil, append(all, "--all")...), 2, "handler export"},
	} {
		if c.got.code != c.code || !strings.Contains(c.got.err, c.says) || c.got.out != "" || strings.Contains(c.got.err, "AccountKey") {
			t.Errorf("%s: expected exit code %d and %q; %v", c.what, c.code, c.says, c.got)
		}
	}
	if left := files(t, dest); len(left) > 0 {
		t.Errorf("%d files are left", len(left))
	}
	if names := w.server.Containers(); !slices.Equal(names, []string{container}) {
		t.Errorf("containers %q, expected the one that was there", names)
	}
}

// TestEnded: a process that is ended at any message, with Ctrl-C or without a word, leaves nothing
// half-written under a final name, and the same command makes the rest.
func TestEnded(t *testing.T) {
	w := newWorld(t)
	for _, format := range []string{"maildir", "mbox", "eml", "zip", "review-set"} {
		straight := filepath.Join(t.TempDir(), "out")
		if r := w.export(t, nil, "--account", account, "--format", format, straight); r.code != 0 {
			t.Fatalf("%s: %v", format, r)
		}
		want := files(t, straight)
		rng := rand.New(rand.NewPCG(18, uint64(len(format))))
		for _, signal := range []os.Signal{os.Interrupt, syscall.SIGKILL} {
			dest := filepath.Join(t.TempDir(), "out")
			args := []string{"--account", account, "--format", format, dest}
			for again := range 2 {
				process, ended := make(chan *os.Process, 1), make(chan struct{})
				// The second time less is left to read: what was on its way when the first
				// ended may have been written, too.
				at, reads := []int64{12, 2}[again]+rng.Int64N([]int64{8, 4}[again]), atomic.Int64{}
				w.server.Before(func(op blobs.Op) error {
					if op.Class == blobs.Read && reads.Add(1) == at {
						p := <-process
						if err := p.Signal(signal); err != nil {
							t.Errorf("signalling: %v", err)
						}
						<-ended
					}
					return nil
				})
				r := w.export(t, func(p *os.Process) { process <- p }, args...)
				close(ended)
				w.server.Before(nil)
				if signal == os.Interrupt && (r.code != 1 || !strings.Contains(r.err, "interrupted") || !strings.Contains(r.err, "run the same command again")) {
					t.Errorf("%s: %v", format, r)
				}
				if signal == syscall.SIGKILL && r.code != -1 {
					t.Errorf("%s: %v, expected to be killed", format, r)
				}
				for name, data := range files(t, dest) {
					in, final := strings.CutPrefix(name, "out/")
					if final = final || name == "out"; !final || strings.HasPrefix(in, "tmp/") {
						continue
					}
					if !slices.Contains(w.bodies, data) {
						t.Errorf("%s: after %v %s has %d bytes that are no message", format, signal, name, len(data))
					}
				}
			}
			if r := w.export(t, nil, args...); r.code != 0 || !strings.Contains(r.out, "had been written before") {
				t.Errorf("%s after %v: %v", format, signal, r)
			}
			got := files(t, dest)
			if format == "zip" { // export.json inside has the time
				continue
			}
			for name, data := range want {
				if there, ok := got[name]; !ok || there != data {
					t.Errorf("%s after %v: %s is there %v, with %d bytes; expected %d", format, signal, name, ok, len(there), len(data))
				}
			}
			for name := range got {
				if _, ok := want[name]; !ok {
					t.Errorf("%s after %v: %s was not expected", format, signal, name)
				}
			}
		}
	}
}
