package export_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
)

func supplementOf(id string) archive.Message {
	return archive.Message{Key: id + ".media", PostID: id, Created: begin, Kind: post.Tweet}
}

func kinds(t *testing.T, text string) []post.Kind {
	t.Helper()
	k, err := export.ParseKinds(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// alter writes other bytes under a message's name and metadata.
func (w *world) alter(t *testing.T, e archive.Entry, raw string) {
	t.Helper()
	_, err := w.container.Upload(t.Context(), e.Name, blob.Upload{Type: "message/rfc822", Metadata: func(string) map[string]string {
		return map[string]string{"postid": e.PostID, "created": e.Created.Format("2006-01-02T15:04:05.000Z07:00"), "kind": string(e.Kind), "sha256": e.SHA256}
	}}, func(to io.Writer) error {
		_, err := io.WriteString(to, raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLeftOut: a message that is altered, foreign or gone is in no format; it is
// reported and in the manifest. All others are there.
func TestLeftOut(t *testing.T) {
	for _, format := range export.Formats() {
		t.Run(string(format), func(t *testing.T) {
			w := newWorld(t)
			w.fill(t)
			entries := w.entries(t)
			whole := w.content(entries[3].Name)
			w.alter(t, entries[3], "X"+whole[1:])
			foreign := strings.TrimSuffix(entries[5].Name, ".eml") + "x.eml"
			if _, err := w.container.Write(t.Context(), foreign, []byte("foreign bytes"), blob.Condition{}); err != nil {
				t.Fatal(err)
			}
			gone := entries[9].Name
			w.server.Before(func(op blobs.Op) error {
				if op.Blob == gone {
					return &blobs.Answer{Status: 404, Code: "BlobNotFound"}
				}
				return nil
			})
			dest := filepath.Join(t.TempDir(), "out")
			o := w.options(format, dest)
			reported := map[string]string{}
			o.LeftOut = func(l export.LeftOut) { reported[l.Source] = l.Reason }
			status := run(t, o)
			want := map[string]string{entries[3].Name: "altered", foreign: "foreign", gone: "gone"}
			if status.LeftOut != 3 || status.Messages != len(entries)-2 || len(reported) != 3 {
				t.Errorf("status %+v, reported %q", status, reported)
			}
			lines := tree(t, dest)["out.manifest.jsonl"]
			if format == export.Zip {
				lines = unzip(t, dest)["manifest.jsonl"]
			}
			named := map[string]bool{}
			for _, i := range manifest(t, lines) {
				if word := want[i.Source]; word != "" {
					named[i.Source] = true
					if !strings.HasPrefix(i.LeftOut, word) || i.Path != "" || !strings.HasPrefix(reported[i.Source], word) {
						t.Errorf("%s: manifest %+v, reported %q, expected %q", i.Source, i, reported[i.Source], word)
					}
				} else if i.LeftOut != "" {
					t.Errorf("%s is left out: %s", i.Source, i.LeftOut)
				}
			}
			if len(named) != len(want) {
				t.Errorf("the manifest names %v of %v", named, want)
			}
			for path, data := range tree(t, dest) {
				if strings.Contains(data, "X"+whole[1:200]) || strings.Contains(data, "foreign bytes") {
					t.Errorf("%s has bytes that were not archived", path)
				}
			}
		})
	}
}

// TestUnsearchable: a message whose text cannot be read is not passed over in silence.
func TestUnsearchable(t *testing.T) {
	w := newWorld(t)
	w.post(t, 0, "needle")
	w.put(t, archive.Message{Key: "900", PostID: "900", Created: begin, Kind: post.Tweet}, "no message of ours")
	o := w.options(export.EML, filepath.Join(t.TempDir(), "out"))
	o.Query.Text = "needle"
	var reason string
	o.LeftOut = func(l export.LeftOut) { reason = l.Reason }
	if status := run(t, o); status.Messages != 1 || status.LeftOut != 1 || !strings.HasPrefix(reason, "unreadable") {
		t.Errorf("status %+v, reason %q, expected one message and one unreadable", status, reason)
	}
}

// TestNoAccount: an account that the archive does not know is an error; a time
// without posts is not.
func TestNoAccount(t *testing.T) {
	w := newWorld(t)
	w.post(t, 0, "one")
	for _, format := range export.Formats() {
		dest := filepath.Join(t.TempDir(), "out")
		o := w.options(format, dest)
		o.Query.Account = "8"
		if _, err := export.Run(t.Context(), o); !errors.Is(err, export.ErrNoAccount) {
			t.Errorf("%s: %v, expected ErrNoAccount", format, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(dest)); len(left) > 0 {
			t.Errorf("%s: %v is left", format, left)
		}
		o.Query.Account, o.Query.From = account, begin.AddDate(1, 0, 0)
		if status := run(t, o); status.Messages != 0 {
			t.Errorf("%s: status %+v, expected no messages", format, status)
		}
		if format == export.Zip {
			unzip(t, dest)
		}
	}
}

// TestOccupied: what is not of this export is left as it is.
func TestOccupied(t *testing.T) {
	w := newWorld(t)
	w.fill(t)
	for _, format := range export.Formats() {
		dest := filepath.Join(t.TempDir(), "out")
		mine := filepath.Join(dest, "new", "mine")
		if format == export.Mbox || format == export.Zip {
			mine = dest
		}
		if err := os.MkdirAll(filepath.Dir(mine), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := tree(t, dest)
		if _, err := export.Run(t.Context(), w.options(format, dest)); !errors.Is(err, export.ErrOccupied) {
			t.Errorf("%s: %v, expected ErrOccupied", format, err)
		}
		sameTree(t, tree(t, dest), before)

		// Nor does one export take over what another began.
		dest = filepath.Join(t.TempDir(), "out")
		if _, err := export.Run(w.stop(t, 20), w.options(format, dest)); !errors.Is(err, errStop) {
			t.Fatalf("%s: %v, expected to be stopped", format, err)
		}
		w.server.Before(nil)
		other := w.options(format, dest)
		other.Query.From = begin
		before = tree(t, dest)
		if _, err := export.Run(t.Context(), other); !errors.Is(err, export.ErrOccupied) {
			t.Errorf("%s: %v, expected ErrOccupied", format, err)
		}
		sameTree(t, tree(t, dest), before)
	}
}

// TestQueries: what cannot be asked for is refused with words.
func TestQueries(t *testing.T) {
	good := export.Query{Account: "7", Format: export.EML}
	for _, c := range []struct {
		change func(*export.Query)
		says   string
	}{
		{func(q *export.Query) { q.Account = "@contoso" }, "account's id"},
		{func(q *export.Query) { q.Account = "../7" }, "account's id"},
		{func(q *export.Query) { q.Format = "pst" }, "maildir, mbox, eml, zip, review-set"},
		{func(q *export.Query) { q.From, q.To = begin, begin.Add(-1) }, "before the beginning"},
		{func(q *export.Query) { q.Mailbox = "a@contoso.example" }, "only for a review set"},
		{func(q *export.Query) { q.Format, q.Mailbox = export.ReviewSet, "../a" }, "not a mail address"},
	} {
		q := good
		c.change(&q)
		if err := q.Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, expected it to say %q", q, err, c.says)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	if _, err := export.ParseKinds("Tweet,Thread"); err == nil || !strings.Contains(err.Error(), "Retweet") {
		t.Errorf("an unknown kind: %v", err)
	}
}
