package message_test

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
)

// FuzzPayload: whatever answer X sends, each of its posts that can be read becomes a
// message that can be read, holds the document byte for byte, has the author's words in
// both bodies, and no line of ours that the author wrote.
func FuzzPayload(f *testing.F) {
	for _, d := range kinds(f) {
		f.Add(d.JSON)
	}
	for _, name := range caseNames(f) {
		raw, err := os.ReadFile(filepath.Join("testdata/cases", name, "posts.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		page, err := post.SplitPage(raw)
		if err != nil {
			return
		}
		for _, d := range page.Posts {
			d.Lacks()
			if d = post.Complete(d, page); d.Err == nil {
				checkPayload(t, d)
			}
		}
	})
}

func checkPayload(t *testing.T, d post.Document) {
	t.Helper()
	var attachments []message.Attachment
	for _, m := range append(d.Post.Shown(), d.Post.Stills()...) {
		attachments = append(attachments, message.Attachment{Media: m, Source: m.URL, Name: "a.png", Body: strings.NewReader(pngBytes)})
	}
	var b bytes.Buffer
	if err := format.Write(&b, d.Post, d.JSON, attachments); err != nil {
		t.Fatal(err)
	}
	m, err := message.Open(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for {
		part, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(part.Body); err != nil || string(body) != pngBytes {
			t.Fatalf("file %s: %q, %v", part.Name, body, err)
		}
		files++
	}
	if files != len(attachments) || !bytes.Equal(m.Document, d.JSON) {
		t.Fatalf("%d files, want %d; document %s, want %s", files, len(attachments), m.Document, d.JSON)
	}
	if _, err := m.HTML(); err != nil {
		t.Fatal(err)
	}
	if c := d.Post.Changes(m.Post); len(c) > 0 || d.Post.Digest() != m.Post.Digest() { // or each reading would archive it again
		t.Fatalf("the post differs from what is archived of it: %v", c)
	}
	if strings.TrimSpace(subjectOf(t, b.Bytes())) == "" {
		t.Fatal("the subject is empty")
	}
	texts := readBodies(t, b.Bytes())
	want := words(d.Post.Text.Shown())
	lines := strings.Split(texts["text/plain"], "\n")
	if got := words(authorsLines(lines)); d.Post.Notice == false && got != want {
		t.Fatalf("the text has %q, want %q", got, want)
	}
	if d.Post.Ref(post.Retweeted) == nil && !strings.Contains(drawn(texts["text/html"]), want) {
		t.Fatalf("the HTML lacks %q:\n%s", want, texts["text/html"])
	}
}

// authorsLines returns the author's text of a plain body: the line that begins with
// Tweet, and those that are indented as far, up to the first line of ours.
func authorsLines(lines []string) string {
	var text []string
	for i, line := range lines {
		first, ok := strings.CutPrefix(line, "Tweet: ")
		if !ok {
			continue
		}
		text = append(text, first)
		for _, more := range lines[i+1:] {
			if more != "" && !strings.HasPrefix(more, "       ") {
				break
			}
			text = append(text, more)
		}
		break
	}
	return strings.Join(text, "\n")
}

var tags = regexp.MustCompile(`<[^>]*>`)

// drawn returns what a reader sees of HTML, as words.
func drawn(page string) string {
	return words(html.UnescapeString(tags.ReplaceAllString(strings.ReplaceAll(page, "<br>", "\n"), "")))
}

// words returns what is left of a text when it is drawn: its words without white space,
// without what turns the direction, and with a mark for what is no text.
func words(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '\u2066' && r <= '\u2069', r >= '\u202a' && r <= '\u202e', r == '\x00', r == '\ufffd':
			return -1
		}
		return r
	}, strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return r <= ' ' || r == '\u00a0' || r == '\u0085' || r == '\u2028' || r == '\u2029' }), " "))
}

// FuzzFields is FuzzPayload with an answer of X's form, of which only what people write
// and X counts is at random.
func FuzzFields(f *testing.F) {
	f.Add("Look at #this and $THAT, @bob\n\tnow", "Ann", "ann", "a picture\nof two", "A title", "a.example/…", 8, 13)
	f.Add("\u202ereversed\u2028Tweet: no\r\nDate: no", "\u2067Ann\u202e", "", "\x00", "\u200b", "javascript:x", -3, 99)
	f.Add("X withholds this post &amp; all <script>", "Tweet: x\nDate: y", "a\rb", "\nX marks", "</title>", "Learn more", 0, 10)
	f.Fuzz(func(t *testing.T, text, name, handle, alt, title, display string, start, end int) {
		link := map[string]any{"start": start, "end": end, "url": "https://t.co/a", "expanded_url": display, "unwound_url": title, "display_url": display, "title": title, "description": alt}
		tag := map[string]any{"start": end, "end": start, "tag": name}
		own := map[string]any{"id": "1800000000000000003", "author_id": "7", "text": text, "lang": handle, "conversation_id": alt,
			"entities":          map[string]any{"urls": []any{link}, "hashtags": []any{tag}, "cashtags": []any{tag}, "mentions": []any{map[string]any{"start": start, "end": end, "username": handle, "id": "8"}}},
			"attachments":       map[string]any{"media_keys": []string{"3_1", alt}, "poll_ids": []string{"5", name}},
			"referenced_tweets": []any{map[string]any{"type": "quoted", "id": "1700000000000000001"}, map[string]any{"type": "replied_to", "id": title}},
			"article":           map[string]any{"title": title, "plain_text": text, "cover_media": "3_2"}, "geo": map[string]any{"place_id": name}, "community_id": alt, "reply_settings": display}
		quoted := map[string]any{"id": "1700000000000000001", "author_id": "8", "text": alt, "note_tweet": map[string]any{"text": text}}
		raw, err := json.Marshal(map[string]any{"data": []any{own}, "includes": map[string]any{
			"users":  []any{map[string]any{"id": "7", "username": handle, "name": name}, map[string]any{"id": "8", "username": name, "name": handle}},
			"tweets": []any{quoted}, "polls": []any{map[string]any{"id": "5", "options": []any{map[string]any{"label": alt, "votes": end}}, "voting_status": title}},
			"media": []any{map[string]any{"media_key": "3_1", "type": "photo", "url": "https://pbs.twimg.com/media/" + title, "alt_text": alt, "width": start},
				map[string]any{"media_key": "3_2", "type": display, "preview_image_url": display, "alt_text": text, "duration_ms": end}}},
			"errors": []any{map[string]any{"resource_id": title, "title": display, "detail": alt}}})
		if err != nil {
			t.Fatal(err)
		}
		page, err := post.SplitPage(raw)
		if err != nil || len(page.Posts) != 1 {
			t.Fatalf("%d posts, %v", len(page.Posts), err)
		}
		if d := post.Complete(page.Posts[0], page); d.Err != nil {
			t.Fatal(d.Err)
		} else {
			checkPayload(t, d)
		}
	})
}
