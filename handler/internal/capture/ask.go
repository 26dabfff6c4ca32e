package capture

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// askPage reads the run's next page from X.
func (r *run) askPage(ctx context.Context) ([]byte, error) {
	run := r.Account.Run
	if run.Pages >= maxPages {
		return nil, fmt.Errorf("%w: it gives more pages than a timeline can have", twitter.ErrUnavailable)
	}
	raw, err := r.ask(ctx, func(x X) (twitter.Answer, error) {
		return x.Timeline(ctx, r.ID, twitter.Query{
			SinceID: run.SinceID, UntilID: run.UntilID, EndTime: run.EndTime, PageFrom: run.NextToken})
	})
	if errors.Is(err, twitter.ErrInvalid) && run.NextToken != "" {
		// X no longer takes the token. The page is also named by the oldest
		// post before it.
		r.log.WarnContext(ctx, "X refuses a page token; going on below the oldest post read", "untilID", run.OldestID)
		run.UntilID, run.NextToken = run.OldestID, ""
		return r.askPage(ctx)
	}
	return raw, err
}

// page returns page n of key: the kept one, else X's answer, which is kept. Only what
// can be read is kept, since what is kept is not asked for again.
func (r *run) page(ctx context.Context, key string, n int, ask func(context.Context) ([]byte, error)) (post.Page, error) {
	raw, err := r.State.Page(ctx, r.ID, key, n)
	kept := !errors.Is(err, state.ErrNotFound)
	if !kept {
		raw, err = ask(ctx)
	}
	if err != nil {
		return post.Page{}, err
	}
	page, err := readPage(raw)
	if err == nil && !kept {
		err = r.State.PutPage(ctx, r.ID, key, n, raw)
	}
	return page, err
}

// ask calls X, if it may be asked now. It waits out a rate limit that ends soon, and signs in anew once
// when X refuses keys or token.
func (r *run) ask(ctx context.Context, do func(X) (twitter.Answer, error)) ([]byte, error) {
	signedInAnew := false
	for {
		if r.Now().Before(r.RateReset) {
			return nil, fmt.Errorf("%w: X's rate limit is used up until %s", errLater, r.RateReset.Format(time.RFC3339))
		}
		if r.x == nil {
			x, err := r.SignIn(ctx, r.job.ID, signedInAnew)
			if err != nil {
				return nil, fmt.Errorf("signing in to X: %w", err)
			}
			r.x = x
		}
		answer, err := do(r.x)
		var limit *twitter.RateLimitError
		switch {
		case err == nil:
			r.Rate = state.Rate(answer.Rate)
			r.Telemetry.XBudget(ctx, r.ID, r.Rate.Limit, r.Rate.Remaining)
			return answer.Raw, nil
		case errors.Is(err, twitter.ErrUnauthorized) && !signedInAnew:
			signedInAnew, r.x = true, nil
		case errors.As(err, &limit):
			if err := r.waitFor(ctx, limit); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// waitFor waits for the end of a rate limit if that is soon, else it notes the
// time, before which X is not asked again, and gives errLater.
func (r *run) waitFor(ctx context.Context, limit *twitter.RateLimitError) error {
	wait := limit.Reset.Sub(r.Now()) + time.Second
	deadline, bounded := ctx.Deadline()
	if wait > longestWait || bounded && wait > time.Until(deadline) {
		r.RateReset = limit.Reset
		return errors.Join(r.Save(ctx), fmt.Errorf("%w: %w", errLater, limit))
	}
	r.log.InfoContext(ctx, "waiting for X's rate limit", "until", limit.Reset)
	return Pause(ctx, wait)
}

// Pause waits, or returns why the context ended before that.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lookup reads posts by id, in calls of 100. Every answer is kept as a page of
// key, numbered by the ids that were asked for, so that a look-up that is interrupted
// asks only for the rest.
func (r *run) lookup(ctx context.Context, key string, ids []string) (post.Page, error) {
	var all post.Page
	for some := range slices.Chunk(ids, twitter.MaxLookup) {
		page, err := r.page(ctx, key, lookupPage(some), func(ctx context.Context) ([]byte, error) {
			raw, err := r.ask(ctx, func(x X) (twitter.Answer, error) { return x.Lookup(ctx, some) })
			if errors.Is(err, twitter.ErrNotFound) { // one id, and X answers 404 for it
				raw, err = fmt.Appendf(nil, `{"errors":[{"value":%q,"resource_id":%q,"title":"Not Found Error","detail":"X does not have post %s"}]}`, some[0], some[0], some[0]), nil
			}
			return raw, err
		})
		if err != nil {
			return post.Page{}, err
		}
		for _, id := range unaccounted(some, page) {
			r.log.ErrorContext(ctx, "X neither sent a post that was looked up nor said why", "post", id)
		}
		all.Posts = append(all.Posts, page.Posts...)
		all.Errors = append(all.Errors, page.Errors...)
	}
	return all, nil
}

// lookupPage numbers the answer to a look-up, far above the pages of a timeline.
func lookupPage(ids []string) int {
	h := fnv.New32a()
	for _, id := range ids {
		h.Write([]byte(id + ","))
	}
	return 100_000 + int(h.Sum32())
}

// unaccounted are the ids that an answer neither has nor explains.
func unaccounted(ids []string, page post.Page) []string {
	known := map[string]bool{}
	for _, d := range page.Posts {
		known[d.ID] = true
	}
	for _, p := range page.Errors {
		known[p.ResourceID], known[p.Value] = true, true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return known[id] })
}
