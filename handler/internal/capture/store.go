package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"

	"golang.org/x/sync/errgroup"
)

// mediaTicks is how many ticks a post waits for media that X's servers fail to
// give. After that it is archived without, and the message says so: a broken
// server must not keep all later posts out of the archive.
const mediaTicks = 5

// storeAll archives posts, several at once. A post whose media cannot be had
// just now is held back and does not stop the others; it does stop the page.
func (r *run) storeAll(ctx context.Context, docs []post.Document) error {
	var mu sync.Mutex
	var held error
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(postsAtOnce)
	for _, doc := range docs {
		mu.Lock()
		waited := r.Held[doc.ID]
		mu.Unlock()
		group.Go(func() error {
			var stored bool
			var created time.Time
			err := panics.Catch(func() (err error) {
				stored, created, err = r.archivePost(ctx, r.ID, doc, waited)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			var broken *mediaError
			if errors.As(err, &broken) && (ctx.Err() == nil || errors.Is(err, context.DeadlineExceeded)) {
				r.hold(doc.ID, waited, broken)
				if ctx.Err() == nil {
					held = errors.Join(held, err)
					return nil
				}
			}
			if stored {
				r.CountPost(created)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return held
}

// hold notes that a post waits for its media. Media that do not come within a tick's
// time count as well: the next tick would begin them anew.
func (r *run) hold(postID string, waited state.Held, broken *mediaError) {
	if r.Held == nil {
		r.Held = map[string]state.Held{}
	}
	keys := waited.Media
	if !slices.Contains(keys, broken.key) {
		keys = append(slices.Clone(keys), broken.key)
	}
	r.Held[postID] = state.Held{Tries: waited.Tries + 1, Why: broken.Error(), Media: keys}
}

// archivePost archives one post, written at a time, with its media; stored is
// false if it was there already. A mediaError: its media cannot be had just now.
// After mediaTicks that is no reason to wait, and such media are left out.
func (c *Capture) archivePost(ctx context.Context, accountID string, doc post.Document, waited state.Held) (stored bool, created time.Time, err error) {
	p, err := post.Parse(doc.JSON)
	if err != nil {
		return false, time.Time{}, err
	}
	for _, problem := range p.Problems {
		c.Log.WarnContext(ctx, "a part of a post could not be read; the archived document has it", "post", p.ID, "problem", problem)
	}
	shown := p.Shown()
	if len(shown) > 0 { // spare the downloads
		_, err := c.Archive.Find(ctx, archive.Name(accountID, p))
		if !errors.Is(err, archive.ErrNotFound) {
			return false, p.CreatedAt, err
		}
	}
	givenUp := waited.Tries >= mediaTicks
	leftOut := map[string]error{} // by media key
	if givenUp {
		for _, key := range waited.Media {
			leftOut[key] = errors.New(waited.Why)
		}
	}
	for {
		files, err := c.open(ctx, shown, leftOut)
		if err == nil {
			_, stored, err = c.Archive.Put(ctx, accountID, p, func(w io.Writer) error {
				return c.Format.Write(w, p, doc.JSON, attachments(files))
			})
			closeFiles(files)
			if err == nil {
				if stored {
					c.Telemetry.PostArchived(ctx, accountID, string(p.Kind()))
				}
				return stored, p.CreatedAt, nil
			}
		}
		var broken *mediaError
		if !givenUp || !errors.As(err, &broken) || ctx.Err() != nil {
			return false, p.CreatedAt, fmt.Errorf("post %s: %w", p.ID, err)
		}
		leftOut[broken.key] = broken.err
	}
}

// mediaError is what keeps media from being read just now: ErrUnavailable, or the
// end of the tick's time.
type mediaError struct {
	key string
	err error
}

func (e *mediaError) Error() string { return e.err.Error() }
func (e *mediaError) Unwrap() error { return e.err }

// mediaFile is one media of a post, opened, or missing.
type mediaFile struct {
	media   post.Media
	source  string
	body    io.ReadCloser
	missing string
}

// Read tells which media a broken stream belongs to.
func (f *mediaFile) Read(b []byte) (int, error) {
	n, err := f.body.Read(b)
	if err != nil && err != io.EOF {
		err = &mediaError{f.media.Key, err}
	}
	return n, err
}

// open starts reading media, each from the best source that has it. What no
// source has is marked missing. Streams end with ctx.
func (c *Capture) open(ctx context.Context, shown []post.Media, leftOut map[string]error) ([]*mediaFile, error) {
	files := make([]*mediaFile, len(shown))
	for i, m := range shown {
		f := &mediaFile{media: m, missing: "X names no file for it"}
		files[i] = f
		for _, f.source = range m.Sources() {
			if err := leftOut[m.Key]; err != nil {
				f.missing = err.Error()
				break
			}
			body, err := c.Media.Open(ctx, f.source)
			if err == nil {
				f.body, f.missing = body, ""
				break
			}
			if !errors.Is(err, twitter.ErrNotFound) {
				closeFiles(files[:i])
				return nil, &mediaError{m.Key, err}
			}
			f.missing = err.Error()
		}
	}
	return files, nil
}

func closeFiles(files []*mediaFile) {
	for _, f := range files {
		if f.body != nil {
			f.body.Close()
		}
	}
}

// attachments are media files as the message takes them.
func attachments(files []*mediaFile) []message.Attachment {
	media := make([]post.Media, len(files))
	sources := make([]string, len(files))
	for i, f := range files {
		media[i], sources[i] = f.media, f.source
	}
	out := make([]message.Attachment, len(files))
	for i, name := range message.FileNames(media, sources) {
		f := files[i]
		out[i] = message.Attachment{Media: f.media, Source: f.source, Name: name, Type: message.TypeOf(name), Missing: f.missing}
		if f.body != nil {
			out[i].Body = f
		}
	}
	return out
}
