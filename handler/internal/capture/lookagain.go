package capture

import (
	"context"
	"fmt"

	"xarchive/handler/internal/twitter"
)

// LookUp asks X for archived posts by their ids, [twitter.MaxLookup] at most, with all that
// belongs to them. What X gives otherwise than it is archived, as it always does of a post
// from its data export, is archived beside the post's message; what it does not give any
// more is noted. It returns how many posts X gave, and how many it says it does not have.
func (v *Visit) LookUp(ctx context.Context, ids []string) (given, gone int, err error) {
	t := v.turn
	v.changed = true
	var answer twitter.Answer
	if err := t.call(ctx, func(x X) (err error) {
		answer, err = x.Lookup(ctx, ids)
		return err
	}); err != nil {
		return 0, 0, fmt.Errorf("asking X for posts: %w", err)
	}
	if err := v.Archive(ctx, answer, "look-up-again"); err != nil {
		return 0, 0, fmt.Errorf("archiving what X gives: %w", err)
	}
	entries, err := t.capture.opt.Archive.FindPosts(ctx, t.account.ID, ids)
	if err != nil {
		return 0, 0, err
	}
	if err := t.noteGone(ctx, byTask, answer.Page, entries); err != nil {
		return 0, 0, err
	}
	for _, look := range Looks(answer.Page, entries) {
		if look.Problem == nil {
			given++
		} else {
			gone++
		}
	}
	return given, gone, t.save(ctx)
}
