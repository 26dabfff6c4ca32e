package capture

import (
	"context"
	"errors"
	"fmt"
	"io"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// slowTicks is how many ticks may end while a post's media are read before the post
// is archived without those that do not come in time.
const slowTicks = 2

// archivePost archives one post, written at a time, with the media that X gives now.
// slow is how many ticks have ended over it, waiting what is waited for. A post that
// cannot be made into a message is set aside.
func (t *turn) archivePost(ctx context.Context, doc post.Document, slow int, waiting map[string]state.Waiting) (outcome, error) {
	p := doc.Post
	if doc.Err != nil {
		return t.setAside(ctx, doc, doc.Err)
	}
	for _, problem := range p.Problems {
		t.log.WarnContext(ctx, "a part of a post could not be read; the archived document has it", "post", p.ID, "problem", problem)
	}
	media := p.Shown()
	if len(media) > 0 { // spare the downloads
		e, err := t.capture.opt.Archive.Find(ctx, archive.Name(t.account.ID, p.CreatedAt, p.ID))
		switch {
		case err == nil:
			return t.archivedBefore(ctx, doc, e, slow, waiting)
		case errors.Is(err, archive.ErrForeign):
			return t.setAside(ctx, doc, err)
		case !errors.Is(err, archive.ErrNotFound):
			return outcome{}, err
		}
	}
	put, err := t.put(ctx, p, p.ID, media, slow, func(w io.Writer, files []message.Attachment) error {
		return t.capture.opt.Format.Write(w, p, doc.JSON, files)
	})
	switch {
	case errors.Is(err, errUnwritable):
		return t.setAside(ctx, doc, err)
	case err != nil:
		return outcome{}, err
	case !put.added:
		return t.archivedBefore(ctx, doc, put.entry, slow, waiting)
	}
	for _, n := range p.Notices() {
		t.log.WarnContext(ctx, "X gave a notice in place of a post's text; the message says so", "post", p.ID, "of", n.ID)
	}
	out := outcome{post: p, added: true, entries: []archive.Entry{put.entry}, waiting: put.waiting}
	if w, waits := waitingForText(p, put.entry.Name, waiting); waits {
		out.waiting = append(out.waiting, w)
	}
	return out, nil
}

// put is what came of putting a message into the archive.
type put struct {
	entry   archive.Entry
	added   bool
	waiting []state.Waiting // media that did not come yet, if it was added
}

// errUnwritable: no message can be made of the post.
var errUnwritable = errors.New("no message can be made of it")

// put archives a message about a post with media, each from the best source that has
// it. It returns errUnwritable where write itself fails.
func (t *turn) put(ctx context.Context, p *post.Post, key string, media []post.Media, slow int, write func(io.Writer, []message.Attachment) error) (put, error) {
	opened := t.open(append(media, stills(media)...))
	defer opened.close()
	opened.bounded = slow >= slowTicks
	for {
		if err := opened.connect(ctx); err != nil {
			return put{}, err
		}
		var failed writeError
		e, added, err := t.capture.opt.Archive.Put(ctx, t.account.ID, t.messageOf(p, key), func(w io.Writer) error {
			return panics.Catch(func() error { return write(failed.watch(w), attachments(opened.files)) })
		})
		var broken *mediaError
		switch {
		case err == nil && added:
			return put{e, added, t.waitingFor(p, e.Name, opened)}, nil
		case err == nil:
			return put{entry: e}, nil
		case ctx.Err() != nil:
			return put{}, err
		case errors.As(err, &broken):
			opened.next(broken) // the message is written again, with another source
		case failed.err == nil && unreadable(ctx, err):
			return put{}, fmt.Errorf("%w: %w", errUnwritable, err)
		default:
			return put{}, err
		}
	}
}

// stills are the still pictures of the films among media.
func stills(media []post.Media) (out []post.Media) {
	for _, m := range media {
		if still, ok := m.Still(); ok {
			out = append(out, still)
		}
	}
	return out
}

// unreadable reports whether an error is about a message itself: neither time is over
// nor did storage fail.
func unreadable(ctx context.Context, err error) bool {
	cause := fault.CauseOf(err)
	return ctx.Err() == nil && cause != fault.Storage && cause != fault.StorageAccess
}

func (t *turn) messageOf(p *post.Post, key string) archive.Message {
	return archive.Message{Key: key, PostID: p.ID, Created: p.CreatedAt, Kind: p.Kind(), Digest: p.Digest(), Captured: t.xNow(), Connector: t.capture.opt.Version, Export: t.export.SHA256}
}

// writeError tells whether writing a message failed because of where it is written.
type writeError struct{ err error }

// watch returns w, of whose errors note is taken.
func (e *writeError) watch(w io.Writer) io.Writer { return watched{w, e} }

type watched struct {
	w io.Writer
	e *writeError
}

func (w watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.e.err = err
	}
	return n, err
}

