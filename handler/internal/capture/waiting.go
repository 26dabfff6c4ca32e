package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// What X does not give when a post is archived is asked for again for a day, further
// and further apart: media, earlier versions of edited posts, and texts in place of
// which X gave a notice. New posts never wait for it. Media and texts that come are
// archived as a second message about the post, versions under their own id. After a
// day a version that did not come is stated in a second message, too; media and texts
// are stated as missing in the post's own message.
const (
	waitFor    = 24 * time.Hour
	firstPause = 4 * time.Minute // less than the time between two ticks
	longPause  = time.Hour

	// inVain is how long a turn asks again without anything coming.
	inVain = time.Minute
)

// wait has something of a post asked for again.
func (t *turn) wait(w state.Waiting) {
	if t.account.Waiting == nil {
		t.account.Waiting = map[string]state.Waiting{}
	}
	if old, ok := t.account.Waiting[w.Key()]; ok {
		for _, id := range old.Versions {
			if !slices.Contains(w.Versions, id) {
				w.Versions = append(w.Versions, id)
			}
		}
		w.Since, w.Tries, w.Done = old.Since, old.Tries, old.Done
	}
	if w.Since.IsZero() {
		w.Since = t.now().UTC()
	}
	w.Next = t.now().Add(firstPause).UTC()
	t.account.Waiting[w.Key()] = w
}

// waitingFor returns the media of a post that a later try may bring; nil if there are
// none.
func (t *turn) waitingFor(p *post.Post, name string, m *media) []state.Waiting {
	w := state.Waiting{PostID: p.ID, Name: name}
	for _, f := range m.files {
		if f.media.Type != post.Still && f.exhausted() && f.passing() {
			w.Media = append(w.Media, f.media.Key)
			w.Why = f.failed[len(f.failed)-1].Error()
		}
	}
	if len(w.Media) == 0 {
		return nil
	}
	return []state.Waiting{w}
}

// stillMissing returns the media that an archived message lacks. A crash between
// archiving it and writing that down must not make them forgotten.
func stillMissing(p *post.Post, e archive.Entry, m *message.Message) []state.Waiting {
	w := state.Waiting{PostID: p.ID, Name: e.Name}
	for _, one := range p.Shown() {
		if why, missing := m.Missing[one.Key]; missing && len(one.Sources()) > 0 {
			w.Media, w.Why = append(w.Media, one.Key), why
		}
	}
	if len(w.Media) == 0 {
		return nil
	}
	return []state.Waiting{w}
}

// readMessage reads an archived message but for its media, and compares all of it
// with its hash.
func (t *turn) readMessage(ctx context.Context, e archive.Entry) (*message.Message, error) {
	body, err := t.capture.opt.Archive.Open(ctx, e)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	m, err := message.Read(body)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", e.Name, err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, err
	}
	return m, nil
}

