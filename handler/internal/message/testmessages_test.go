package message_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"

	gomessage "github.com/emersion/go-message"
)

// Bytes that are known for what they are: a picture of one pixel, and the beginning of
// a film.
const (
	pngBytes  = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"
	jpegBytes = "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"
	gifBytes  = "GIF89a\x01\x00\x01\x00\x00\x00\x00"
	webpBytes = "RIFF\x24\x00\x00\x00WEBPVP8 "
	mp4Bytes  = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
)

// caseNames are the folders of testdata/cases.
func caseNames(t testing.TB) []string {
	t.Helper()
	folders, err := filepath.Glob("testdata/cases/*/posts.json")
	if err != nil || len(folders) < 15 {
		t.Fatalf("%d cases, %v; want 15 or more", len(folders), err)
	}
	for i, f := range folders {
		folders[i] = filepath.Base(filepath.Dir(f))
	}
	return folders
}

// caseDocs are the documents of a case's answer of X. What it lacks is looked up once
// among the posts that the answer includes.
func caseDocs(t *testing.T, name string) []post.Document {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata/cases", name, "posts.json"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := post.SplitPage(raw)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Includes map[string]json.RawMessage `json:"includes"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	all, err := json.Marshal(map[string]any{"data": e.Includes["tweets"], "includes": e.Includes})
	if err != nil {
		t.Fatal(err)
	}
	found, err := post.SplitPage(all)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range page.Posts {
		if lacks := d.Lacks(); len(lacks) > 0 {
			page.Posts[i] = post.Complete(d, found)
		}
	}
	return page.Posts
}

// caseMessage is the message of a post of a case, with all its media.
func caseMessage(t *testing.T, name, id string) ([]byte, *post.Post) {
	t.Helper()
	for _, d := range caseDocs(t, name) {
		if d.ID != id {
			continue
		}
		if d.Err != nil {
			t.Fatalf("%s: %v", id, d.Err)
		}
		return writeDoc(t, d), d.Post
	}
	t.Fatalf("case %s has no post %s", name, id)
	return nil, nil
}

// writeDoc writes the message of a document; every media has its file.
func writeDoc(t *testing.T, d post.Document) []byte {
	t.Helper()
	media := append(d.Post.Shown(), d.Post.Stills()...)
	sources := make([]string, len(media))
	for i, m := range media {
		sources[i] = append(m.Sources(), "")[0]
	}
	var attachments []message.Attachment
	for i, name := range message.FileNames(media, sources) {
		a := message.Attachment{Media: media[i], Source: sources[i], Name: name, Type: message.TypeOf(name)}
		switch a.Type {
		case "video/mp4":
			a.Body = strings.NewReader(mp4Bytes)
		default:
			a.Body = strings.NewReader(pngBytes)
		}
		if sources[i] == "" {
			a.Body, a.Missing = nil, media[i].NoFile()
		}
		attachments = append(attachments, a)
	}
	var b bytes.Buffer
	if err := format.Write(&b, d.Post, d.JSON, attachments); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// media lists the names of a message's media files.
func media(t *testing.T, raw []byte) (names []string) {
	t.Helper()
	m, err := message.Open(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := m.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, part.Name)
	}
}

// says fails unless the text has every line, and the HTML what is drawn of it.
func says(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("the %s lacks %q:\n%s", what, want, text)
		}
	}
}

func saysNot(t *testing.T, what, text string, unwanted ...string) {
	t.Helper()
	for _, part := range unwanted {
		if strings.Contains(text, part) {
			t.Errorf("the %s has %q:\n%s", what, part, text)
		}
	}
}

// structure is the tree of a message's parts: of a file its disposition, name and
// Content-ID, too.
func structure(t *testing.T, raw []byte) string {
	t.Helper()
	var describe func(e *gomessage.Entity) string
	describe = func(e *gomessage.Entity) string {
		kind, _, err := e.Header.ContentType()
		if err != nil {
			t.Fatal(err)
		}
		parts := e.MultipartReader()
		if parts == nil {
			if disposition, params, _ := e.Header.ContentDisposition(); disposition != "" {
				kind += ";" + disposition + ";" + params["filename"] + ";" + e.Header.Get("Content-Id")
			}
			_, err := io.Copy(io.Discard, e.Body)
			if err != nil {
				t.Fatal(err)
			}
			return kind
		}
		var inner []string
		for {
			part, err := parts.NextPart()
			if err == io.EOF {
				return kind + "(" + strings.Join(inner, " ") + ")"
			}
			if err != nil {
				t.Fatal(err)
			}
			inner = append(inner, describe(part))
		}
	}
	e, err := gomessage.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return describe(e)
}

func subjectOf(t *testing.T, raw []byte) string {
	t.Helper()
	h := readHeader(t, raw)
	s, err := h.Subject()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
