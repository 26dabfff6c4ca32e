package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
)

var noon = time.Date(2024, 6, 10, 12, 0, 0, 5e6, time.UTC)

// message is a post's own message.
func message(id string, created time.Time) archive.Message {
	return archive.Message{Key: id, PostID: id, Created: created, Kind: post.Tweet}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func put(t *testing.T, a *archive.Archive, account string, m archive.Message) archive.Entry {
	t.Helper()
	e, _, err := a.Put(t.Context(), account, m, text(m.Key))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func read(t *testing.T, a *archive.Archive, e archive.Entry) string {
	t.Helper()
	r, err := a.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A message is written once: what is there first stays.
func TestPutOnce(t *testing.T) {
	for name, c := range map[string]*blob.Container{"memory": blobtest.Container(t), "Azurite": blobtest.Azurite(t)} {
		t.Run(name, func(t *testing.T) {
			ctx, a := t.Context(), archive.New(c)
			if _, err := a.Find(ctx, archive.Name("7", noon, "1800")); !errors.Is(err, archive.ErrNotFound) {
				t.Fatalf("before: %v, expected ErrNotFound", err)
			}
			e, added, err := a.Put(ctx, "7", message("1800", noon.Add(time.Microsecond)), text("first"))
			if err != nil || !added {
				t.Fatal(added, err)
			}
			sum := sha256.Sum256([]byte("first"))
			want := archive.Entry{Name: "7/2024/06/10/1800.eml", Key: "1800", PostID: "1800", Created: noon, Kind: post.Tweet, SHA256: hex.EncodeToString(sum[:])}
			if e != want {
				t.Errorf("entry %+v, expected %+v", e, want)
			}
			again, added, err := a.Put(ctx, "7", message("1800", noon), text("second"))
			if again.Stored.IsZero() || again.Size != int64(len("first")) {
				t.Errorf("a message that is found has the size %d, and was stored %v", again.Size, again.Stored)
			}
			again.Stored, again.Size = time.Time{}, 0
			if err != nil || added || again != want {
				t.Errorf("again: %+v, added %v, %v; expected the first entry", again, added, err)
			}
			supplement, added, err := a.Put(ctx, "7", archive.Message{Key: "1800.media", PostID: "1800", Created: noon, Kind: post.Tweet}, text("file"))
			if err != nil || !added || supplement.PostID != "1800" || supplement.Name != "7/2024/06/10/1800.media.eml" {
				t.Errorf("supplement: %+v, added %v, %v", supplement, added, err)
			}
			found, err := a.Find(ctx, supplement.Name)
			found.Stored, found.Size = time.Time{}, 0
			if err != nil || found != supplement {
				t.Errorf("found %+v, %v; expected %+v", found, err, supplement)
			}
			if got := read(t, a, again); got != "first" {
				t.Errorf("archived %q, expected %q", got, "first")
			}
			if _, _, err := a.Put(ctx, "7", message("18000", noon), text("another")); err != nil {
				t.Fatal(err)
			}
			all, err := a.Supplements(ctx, again)
			if err != nil || len(all) != 1 || all[0].Key != "1800.media" {
				t.Errorf("supplements %+v, %v; want the one", all, err)
			}
		})
	}
}

// TestMetadata: what varies from one capture to the next is beside the message, not in it.
func TestMetadata(t *testing.T) {
	c := blobtest.Container(t)
	m := message("1800", noon)
	m.Digest, m.Captured, m.Connector = "AbC_", noon.Add(time.Minute), "v1"
	e, _, err := archive.New(c).Put(t.Context(), "7", m, text("first"))
	if err != nil || e.Digest != "AbC_" {
		t.Fatal(e, err)
	}
	info, err := c.Stat(t.Context(), e.Name)
	if err != nil || info.Metadata["captured"] != "2024-06-10T12:01:00.005Z" || info.Metadata["connector"] != "v1" || info.Metadata["digest"] != "AbC_" {
		t.Errorf("metadata %v, %v", info.Metadata, err)
	}
}

// A message whose answer was lost was added all the same.
func TestPutWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := blobtest.Server(t)
		a, lost := archive.New(c), false
		s.Before(func(o blobs.Op) error {
			if o.Name != "PutBlob" || lost {
				return nil
			}
			lost = true
			return &blobs.Drop{After: true}
		})
		if e, added, err := a.Put(t.Context(), "7", message("1800000000000000000", mustID(t, "1800000000000000000")), text("x")); err != nil || !added || !lost {
			t.Errorf("%+v, added %v, %v; expected it to be added", e, added, err)
		}
	})
}

// A message that breaks off is not there at all.
func TestPutFails(t *testing.T) {
	c, s := blobtest.Server(t)
	broken := errors.New("broken")
	_, _, err := archive.New(c).Put(t.Context(), "7", message("1", noon), func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 5<<20)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, expected that of the writer", err)
	}
	if _, err := archive.New(c).FindPost(t.Context(), "7", "1"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("found: %v, expected ErrNotFound", err)
	}
	if got := s.Names(blobtest.Name); len(got) != 1 || got[0] != "7/ids/1" {
		t.Errorf("blobs %q; expected the note of its id alone", got)
	}
}

// Bytes that are not those that were archived are never read to their end.
func TestAlteredIsNoticed(t *testing.T) {
	c := blobtest.Container(t)
	a := archive.New(c)
	e := put(t, a, "7", message("1", noon))
	for _, bytes := range []string{"2", "", "11"} {
		_, err := c.Upload(t.Context(), e.Name, blob.Upload{Metadata: func(string) map[string]string { return map[string]string{"sha256": e.SHA256} }}, text(bytes))
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.Open(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, archive.ErrAltered) {
			t.Errorf("reading %q: %v, expected ErrAltered", bytes, err)
		}
		r.Close()
	}
	if err := c.Remove(t.Context(), e.Name, blob.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Open(t.Context(), e); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("opening a removed message: %v, expected ErrNotFound", err)
	}
}

