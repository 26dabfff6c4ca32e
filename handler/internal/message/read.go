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
	Post     *post.Post
	Document []byte            // X's JSON of the post
	Missing  map[string]string // why a media is not in the message, by media key

	parts *mail.Reader
}

// Part is one media file of a message.
type Part struct {
	Name   string
	Type   string // media type
	Source string // address on X that it was read from
	Body   io.Reader
}

// maxDocument bounds a post's document, in bytes.
const maxDocument = 16 << 20

// Read reads a message that Write wrote, up to its media files, which Next gives
// one by one.
func Read(r io.Reader) (*Message, error) {
	parts, err := mail.CreateReader(r)
	if err != nil {
		return nil, fmt.Errorf("reading a message's header: %w", err)
	}
	m := &Message{parts: parts, Missing: map[string]string{}}
	for fields := parts.Header.FieldsByKey(missingField); fields.Next(); {
		text, err := fields.Text()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", missingField, err)
		}
		key, why, _ := strings.Cut(text, " ")
		m.Missing[key] = why
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil, fmt.Errorf("reading a message: it has no %s", DocumentName)
		}
		if err != nil {
			return nil, fmt.Errorf("reading a message: %w", err)
		}
		header, ok := part.Header.(*mail.AttachmentHeader)
		if !ok {
			continue // the text, which is made of the document
		}
		if name, err := header.Filename(); err != nil || name != DocumentName {
			return nil, fmt.Errorf("reading a message: %q is where %s should be", name, DocumentName)
		}
		m.Document, err = io.ReadAll(io.LimitReader(part.Body, maxDocument+1))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", DocumentName, err)
		}
		if len(m.Document) > maxDocument {
			return nil, fmt.Errorf("reading %s: it is longer than %d bytes", DocumentName, maxDocument)
		}
		m.Post, err = post.Parse(m.Document)
		return m, err
	}
}

// Next gives the next media file; io.EOF after the last. Its body is read before
// Next is called again.
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
