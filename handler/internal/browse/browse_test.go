package browse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/browse"
	"xarchive/handler/internal/export"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/blobs"
)

const account = "7"

var begin = time.Date(2024, 12, 20, 12, 0, 0, 0, time.UTC)

// world is an archive in memory.
type world struct {
	browse.Browser
	t         *testing.T
	container *blob.Container
	server    *blobs.Server
}

func newWorld(t *testing.T) *world {
	c, s := blobtest.Server(t)
	return &world{browse.Browser{Archive: archive.New(c), Now: func() time.Time { return begin.AddDate(1, 0, 0) }}, t, c, s}
}

// post archives a post, a picture with it, and returns its entry.
func (w *world) post(n int, at time.Time, text string) archive.Entry {
	w.t.Helper()
	id := fmt.Sprint(1000 + n)
	data := map[string]any{"id": id, "text": text, "author_id": account, "created_at": at.Format(time.RFC3339), "attachments": map[string]any{"media_keys": []string{"3_1"}}}
	if n%2 == 1 {
		data["referenced_tweets"] = []any{map[string]any{"type": "replied_to", "id": "50"}}
	}
	document, err := json.Marshal(map[string]any{"data": data, "includes": map[string]any{
		"users": []any{map[string]any{"id": account, "username": "Contoso", "name": "Contoso"}},
		"media": []any{map[string]any{"media_key": "3_1", "type": "photo", "url": "https://pbs.twimg.com/media/a.png", "width": 1, "height": 1}},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := post.Parse(document)
	if err != nil {
		w.t.Fatal(err)
	}
	var raw bytes.Buffer
	picture := []byte("\x89PNG\r\n\x1a\n0000")
	if err := (message.Format{To: "archive@contoso.example"}).Write(&raw, p, document, []message.Attachment{{Media: p.Shown()[0], Source: "https://pbs.twimg.com/media/a.png", Name: "a.png", Type: "image/png", Body: bytes.NewReader(picture)}}); err != nil {
		w.t.Fatal(err)
	}
	e, _, err := w.Archive.Put(w.t.Context(), account, archive.Message{Key: id, PostID: id, Created: at, Kind: p.Kind()}, func(to io.Writer) error {
		_, err := to.Write(raw.Bytes())
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) find(q export.Query, before string) browse.Found {
	w.t.Helper()
	q.Account, q.Format = account, export.Zip
	f, err := w.Find(w.t.Context(), q, before)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// TestFind: a search finds the newest first, says what it looked at, and goes on where
// it stopped; nothing is left out between.
func TestFind(t *testing.T) {
	w := newWorld(t)
	for n := range 60 {
		w.post(n, begin.Add(time.Duration(n)*7*time.Hour), fmt.Sprintf("Number %d", n))
	}
	var all []string
	before := ""
	for range 10 {
		f := w.find(export.Query{}, before)
		for _, m := range f.Messages {
			all = append(all, m.Key)
			if !strings.HasPrefix(m.Preview, "Number ") {
				t.Errorf("%s is previewed as %q", m.Key, m.Preview)
			}
		}
		if before = f.Next; before == "" {
			break
		}
	}
	for i, key := range all {
		if want := fmt.Sprint(1059 - i); key != want {
			t.Fatalf("message %d is %s, expected %s", i, key, want)
		}
	}
	if len(all) != 60 {
		t.Fatalf("%d messages are found, expected 60", len(all))
	}
	if f := w.find(export.Query{Text: "number 7"}, ""); len(f.Messages) != 1 || f.Messages[0].Key != "1007" || f.Looked != 60 || f.Next != "" {
		t.Errorf("by text: %+v", f)
	}
	if f := w.find(export.Query{Kinds: []post.Kind{post.Reply}}, ""); len(f.Messages) != 25 || f.Messages[0].Key != "1059" || f.Messages[1].Key != "1057" {
		t.Errorf("by kind: %+v", f)
	}
	if f := w.find(export.Query{From: begin, To: begin.Add(14 * time.Hour)}, ""); len(f.Messages) != 3 || f.Messages[2].Key != "1000" || f.Next != "" {
		t.Errorf("by time: %+v", f)
	}
	if f := w.find(export.Query{From: begin.AddDate(1, 0, 0)}, ""); f.Looked != 0 || f.Next != "" {
		t.Errorf("in a time without posts: %+v", f)
	}
	t.Run("bounded", func(t *testing.T) {
		for n := 60; n < 340; n++ {
			w.post(n, begin.Add(time.Duration(n)*7*time.Hour), "another")
		}
		f := w.find(export.Query{Text: "number 7"}, "")
		if len(f.Messages) != 0 || f.Next == "" || f.Opened < 300 || f.Opened > 320 {
			t.Errorf("a search that must stop: %d opened, next %q", f.Opened, f.Next)
		}
		if f = w.find(export.Query{Text: "number 7"}, f.Next); len(f.Messages) != 1 || f.Next != "" {
			t.Errorf("and go on: %+v", f)
		}
	})
}

// TestCount: posts are counted by month and kind, of all years.
func TestCount(t *testing.T) {
	w := newWorld(t)
	for n := range 5 {
		w.post(n, begin.AddDate(0, n*2, 0), "x")
	}
	c, err := w.Count(t.Context(), account)
	if err != nil || c.Posts != 5 || len(c.Months) != 9 || c.Months[0].Posts != 1 || c.Months[1].Posts != 0 || c.Kinds[post.Reply] != 2 || c.Kinds[post.Tweet] != 3 ||
		!c.Oldest.Equal(begin) || !c.Newest.Equal(begin.AddDate(0, 8, 0)) || !c.From.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := w.Count(t.Context(), "8"); err != nil || c.Posts != 0 || len(c.Months) != 0 {
		t.Errorf("an account without messages: %+v, %v", c, err)
	}
}

// TestShow: a message is shown with its own HTML and pictures, and its bytes are
// compared with their hash while one looks.
func TestShow(t *testing.T) {
	w := newWorld(t)
	e := w.post(0, begin, `Look <script>alert(1)</script>`)
	found, err := w.Entry(t.Context(), e.Name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Show(t.Context(), found)
	if err != nil || !s.Compared || s.Altered || len(s.Files) != 2 || s.Problem != "" || !strings.Contains(s.HTML, `src="data:image/png;base64,iVBORw0KGgo`) || strings.Contains(s.HTML, "cid:") || strings.Contains(s.HTML, "<script") || !strings.Contains(s.From, "Contoso") {
		t.Errorf("%+v, %v", s, err)
	}
	content, _ := w.server.Get(blobtest.Name, e.Name)
	raw := bytes.Clone(content.Content)
	raw[len(raw)/2] ^= 1
	if err := w.container.Remove(t.Context(), e.Name, blob.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.container.Upload(t.Context(), e.Name, blob.Upload{Metadata: func(string) map[string]string { return content.Metadata }}, func(to io.Writer) error {
		_, err := to.Write(raw)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if s, err = w.Show(t.Context(), found); err != nil || !s.Compared || !s.Altered {
		t.Errorf("an altered message: compared %v, altered %v, %v", s.Compared, s.Altered, err)
	}
	if err := w.Copy(t.Context(), io.Discard, found); !errors.Is(err, archive.ErrAltered) {
		t.Errorf("its download: %v", err)
	}
	for _, name := range []string{"", "7", "7/manifest/00000001.jsonl", "x/2024/01/01/1.eml", "7/../8/1.eml", "7/2024/01/01/1.eml?x", "7/ids/5"} {
		if _, err := w.Entry(t.Context(), name); !errors.Is(err, browse.ErrName) {
			t.Errorf("%q: %v, expected ErrName", name, err)
		}
	}
	if _, err := w.Entry(t.Context(), "7/2024/01/01/1.eml"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("a message that is not there: %v", err)
	}
}
