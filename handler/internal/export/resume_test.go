package export_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
)

// TestInterruptedAnywhere: an export that is interrupted again and again, at calls
// by chance, and whose unfinished files lose bytes in between as in a power cut,
// ends with the very files of one that was not interrupted.
func TestInterruptedAnywhere(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	for _, format := range export.Formats() {
		t.Run(string(format), func(t *testing.T) {
			straight := filepath.Join(t.TempDir(), "out")
			run(t, w.options(format, straight))
			want := tree(t, straight)
			for seed := range uint64(5) {
				rng := rand.New(rand.NewPCG(seed, 10))
				dest := filepath.Join(t.TempDir(), "out")
				o := w.options(format, dest)
				for tries := 0; ; tries++ {
					if tries > 500 {
						t.Fatal("it does not come to an end")
					}
					// Of each try the listings, and what is under way, come to nothing.
					ctx := w.stop(t, 2+2*tries+rng.IntN(20))
					_, err := export.Run(ctx, o)
					if err == nil {
						break
					}
					if !errors.Is(err, errStop) {
						t.Fatalf("%v, expected to be stopped", err)
					}
					w.wholeSoFar(t, dest, format)
					if rng.IntN(3) == 0 {
						cut(t, rng, dest+".part/data")
					}
					if rng.IntN(3) == 0 {
						cut(t, rng, dest+".part/journal.jsonl")
					}
				}
				w.server.Before(nil)
				sameTree(t, tree(t, dest), want)
			}
		})
	}
}

// wholeSoFar: what has a final name is a whole message, and a file that is DEST is
// not there.
func (w *world) wholeSoFar(t *testing.T, dest string, format export.Format) {
	t.Helper()
	whole := map[string]bool{}
	for _, name := range w.names {
		whole[w.content(name)] = true
	}
	if format == export.Mbox || format == export.Zip {
		if _, err := os.Stat(dest); !os.IsNotExist(err) {
			t.Errorf("%s has its name before it is complete: %v", format, err)
		}
		return
	}
	for path, data := range tree(t, dest) {
		if in, ok := strings.CutPrefix(path, "out/"); ok && !strings.HasPrefix(in, "tmp/") && !whole[data] {
			t.Errorf("%s has %d bytes that are no message", path, len(data))
		}
	}
}

// cut takes some bytes off a file's end, or makes them zero.
func cut(t *testing.T, rng *rand.Rand, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size()
	end := size - rng.Int64N(min(size, 3000)+1)
	if err := os.Truncate(path, end); err != nil {
		t.Fatal(err)
	}
	if rng.IntN(2) == 0 {
		if err := os.Truncate(path, size); err != nil { // zeros
			t.Fatal(err)
		}
	}
}

