package browse

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"

	gomessage "github.com/emersion/go-message"
)

const (
	// maxCompared is how large a message may be to be compared with its hash while
	// somebody waits for the page.
	maxCompared = 256 << 20
	compareTime = 20 * time.Second
	// maxHTML, maxPicture and maxPictures bound what is shown of a message, in bytes.
	maxHTML     = 4 << 20
	maxPicture  = 4 << 20
	maxPictures = 16 << 20
)

// Shown is a message as people see it.
type Shown struct {
	Entry   archive.Entry
	Subject string
	From    string
	Files   []File
	// Compared says whether the bytes were read to their end and compared with the hash
	// that was noted when they were archived; Altered, that they are not the same.
	Compared, Altered bool
	HTML              string // the message's own, with its pictures in it; "" if there is none
	Problem           string // why it cannot be shown
}

// File is an attachment.
type File struct {
	Name, Type string
	Size       int64
	Inline     bool
}

// Show reads a message to its end, compares its hash, and returns what it says. The
// HTML is the message's own; nothing in it may be trusted.
func (b Browser) Show(ctx context.Context, e archive.Entry) (Shown, error) {
	s := Shown{Entry: e}
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	body, err := b.Archive.Open(ctx, e)
	if err != nil {
		return s, err
	}
	defer body.Close()
	if err := s.read(body); err != nil && !errors.Is(err, archive.ErrAltered) {
		if ctx.Err() != nil {
			return s, slow(ctx, err)
		}
		s.Problem = "It is no e-mail message that this page can show; download it."
	}
	if e.Size > maxCompared {
		return s, nil
	}
	_, err = io.Copy(io.Discard, body)
	switch {
	case errors.Is(err, archive.ErrAltered):
		s.Compared, s.Altered = true, true
	case err == nil:
		s.Compared = true
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.Canceled):
		return s, err
	}
	return s, nil
}

// slow says in words for a person that an error came because time was over.
func slow(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.RefuseWith(fault.Storage, "The storage account does not answer in time. Try again, or choose a shorter time.", err)
	}
	return err
}

// read goes through the parts of a message. Films are passed over, and counted.
func (s *Shown) read(body io.Reader) error {
	entity, err := gomessage.Read(body)
	if err != nil {
		return err
	}
	words := new(mime.WordDecoder)
	header := func(name string) string {
		text, err := words.DecodeHeader(entity.Header.Get(name))
		if err != nil {
			return entity.Header.Get(name)
		}
		return text
	}
	s.Subject, s.From = header("Subject"), header("From")
	pictures := map[string]string{}
	room := maxPictures
	err = entity.Walk(func(path []int, part *gomessage.Entity, err error) error {
		if err != nil {
			return err
		}
		kind, _, err := part.Header.ContentType()
		if err != nil || strings.HasPrefix(kind, "multipart/") {
			return nil
		}
		disposition, params, _ := part.Header.ContentDisposition()
		id := strings.Trim(part.Header.Get("Content-Id"), "<> ")
		switch {
		case disposition == "" && kind == "text/html" && s.HTML == "":
			text, err := io.ReadAll(io.LimitReader(part.Body, maxHTML))
			s.HTML = string(text)
			return err
		case disposition == "":
			return nil
		case id != "" && isPicture(kind) && room > 0:
			data, err := io.ReadAll(io.LimitReader(part.Body, int64(min(room, maxPicture))))
			if err != nil {
				return err
			}
			rest, err := io.Copy(io.Discard, part.Body)
			if rest == 0 {
				room -= len(data)
				pictures[id] = "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
			}
			s.Files = append(s.Files, File{params["filename"], kind, int64(len(data)) + rest, true})
			return err
		}
		n, err := io.Copy(io.Discard, part.Body)
		s.Files = append(s.Files, File{params["filename"], kind, n, disposition == "inline"})
		return err
	})
	for id, data := range pictures {
		s.HTML = strings.ReplaceAll(s.HTML, `src="cid:`+id+`"`, `src="`+data+`"`)
	}
	return err
}

// isPicture reports whether browsers show a type as a picture that can do nothing.
func isPicture(kind string) bool {
	switch kind {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		return true
	}
	return false
}
