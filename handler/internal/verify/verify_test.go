package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/verify"
	"xarchive/tests/sandbox/blobs"
)

// world is an archive of account 7 with ten messages, one from before there was a
// manifest.
type world struct {
	t         *testing.T
	blobs     *blob.Container
	archive   *archive.Archive
	manifests *manifest.Store
	newest    manifest.Link
	pass      func(time.Duration) // has storage's clock go on
}

var noon = time.Date(2024, 6, 10, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)
	c := blobtest.On(blobs.New(blobs.Options{Now: func() time.Time { return clock }})).Container(blobtest.Name)
	w := &world{t: t, blobs: c, archive: archive.New(c), manifests: manifest.New(c), pass: func(d time.Duration) { clock = clock.Add(d) }}
	w.put("1")
	clock = clock.Add(time.Minute)
	captured := clock
	clock = clock.Add(time.Minute)
	var lines []manifest.Line
	for i := 2; i <= 10; i++ {
		e := w.put(fmt.Sprint(i))
		lines = append(lines, manifest.Line{Key: e.Key, PostID: e.PostID, Path: e.Name, SHA256: e.SHA256, Posted: e.Created, Captured: captured})
	}
	link, err := w.manifests.Append(t.Context(), "7", manifest.Link{}, "2026-06-10", lines)
	if err != nil {
		t.Fatal(err)
	}
	w.newest = link
	return w
}

