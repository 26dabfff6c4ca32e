package message

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"xarchive/handler/internal/post"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Message is an archived message being read.
type Message struct {
	PostID     string            // of the post that it is about
	Post       *post.Post        // nil until post.json was read; see Open
	Document   []byte            // X's JSON of the post
	Supplement string            // see Supplement.Name; "" for the post's own message
	Missing    map[string]string // why a media file is not in the message, by media key
	NoText     map[string]string // the notice that X gave in place of a post's text, by post id
	Changes    []post.Change     // of a supplement named version: in what it differs from the message before it

	kept     map[string]string     // which copy of a media file is in the message, by media key
	names    map[string]string     // of the media files read so far, by the token of their keys
	left     map[string]mediaState // what is said of a media file that is left out, by its name
	versions []string              // id of a missing version, a space, and what is known of it
	parts    *mail.Reader
}

// LeaveOut has HTML say of a media file that Next has returned why it is not where the
// HTML goes, and by which name a preview of it is there; "" if there is none.
func (m *Message) LeaveOut(name, why, preview string) {
	if m.left == nil {
		m.left = map[string]mediaState{}
	}
	m.left[name] = mediaState{left: why, preview: preview}
}

// Key returns the message's archive key; see [Key].
func (m *Message) Key() string { return Key(m.Post.ID, m.Supplement) }

// Preview returns the beginning of the post's text, at most n code points, after
// the words that say what a supplement is.
func (m *Message) Preview(n int) string { return prefix(m.Supplement, m.Changes) + Preview(m.Post, n) }

// Part is a media file of a message.
type Part struct {
	Name   string
	Type   string // media type
	Source string // address on X that it was read from, or its path in X's data export
	Body   io.Reader
}

// Archived returns the keys of the media of which the message says nothing else than
// that it has them: of a version those of earlier messages, too. Post must be there.
func (m *Message) Archived() []string {
	var out []string
	for _, one := range m.Post.Shown() {
		if _, missing := m.Missing[fieldKey(one)]; !missing && one.NoFile() == "" {
			out = append(out, one.Key)
		}
	}
	return out
}

// maxDocument bounds a post's document, in bytes.
const maxDocument = 16 << 20

// Open begins to read a message that a Format wrote, of this or an earlier version of
// the connector. [Message.Next] returns its media files in their order. The document may
// stand among them: Post and Document are there after the last file at the latest.
func Open(r io.Reader) (*Message, error) {
	parts, err := mail.CreateReader(r)
	if err != nil {
		return nil, fmt.Errorf("reading a message's header: %w", err)
	}
	m := &Message{parts: parts, names: map[string]string{}}
	if err := m.readHeader(parts.Header); err != nil {
		return nil, fmt.Errorf("reading a message's header: %w", err)
	}
	return m, nil
}

// Read reads a message as far as its document. It leaves out the media files before
// it, which are pictures; Next returns those after it.
func Read(r io.Reader) (*Message, error) {
	m, err := Open(r)
	for err == nil && m.Post == nil {
		_, err = m.next()
	}
	if err != nil {
		return nil, noEnd(err)
	}
	return m, nil
}

// noEnd makes the end of a message that has no document an error.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("reading a message: it has no %s", documentName)
	}
	return err
}

// readDocument reads post.json.
func (m *Message) readDocument(body io.Reader) (err error) {
	m.Document, err = io.ReadAll(io.LimitReader(body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", documentName, err)
	}
	if len(m.Document) > maxDocument {
		return fmt.Errorf("reading %s: it is longer than %d bytes", documentName, maxDocument)
	}
	m.Post, err = post.Parse(m.Document)
	return err
}

// readHeader reads the fields that the document does not tell.
func (m *Message) readHeader(h mail.Header) (err error) {
	m.PostID = h.Get("X-Twitter-Post-ID")
	if m.Supplement = h.Get(supplementField); m.Supplement != "" {
		if err := checkSupplement(m.Supplement); err != nil {
			return err
		}
	}
	for _, word := range strings.Fields(h.Get(changedField)) {
		m.Changes = append(m.Changes, post.Change(word))
	}
	if m.Missing, err = statements(h, missingField); err != nil {
		return err
	}
	if m.NoText, err = statements(h, textField); err != nil {
		return err
	}
	if m.kept, err = statements(h, keptField); err != nil {
		return err
	}
	m.versions, err = texts(h, versionField)
	return err
}

// statements returns the statements of a field by key.
func statements(h mail.Header, field string) (map[string]string, error) {
	all, err := texts(h, field)
	byKey := make(map[string]string, len(all))
	for _, text := range all {
		key, statement, _ := strings.Cut(text, " ")
		byKey[key] = statement
	}
	return byKey, err
}

func texts(h mail.Header, field string) ([]string, error) {
	var all []string
	for fields := h.FieldsByKey(field); fields.Next(); {
		text, err := fields.Text()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		all = append(all, text)
	}
	return all, nil
}

// Next returns the next media file, io.EOF after the last. Its body must be read
// before Next is called again.
func (m *Message) Next() (Part, error) {
	for {
		part, err := m.next()
		switch {
		case errors.Is(err, io.EOF) && m.Post == nil:
			return Part{}, noEnd(err)
		case err != nil:
			return Part{}, err
		case part.Body != nil:
			return part, nil
		}
	}
}

// next reads one part: a media file, or the document or a text, for which Body is nil.
// It returns io.EOF at the end.
func (m *Message) next() (Part, error) {
	part, err := m.parts.NextPart()
	if errors.Is(err, io.EOF) {
		return Part{}, io.EOF
	}
	if err != nil {
		return Part{}, fmt.Errorf("reading a part of a message: %w", err)
	}
	header := headerOf(part)
	if disposition, _, _ := header.ContentDisposition(); disposition == "" {
		return Part{}, nil // the text, which is made of the document
	}
	name, err := (&mail.AttachmentHeader{Header: header}).Filename()
	if err != nil {
		return Part{}, fmt.Errorf("reading the name of a message's part: %w", err)
	}
	if name == documentName && m.Post == nil {
		return Part{}, m.readDocument(part.Body)
	}
	kind, _, err := header.ContentType()
	if err != nil {
		return Part{}, fmt.Errorf("reading the type of a message's part %q: %w", name, err)
	}
	source := header.Get("Content-Location")
	if source == "" && !header.Has("Content-Location") {
		return Part{}, fmt.Errorf("reading a message: %q is none of its parts", name)
	}
	m.names[partKey(header)] = name
	return Part{Name: name, Type: kind, Source: source, Body: part.Body}, nil
}

// headerOf returns a part's header, whatever the mail package takes the part for.
func headerOf(part *mail.Part) message.Header {
	switch h := part.Header.(type) {
	case *mail.InlineHeader:
		return h.Header
	case *mail.AttachmentHeader:
		return h.Header
	}
	return message.Header{}
}

// partKey returns the token of the media key that a part belongs to. Earlier versions
// gave every media file a Content-ID, and nothing else.
func partKey(h message.Header) string {
	if key := h.Get(keyField); key != "" {
		return key
	}
	id := strings.Trim(h.Get("Content-Id"), "<>")
	return strings.TrimSuffix(id, "@"+domain)
}
