package capture

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// run is the work on one claimed account.
type run struct {
	*Capture
	*state.AccountClaim
	job state.Job
	log *slog.Logger
	x   X
}

// bringUpToDate finishes the run that is under way, if there is one, else makes
// one if there can be anything new.
func (r *run) bringUpToDate(ctx context.Context) error {
	if r.Account.Run == nil {
		end := r.Now().Add(-settle).UTC().Truncate(time.Second)
		if !end.After(r.Covered.End()) || r.Now().Before(r.RateReset) {
			return nil
		}
		r.Account.Run = &state.Run{
			Key:     strconv.FormatInt(end.Unix(), 10),
			SinceID: r.Cursor,
			EndTime: end,
		}
		// Saved before X is asked: a page kept under the run's key is found
		// again even if nothing else is written after it.
		if err := r.Save(ctx); err != nil {
			return err
		}
	}
	if err := r.read(ctx); err != nil {
		return err
	}
	if err := r.store(ctx); err != nil {
		return err
	}
	return r.finish(ctx)
}

// read keeps pages until X has no more.
func (r *run) read(ctx context.Context) error {
	run := r.Account.Run
	for !run.Complete {
		page, err := r.page(ctx, run.Key, run.Pages, r.askPage)
		if err != nil {
			return err
		}
		if page.Meta.NextToken != "" && page.Meta.NextToken == run.NextToken {
			return fmt.Errorf("%w: X names page %s as its own next page", twitter.ErrUnavailable, run.NextToken)
		}
		if err := r.note(page); err != nil {
			return err
		}
		if err := r.Save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// maxPages bounds a run: X's timelines have 32 full pages. X leaves posts out of
// pages, so that there may be more; far more is a circle of page tokens.
const maxPages = 10 * twitter.Reach / twitter.PageSize

// readPage takes an answer apart. A run is not for a page with a post that cannot
// be read: X is asked again.
func readPage(raw []byte) (post.Page, error) {
	page, err := twitter.ReadAnswer(raw)
	if err == nil && len(page.Unreadable) > 0 {
		err = fmt.Errorf("%w: %w", twitter.ErrIncomplete, page.Unreadable[0].Err)
	}
	return page, err
}

// note takes a kept page into account.
func (r *run) note(page post.Page) error {
	run := r.Account.Run
	posts := inTimeline(page)
	if len(posts) > 0 {
		id := slices.MinFunc(posts, func(a, b post.Document) int { return post.CompareIDs(a.ID, b.ID) }).ID
		at, err := created(posts, id)
		if err != nil {
			return err
		}
		run.OldestID, run.Oldest = id, at
	}
	run.Pages++
	run.Posts += len(posts)
	run.NextToken = page.Meta.NextToken
	if run.NextToken != "" {
		return nil
	}
	run.Complete = true
	if run.SinceID != "" {
		run.From = r.Covered.End()
	}
	if !reachedLimit(run) {
		return nil
	}
	// X goes back no further: what lies between the last run and the oldest
	// post of this one cannot be had any more. Posts of the oldest one's very
	// millisecond may be missing too.
	gap := state.Range{From: run.From, To: run.Oldest.Add(time.Millisecond)}
	if run.Posts == 0 {
		gap.To = run.EndTime
	}
	run.From = gap.To
	r.Unreachable = r.Unreachable.Add(gap)
	r.log.Error("X's timeline ends before what is archived begins; older posts cannot be had from X",
		"from", gap.From, "to", gap.To, "postsRead", run.Posts)
	return nil
}

// reachedLimit tells whether X stopped because a timeline reaches back 3,200
// posts, rather than because there were no more. X counts posts that it then
// leaves out of a page, so a run with as many pages as 3,200 posts fill may have hit
// the limit with fewer; in doubt it has. A timeline of 3,101 to 3,199 posts is then
// said to be cut off, which is the lesser evil.
func reachedLimit(run *state.Run) bool {
	return run.Posts >= twitter.Reach || run.Pages >= twitter.Reach/twitter.PageSize
}

// store archives the kept pages, the oldest first.
func (r *run) store(ctx context.Context) error {
	run := r.Account.Run
	for run.Stored < run.Pages {
		n := run.Pages - 1 - run.Stored
		raw, err := r.State.Page(ctx, r.ID, run.Key, n)
		if err != nil {
			return err
		}
		page, err := readPage(raw)
		if err != nil {
			return err
		}
		if err := r.storePage(ctx, page); err != nil {
			return err
		}
		if posts := inTimeline(page); len(posts) > 0 {
			newest := slices.MaxFunc(posts, func(a, b post.Document) int { return post.CompareIDs(a.ID, b.ID) }).ID
			if post.CompareIDs(newest, r.Cursor) > 0 {
				r.Cursor = newest
			}
			to, err := created(posts, newest)
			if err != nil {
				return err
			}
			r.Covered = r.Covered.Add(state.Range{From: run.From, To: to})
		}
		run.Stored++
		if err := r.Save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// storePage archives a page's posts and the earlier versions of edited ones.
func (r *run) storePage(ctx context.Context, page post.Page) error {
	docs := slices.Clone(page.Posts)
	missing, err := r.missingVersions(ctx, page, (*post.Post).EarlierVersions)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		found, err := r.lookup(ctx, r.Account.Run.Key, missing)
		if err != nil {
			return err
		}
		for _, gone := range found.Errors {
			r.log.WarnContext(ctx, "X does not have an earlier version of an edited post", "detail", gone.Detail)
		}
		docs = append(docs, found.Posts...)
	}
	slices.SortFunc(docs, func(a, b post.Document) int { return post.CompareIDs(a.ID, b.ID) })
	return r.storeAll(ctx, docs)
}

// missingVersions lists the ids of those versions of the page's posts that are
// neither in the page nor in the archive.
func (r *run) missingVersions(ctx context.Context, page post.Page, versions func(*post.Post) []string) ([]string, error) {
	here := map[string]bool{}
	for _, d := range page.Posts {
		here[d.ID] = true
	}
	var missing []string
	for _, d := range page.Posts {
		if d.Err != nil {
			return nil, d.Err
		}
		for _, id := range versions(d.Post) {
			if here[id] {
				continue
			}
			here[id] = true
			archived, err := r.archived(ctx, id)
			if err != nil {
				return nil, err
			}
			if !archived {
				missing = append(missing, id)
			}
		}
	}
	return missing, nil
}

// finish ends the run: everything up to its end is covered.
func (r *run) finish(ctx context.Context) error {
	run := r.Account.Run
	// Pages go first. If the save fails, the run is found stored to its end
	// and is only finished again.
	if err := r.State.RemovePages(ctx, r.ID, run.Key); err != nil {
		return err
	}
	r.Covered = r.Covered.Add(state.Range{From: run.From, To: run.EndTime})
	r.Account.Run, r.Account.Held = nil, nil
	r.LastRun, r.LastError = r.Now().UTC(), ""
	return r.Save(ctx)
}

// inTimeline are the posts of a page that X counts, without earlier versions.
func inTimeline(page post.Page) []post.Document {
	return slices.DeleteFunc(slices.Clone(page.Posts), func(d post.Document) bool { return d.Earlier })
}

// created is the time of the post of that id.
func created(docs []post.Document, id string) (time.Time, error) {
	i := slices.IndexFunc(docs, func(d post.Document) bool { return d.ID == id })
	if docs[i].Err != nil {
		return time.Time{}, docs[i].Err
	}
	return docs[i].Post.CreatedAt, nil
}
