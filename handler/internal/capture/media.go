package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/twitter"
)

// mediaFile is one media of a post: the address that it is read from at present, or
// why there is none.
type mediaFile struct {
	media   post.Media
	sources []string // the best first
	failed  []error  // of the sources that were tried in vain, in order
	body    *twitter.File
}

// source returns the address that the file is read from.
func (f *mediaFile) source() string { return f.sources[len(f.failed)] }

// exhausted reports whether every source was tried.
func (f *mediaFile) exhausted() bool { return len(f.failed) >= len(f.sources) }

// missing says why the file is not there.
func (f *mediaFile) missing() string {
	if why := f.media.NoFile(); why != "" {
		return why
	}
	reason := f.failed[len(f.failed)-1].Error()
	if f.passing() {
		reason += "; if X gives it within a day, it follows in a second message"
	}
	return reason
}

// passing reports whether a later try may bring the file, or a better one.
func (f *mediaFile) passing() bool {
	for _, err := range f.failed {
		if !errors.Is(err, twitter.ErrNotFound) {
			return true
		}
	}
	return false
}

// notBetter says why the file is not from a better source; "" if there is none.
func (f *mediaFile) notBetter() string {
	var reasons []string
	for _, err := range f.failed {
		reasons = append(reasons, err.Error())
	}
	return strings.Join(reasons, "; ")
}

// Read reads the file. Its errors tell which file they belong to.
func (f *mediaFile) Read(b []byte) (int, error) {
	n, err := f.body.Read(b)
	if err != nil && err != io.EOF {
		err = &mediaError{f, err}
	}
	return n, err
}

// mediaError is what keeps a file from being read.
type mediaError struct {
	file *mediaFile
	err  error
}

func (e *mediaError) Error() string { return e.err.Error() }
func (e *mediaError) Unwrap() error { return e.err }

// media are the media of a post while its message is written.
type media struct {
	from    Media
	files   []*mediaFile
	bounded bool      // they may take half of the time that is left, and not all of it
	until   time.Time // end of that half, once reading has begun
	cancel  context.CancelFunc
}

// open prepares reading media. Nothing is sent yet.
func (t *turn) open(list []post.Media) *media {
	m := &media{from: t.capture.opt.Media}
	for _, one := range list {
		m.files = append(m.files, &mediaFile{media: one, sources: one.Sources()})
	}
	return m
}

// errSlow: the file takes longer than a tick.
var errSlow = errors.New("it takes longer than the connector may run at a time")

// connect begins reading every file, each from the first source that has it. Any
// failure moves on to the next source; a file without one is missing. It fails only
// when ctx ends.
func (m *media) connect(ctx context.Context) error {
	m.close()
	read := ctx
	if deadline, ok := ctx.Deadline(); ok && m.bounded {
		if m.until.IsZero() {
			m.until = time.Now().Add(time.Until(deadline) / 2)
		}
		read, m.cancel = context.WithDeadlineCause(ctx, m.until, errSlow)
	}
	for _, f := range m.files {
		for !f.exhausted() {
			body, err := m.from.Open(read, f.source())
			if err == nil {
				f.body = body
				break
			}
			if ctx.Err() != nil {
				return &mediaError{f, fmt.Errorf("reading media %s: %w", f.media.Key, context.Cause(ctx))}
			}
			if m.fail(f, err) {
				return m.connect(ctx)
			}
		}
	}
	return nil
}

// next moves on after a file broke off: it is read from its next source.
func (m *media) next(broken *mediaError) { m.fail(broken.file, broken.err) }

// fail notes that the present source of a file is of no use. Where its time is up, none
// of its other sources is: then the other files get half of what is left, so that a
// slow one does not cost them, and slow is true.
func (m *media) fail(f *mediaFile, err error) (slow bool) {
	f.failed = append(f.failed, err)
	if m.until.IsZero() || time.Now().Before(m.until) {
		return false
	}
	for !f.exhausted() {
		f.failed = append(f.failed, errSlow)
	}
	m.until = time.Time{}
	return true
}

// close ends reading.
func (m *media) close() {
	for _, f := range m.files {
		if f.body != nil {
			f.body.Close()
			f.body = nil
		}
	}
	if m.cancel != nil {
		m.cancel()
		m.cancel = nil
	}
}

// attachments returns media as a message takes them.
func attachments(files []*mediaFile) []message.Attachment {
	list, sources := make([]post.Media, len(files)), make([]string, len(files))
	for i, f := range files {
		list[i] = f.media
		if f.body != nil {
			sources[i] = f.body.Address
		}
	}
	out := make([]message.Attachment, len(files))
	for i, name := range message.FileNames(list, sources) {
		f := files[i]
		out[i] = message.Attachment{Media: f.media, Name: name, Type: message.TypeOf(name)}
		if f.body != nil {
			out[i].Body, out[i].Source, out[i].NotBetter = f, f.body.Address, f.notBetter()
			out[i].Type = cmp.Or(f.body.ContentType, out[i].Type)
		} else {
			out[i].Missing = f.missing()
		}
	}
	return out
}
