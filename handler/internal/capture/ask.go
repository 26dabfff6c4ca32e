package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/twitter"
)

// call calls X, if it may be asked now. It signs in with fresh keys once when X
// refuses those at hand. It never waits for a rate limit: the reset is noted, X
// is not asked before it, and the error wraps errLater, so that no tick is spent
// waiting and no other account is kept waiting. X is not asked before that time either
// when credits or the monthly cap are used up; but this is the account's problem, and
// stays so until X answers again.
func (t *turn) call(ctx context.Context, do func(X) error) error {
	for {
		if t.now().Before(t.account.RateReset) {
			return fmt.Errorf("%w: X is not asked before %s", errLater, t.account.RateReset.Format(time.RFC3339))
		}
		if t.x == nil {
			x, err := t.capture.opt.SignIn(ctx, t.job, t.fresh)
			if err != nil {
				return fmt.Errorf("signing in to X: %w", err)
			}
			t.x = x
		}
		err := do(t.x)
		var limit *twitter.RateLimitError
		switch {
		case errors.Is(err, twitter.ErrUnauthorized) && !t.fresh:
			t.fresh, t.x = true, nil
			continue
		case errors.Is(err, twitter.ErrUnauthorized):
			return t.x.WhatIsRefused(ctx, err)
		case errors.As(err, &limit):
			limit = t.x.Renewal(ctx, limit)
			t.account.RateReset, t.account.CapRenews = limit.Reset, limit.Renews
			if limit.Why != nil {
				return err // a problem: credits or the monthly cap are used up
			}
			return fmt.Errorf("%w: %w", errLater, limit)
		case err == nil:
			t.accepted, t.account.CapRenews = true, time.Time{}
		}
		return err
	}
}

// timeline reads a page of the account's timeline.
func (t *turn) timeline(ctx context.Context, q twitter.Query) (answer twitter.Answer, err error) {
	if q.Size == 0 {
		q.Size = t.capture.opt.PageSize
	}
	err = t.call(ctx, func(x X) error {
		if a := t.ahead; a != nil && a.query == q {
			t.ahead = nil
			answer, err = a.wait()
			return err
		}
		answer, err = x.Timeline(ctx, t.account.ID, q)
		return err
	})
	if err == nil {
		t.answered(ctx, answer)
	}
	return answer, err
}

// askFirst reads the first page of what is newer than the newest known posts.
func (t *turn) askFirst(ctx context.Context) (twitter.Answer, error) {
	t.sinceID = t.since(t.xNow())
	return t.timeline(ctx, twitter.Query{SinceID: t.sinceID})
}
