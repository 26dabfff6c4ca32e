// Package mentions has the posts archived that mention an account, replies of others
// among them, where the company wants them (INGEST_MENTIONS).
//
// It is to them what package capture is to an account's own posts, with a cursor of its
// own (state.Mentions): each run reads what is newer than the newest known post, newest
// first, and the last minutes once more. Its pages are archived as they come, by a
// visit (package capture), and a run that is interrupted goes on below the oldest post
// that it has. Time is covered when the run is through, and only if something proves
// that X gave all of it: X gives back the newest 800 (reach.go).
//
// It is work that can wait: it runs when a tick's new posts are archived and delivered,
// reads only what the month's limit leaves, and neither its failing nor X's refusing
// it keeps an account's own posts from being read.
package mentions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// Report is told of gaps; *telemetry.Telemetry.
type Report interface {
	Gap(ctx context.Context, accountID string)
}

// Options is what a Reader needs.
type Options struct {
	State   *state.Store
	Capture *capture.Capture
	On      bool           // INGEST_MENTIONS; else nothing is read
	Budget  capture.Budget // nil: no limit
	Report  Report
	Now     func() time.Time
	Log     *slog.Logger

	Reach    int // posts back that X gives; 0 for X's own
	PageSize int // posts a page; 0 for X's maximum
}

// Reader reads what mentions the accounts of all jobs. Several instances may run at once.
type Reader struct {
	opt Options

	mu   sync.Mutex
	last map[string]time.Time // by account: when this process had its turn
}

// New returns a Reader. Nothing is sent yet.
func New(o Options) *Reader {
	o.Reach, o.PageSize = cmp.Or(o.Reach, twitter.MentionsReach), cmp.Or(o.PageSize, twitter.PageSize)
	return &Reader{opt: o, last: map[string]time.Time{}}
}

const (
	// pause is how long X is not asked again about an account after it failed to answer.
	pause = 15 * time.Minute
	// budgetPause is how long it is not asked after the month's limit left nothing.
	budgetPause = time.Hour
	// grace is how long writing down may take when time is over.
	grace = 5 * time.Second
)

// Run reads what is new, account by account, those that have waited longest first, as
// far as the context's time goes. That X does not answer is written down and no error:
// it is asked again later.
func (r *Reader) Run(ctx context.Context) (archived int, err error) {
	if !r.opt.On {
		return 0, nil
	}
	jobs, _, err := r.opt.State.Jobs(ctx) // damaged ones are reported by package capture
	if err != nil {
		return 0, fmt.Errorf("mentions: reading the jobs: %w", err)
	}
	jobs = slices.DeleteFunc(jobs, func(j state.Job) bool { return j.AccountID == "" })
	slices.SortStableFunc(jobs, func(a, b state.Job) int { return r.turn(a.AccountID).Compare(r.turn(b.AccountID)) })
	var failures []error
	skipped := 0
	for _, job := range jobs {
		if ctx.Err() != nil {
			skipped++
			continue
		}
		w := &work{reader: r, job: job}
		err := panics.Catch(func() error { return w.account(ctx) })
		r.had(job.AccountID)
		if err != nil && ctx.Err() == nil {
			failures = append(failures, fmt.Errorf("mentions: account %s: %w", job.AccountID, err))
		}
		archived += w.archived
	}
	if skipped > 0 {
		r.opt.Log.InfoContext(ctx, "the tick's time was over before every account's mentions had their turn; the next tick begins with them", "accounts", len(jobs), "skipped", skipped)
	}
	return archived, errors.Join(failures...)
}

func (r *Reader) turn(accountID string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[accountID]
}

func (r *Reader) had(accountID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[accountID] = r.opt.Now()
}
