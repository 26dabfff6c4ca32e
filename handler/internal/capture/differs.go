package capture

import (
	"context"
	"fmt"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/twitter"
)

// Differing archives posts of the account as further messages, where an answer gives them
// otherwise than every message about them has them. entries are those of their own
// messages, by id. X is asked for these once more, with what they refer to, which it does
// not bill twice on a day. n is of how many posts there was something to archive.
func (v *Visit) Differing(ctx context.Context, page post.Page, entries map[string]archive.Entry) (n int, err error) {
	t := v.turn
	var ids []string
	for _, d := range page.Posts {
		e, archived := entries[d.ID]
		if !archived || d.Post == nil || d.Post.Author.ID != t.account.ID || e.Digest == d.Post.Digest() {
			continue
		}
		known, err := t.knownAs(ctx, d.Post, e)
		if err != nil {
			return 0, err
		}
		if !known {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	answer, err := v.ask(ctx, func(x X) (twitter.Answer, error) { return x.Lookup(ctx, ids) })
	if err != nil {
		return 0, err
	}
	defer t.compareClosely()()
	if err := v.Archive(ctx, answer, "differs-"+ids[0]); err != nil {
		return 0, fmt.Errorf("archiving what X gives differently: %w", err)
	}
	return len(ids), nil
}

// knownAs reports whether a message has a post just as X gives it now: its own one or a
// later one. One that cannot be read is another's business.
func (t *turn) knownAs(ctx context.Context, p *post.Post, own archive.Entry) (bool, error) {
	later, err := t.capture.versions(ctx, own)
	if err != nil {
		return false, err
	}
	for _, e := range append([]archive.Entry{own}, later...) {
		m, err := t.readMessage(ctx, e)
		switch {
		case err != nil && !unreadable(ctx, err):
			return false, err
		case err != nil && e.Name == own.Name: // nothing can be compared
			return true, nil
		case err == nil && len(p.Changes(m.Post)) == 0:
			return true, nil
		}
	}
	return false, nil
}
