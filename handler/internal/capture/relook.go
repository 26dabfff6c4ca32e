package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// Relook looks posts of a job's account up again, archives what is not archived
// yet, newer versions of edited posts among it, and returns the archive's
// entries of all of them. What X no longer has is in gone, by id, with the reason;
// an entry archived earlier is returned all the same. X's posts never change
// under one id, an edit has an id of its own, so an archived post stands.
//
// Answers are kept under key until Forget: asking again with the same key and
// ids reads nothing from X twice. state.ErrClaimed: the account is being
// captured just now.
func (c *Capture) Relook(ctx context.Context, job state.Job, key string, ids []string) (found []archive.Entry, gone map[string]string, err error) {
	claim, err := c.State.ClaimAccount(ctx, job.AccountID)
	if err != nil {
		return nil, nil, err
	}
	defer claim.Release()
	ctx = claim.Context()
	r := &run{Capture: c, AccountClaim: claim, job: job, log: c.Log.With("job", job.ID, "account", job.AccountID)}

	page, err := r.lookup(ctx, key, ids)
	if err != nil {
		return nil, nil, err
	}
	newer, err := r.missingVersions(ctx, page, func(p *post.Post) []string { return p.EditHistory })
	if err != nil {
		return nil, nil, err
	}
	if len(newer) > 0 {
		more, err := r.lookup(ctx, key, newer)
		if err != nil {
			return nil, nil, err
		}
		page.Posts = append(page.Posts, more.Posts...)
	}
	var own []post.Document
	gone = map[string]string{}
	for _, doc := range page.Posts {
		if doc.Err != nil {
			return nil, nil, doc.Err
		}
		p := doc.Post
		if p.Author.ID != "" && p.Author.ID != job.AccountID {
			gone[p.ID] = fmt.Sprintf("it is a post of account %s, not of this job's", p.Author.ID)
			continue
		}
		own = append(own, doc)
	}
	if err := r.storeAll(ctx, own); err != nil {
		return nil, nil, errors.Join(err, r.Save(ctx)) // how often media were waited for
	}
	for _, problem := range page.Errors {
		for _, id := range []string{problem.ResourceID, problem.Value} {
			if id != "" {
				gone[id] = problem.Title + ": " + problem.Detail
			}
		}
	}
	all := append(append([]string(nil), ids...), newer...)
	for _, id := range all {
		e, err := c.Archive.FindPost(ctx, job.AccountID, id)
		if errors.Is(err, archive.ErrNotFound) {
			if gone[id] == "" {
				gone[id] = "X neither sent the post nor said why"
			}
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		found = append(found, e)
	}
	for id := range gone { // only what was asked for
		if !slices.Contains(all, id) {
			delete(gone, id)
		}
	}
	return found, gone, r.Save(ctx)
}

// Forget removes what Relook kept under key.
func (c *Capture) Forget(ctx context.Context, accountID, key string) error {
	return c.State.RemovePages(ctx, accountID, key)
}

// archived tells whether a post of the account is in the archive.
func (r *run) archived(ctx context.Context, postID string) (bool, error) {
	_, err := r.Archive.FindPost(ctx, r.ID, postID)
	if errors.Is(err, archive.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
