package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// user is what the corpus says of an account.
type user struct {
	ID, Name, Username string
}

func (w *world) user(id string) user {
	var u user
	if raw, ok := w.Corpus.User(id); ok {
		_ = json.Unmarshal(raw, &u) // the corpus has checked it
	}
	return u
}

// plain is the text of a post as X's page shows it: unescaped, with the short form of
// each address in its place, and without those that only stand for its media.
func plain(p corpus.Post) string {
	type entities struct {
		URLs []struct {
			URL     string `json:"url"`
			Display string `json:"display_url"`
			Key     string `json:"media_key"`
		} `json:"urls"`
	}
	var post struct {
		Entities entities `json:"entities"`
		Note     struct {
			Entities entities `json:"entities"`
		} `json:"note_tweet"`
	}
	_ = json.Unmarshal(p.Raw, &post) // the corpus has checked it
	found := post.Entities.URLs
	if len(post.Note.Entities.URLs) > 0 {
		found = post.Note.Entities.URLs
	}
	text := p.Text
	for _, u := range found {
		display := u.Display
		if display == "" {
			continue
		}
		if strings.HasPrefix(display, "pic.") && len(p.MediaKeys) > 0 || u.Key != "" && slices.Contains(p.MediaKeys, u.Key) {
			display = ""
		}
		text = strings.ReplaceAll(text, u.URL, display)
	}
	return html.UnescapeString(text)
}

// files are the media files that a reader of the post sees and that X has: its own,
// and those of the post that it repeats, quotes or answers.
func (w *world) files(p corpus.Post) map[string][]byte {
	out := map[string][]byte{}
	add := func(p corpus.Post) {
		for _, f := range w.Corpus.Files(p) {
			if file, _, ok := w.Corpus.Media(f.Name); ok {
				data, err := io.ReadAll(file)
				file.Close()
				if err != nil {
					w.t.Error(err)
				}
				out[f.Name] = data
			}
		}
	}
	add(p)
	for _, r := range p.Refs {
		if original, ok := w.Corpus.Post(r.ID); ok {
			add(original)
		}
	}
	return out
}

// checkMessage holds a message, read by go-message, against the corpus.
func (w *world) checkMessage(p corpus.Post, eml []byte) {
	w.t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(eml))
	if err != nil {
		w.t.Errorf("post %s: %v", p.ID, err)
		return
	}
	wrong := func(format string, args ...any) {
		w.t.Errorf("message of post %s: %s", p.ID, fmt.Sprintf(format, args...))
	}
	author := w.user(p.AuthorID)
	from, err := r.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != strings.ToLower(author.Username)+"@x.invalid" || !strings.Contains(from[0].Name, "@"+author.Username) {
		wrong("From %v, %v", from, err)
	}
	if to, err := r.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != sandbox.ArchiveMailbox {
		wrong("To %v, %v", to, err)
	}
	if date, err := r.Header.Date(); err != nil || !date.Equal(p.CreatedAt.Truncate(time.Second)) {
		wrong("Date %v, want %v", date, p.CreatedAt)
	}
	version := slices.Index(p.EditHistory, p.ID) + 1
	id := "<" + p.ID + "@x.com>"
	if version > 1 {
		id = fmt.Sprintf("<%s.%d@x.com>", p.ID, version)
	}
	for field, want := range map[string]string{"Message-ID": id, "X-Twitter-Post-ID": p.ID, "X-Twitter-Author-ID": p.AuthorID,
		"X-Twitter-Kind": p.Kind, "X-Message-Class": "IPM.NOTE.Twitter." + p.Kind} {
		if got := r.Header.Get(field); got != want {
			wrong("%s is %q, want %q", field, got, want)
		}
	}
	want := w.files(p)
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			wrong("%v", err)
			return
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			wrong("%v", err)
		}
		h := partHeader(part)
		disposition, _, _ := h.ContentDisposition()
		name, _ := (&mail.AttachmentHeader{Header: h}).Filename()
		switch {
		case disposition == "":
			if kind, _, _ := h.ContentType(); kind == "text/plain" && !strings.Contains(normal(string(body)), normal(plain(p))) {
				wrong("its text does not hold the post's:\n%s\nwanted\n%s", body, plain(p))
			}
		case name == "post.json":
			if !bytes.Contains(body, p.Raw) {
				wrong("post.json does not hold X's bytes of the post:\n%s\nwanted\n%s", body, p.Raw)
			}
		case !w.known(want, h.Get("Content-Location"), body):
			wrong("attachment %s of %s is none of the post's", name, h.Get("Content-Location"))
		default:
			delete(want, path.Base(strings.SplitN(h.Get("Content-Location"), "?", 2)[0]))
		}
	}
	for name := range want {
		wrong("%s is not attached", name)
	}
}

