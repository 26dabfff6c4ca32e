package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"

	"golang.org/x/sync/errgroup"
)

// A post may be given differently later, under the same id: X withholds it, or puts a
// notice in place of its text and takes that back. So whoever reads an archived post
// again compares it with what is archived. An answer that differs in text, media or
// withholding from every message about the post is archived as a further message,
// `<postId>.version`, `<postId>.version.2`, …; none is overwritten. An answer that one of
// them has is no further message, so that an X that gives now one thing and now the
// other does not fill the archive.

// archivedBefore looks again at a post that has its message: whether that lacks media,
// whether X now gives the post differently, and whether its text is waited for. A post of
// the timeline that has its message's digest, and no media, is not compared: it is met
// again because a run was interrupted. A post that was looked up is compared closely, and
// one whose message is from X's data export, which has less of it.
func (t *turn) archivedBefore(ctx context.Context, doc post.Document, e archive.Entry, slow int, waiting map[string]state.Waiting) (outcome, error) {
	out := outcome{post: doc.Post, before: true, entries: []archive.Entry{e}}
	if !t.closely && e.Export == "" && e.Digest == doc.Post.Digest() && len(doc.Post.Shown()) == 0 {
		if w, waits := waitingForText(doc.Post, e.Name, waiting); waits {
			out.waiting = append(out.waiting, w)
		}
		return out, nil
	}
	m, err := t.readMessage(ctx, e)
	if err != nil {
		if unreadable(ctx, err) {
			t.log.ErrorContext(ctx, "an archived message cannot be read; whether it lacks something is not known", "message", e.Key, "error", err.Error())
			return out, nil
		}
		return outcome{}, err
	}
	if _, waits := waiting[state.Waiting{PostID: doc.ID}.Key()]; !waits {
		out.waiting = stillMissing(doc.Post, e, m)
	}
	newest := e
	if changes := doc.Post.Changes(m.Post); len(changes) > 0 {
		put, later, given, err := t.archiveVersion(ctx, doc, m, e, changes, slow)
		switch {
		case errors.Is(err, errUnwritable):
			return t.setAside(ctx, doc, err)
		case err != nil:
			return outcome{}, err
		}
		out.given = given
		out.entries = append(out.entries, later...)
		out.waiting = append(out.waiting, put.waiting...)
		newest = out.entries[len(out.entries)-1]
	}
	if w, waits := waitingForText(doc.Post, newest.Name, waiting); waits {
		out.waiting = append(out.waiting, w)
	}
	return out, nil
}

// archiveVersion archives a post as X gives it now, which differs from its message m, if
// no later message has it so. It returns the later messages, and whether the post's text
// is in one of them and not in m.
func (t *turn) archiveVersion(ctx context.Context, doc post.Document, m *message.Message, own archive.Entry, changes []post.Change, slow int) (p put, later []archive.Entry, given bool, err error) {
	given = slices.Contains(changes, post.TextGiven)
	later, err = t.capture.versions(ctx, own)
	if err != nil {
		return put{}, nil, false, err
	}
	have := m.Archived()
	for _, e := range later {
		v, err := t.readMessage(ctx, e)
		switch {
		case err != nil && !unreadable(ctx, err):
			return put{}, nil, false, err
		case err != nil:
			t.log.ErrorContext(ctx, "an archived message cannot be read; what is in it is not known", "message", e.Key, "error", err.Error())
			continue
		}
		have = append(have, v.Archived()...)
		if changes = doc.Post.Changes(v.Post); len(changes) == 0 {
			return put{}, later, given, nil
		}
	}
	supplied, err := t.supplied(ctx, doc.Post, own)
	if err != nil {
		return put{}, nil, false, err
	}
	have = append(have, supplied...)
	missing := slices.DeleteFunc(doc.Post.Shown(), func(m post.Media) bool { return slices.Contains(have, m.Key) })
	name := numbered(message.VersionName, len(later)+1)
	p, err = t.put(ctx, doc.Post, message.Key(doc.ID, name), missing, slow, func(w io.Writer, files []message.Attachment) error {
		return t.capture.opt.Format.WriteSupplement(w, doc.Post, doc.JSON, message.Supplement{Name: name, Changes: changes}, files)
	})
	if err != nil {
		return put{}, nil, false, err
	}
	t.log.WarnContext(ctx, "X gives an archived post differently; that is archived as a further message", "post", doc.ID, "message", p.entry.Key, "differs", changes)
	return p, append(later, p.entry), given, nil
}

// versions returns the messages that have a post as X gave it later, in the order in which
// they were archived.
func (c *Capture) versions(ctx context.Context, own archive.Entry) ([]archive.Entry, error) {
	all, err := c.opt.Archive.Supplements(ctx, own)
	if err != nil {
		return nil, err
	}
	var out []archive.Entry
	for n := 1; ; n++ {
		i := slices.IndexFunc(all, func(e archive.Entry) bool {
			return e.Key == message.Key(own.PostID, numbered(message.VersionName, n))
		})
		if i < 0 {
			return out, nil
		}
		out = append(out, all[i])
	}
}