// ownMessage reads the message of the post that something is waited for. There is
// none if the post was set aside: then nothing can follow it, and the error wraps
// archive.ErrNotFound.
func (t *turn) ownMessage(ctx context.Context, w state.Waiting) (*message.Message, error) {
	e, err := t.capture.opt.Archive.Find(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	return t.readMessage(ctx, e)
}

func (t *turn) waitingDue() bool {
	for _, w := range t.account.Waiting {
		if !t.now().Before(w.Next) {
			return true
		}
	}
	return false
}

// askAgain asks again for what is due, the longest due first. Where nothing comes, it
// soon stops: a media server that is down for a day must not cost every tick hours.
func (t *turn) askAgain(ctx context.Context) error {
	if !t.waitingDue() {
		return nil
	}
	var due []state.Waiting
	for _, w := range t.account.Waiting {
		if !t.now().Before(w.Next) {
			due = append(due, w)
		}
	}
	slices.SortFunc(due, func(a, b state.Waiting) int { return a.Next.Compare(b.Next) })
	var errs []error
	useful := t.now()
	for _, w := range due {
		if ctx.Err() != nil || t.now().Sub(useful) > inVain {
			break
		}
		// Written down before the try: one that outlasts the tick counts as well.
		w.Tries++
		pause := min(firstPause<<min(w.Tries, 8), longPause)
		if w.Text {
			pause = longPause
		}
		w.Next = t.now().Add(pause).UTC()
		t.account.Waiting[w.Key()] = w
		try := t.askForMedia
		switch {
		case len(w.Versions) > 0:
			try = t.askForVersions
		case w.Text:
			try = t.askForText
		}
		if err := panics.Catch(func() error { return try(ctx, w) }); err != nil {
			errs = append(errs, fmt.Errorf("post %s: %w", w.PostID, err))
		}
		if left, ok := t.account.Waiting[w.Key()]; !ok || left.Done > w.Done || len(left.Versions) < len(w.Versions) {
			useful = t.now()
		}
		if t.now().Sub(t.savedAt) >= saveEvery {
			if err := t.save(ctx); err != nil {
				return joined(append(errs, err))
			}
		}
	}
	return joined(append(errs, t.save(ctx)))
}

// overdue reports whether something was asked for long enough.
func (t *turn) overdue(w state.Waiting) bool { return t.now().Sub(w.Since) >= waitFor }

// settled notes that something is no longer waited for; lost if it did not come.
func (t *turn) settled(ctx context.Context, w state.Waiting, lost bool) {
	delete(t.account.Waiting, w.Key())
	if lost {
		t.account.AddLost(w, t.now())
		t.listGivenUp(w)
		t.log.ErrorContext(ctx, "X did not give all of a post; it is archived without", "post", w.PostID, "media", w.Media, "versions", w.Versions, "text", w.Text, "reason", w.Why)
	}
}

// giveUpOr gives up what is overdue, and otherwise returns why it did not come.
func (t *turn) giveUpOr(ctx context.Context, w state.Waiting, err error) error {
	if !t.overdue(w) {
		return err
	}
	w.Why = err.Error()
	t.settled(ctx, w, true)
	return nil
}

// askForMedia asks again for media of an archived post. What comes is archived as
// the post's next second message.
func (t *turn) askForMedia(ctx context.Context, w state.Waiting) error {
	m, err := t.ownMessage(ctx, w)
	switch {
	case errors.Is(err, archive.ErrNotFound):
		t.settled(ctx, w, true)
		return nil
	case err != nil && unreadable(ctx, err):
		return t.giveUpOr(ctx, w, err)
	case err != nil:
		return err
	}
	if err := t.findSupplements(ctx, m.Post, &w); err != nil {
		return err
	}
	t.account.Waiting[w.Key()] = w
	opened := t.open(wanted(m.Post, w))
	defer opened.close()
	for len(w.Media) > 0 {
		if err := opened.connect(ctx); err != nil {
			return t.tooSlow(ctx, w, err)
		}
		var there []*mediaFile
		for _, f := range opened.files {
			if f.body != nil {
				there = append(there, f)
			} else {
				w.Why = f.failed[len(f.failed)-1].Error()
			}
		}
		if len(there) == 0 {
			break
		}
		err := t.supplement(ctx, m, numbered("media", w.Done+1), nil, attachments(there))
		var broken *mediaError
		if errors.As(err, &broken) && ctx.Err() == nil {
			opened.next(broken)
			continue
		}
		if err != nil {
			return t.tooSlow(ctx, w, err)
		}
		w.Done++
		for _, f := range there {
			w.Media = without(w.Media, f.media.Key)
		}
		t.log.InfoContext(ctx, "media that were missing are archived as a second message", "post", w.PostID, "media", len(there))
		break
	}
	switch {
	case len(w.Media) == 0:
		t.settled(ctx, w, false)
	case t.overdue(w):
		t.settled(ctx, w, true)
	default:
		t.account.Waiting[w.Key()] = w
	}
	return nil
}

// tooSlow gives up media that are overdue and take longer than a tick. It returns err
// otherwise.
func (t *turn) tooSlow(ctx context.Context, w state.Waiting, err error) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) && t.giveUpOr(ctx, w, errSlow) == nil {
		return nil
	}
	return err
}
