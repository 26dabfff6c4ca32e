package backfill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// Budget says how much may be read of X for what is not a new post.
type Budget interface {
	// Ask says how many of so many posts may be read now. done is called when they are
	// read, or are not going to be.
	Ask(ctx context.Context, want int) (granted int, done func(), err error)
}

// LookUps is what looking posts up needs, which X's API may have more of than its export.
type LookUps struct {
	State    *state.Store
	Manifest *manifest.Store
	Capture  *capture.Capture // with X
	Budget   Budget
	Show     func(done, all int) // nil: nobody
}

// LookedUp is what X said of them.
type LookedUp struct {
	Asked int // of which X was asked, each a read if X gives it
	Given int
	Gone  int // that X says it does not have: a note is beside each message
	Left  int // that may still be looked up
}

// ErrBudget: no more may be read of X in this month.
var ErrBudget = errors.New("no more may be read of X this month: the rest is kept for new posts (X_READS_PER_MONTH)")

// Lacking returns the ids of an account's posts that the archive has from X's data exports
// only: of which no message of X's API is there, and which are not gone from X. The newest
// first.
func Lacking(ctx context.Context, lists *manifest.Store, store *state.Store, accountID string) (ids []string, err error) {
	have := map[uint64]bool{}
	err = eachLine(ctx, lists, accountID, 0, func(_ int, line manifest.Line) {
		switch n := number(line.PostID); {
		case line.Event != "":
		case line.Export != "" && line.Key == line.PostID:
			if _, there := have[n]; !there {
				have[n] = false
			}
		case line.Export == "" && (line.Key == line.PostID || isVersion(line)):
			have[n] = true
		}
	})
	if err != nil {
		return nil, err
	}
	list, err := store.Gone(ctx, accountID)
	if err != nil {
		return nil, fmt.Errorf("reading which posts are gone: %w", err)
	}
	for n, whole := range have {
		id := strconv.FormatUint(n, 10)
		if p := list.Find(id); !whole && (p == nil || !p.Back.IsZero()) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return post.CompareIDs(b, a) })
	return ids, nil
}

// isVersion reports whether a line is of a message that has the post as X gave it later.
func isVersion(line manifest.Line) bool {
	return message.IsVersion(line.Key[min(len(line.PostID)+1, len(line.Key)):])
}

// pause is how long after a try the account is visited again that has no time.
const pause = 5 * time.Second

// Run asks X for the posts that the archive has from X's data exports only, max of them at
// most, and archives what it gives beside their messages. Run again, it goes on.
//
// What is read counts as history: as reads for new posts it would be taken for what these
// need in the weeks to come, and nothing would be left of the month's limit.
func (l LookUps) Run(ctx context.Context, job state.Job, max int) (done LookedUp, err error) {
	ctx = twitter.For(ctx, twitter.History)
	ids, err := Lacking(ctx, l.Manifest, l.State, job.AccountID)
	if err != nil {
		return done, err
	}
	done.Left = len(ids)
	for some := range slices.Chunk(ids[:min(max, len(ids))], twitter.MaxLookup) {
		given, gone, err := l.ask(ctx, job, some)
		if err != nil {
			return done, err
		}
		done.Asked, done.Given, done.Gone, done.Left = done.Asked+len(some), done.Given+given, done.Gone+gone, done.Left-given-gone
		if l.Show != nil {
			l.Show(done.Asked, min(max, len(ids)))
		}
	}
	return done, nil
}

// longest is how long a rate limit of X lasts at most.
const longest = 20 * time.Minute

// soon returns an error unless X can be asked again soon: it may be about money.
func (l LookUps) soon(ctx context.Context, job state.Job) error {
	a, err := l.State.Account(ctx, job.AccountID)
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	if time.Until(a.RateReset) > longest {
		return fmt.Errorf("X is not to be asked before %s", a.RateReset.Format(time.RFC3339))
	}
	return nil
}

// ask asks X for some posts, when the account has time for it.
func (l LookUps) ask(ctx context.Context, job state.Job, ids []string) (given, gone int, err error) {
	granted, read, err := l.Budget.Ask(ctx, len(ids))
	if err != nil {
		return 0, 0, fmt.Errorf("asking how much may be read of X: %w", err)
	}
	defer read()
	if granted < len(ids) {
		return 0, 0, ErrBudget
	}
	for {
		err := l.Capture.Visit(ctx, job, func(ctx context.Context, v *capture.Visit) (err error) {
			given, gone, err = v.LookUp(ctx, ids)
			return err
		})
		var limit *twitter.RateLimitError
		limited := errors.As(err, &limit) && limit.Why == nil
		if !errors.Is(err, capture.ErrBusy) && !limited {
			return given, gone, err
		}
		if err := l.soon(ctx, job); err != nil {
			return 0, 0, err
		}
		wait := pause
		if limited { // the account does not remember it: new posts have a limit of their own
			wait = max(pause, time.Until(limit.Reset))
		}
		if wait > longest {
			return 0, 0, err
		}
		select {
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
