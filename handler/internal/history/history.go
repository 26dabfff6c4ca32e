// Package history reads an account's posts from X's whole archive, by search, where a
// timeline's reach of 3,200 posts has left them behind. A person asks for it, sees first
// how many posts X counts and what reading them costs, and says how many may be read.
//
// It goes month by month, the newest first, over many ticks. What it finds is archived
// as the timeline's posts are, by a visit (package capture). A month in which X gave as
// many posts as it counts is complete, and closes the gaps within it. What X's search
// may lack is said: reposts, and everything of protected accounts.
//
// It is work that can wait: it runs when a tick's new posts are archived and delivered.
package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// X searches all of X in the app's name; *twitter.AppClient.
type X interface {
	Search(ctx context.Context, s twitter.Search) (twitter.Answer, error)
	Count(ctx context.Context, s twitter.Search) (int, error)
	Owner(ctx context.Context, id string) (twitter.Owner, error)
}

// Options is what a Reader needs.
type Options struct {
	State   *state.Store
	Capture *capture.Capture
	// Open opens X in the app's name, for an account: what is read is counted as its.
	Open   func(ctx context.Context, accountID string) (X, error)
	Budget capture.Budget // nil: no limit
	Now    func() time.Time
	Log    *slog.Logger
}

// Reader goes on with the histories that were asked for. Several instances may run at
// once.
type Reader struct{ opt Options }

// New returns a Reader. Nothing is sent yet.
func New(o Options) *Reader { return &Reader{o} }

const (
	// pace is how long after a request the next one follows: X takes one a second.
	pace = 1100 * time.Millisecond
	// pause is how long X is not asked again after it failed to answer.
	pause = 15 * time.Minute
)

// Run goes on with what was asked for, as far as the context's time goes. That X does not
// answer is written down and no error: it goes on later.
func (r *Reader) Run(ctx context.Context) (read int, err error) {
	now := r.opt.Now()
	if !r.opt.State.HistoriesDue(now) {
		return 0, nil
	}
	open, damaged, err := r.opt.State.Histories(ctx)
	if err != nil {
		return 0, fmt.Errorf("history: reading what was asked for: %w", err)
	}
	var failures []error
	for _, d := range damaged {
		failures = append(failures, d.Err)
	}
	waiting := 0
	for _, h := range open {
		if !h.Last.IsZero() && idle(h) {
			continue // it is estimated, and nobody has said yet that it is to be read
		}
		waiting++
		if ctx.Err() != nil || now.Before(h.Until) {
			continue
		}
		w := &work{reader: r, history: h}
		if err := panics.Catch(func() error { return w.account(ctx) }); err != nil && ctx.Err() == nil {
			failures = append(failures, fmt.Errorf("history: account %s: %w", h.AccountID, err))
		}
		read += w.read
	}
	r.opt.State.HistoriesListed(now, waiting)
	return read, errors.Join(failures...)
}

// idle reports whether a history waits for a person.
func idle(h state.History) bool {
	_, whole := h.Estimated()
	return whole && h.MaxReads == 0
}
