package deliver

import (
	"context"
	"errors"
	"io"
	"sync"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
)

// item is a message on its way.
type item struct {
	entry  archive.Entry
	before state.Partial // as earlier attempts left it
	staged blob.Staged   // belongs to the upload until its result is there

	mu   sync.Mutex
	seen blob.Staged // a copy that may be looked at meanwhile

	returned bool // the upload has ended
	settled  bool // it is uploaded or left
	err      error
}

// put uploads an item. If what was staged of it is of no use, it begins again.
func (u *uploads) put(ctx context.Context, it *item) error {
	e := it.entry
	if e.SHA256 == "" { // of the extra chunk, which names messages only
		var err error
		if e, err = u.attempt.deliver.Archive.Find(ctx, e.Name); err != nil {
			return err
		}
	}
	name := u.folder + importer.FileName(e.Key)
	write := func(w io.Writer) error { return u.write(ctx, &watched{w, it}, e) }
	err := u.inbox.Upload(ctx, name, &it.staged, write)
	if errors.Is(err, blob.ErrBlocks) {
		err = u.inbox.Upload(ctx, name, &it.staged, write)
	}
	return err
}

// write writes the item of an archived message. The message is read to its end
// even where the item needs no more of it: its hash is compared only there, and an
// item of altered bytes must not come into being.
func (u *uploads) write(ctx context.Context, w io.Writer, e archive.Entry) error {
	var failed error
	err := u.attempt.deliver.Item(w, importer.Source{Path: e.Name, Size: e.Size, Open: func() (io.ReadCloser, error) {
		eml, err := u.attempt.deliver.Archive.Open(ctx, e)
		if err != nil {
			failed = err
			return nil, err
		}
		return &readToEnd{eml, &failed}, nil
	}})
	if err == nil {
		err = failed
	}
	return err
}

// readToEnd reads a message to its end before it is closed, and takes note of the first
// failure of that.
type readToEnd struct {
	io.ReadCloser
	failed *error
}

func (r *readToEnd) Close() error {
	if _, err := io.Copy(io.Discard, r.ReadCloser); err != nil && *r.failed == nil {
		*r.failed = err
	}
	return r.ReadCloser.Close()
}

// watched notes after each write how far the upload has got.
type watched struct {
	to   io.Writer
	item *item
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.item.mu.Lock()
	w.item.seen = w.item.staged
	w.item.mu.Unlock()
	return n, err
}

// isFinal reports whether no later attempt can deliver the message.
func isFinal(err error) bool {
	return errors.Is(err, archive.ErrAltered) || errors.Is(err, archive.ErrForeign) || errors.Is(err, archive.ErrNotFound)
}
