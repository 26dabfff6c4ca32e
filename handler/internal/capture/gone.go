package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/post"
)

// What X was asked for posts by their ids for.
const (
	byTask     = gone.ByTask
	byTimeline = gone.ByTimeline
)

// noteGone notes which of the archived posts that a look-up asked for X no longer gives,
// and which it gives. Posts that it neither gives nor explains are left out.
func (t *turn) noteGone(ctx context.Context, by string, page post.Page, entries map[string]archive.Entry) error {
	if t.capture.opt.Gone == nil {
		return nil
	}
	if _, _, err := t.capture.opt.Gone.Note(ctx, t.job.ID, t.account.ID, by, Looks(page, entries), t.listNow); err != nil {
		return fmt.Errorf("noting which posts are gone: %w", err)
	}
	return nil
}

// Looks returns what an answer says of archived posts, by their ids. Posts without an
// entry, and those that the answer neither has nor explains, are left out.
func Looks(page post.Page, entries map[string]archive.Entry) (looks []gone.Look) {
	for id, e := range entries {
		if e.Name == "" {
			continue
		}
		at := slices.IndexFunc(page.Errors, func(p post.Problem) bool { return p.ResourceID == id || p.Value == id })
		switch {
		case slices.ContainsFunc(page.Posts, func(d post.Document) bool { return d.ID == id }):
			looks = append(looks, gone.Look{Entry: e})
		case at >= 0:
			problem := page.Errors[at]
			looks = append(looks, gone.Look{Entry: e, Problem: &problem})
		}
	}
	slices.SortFunc(looks, func(a, b gone.Look) int { return post.CompareIDs(a.Entry.PostID, b.Entry.PostID) })
	return looks
}

// noteGoneOf is noteGone for known posts that are missing in the timeline. unlisted is how
// many of them it cannot note: they are set aside, so that no message has a note.
func (t *turn) noteGoneOf(ctx context.Context, page post.Page, ids []string) (unlisted int, err error) {
	if t.capture.opt.Gone == nil {
		return len(ids), nil
	}
	entries := map[string]archive.Entry{}
	for _, id := range ids {
		e, err := t.capture.opt.Archive.FindPost(ctx, t.account.ID, id)
		if errors.Is(err, archive.ErrNotFound) || errors.Is(err, archive.ErrForeign) {
			unlisted++ // or is reported elsewhere
			continue
		}
		if err != nil {
			return 0, err
		}
		entries[id] = e
	}
	return unlisted, t.noteGone(ctx, byTimeline, page, entries)
}
