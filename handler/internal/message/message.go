// Package message turns a post into the e-mail message that is archived: RFC 5322
// with MIME (RFC 2045 to 2049), one message a post, and reads such a message back.
//
//	From, To, Date, Subject          the author, the archive mailbox, when and what
//	Message-ID                       <postId@x.com>; of an edit <postId.N@x.com>
//	In-Reply-To, References          from the conversation, so that mail clients thread it
//	X-Message-Class                  IPM.NOTE.Twitter.<kind>
//	X-Twitter-Post-ID, -Author-ID, -Kind
//	X-Twitter-Media-Missing          a media file that could not be had, and why
//	multipart/mixed, or multipart/related where pictures are shown in the text
//	├─ multipart/alternative         text/plain and text/html
//	├─ post.json                     X's own JSON of the post, byte for byte
//	└─ each photo and video          under its own name; Content-Location says where it came from
//
// The same post with the same media gives the same bytes, always: nothing in a
// message depends on the time or the machine it is written on.
//
// What an archived item has to hold:
// https://learn.microsoft.com/purview/archive-partner-third-party-data
package message

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"

	"xarchive/handler/internal/post"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Format is how an organization's messages are addressed.
type Format struct {
	To        string            // address of the archive mailbox
	Mailboxes map[string]string // address by handle, lower case and without @
}

// Attachment is one media file of a post, or the word that it cannot be had.
type Attachment struct {
	Media   post.Media
	Source  string    // address that it was read from
	Name    string    // of the file; see FileNames
	Type    string    // media type; see TypeOf
	Body    io.Reader // nil where it is missing
	Missing string    // why there is no body; "" where there is one
}

// domain is that of Message-ID and Content-ID.
const domain = "x.com"

// Write writes the message of a post. document is the post's document, from which
// p was parsed; bodies are read once, in order, and never held in memory. An
// error of a body is returned as it is; what was written before it is no message.
func (f Format) Write(w io.Writer, p *post.Post, document []byte, attachments []Attachment) error {
	root := message.Header{}
	boundary := boundaryOf(document)
	kind := "multipart/mixed"
	params := map[string]string{"boundary": boundary}
	for _, a := range attachments {
		if a.Body != nil && shownInline(a.Type) {
			kind = "multipart/related"
			params["type"] = "multipart/alternative" // RFC 2387, 3.1
		}
	}
	root.SetContentType(kind, params)
	f.setHeader(&root, p, attachments)

	out, err := message.CreateWriter(w, root)
	if err != nil {
		return fmt.Errorf("writing the header of post %s: %w", p.ID, err)
	}
	view := newView(p, attachments)
	if err := writeBodies(out, "text-"+boundary, view); err != nil {
		return fmt.Errorf("writing the text of post %s: %w", p.ID, err)
	}
	json := part("application/json", nil)
	json.SetContentDisposition("attachment", map[string]string{"filename": DocumentName})
	if err := writePart(out, json, strings.NewReader(string(document))); err != nil {
		return fmt.Errorf("writing %s of post %s: %w", DocumentName, p.ID, err)
	}
	for _, a := range attachments {
		if a.Body == nil {
			continue
		}
		if err := writePart(out, mediaHeader(a), a.Body); err != nil {
			return fmt.Errorf("writing media %s of post %s: %w", a.Media.Key, p.ID, err)
		}
	}
	return out.Close()
}

// DocumentName is the file name of the post's document in its message.
const DocumentName = "post.json"

// setHeader sets the message's header fields. go-message writes them in the
// reverse order of setting.
func (f Format) setHeader(h *message.Header, p *post.Post, attachments []Attachment) {
	for i := len(attachments) - 1; i >= 0; i-- {
		if a := attachments[i]; a.Body == nil {
			h.Add(missingField, mime.QEncoding.Encode("utf-8", missingKey(a.Media)+" "+reason(a)))
		}
	}
	raw := func(name, value string) { h.AddRaw([]byte(name + ": " + value + "\r\n")) } // keeps the name's case
	raw("X-Message-Class", "IPM.NOTE.Twitter."+string(p.Kind()))
	raw("X-Twitter-Kind", string(p.Kind()))
	if p.Author.ID != "" {
		raw("X-Twitter-Author-ID", token(p.Author.ID))
	}
	raw("X-Twitter-Post-ID", p.ID)
	parent, references := thread(p)
	if len(references) > 0 {
		h.Set("References", strings.Join(references, " "))
	}
	if parent != "" {
		h.Set("In-Reply-To", parent)
	}
	raw("Message-ID", ID(p))
	h.SetText("Subject", subject(p))
	m := mail.Header{Header: *h}
	m.SetDate(p.CreatedAt.UTC())
	m.SetAddressList("To", []*mail.Address{{Address: f.To}})
	m.SetAddressList("From", []*mail.Address{{Name: displayName(p.Author), Address: Mailbox(p.Author, f.Mailboxes)}})
	m.AddRaw([]byte("MIME-Version: 1.0\r\n"))
	*h = m.Header
}

const missingField = "X-Twitter-Media-Missing"

// missingKey is a media's key as missingField has it, without white space.
func missingKey(m post.Media) string { return strings.ReplaceAll(oneLine(m.Key), " ", "_") }