// A blob that looks like a message and is none is named as such, and does not pass
// for the post.
func TestForeign(t *testing.T) {
	c := blobtest.Container(t)
	a := archive.New(c)
	mine := put(t, a, "7", message("1", noon))
	copied := map[string]string{"created": "2024-06-10T12:00:00.005Z", "sha256": mine.SHA256}
	for name, metadata := range map[string]map[string]string{
		"7/2024/06/10/2.eml": nil, "7/2024/06/10/3.eml": {"created": "2024-06-10T12:00:00.005Z"}, "7/2024/06/10/4.eml": {"created": "noon", "sha256": "x"},
		"7/2024/06/11/1.eml": copied, "7/2024/06/10/below/1.eml": copied,
	} {
		if _, err := c.Upload(t.Context(), name, blob.Upload{Metadata: func(string) map[string]string { return metadata }}, text("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Find(t.Context(), name); !errors.Is(err, archive.ErrForeign) {
			t.Errorf("%s: %v, expected ErrForeign", name, err)
		}
	}
	if _, err := a.Find(t.Context(), mine.Name); err != nil {
		t.Error(err)
	}
}

// A post is found by its id alone, in at most two requests if its id tells its day
// or was noted; one from before such notes in a few more.
func TestFindPost(t *testing.T) {
	c, s := blobtest.Server(t)
	a := archive.New(c)
	const id, odd, absent = "1800000000000000000", "1800000000000000001", "1800000000000000002"
	put(t, a, "7", message(id, mustID(t, id)))
	put(t, a, "7", message(odd, noon.AddDate(-3, 0, 0))) // its id tells another day
	put(t, a, "7", message("20", time.Date(2006, 3, 21, 20, 50, 14, 0, time.UTC)))
	for i := range 30 { // that the archive holds more costs nothing
		put(t, a, "7", message(fmt.Sprint(id[:17], 10+i), mustID(t, id).AddDate(0, 0, i)))
	}
	unnoted := archive.Name("7", time.Date(2009, 7, 1, 0, 0, 0, 0, time.UTC), "2400000000")
	if _, err := c.Upload(t.Context(), unnoted, blob.Upload{Metadata: func(sum string) map[string]string {
		return map[string]string{"postid": "2400000000", "created": "2009-07-01T00:00:00.000Z", "kind": "Tweet", "sha256": sum}
	}}, text("x")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		id    string
		found bool
		calls int
	}{{id, true, 1}, {odd, true, 3}, {"20", true, 2}, {absent, false, 2}, {"2400000000", true, 5}, {"21", false, 6}} {
		s.ResetCalls()
		e, err := a.FindPost(t.Context(), "7", test.id)
		if test.found && (err != nil || e.PostID != test.id) || !test.found && !errors.Is(err, archive.ErrNotFound) {
			t.Errorf("post %s: %+v, %v; expected it to be found: %v", test.id, e, err, test.found)
		}
		if n := s.Calls().All(); n > test.calls {
			t.Errorf("post %s: %d requests, expected at most %d", test.id, n, test.calls)
		}
	}
	if _, err := a.FindPost(t.Context(), "8", id); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("another account's: %v, expected ErrNotFound", err)
	}
	s.Before(func(blobs.Op) error { return &blobs.Answer{Status: 403, Code: "AuthorizationFailure"} })
	for _, id := range []string{id, odd, "20", "21"} {
		if _, err := a.FindPost(t.Context(), "7", id); err == nil || errors.Is(err, archive.ErrNotFound) {
			t.Errorf("post %s while the service refuses: %v; a failure is not absence", id, err)
		}
	}
}

func mustID(t *testing.T, id string) time.Time {
	t.Helper()
	at, ok := post.IDTime(id)
	if !ok {
		t.Fatalf("%s tells no time", id)
	}
	return at
}

// A long message streams through bounded memory and comes back whole.
func TestLongMessage(t *testing.T) {
	a := archive.New(blobtest.Azurite(t))
	data := bytes.Repeat([]byte("0123456789abcde\n"), 9<<16)
	e, _, err := a.Put(t.Context(), "7", message("1", noon), func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if read(t, a, e) != string(data) {
		t.Error("it does not come back")
	}
}

// TestFindPosts: the years before ids told their time are listed once, however many
// posts of such ids are looked for.
func TestFindPosts(t *testing.T) {
	c := &counting{Container: blobtest.Container(t)}
	a := archive.New(c)
	put(t, a, "7", message("1", noon))
	early := put(t, a, "7", message("20", time.Date(2009, 5, 1, 0, 0, 0, 0, time.UTC)))
	if err := c.Container.Remove(t.Context(), "7/ids/20", blob.Condition{}); err != nil { // as older versions left it
		t.Fatal(err)
	}
	ids := []string{"1", "20", post.IDAt(noon.Add(time.Hour))}
	for i := range 500 {
		ids = append(ids, fmt.Sprint(1000+i))
	}
	found, err := a.FindPosts(t.Context(), "7", ids)
	if err != nil || len(found) != 2 || found["1"].PostID != "1" || found["20"].Name != early.Name {
		t.Errorf("found %v, %v", found, err)
	}
	if n := c.lists.Load(); n != 5 {
		t.Errorf("%d listings, want one for each year from 2006 to 2010", n)
	}
}

// counting counts listings.
type counting struct {
	*blob.Container
	lists atomic.Int32
}

func (c *counting) List(ctx context.Context, prefix string, metadata bool) iter.Seq2[blob.Info, error] {
	c.lists.Add(1)
	return c.Container.List(ctx, prefix, metadata)
}
