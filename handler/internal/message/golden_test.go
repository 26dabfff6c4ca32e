package message_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
)

var update = flag.Bool("update", false, "write the files under testdata")

const (
	plainPost = `{"data":{"id":"1800000000000000003","text":"Good morning, Oslo &amp; all","author_id":"7","created_at":"2024-06-10T08:00:00.000Z",
 "conversation_id":"1800000000000000003","edit_history_tweet_ids":["1800000000000000003"],"lang":"en"},
"includes":{"users":[{"id":"7","username":"Ann","name":"Ann Öberg"}]}}
`
	mediaPost = `{"data":{"id":"1800000000000000004","text":"Look","author_id":"7","created_at":"2024-06-10T08:01:00.000Z",
 "conversation_id":"1800000000000000004","edit_history_tweet_ids":["1800000000000000004"],"attachments":{"media_keys":["3_1","7_2"]}},
"includes":{"users":[{"id":"7","username":"Ann","name":"Ann Öberg"}],
 "media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/x.png","alt_text":"A red square","width":2,"height":2},
          {"media_key":"7_2","type":"video","duration_ms":1500,"variants":[{"bit_rate":1,"content_type":"video/mp4","url":"https://video.twimg.com/v/film.mp4"}]}]}}
`
	editedPost = `{"data":{"id":"1800000000000000006","text":"Second words","author_id":"7","created_at":"2024-06-10T08:02:00.000Z",
 "conversation_id":"1800000000000000005","edit_history_tweet_ids":["1800000000000000005","1800000000000000006"]},
"includes":{"users":[{"id":"7","username":"Ann","name":"Ann Öberg"}]}}
`
)

// golden are messages whose bytes are under review. The items that the Import
// service receives of them are among the files of package importer.
func golden(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	write := func(name, doc string, s message.Supplement, change func([]message.Attachment) []message.Attachment) {
		p, err := post.Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		attachments := attach(p, map[string]string{"3_1": "\x89PNG the square", "7_2": "film"}, nil)
		if change != nil {
			attachments = change(attachments)
		}
		var b bytes.Buffer
		if s.Name == "" {
			err = format.Write(&b, p, []byte(doc), attachments)
		} else {
			err = format.WriteSupplement(&b, p, []byte(doc), s, attachments)
		}
		if err != nil {
			t.Fatal(err)
		}
		out[name] = b.Bytes()
	}
	write("plain", plainPost, message.Supplement{}, nil)
	write("media", mediaPost, message.Supplement{}, nil)
	write("media-missing", mediaPost, message.Supplement{}, func(a []message.Attachment) []message.Attachment {
		a[0].Source, a[0].NotBetter = "https://pbs.twimg.com/media/x.png", "status 404"
		a[1].Body, a[1].Missing, a[1].Until = nil, "status 503 for https://video.twimg.com/v/film.mp4", time.Date(2024, 6, 11, 8, 1, 30, 0, time.UTC)
		return a
	})
	write("supplement-media", mediaPost, message.Supplement{Name: "media"}, func(a []message.Attachment) []message.Attachment { return a[1:] })
	write("supplement-missing", editedPost, message.Supplement{Name: "missing", Versions: []message.MissingVersion{{
		ID: "1800000000000000005", From: time.Date(2024, 6, 10, 8, 3, 0, 0, time.UTC), To: time.Date(2024, 6, 11, 8, 3, 0, 0, time.UTC),
		Said: "Not Found Error: Could not find tweet.",
	}}}, nil)
	write("supplement-version", mediaPost, message.Supplement{Name: "version", Changes: []post.Change{post.ChangedText, post.ChangedMedia}},
		func(a []message.Attachment) []message.Attachment { return a[:1] })
	for _, name := range caseNames(t) {
		for _, d := range caseDocs(t, name) {
			if d.Err == nil {
				out[name+"-"+d.ID] = writeDoc(t, d)
			}
		}
	}
	for name, d := range kinds(t) {
		out[name] = writeDoc(t, d)
	}
	return out
}

// kinds are the documents of testdata/kinds, by name.
func kinds(t testing.TB) map[string]post.Document {
	t.Helper()
	files, err := filepath.Glob("testdata/kinds/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents under testdata/kinds, %v", err)
	}
	out := map[string]post.Document{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := post.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = post.Document{ID: p.ID, JSON: raw, Post: p}
	}
	return out
}

