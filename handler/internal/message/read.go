package message

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"xarchive/handler/internal/post"

	"github.com/emersion/go-message/mail"
)

// Message is an archived message being read.
type Message struct {
	Post       *post.Post
	Document   []byte            // X's JSON of the post
	Supplement string            // see Supplement.Name; "" for the post's own message
	Missing    map[string]string // why a media file is not in the message, by media key

	kept     map[string]string // which copy of a media file is in the message, by media key
	versions []string          // id of a missing version, a space, and what is known of it
	parts    *mail.Reader
}

// Key returns the message's archive key; see [Key].
func (m *Message) Key() string { return Key(m.Post.ID, m.Supplement) }

// Preview returns the beginning of the post's text, at most n code points, after
// the words that say what a supplement is.
func (m *Message) Preview(n int) string { return prefix(m.Supplement) + m.Post.Text.Preview(n) }

// Part is a media file of a message.
type Part struct {
	Name   string
	Type   string // media type
	Source string // address on X that it was read from
	Body   io.Reader
}

// maxDocument bounds a post's document, in bytes.
const maxDocument = 16 << 20

// Read reads a message that a Format wrote, up to its media files, which Next
// returns one by one.
func Read(r io.Reader) (*Message, error) {
	parts, err := mail.CreateReader(r)
	if err != nil {
		return nil, fmt.Errorf("reading a message's header: %w", err)
	}
	m := &Message{parts: parts}
	if err := m.readHeader(parts.Header); err != nil {
		return nil, fmt.Errorf("reading a message's header: %w", err)
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil, fmt.Errorf("reading a message: it has no %s", documentName)
		}
		if err != nil {
			return nil, fmt.Errorf("reading a message: %w", err)
		}
		header, ok := part.Header.(*mail.AttachmentHeader)
		if !ok {
			continue // the text, which is made of the document
		}
		if name, err := header.Filename(); err != nil || name != documentName {
			return nil, fmt.Errorf("reading a message: %q is where %s should be", name, documentName)
		}
		m.Document, err = io.ReadAll(io.LimitReader(part.Body, maxDocument+1))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", documentName, err)
		}
		if len(m.Document) > maxDocument {
			return nil, fmt.Errorf("reading %s: it is longer than %d bytes", documentName, maxDocument)
		}
		m.Post, err = post.Parse(m.Document)
		return m, err
	}
}

// readHeader reads the fields that the document does not tell.
func (m *Message) readHeader(h mail.Header) (err error) {
	if m.Supplement = h.Get(supplementField); m.Supplement != "" {
		if err := checkSupplement(m.Supplement); err != nil {
			return err
		}
	}
	if m.Missing, err = statements(h, missingField); err != nil {
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
	part, err := m.parts.NextPart()
	if errors.Is(err, io.EOF) {
		return Part{}, io.EOF
	}
	if err != nil {
		return Part{}, fmt.Errorf("reading a media file of post %s: %w", m.Post.ID, err)
	}
	header, ok := part.Header.(*mail.AttachmentHeader)
	if !ok {
		return Part{}, fmt.Errorf("reading a media file of post %s: a part is not an attachment", m.Post.ID)
	}
	name, err := header.Filename()
	if err != nil {
		return Part{}, fmt.Errorf("reading a media file's name of post %s: %w", m.Post.ID, err)
	}
	kind, _, err := header.ContentType()
	if err != nil {
		return Part{}, fmt.Errorf("reading a media file's type of post %s: %w", m.Post.ID, err)
	}
	return Part{Name: name, Type: kind, Source: header.Get("Content-Location"), Body: part.Body}, nil
}