// partHeader returns a part's header, whatever the mail package takes the part for.
func partHeader(part *mail.Part) message.Header {
	if h, ok := part.Header.(*mail.InlineHeader); ok {
		return h.Header
	}
	return part.Header.(*mail.AttachmentHeader).Header
}

// known tells whether an attachment is one that is wanted; another bit rate of a
// video that X lacks in its best is known, too.
func (w *world) known(want map[string][]byte, source string, body []byte) bool {
	name := path.Base(strings.SplitN(source, "?", 2)[0])
	if data, ok := want[name]; ok {
		return bytes.Equal(data, body)
	}
	file, _, ok := w.Corpus.Media(name)
	if !ok {
		return false
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	return err == nil && bytes.Equal(data, body)
}

// normal has one kind of line end and white space, and nothing that turns the direction
// of writing.
func normal(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// item is what of an item is held against the corpus.
type item struct {
	ID          string `json:"Id"`
	ItemType    string
	ContainerID string  `json:"ContainerId"`
	ParentID    *string `json:"ParentId"`
	Sender      struct {
		ID           string `json:"Id"`
		Name         string
		EmailAddress string
	}
	SentTimeUTC        string `json:"SentTimeUtc"`
	PreContext         []item
	ContentAttachments []struct {
		AttachmentFileName string
		URI                string `json:"Uri"`
		Content            []byte
	}
}

// follows tells whether a post is in the item's context.
func (i item) follows(postID string) bool {
	return slices.ContainsFunc(i.PreContext, func(c item) bool { return c.ID == postID })
}

// checkItem holds an item against the corpus.
func (w *world) checkItem(p corpus.Post, data []byte) {
	w.t.Helper()
	var item item
	if err := errors.Join(importservice.CheckItem(data), json.Unmarshal(data, &item)); err != nil {
		w.t.Errorf("item of post %s: %v", p.ID, err)
		return
	}
	sent, _ := time.Parse(time.RFC3339, item.SentTimeUTC)
	author := w.user(p.AuthorID)
	if item.ID != p.ID || item.ItemType != p.Kind || item.ContainerID != p.AuthorID || item.Sender.ID != p.AuthorID || item.Sender.Name != author.Name ||
		item.Sender.EmailAddress != strings.ToLower(author.Username)+"@x.invalid" || !sent.Equal(p.CreatedAt) {
		w.t.Errorf("item of post %s: %+v", p.ID, item)
	}
	var parent string
	for _, r := range p.Refs {
		if r.Type == "replied_to" {
			parent = r.ID
		}
		if _, ok := w.Corpus.Post(r.ID); ok && !item.follows(r.ID) {
			w.t.Errorf("item of post %s lacks post %s in its context", p.ID, r.ID)
		}
	}
	if got := item.ParentID; (got == nil) != (parent == "") || got != nil && *got != parent {
		w.t.Errorf("item of post %s: ParentId %v, want %q", p.ID, got, parent)
	}
	want := w.files(p)
	for _, a := range item.ContentAttachments {
		if !w.known(want, a.URI, a.Content) {
			w.t.Errorf("item of post %s: attachment %s is none of the post's", p.ID, a.AttachmentFileName)
		}
		delete(want, path.Base(strings.SplitN(a.URI, "?", 2)[0]))
	}
	if len(want) > 0 {
		w.t.Errorf("item of post %s lacks %d files", p.ID, len(want))
	}
}