// TestGolden: the same post gives the same bytes in every version of the connector.
func TestGolden(t *testing.T) {
	for name, got := range golden(t) {
		file := filepath.Join("testdata", name+".eml")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is written now (go test -update writes it):\n%s", file, got)
		}
	}
}

// TestStatements: what a message states of its media is in its text and in its HTML,
// and is read back.
func TestStatements(t *testing.T) {
	const (
		missing = "status 503 for https://video.twimg.com/v/film.mp4; asked for again until 11 June 2024, 08:01:30 UTC"
		kept    = "kept: https://pbs.twimg.com/media/x.png; the original: status 404"
	)
	m, err := message.Read(bytes.NewReader(golden(t)["media-missing"]))
	if err != nil {
		t.Fatal(err)
	}
	if m.Missing["7_2"] != missing || m.Supplement != "" || m.Key() != "1800000000000000004" {
		t.Errorf("missing %q, supplement %q, key %s", m.Missing, m.Supplement, m.Key())
	}
	html, err := m.HTML()
	if err != nil {
		t.Fatal(err)
	}
	texts := readBodies(t, golden(t)["media-missing"])
	for what, text := range map[string]string{"HTML read back": html, "HTML": texts["text/html"], "text": texts["text/plain"]} {
		for _, want := range []string{"not archived: " + missing, kept} {
			if !strings.Contains(text, want) {
				t.Errorf("the %s lacks %q:\n%s", what, want, text)
			}
		}
	}
}

// TestSupplements: a supplement answers its post's message and says what it is.
func TestSupplements(t *testing.T) {
	for name, want := range map[string]struct {
		key, id, parent, references, subject string
		says, not                            []string
	}{
		"supplement-media": {"1800000000000000004.media", "<1800000000000000004.media@x.com>", "<1800000000000000004@x.com>", "<1800000000000000004@x.com>", "Media of: Look",
			[]string{"media of the post below", "Look"}, []string{"Photo"}},
		"supplement-missing": {"1800000000000000006.missing", "<1800000000000000006.missing@x.com>", "<1800000000000000006.2@x.com>",
			"<1800000000000000005@x.com> <1800000000000000006.2@x.com>", "Earlier version missing: Second words",
			[]string{"Version 1800000000000000005: asked for from 10 June 2024, 08:03:00 UTC to 11 June 2024, 08:03:00 UTC; X said: Not Found Error: Could not find tweet."}, nil},
	} {
		raw := golden(t)[name]
		m, err := message.Read(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if m.Key() != want.key {
			t.Errorf("%s: key %s, want %s", name, m.Key(), want.key)
		}
		header := readHeader(t, raw)
		for field, want := range map[string]string{"Message-ID": want.id, "In-Reply-To": want.parent, "References": want.references, "Subject": want.subject} {
			if got := header.Get(field); got != want {
				t.Errorf("%s: %s %q, want %q", name, field, got, want)
			}
		}
		html, err := m.HTML()
		if err != nil {
			t.Fatal(err)
		}
		texts := readBodies(t, raw)
		for what, text := range map[string]string{"HTML read back": html, "HTML": texts["text/html"], "text": texts["text/plain"]} {
			for _, part := range want.says {
				if !strings.Contains(text, part) {
					t.Errorf("%s: the %s lacks %q:\n%s", name, what, part, text)
				}
			}
			for _, part := range want.not {
				if strings.Contains(text, part) {
					t.Errorf("%s: the %s has %q:\n%s", name, what, part, text)
				}
			}
		}
	}
}

// TestSupplementName: a name is part of file names, and nothing else is taken.
func TestSupplementName(t *testing.T) {
	p, err := post.Parse([]byte(plainPost))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "Media", "media.", "media.0", "media.02", "media/2", "media\r\nBcc: x", "../x"} {
		if err := format.WriteSupplement(new(bytes.Buffer), p, []byte(plainPost), message.Supplement{Name: name}, nil); err == nil {
			t.Errorf("a supplement named %q was written", name)
		}
	}
	raw := bytes.Replace(golden(t)["supplement-media"], []byte("X-Twitter-Supplement: media"), []byte("X-Twitter-Supplement: ../media"), 1)
	if _, err := message.Read(bytes.NewReader(raw)); err == nil {
		t.Error("a supplement named ../media was read")
	}
}