// setAside keeps a post that cannot be archived as a message, with X's bytes, so that
// it is not lost and does not stop the others.
func (t *turn) setAside(ctx context.Context, doc post.Document, cause error) (outcome, error) {
	from := t.origins[doc.ID]
	added, err := t.capture.opt.State.PutAside(ctx, state.AsidePost{
		Answered: from.at, Origin: from.raw,
		AccountID: t.account.ID, PostID: doc.ID, Raw: doc.JSON, First: t.now().UTC(), Version: t.capture.opt.Version,
		Problem: state.Problem{Cause: fault.SetAside, Text: cause.Error(), At: t.now().UTC()}})
	if err != nil {
		return outcome{}, err
	}
	if added {
		t.log.ErrorContext(ctx, "a post cannot be made into a message; X's answer is kept under set-aside", "post", doc.ID, "cause", string(fault.SetAside), "error", cause.Error())
	}
	return outcome{aside: true, first: added}, nil
}

// asideDue reports whether posts are set aside that another version of the connector
// could not archive.
func (t *turn) asideDue() bool {
	return t.account.SetAside.Posts > 0 && t.account.SetAside.Version != t.capture.opt.Version
}

// retryAside tries the posts that are set aside again, once for each version of the
// connector, but for those of X's data export: only an import has what belongs to them.
func (t *turn) retryAside(ctx context.Context) error {
	if !t.asideDue() {
		return nil
	}
	list, _, err := t.capture.opt.State.Aside(ctx, t.account.ID)
	if err != nil {
		return err
	}
	left := 0
	for _, aside := range list {
		p, err := post.Parse(aside.Raw)
		t.origins[aside.PostID] = origin{at: aside.Answered, raw: aside.Origin}
		doc := post.Document{ID: aside.PostID, JSON: aside.Raw, Post: p, Err: err}
		if doc.Err == nil && p.Export != nil { // its pictures are in the export: an import tries it again
			left++
			aside.Version = t.capture.opt.Version
			if err := t.capture.opt.State.RetriedAside(ctx, aside); err != nil {
				return err
			}
			continue
		}
		if doc.Err == nil {
			out, err := t.archivePost(ctx, doc, 0, t.account.Waiting)
			if err != nil {
				return fmt.Errorf("archiving post %s, which was set aside: %w", doc.ID, err)
			}
			if out.post != nil {
				if err := t.archived(ctx, out); err != nil {
					return err
				}
				if err := t.capture.opt.State.RemoveAside(ctx, aside); err != nil {
					return err
				}
				t.log.InfoContext(ctx, "a post that was set aside is archived now", "post", doc.ID)
				continue
			}
		}
		left++
		aside.Version = t.capture.opt.Version
		if err := t.capture.opt.State.RetriedAside(ctx, aside); err != nil {
			return err
		}
	}
	t.aside = false
	t.account.SetAside = state.SetAside{Posts: left, Version: t.capture.opt.Version}
	return t.save(ctx)
}