// reason is why a media is missing, on one line of bounded length.
func reason(a Attachment) string {
	text := cmp.Or(oneLine(a.Missing), "it could not be had")
	if r := []rune(text); len(r) > 300 {
		return string(r[:300]) + "…"
	}
	return text
}

// ID is a post's Message-ID: <postId@x.com>, of the N-th version of an edited post
// <postId.N@x.com>.
func ID(p *post.Post) string { return versionID(p.ID, p.Version()) }

func versionID(postID string, version int) string {
	if version > 1 {
		return fmt.Sprintf("<%s.%d@%s>", postID, version, domain)
	}
	return "<" + postID + "@" + domain + ">"
}

// thread is what a message answers and the messages that lead to it (RFC 5322,
// 3.6.4): for a reply the post replied to and the one that began the conversation,
// for an edit the versions before it.
func thread(p *post.Post) (parent string, references []string) {
	add := func(id string) {
		if id != "" && id != ID(p) && !slices.Contains(references, id) {
			references = append(references, id)
		}
	}
	if p.ConversationID != "" && p.ConversationID != p.ID && p.Kind() == post.Reply {
		add(versionID(p.ConversationID, 1))
	}
	if ref := p.Ref(post.RepliedTo); ref != nil {
		parent = versionID(ref.ID, 1)
		if ref.Post != nil {
			parent = ID(ref.Post)
		}
		add(parent)
	}
	for i, id := range p.EarlierVersions() {
		before := versionID(id, i+1)
		add(before)
		if p.Ref(post.RepliedTo) == nil {
			parent = before
		}
	}
	return parent, references
}

// subjectLength bounds a subject, in code points.
const subjectLength = 78

func subject(p *post.Post) string {
	text := p.Text.Preview(subjectLength)
	switch {
	case p.Kind() == post.Retweet && p.Ref(post.Retweeted).Post != nil:
		original := p.Ref(post.Retweeted).Post
		text = "Retweet of " + at(original.Author) + ": " + original.Text.Preview(subjectLength)
	case p.Article != nil:
		text = oneLine(p.Article.Title)
	case text == "" && len(p.Media) > 0:
		text = capital(mediaWord(p.Media[0].Type))
	case text == "":
		text = string(p.Kind()) + " " + p.ID
	}
	return text
}

// Mailbox is the mail address of an account: the one it is mapped to, else
// <handle>@x.invalid, a domain that no mail ever reaches (RFC 2606).
func Mailbox(u post.User, mailboxes map[string]string) string {
	if mapped := mailboxes[strings.ToLower(u.Username)]; mapped != "" && u.Username != "" {
		return mapped
	}
	name := token(cmp.Or(u.Username, u.ID, "unknown"))
	return strings.ToLower(name) + "@x.invalid"
}

// displayName is an author's name for people: Name (@handle).
func displayName(u post.User) string {
	switch name := oneLine(u.Name); {
	case u.Username == "":
		return cmp.Or(name, "account "+u.ID)
	case name == "":
		return at(u)
	default:
		return name + " (" + at(u) + ")"
	}
}

func at(u post.User) string {
	if u.Username == "" {
		return "account " + u.ID
	}
	return "@" + oneLine(u.Username)
}

// boundaryOf is a MIME boundary that depends on the post alone and that its author
// cannot have foreseen.
func boundaryOf(document []byte) string {
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:16])
}

// writeBodies writes the text as multipart/alternative: plain, then HTML.
func writeBodies(out *message.Writer, boundary string, v view) error {
	h := message.Header{}
	h.SetContentType("multipart/alternative", map[string]string{"boundary": boundary})
	both, err := out.CreatePart(h)
	if err != nil {
		return err
	}
	html, err := renderHTML(v)
	if err != nil {
		return err
	}
	for _, body := range []struct{ kind, text string }{{"text/plain", renderText(v)}, {"text/html", html}} {
		h := message.Header{}
		h.Set("Content-Transfer-Encoding", "quoted-printable")
		h.SetContentType(body.kind, map[string]string{"charset": "utf-8"})
		if err := writePart(both, h, strings.NewReader(body.text)); err != nil {
			return err
		}
	}
	return both.Close()
}

// part is the header of a part in base64.
func part(kind string, params map[string]string) message.Header {
	h := message.Header{}
	h.Set("Content-Transfer-Encoding", "base64")
	h.SetContentType(kind, params)
	return h
}

func mediaHeader(a Attachment) message.Header {
	h := part(a.Type, nil)
	h.Set("Content-Location", oneLine(a.Source)) // RFC 2557, 4.2
	h.Set("Content-ID", "<"+contentID(a.Media)+">")
	h.SetContentDisposition("attachment", map[string]string{"filename": a.Name})
	return h
}

// contentID names a media in its message (RFC 2392): cid:<key>@x.com.
func contentID(m post.Media) string { return token(m.Key) + "@" + domain }

func writePart(out *message.Writer, h message.Header, body io.Reader) error {
	w, err := out.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	return w.Close()
}

// oneLine folds white space and drops control characters: what comes from X must
// not begin a header field of its own.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))), " ")
}

// token keeps what may stand in an address or a content id unquoted.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, cmp.Or(s, "_"))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
