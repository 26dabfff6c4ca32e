package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"

	"golang.org/x/sync/errgroup"
)

// DataExport is X's own data export, that posts are taken from.
type DataExport struct {
	SHA256 string    // of the zip file, in hex
	Made   time.Time // UTC, X's clock; zero if X does not say

	// Listed returns of which export a post was taken that the account's manifest lists by
	// now as taken from one. It is asked under the account's claim, since another import of
	// the same posts may have listed them meanwhile.
	Listed func(context.Context) (of func(postID string) (export string, listed bool), err error)
}

// Imported is what came of posts of X's data export.
type Imported struct {
	Archived int // messages that are new, or were archived by an import that was killed before it listed them
	Before   int // posts that were archived already
	Fuller   int // of them, those of which the export has a text that the archive had not: a further message
	Aside    int // posts that could not be made into messages: they are set aside
}

// Import archives posts that X's data export has, as if the timeline had given them. Posts
// that are archived already are left alone, unless the archive has not their text and the
// export has it all. Nothing of the time is covered by it: an export proves what it has,
// and not that there was nothing else.
//
// Messages are archived without the account's claim, since they can only be made once;
// it is held for the moment in which they are listed and counted, so that new posts do
// not wait. Whoever is killed in between calls Import with the same posts again.
func (c *Capture) Import(ctx context.Context, job state.Job, from DataExport, docs []post.Document) (Imported, error) {
	record, err := c.opt.State.LoadAccount(ctx, job.AccountID)
	if err != nil {
		return Imported{}, fmt.Errorf("reading account %s: %w", job.AccountID, err)
	}
	t := newTurn(c, job, record, nil)
	t.export = from
	outs := make([]imported, len(docs))
	group, putting := errgroup.WithContext(ctx)
	for i, doc := range docs {
		group.Go(func() error {
			if err := c.posts.Acquire(putting, 1); err != nil {
				return context.Cause(putting)
			}
			defer c.posts.Release(1)
			panicked := panics.Catch(func() (err error) {
				outs[i], err = t.importPost(putting, doc)
				return err
			})
			if panicked != nil {
				return fmt.Errorf("post %s: %w", doc.ID, panicked)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Imported{}, err
	}
	return t.listImported(ctx, outs)
}

// imported is what came of one post.
type imported struct {
	post    *post.Post
	own     archive.Entry   // of the post's message
	added   bool            // it is to be counted and listed
	further []archive.Entry // that have a text which the archive had not
	aside   *outcome        // it was set aside
}

// importPost archives a post, without touching the account.
func (t *turn) importPost(ctx context.Context, doc post.Document) (imported, error) {
	aside := func(cause error) (imported, error) {
		out, err := t.setAside(ctx, doc, cause)
		return imported{aside: &out}, err
	}
	p := doc.Post
	if doc.Err != nil {
		return aside(doc.Err)
	}
	for _, problem := range p.Problems {
		t.log.WarnContext(ctx, "a part of a post could not be read; the archived document has it", "post", p.ID, "problem", problem)
	}
	e, err := t.capture.opt.Archive.Find(ctx, archive.Name(t.account.ID, p.CreatedAt, p.ID))
	switch {
	case err == nil:
		return t.importedBefore(ctx, doc, e)
	case errors.Is(err, archive.ErrForeign):
		return aside(err)
	case !errors.Is(err, archive.ErrNotFound):
		return imported{}, err
	}
	put, err := t.put(ctx, p, p.ID, p.Shown(), 0, func(w io.Writer, files []message.Attachment) error {
		return t.capture.opt.Format.Write(w, p, doc.JSON, files)
	})
	switch {
	case errors.Is(err, errUnwritable):
		return aside(err)
	case err != nil:
		return imported{}, err
	case !put.added: // somebody else was faster
		return t.importedBefore(ctx, doc, put.entry)
	}
	return imported{post: p, own: put.entry, added: true}, t.noteDelivered(ctx, p.CreatedAt, put.entry.Key, put.entry.Name)
}

// importedBefore looks at a post that has its message. One that an import made was not
// listed when this one began. One that X's API gave stands: the export lacks
// much that it has, and what it has besides, it has of a text.
func (t *turn) importedBefore(ctx context.Context, doc post.Document, e archive.Entry) (imported, error) {
	out := imported{post: doc.Post, own: e}
	if e.Export != "" {
		out.added = true
		return out, t.noteDelivered(ctx, e.Created, e.Key, e.Name)
	}
	if x := doc.Post.Export; e.Digest == doc.Post.Digest() || x.Repost || x.Cut || x.Undecided > 0 {
		return out, nil
	}
	m, err := t.readMessage(ctx, e)
	if err != nil {
		if unreadable(ctx, err) {
			t.log.ErrorContext(ctx, "an archived message cannot be read; whether the data export has more of it is not known", "message", e.Key, "error", err.Error())
			return out, nil
		}
		return imported{}, err
	}
	changes := slices.DeleteFunc(doc.Post.Changes(m.Post), func(c post.Change) bool { return c != post.TextGiven && c != post.ChangedText })
	if len(changes) == 0 || changes[0] == post.ChangedText && !fuller(doc.Post, m.Post) {
		return out, nil
	}
	before, err := t.capture.versions(ctx, e)
	if err != nil {
		return imported{}, err
	}
	_, later, _, err := t.archiveVersion(ctx, doc, m, e, changes, 0)
	if err != nil {
		return imported{}, err
	}
	for _, v := range later {
		if v.Export == "" || slices.ContainsFunc(before, func(b archive.Entry) bool { return b.Key == v.Key && b.Export != t.export.SHA256 }) {
			continue
		}
		out.further = append(out.further, v)
		if err := t.noteDelivered(ctx, v.Created, v.Key, v.Name); err != nil {
			return imported{}, err
		}
	}
	return out, nil
}

// fuller reports whether a text goes on where an archived one ends.
func fuller(p, before *post.Post) bool {
	was := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(before.Text.Plain()), "…"))
	return was != "" && len(p.Text.Plain()) > len(before.Text.Plain()) && strings.HasPrefix(p.Text.Plain(), was)
}

// busyPause is how long after a try the account is claimed again that another instance
// works on.
const busyPause = 2 * time.Second

// listImported lists and counts what was archived, under the account's claim.
func (t *turn) listImported(ctx context.Context, outs []imported) (Imported, error) {
	for {
		done, err := t.tryListing(ctx, outs)
		if !errors.Is(err, state.ErrClaimed) && !errors.Is(err, state.ErrLost) {
			return done, err
		}
		select {
		case <-ctx.Done():
			return Imported{}, context.Cause(ctx)
		case <-time.After(busyPause):
		}
	}
}

// tryListing returns state.ErrClaimed or state.ErrLost if the account is another's.
func (t *turn) tryListing(ctx context.Context, outs []imported) (done Imported, err error) {
	record, err := t.capture.opt.State.LoadAccount(ctx, t.job.AccountID)
	if err != nil {
		return done, fmt.Errorf("reading account %s: %w", t.job.AccountID, err)
	}
	claimed, err := record.Claim(ctx)
	if err != nil {
		return done, fmt.Errorf("claiming account %s: %w", t.job.AccountID, err)
	}
	defer record.Release()
	under := newTurn(t.capture, t.job, record, nil)
	under.export = t.export
	listed, err := t.export.Listed(claimed)
	if err != nil {
		return done, err
	}
	if err := under.noteDeleted(claimed, outs); err != nil {
		return done, err
	}
	for _, out := range outs {
		switch {
		case out.aside != nil:
			done.Aside++
			if err := under.archived(claimed, *out.aside); err != nil {
				return done, err
			}
			continue
		case out.added:
			if of, is := listed(out.post.ID); is {
				if of != t.export.SHA256 {
					done.Before++
				}
				continue
			}
			done.Archived++
			under.countImported(claimed, out.post)
			under.listFrom(out.own)
		default:
			done.Before++
		}
		for _, e := range out.further {
			under.listFrom(e)
		}
		if len(out.further) > 0 {
			done.Fuller++
		}
	}
	if err := under.forgetAside(claimed, outs); err != nil {
		return done, err
	}
	if err := under.countAside(claimed); err != nil {
		return done, err
	}
	err = under.save(claimed)
	if lost := record.Lost(); lost != nil {
		return done, fmt.Errorf("listing what was archived: %w", state.ErrLost)
	}
	return done, err
}

// noteDeleted notes which posts the export has among the deleted ones. It comes before
// they are listed: what is listed is not imported again.
func (t *turn) noteDeleted(ctx context.Context, outs []imported) error {
	var looks []gone.Look
	for _, out := range outs {
		if out.post != nil && out.post.Export.Deleted {
			looks = append(looks, gone.Look{Entry: out.own, Problem: deleted(out.post.Export)})
		}
	}
	if t.capture.opt.Gone == nil || len(looks) == 0 {
		return nil
	}
	if _, _, err := t.capture.opt.Gone.Note(ctx, t.job.ID, t.account.ID, gone.ByExport, looks, t.listNow); err != nil {
		return fmt.Errorf("noting which posts are deleted: %w", err)
	}
	return nil
}

// forgetAside forgets posts of the export that an earlier import set aside, and that have
// their messages now. What X's API gave of a post stays set aside.
func (t *turn) forgetAside(ctx context.Context, outs []imported) error {
	if t.account.SetAside.Posts == 0 {
		return nil
	}
	list, _, err := t.capture.opt.State.Aside(ctx, t.account.ID)
	if err != nil {
		return err
	}
	t.aside = true // a process that was killed may not have counted what it forgot
	for _, aside := range list {
		archived := slices.ContainsFunc(outs, func(o imported) bool { return o.post != nil && o.post.ID == aside.PostID })
		if !archived {
			continue
		}
		if p, err := post.Parse(aside.Raw); err != nil || p.Export == nil {
			continue
		}
		if err := t.capture.opt.State.RemoveAside(ctx, aside); err != nil {
			return err
		}
	}
	return nil
}

// countImported counts a post of the export that has its message now.
func (t *turn) countImported(ctx context.Context, p *post.Post) {
	t.account.CountPost(p.CreatedAt)
	if p.Version() > 1 {
		t.account.Versions++
	}
	t.capture.opt.Telemetry.PostArchived(ctx, t.account.ID, string(p.Kind()))
}

// listFrom lists a message that is made of the data export which its metadata name.
func (t *turn) listFrom(e archive.Entry) {
	o := origin{export: e.Export}
	if e.Export == t.export.SHA256 {
		o.at = t.export.Made
	}
	t.origins[e.PostID] = o
	t.list(e)
}

// deleted is what the data export says of a deleted post, as X says why it does not give one.
func deleted(x *post.Export) *post.Problem {
	p := &post.Problem{Title: "Deleted", Detail: "X's data export lists it in " + x.File + "; it does not say when it was deleted"}
	if !x.DeletedAt.IsZero() {
		p.Detail = "X's data export lists it in " + x.File + ", deleted at " + x.DeletedAt.UTC().Format(time.RFC3339)
	}
	return p
}