// TestGoesOn: what is there is not read from the archive again, nor what is not
// looked for.
func TestGoesOn(t *testing.T) {
	const messages, stopAt, underWay = 40, 25, 8
	w := newWorld(t)
	for i := range messages {
		w.post(t, i, fmt.Sprintf("post number %d", i))
	}
	for _, format := range export.Formats() {
		for _, text := range []string{"", "number 2"} {
			dest := filepath.Join(t.TempDir(), "out")
			o := w.options(format, dest)
			o.Query.Text = text
			var mu sync.Mutex
			read, again := map[string]bool{}, 0
			ctx, cancel := context.WithCancelCause(t.Context())
			w.server.Before(func(op blobs.Op) error {
				if op.Class != blobs.Read {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				if read[op.Blob] {
					again++
				}
				read[op.Blob] = true
				if len(read) == stopAt {
					cancel(errStop)
				}
				return nil
			})
			if _, err := export.Run(ctx, o); !errors.Is(err, errStop) {
				t.Fatalf("%s: %v, expected to be stopped", format, err)
			}
			status := run(t, o)
			if again > underWay || len(read) != messages {
				t.Errorf("%s, text %q: %d messages were read and %d of them twice, expected %d and at most %d", format, text, len(read), again, messages, underWay)
			}
			if text == "" && (status.Kept < stopAt-underWay || status.Messages != messages) {
				t.Errorf("%s: status %+v, expected at least %d of %d kept", format, status, stopAt-underWay, messages)
			}
			w.server.Before(nil)
		}
	}
}

// TestOnceMore: a folder that is complete takes up what is new in the archive, and
// nothing else is read; files are not overwritten.
func TestOnceMore(t *testing.T) {
	for _, format := range []export.Format{export.Maildir, export.EML, export.ReviewSet} {
		w := newWorld(t)
		w.fill(t)
		dest := filepath.Join(t.TempDir(), "out")
		o := w.options(format, dest)
		before := run(t, o)
		if format == export.Maildir { // a mail program has seen one
			name := fmt.Sprintf("%d.A7K100.x.com", begin.Unix())
			if err := os.Rename(filepath.Join(dest, "new", name), filepath.Join(dest, "cur", name+":2,S")); err != nil {
				t.Fatal(err)
			}
		}
		raw := "From: new@contoso.example\r\n\r\nlate\r\n"
		w.put(t, archive.Message{Key: "950", PostID: "950", Created: begin.Add(20 * time.Hour), Kind: post.Tweet}, raw)
		w.server.ResetCalls()
		status := run(t, o)
		if status.Messages != before.Messages+1 || status.Kept != before.Messages {
			t.Errorf("%s: status %+v, expected one more than %d", format, status, before.Messages)
		}
		if n := w.server.Calls().Read; n != 1 {
			t.Errorf("%s: %d messages were read, expected the new one", format, n)
		}
		files := tree(t, dest)
		items := manifest(t, files["out.manifest.jsonl"])
		for _, i := range items {
			if files["out/"+i.Path] != w.content(i.Source) {
				t.Errorf("%s: %s is not where the manifest says, %q", format, i.Source, i.Path)
			}
		}
		messages := 0
		for path := range files {
			if strings.HasPrefix(path, "out/") {
				messages++
			}
		}
		if len(items) != status.Messages || messages != status.Messages {
			t.Errorf("%s: %d lines and %d files, expected %d", format, len(items), messages, status.Messages)
		}
	}
}

// TestNewInBetween: what comes into the archive between two tries is exported in its
// place, and a message that was restored meanwhile is no longer left out.
func TestNewInBetween(t *testing.T) {
	for _, format := range export.Formats() {
		w := newWorld(t)
		w.fill(t)
		entries := w.entries(t)
		whole := w.content(entries[2].Name)
		w.alter(t, entries[2], "altered")
		dest := filepath.Join(t.TempDir(), "out")
		o := w.options(format, dest)
		if _, err := export.Run(w.stop(t, 20), o); !errors.Is(err, errStop) {
			t.Fatalf("%s: %v, expected to be stopped", format, err)
		}
		w.server.Before(nil)
		w.alter(t, entries[2], whole)
		w.put(t, supplementOf("100"), "From: late@contoso.example\r\n\r\nmedia\r\n")
		if status := run(t, o); status.LeftOut != 0 || status.Messages != len(entries)+1 {
			t.Errorf("%s: status %+v, expected all %d", format, status, len(entries)+1)
		}
		fresh := filepath.Join(t.TempDir(), "out")
		run(t, w.options(format, fresh))
		sameTree(t, tree(t, dest), tree(t, fresh))
	}
}

// TestStorageFails: an error of the storage service ends the export, and is not
// taken for the end of the archive.
func TestStorageFails(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	for _, format := range export.Formats() {
		for _, class := range []blobs.Class{blobs.List, blobs.Read} {
			dest := filepath.Join(t.TempDir(), "out")
			var n atomic.Int64
			w.server.Before(func(op blobs.Op) error {
				if op.Class == class && n.Add(1) > 5 {
					return &blobs.Drop{Final: true}
				}
				return nil
			})
			status, err := export.Run(t.Context(), w.options(format, dest))
			if err == nil || errors.Is(err, export.ErrNoAccount) || status.Messages >= len(w.names) {
				t.Errorf("%s, %v: status %+v, %v; expected an error", format, class, status, err)
			}
			if _, err := os.Stat(dest + ".manifest.csv"); !os.IsNotExist(err) {
				t.Errorf("%s: there is a manifest of an export that is not complete", format)
			}
			w.server.Before(nil)
			if status := run(t, w.options(format, dest)); status.Messages != len(w.names) {
				t.Errorf("%s: status %+v, expected all %d", format, status, len(w.names))
			}
		}
	}
}

// TestFailsAtOnce: a try that gets nowhere takes nothing away from what the one before
// it did; a first try that gets nowhere leaves nothing.
func TestFailsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	for _, format := range export.Formats() {
		dest := filepath.Join(t.TempDir(), "out")
		o := w.options(format, dest)
		unreachable := func(blobs.Op) error { return &blobs.Drop{Final: true} }
		w.server.Before(unreachable)
		if _, err := export.Run(t.Context(), o); err == nil {
			t.Fatalf("%s: expected an error", format)
		}
		if left := tree(t, dest); len(left) > 0 {
			t.Errorf("%s: %d files are left", format, len(left))
		}
		if _, err := export.Run(w.stop(t, 20), o); !errors.Is(err, errStop) {
			t.Fatalf("%s: %v, expected to be stopped", format, err)
		}
		before := tree(t, dest)
		w.server.Before(unreachable)
		if _, err := export.Run(t.Context(), o); err == nil {
			t.Fatalf("%s: expected an error", format)
		}
		sameTree(t, tree(t, dest), before)
		w.server.Before(nil)
	}
}
