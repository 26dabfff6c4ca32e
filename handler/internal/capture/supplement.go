package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// wanted returns the media of a post that are waited for and that X names a file of.
func wanted(p *post.Post, w state.Waiting) (list []post.Media) {
	for _, one := range p.Shown() {
		if slices.Contains(w.Media, one.Key) && len(one.Sources()) > 0 {
			list = append(list, one)
		}
	}
	return list
}

func without(list []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == one })
}

// numbered is the name of the n-th second message of its kind.
func numbered(kind string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s.%d", kind, n)
	}
	return kind
}

// findSupplements takes note of second messages that are archived but not written down:
// the process was killed in between, or the media were given up and are asked for
// again. What they hold is not waited for.
func (t *turn) findSupplements(ctx context.Context, p *post.Post, w *state.Waiting) error {
	for {
		key := message.Key(p.ID, numbered("media", w.Done+1))
		e, err := t.capture.opt.Archive.Find(ctx, archive.Name(t.account.ID, p.CreatedAt, key))
		if errors.Is(err, archive.ErrNotFound) {
			return nil
		}
		var held []string
		if err == nil {
			t.list(e)
			held, err = t.mediaIn(ctx, p, e)
		}
		if err != nil && !unreadable(ctx, err) {
			return err
		}
		if err != nil {
			t.log.ErrorContext(ctx, "an archived message cannot be read; which media are in it is not known", "message", key, "error", err.Error())
		} else if err := t.noteLate(ctx, p.CreatedAt, key, e.Name); err != nil {
			return err
		}
		w.Done++
		for _, media := range held {
			w.Media = without(w.Media, media)
		}
	}
}

// mediaIn returns the keys of a post's media that a message about it holds.
func (t *turn) mediaIn(ctx context.Context, p *post.Post, e archive.Entry) (keys []string, err error) {
	body, err := t.capture.opt.Archive.Open(ctx, e)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	m, err := message.Open(body) // pictures come before the document
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", e.Name, err)
	}
	for {
		part, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", e.Name, err)
		}
		for _, one := range p.Shown() {
			if slices.ContainsFunc(one.Sources(), func(source string) bool { return sameFile(source, part.Source) }) {
				keys = append(keys, one.Key)
			}
		}
	}
	_, err = io.Copy(io.Discard, body) // its hash is compared at the end
	return keys, err
}

// sameFile reports whether two addresses name one file: the query says which copy of
// it, and is left out where X does not take it.
func sameFile(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Host == y.Host && x.Path == y.Path
}

// supplement archives a second message about a post, and notes it for the next task
// if the post's time is delivered already. Repeating it is harmless: a message that
// is there stands.
func (t *turn) supplement(ctx context.Context, m *message.Message, name string, versions []message.MissingVersion, files []message.Attachment) error {
	p, key := m.Post, message.Key(m.Post.ID, name)
	e, _, err := t.capture.opt.Archive.Put(ctx, t.account.ID, t.messageOf(p, key), func(w io.Writer) error {
		return t.capture.opt.Format.WriteSupplement(w, p, m.Document, message.Supplement{Name: name, Versions: versions}, files)
	})
	if err != nil {
		return err
	}
	t.list(e)
	return t.noteLate(ctx, p.CreatedAt, key, e.Name)
}