// versionsAtOnce is of how many posts messages are looked for at the same time.
const versionsAtOnce = 16

// versionNames returns, by their keys, the names of the messages that have posts as X gave
// them later.
func (c *Capture) versionNames(ctx context.Context, posts map[string]archive.Entry) (map[string]string, error) {
	var (
		mu    sync.Mutex
		names = map[string]string{}
		group errgroup.Group
	)
	group.SetLimit(versionsAtOnce)
	for _, own := range posts {
		group.Go(func() error {
			later, err := c.versions(ctx, own)
			mu.Lock()
			defer mu.Unlock()
			for _, e := range later {
				names[e.Key] = e.Name
			}
			return err
		})
	}
	return names, group.Wait()
}

// supplied returns the keys of the media that second messages about a post have.
func (t *turn) supplied(ctx context.Context, p *post.Post, own archive.Entry) (keys []string, err error) {
	if len(p.Shown()) == 0 {
		return nil, nil
	}
	all, err := t.capture.opt.Archive.Supplements(ctx, own)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		i := slices.IndexFunc(all, func(e archive.Entry) bool { return e.Key == message.Key(own.PostID, numbered("media", n)) })
		if i < 0 {
			return keys, nil
		}
		some, err := t.mediaIn(ctx, p, all[i])
		if err != nil && !unreadable(ctx, err) {
			return nil, err
		}
		keys = append(keys, some...)
	}
}

// textsAwaited is of how many posts of an account the text is waited for: X bills each
// reading, and an account that is withheld has a notice in every post.
const textsAwaited = 100

// waitingForText returns what is waited for of a post of which X gave a notice in
// place of a text, its own or that of a post that it shows.
func waitingForText(p *post.Post, name string, waiting map[string]state.Waiting) (w state.Waiting, waits bool) {
	notices := p.Notices()
	if len(notices) == 0 || p.Kind() == post.Mentioning { // others' posts are not read, and paid, again
		return w, false
	}
	w = state.Waiting{PostID: p.ID, Name: name, Text: true, Why: "X gave a notice in place of the text of post " + notices[0].ID}
	_, there := waiting[w.Key()]
	return w, !there
}

// waitFor has something of a post asked for again, unless it is a text too many: that
// is lost, but for tasks that ask about the post.
func (t *turn) waitFor(ctx context.Context, w state.Waiting) {
	if w.Text {
		texts := 0
		for _, other := range t.account.Waiting {
			if other.Text {
				texts++
			}
		}
		if slices.ContainsFunc(t.account.Lost, func(l state.Lost) bool { return l.Text && l.PostID == w.PostID }) {
			return // it was waited for
		}
		if texts >= textsAwaited {
			w.Why += "; the texts of so many others are waited for that it is read again only for a task"
			t.settled(ctx, w, true)
			return
		}
	}
	t.wait(w)
	if w.Text { // X bills a post once in a UTC day: a day of asking costs two readings at most
		w = t.account.Waiting[w.Key()]
		w.Next = t.now().Add(longPause).UTC()
		t.account.Waiting[w.Key()] = w
	}
}

// compareClosely has posts that were looked up compared with all of their messages.
func (t *turn) compareClosely() (end func()) {
	t.closely = true
	return func() { t.closely = false }
}

// askForText reads a post again of which X gave a notice in place of a text. What X gives
// differently is archived.
func (t *turn) askForText(ctx context.Context, w state.Waiting) error {
	var answer twitter.Answer
	err := t.call(ctx, func(x X) (err error) {
		answer, err = x.Lookup(ctx, []string{w.PostID})
		return err
	})
	if err != nil && (!saysNothing(ctx, err) || errors.Is(err, errLater)) {
		return err
	}
	failed := err
	docs := t.own(answer.Page, map[string]string{})
	if len(docs) > 0 {
		kept, err := t.keepRaw(ctx, answer)
		if err != nil {
			return err
		}
		t.cameFrom(kept, w.PostID)
	}
	if docs, err = t.complete(ctx, docs, "text-"+w.PostID); err != nil {
		return err
	}
	defer t.compareClosely()()
	if err := t.archiveAll(ctx, docs, func(int) {}); err != nil {
		return err
	}
	i := slices.IndexFunc(docs, func(d post.Document) bool { return d.ID == w.PostID && d.Post != nil })
	switch {
	case i >= 0 && len(docs[i].Post.Notices()) == 0:
		t.settled(ctx, w, false)
		return nil
	case failed != nil:
		w.Why = failed.Error()
	case i < 0 && reason(answer.Page, w.PostID) != "": // it is gone, and stays so
		w.Why = reason(answer.Page, w.PostID)
		t.settled(ctx, w, true)
		return nil
	}
	if t.overdue(w) {
		t.settled(ctx, w, true)
		return nil
	}
	w.Done = t.account.Waiting[w.Key()].Done // as archiving has noted it
	t.account.Waiting[w.Key()] = w
	if failed != nil && !errors.Is(failed, twitter.ErrIncomplete) {
		return fmt.Errorf("reading post %s again: %w", w.PostID, failed)
	}
	return nil
}