func (w *world) put(id string) archive.Entry {
	w.t.Helper()
	e, _, err := w.archive.Put(w.t.Context(), "7", archive.Message{Key: id, PostID: id, Created: noon, Kind: post.Tweet}, func(out io.Writer) error {
		_, err := io.WriteString(out, "message "+id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) verify() verify.Report {
	w.t.Helper()
	r, err := verify.Account(context.WithoutCancel(w.t.Context()), verify.Options{Archive: w.archive, Manifests: w.manifests, Account: "7",
		To: noon.AddDate(10, 0, 0), Newest: w.newest, Settled: noon.AddDate(10, 0, 0), Named: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// TestSound: an archive that nobody touched is sound, and its numbers are right.
func TestSound(t *testing.T) {
	w := newWorld(t)
	if r := w.verify(); !r.Sound() || r.Messages != 10 || r.Lines != 9 || r.Unlisted != 1 || r.Bytes != int64(10*len("message 1")+1) {
		t.Errorf("%+v", r)
	}
}

// TestFaults: each way to tamper with an archive is found and named.
func TestFaults(t *testing.T) {
	const name = "7/2024/06/10/5.eml"
	replace := func(w *world, content string) {
		// Whoever can write may also keep the old hash in the metadata, or note the new one.
		_, info, err := w.blobs.Read(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.blobs.Upload(t.Context(), name, blob.Upload{Type: "message/rfc822", Metadata: func(string) map[string]string { return info.Metadata }},
			func(out io.Writer) error { _, err := io.WriteString(out, content); return err }); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		tamper func(w *world)
		kind   func(verify.Report) verify.Faults
		word   string
	}{
		"one flipped byte": {func(w *world) { replace(w, "messagE 5") }, func(r verify.Report) verify.Faults { return r.Altered }, name},
		"another message with a hash of its own": {func(w *world) {
			if err := w.blobs.Remove(t.Context(), name, blob.Condition{}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := w.archive.Put(t.Context(), "7", archive.Message{Key: "5", PostID: "5", Created: noon, Kind: post.Tweet}, func(out io.Writer) error {
				_, err := io.WriteString(out, "a forgery")
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}, func(r verify.Report) verify.Faults { return r.Altered }, name},
		"one removed": {func(w *world) {
			if err := w.blobs.Remove(t.Context(), name, blob.Condition{}); err != nil {
				t.Fatal(err)
			}
		}, func(r verify.Report) verify.Faults { return r.Missing }, name},
		"one added": {func(w *world) { w.put("11") }, func(r verify.Report) verify.Faults { return r.Extra }, "11.eml"},
		"one of nobody's": {func(w *world) {
			if _, err := w.blobs.Write(t.Context(), "7/2024/06/10/x.eml", []byte("x"), blob.Condition{}); err != nil {
				t.Fatal(err)
			}
		}, func(r verify.Report) verify.Faults { return r.Foreign }, "x.eml"},
		"the manifest cut off": {func(w *world) {
			if err := w.blobs.Remove(t.Context(), "7/manifest/00000001.jsonl", blob.Condition{}); err != nil {
				t.Fatal(err)
			}
		}, func(r verify.Report) verify.Faults { return r.Broken }, "00000001"},
	} {
		w := newWorld(t)
		c.tamper(w)
		r := w.verify()
		if r.Sound() || !slices.ContainsFunc(c.kind(r).Named, func(s string) bool { return strings.Contains(s, c.word) }) {
			t.Errorf("%s: not found: %+v", what, r)
		}
	}
}

// TestNotes: notes beside messages are read and compared with the manifest as messages are,
// and one that no line lists is found, unless it is from before the manifest listed any.
func TestNotes(t *testing.T) {
	note := func(w *world, id, what string) manifest.Line {
		t.Helper()
		e, err := w.archive.Find(t.Context(), "7/2024/06/10/"+id+".eml")
		if err != nil {
			t.Fatal(err)
		}
		text := []byte(`{"postId":"` + id + `","is":"` + what + `"}`)
		if _, added, err := w.archive.PutBeside(t.Context(), e.Name, what, text); err != nil || !added {
			t.Fatal(added, err)
		}
		sum := sha256.Sum256(text)
		return manifest.Line{Event: manifest.Gone, Key: id + "." + what, PostID: id, Path: archive.Beside(e.Name, what), SHA256: hex.EncodeToString(sum[:]), Posted: noon, Captured: noon}
	}
	older := func(w *world) { // as the version before wrote it: the manifest lists no notes
		data, _, err := w.blobs.Read(t.Context(), "7/manifest/00000001.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Replace(data, []byte(`"v":3`), []byte(`"v":2`), 1)
		if err := w.blobs.Remove(t.Context(), "7/manifest/00000001.jsonl", blob.Condition{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.blobs.Write(t.Context(), "7/manifest/00000001.jsonl", data, blob.Condition{Absent: true}); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		w.newest.SHA256 = hex.EncodeToString(sum[:])
	}
	list := func(w *world, lines ...manifest.Line) {
		t.Helper()
		var err error
		if w.newest, err = w.manifests.Append(t.Context(), "7", w.newest, "2026-06-11", lines); err != nil {
			t.Fatal(err)
		}
	}
	const name = "7/2024/06/10/5.gone.json"
	for what, c := range map[string]struct {
		make            func(w *world)
		kind            func(verify.Report) verify.Faults // nil: it is sound
		notes, unlisted int
	}{
		"listed":                 {func(w *world) { list(w, note(w, "5", "gone"), note(w, "5", "back"), note(w, "5", "gone.2")) }, nil, 3, 0},
		"none listed by then":    {func(w *world) { older(w); note(w, "5", "gone") }, nil, 1, 1},
		"from before, and later": {func(w *world) { older(w); note(w, "5", "gone"); w.pass(time.Hour); list(w, note(w, "6", "gone")) }, nil, 2, 1},
		"unlisted":               {func(w *world) { list(w, note(w, "6", "gone")); note(w, "5", "gone") }, func(r verify.Report) verify.Faults { return r.Extra }, 1, 0},
		"missing": {func(w *world) {
			list(w, note(w, "5", "gone"))
			if err := w.blobs.Remove(t.Context(), name, blob.Condition{}); err != nil {
				t.Fatal(err)
			}
		}, func(r verify.Report) verify.Faults { return r.Missing }, 0, 0},
		"altered": {func(w *world) {
			list(w, note(w, "5", "gone"))
			if err := w.blobs.Remove(t.Context(), name, blob.Condition{}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := w.archive.PutBeside(t.Context(), "7/2024/06/10/5.eml", "gone", []byte("a forgery with a hash of its own")); err != nil {
				t.Fatal(err)
			}
		}, func(r verify.Report) verify.Faults { return r.Altered }, 1, 0},
		"altered, and listed nowhere": {func(w *world) {
			older(w)
			if _, err := w.blobs.Upload(t.Context(), name, blob.Upload{Metadata: func(string) map[string]string { return map[string]string{"sha256": "ab"} }},
				func(out io.Writer) error { _, err := io.WriteString(out, "x"); return err }); err != nil {
				t.Fatal(err)
			}
		}, func(r verify.Report) verify.Faults { return r.Altered }, 1, 1},
	} {
		w := newWorld(t)
		c.make(w)
		r := w.verify()
		if r.Notes != c.notes || r.UnlistedNotes != c.unlisted || r.Messages != 10 || r.Sound() != (c.kind == nil) {
			t.Errorf("%s: %+v", what, r)
		}
		if c.kind != nil && !slices.ContainsFunc(c.kind(r).Named, func(s string) bool { return strings.Contains(s, name) }) {
			t.Errorf("%s: not named: %+v", what, r)
		}
	}
}

// TestWindow: only the posts of the window are verified.
func TestWindow(t *testing.T) {
	w := newWorld(t)
	r, err := verify.Account(t.Context(), verify.Options{Archive: w.archive, Manifests: w.manifests, Account: "7", From: noon.Add(time.Hour), To: noon.AddDate(1, 0, 0), Newest: w.newest, Settled: noon.AddDate(10, 0, 0), Named: 1000})
	if err != nil || !r.Sound() || r.Messages != 0 || r.Lines != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
