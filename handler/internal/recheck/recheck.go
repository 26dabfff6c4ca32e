// Package recheck asks X again for posts that are archived, and has it noted which of them
// X no longer gives, and which it gives again (package gone). What X gives otherwise than it
// is archived becomes a further message (package capture).
//
// A post is looked at late on its own day, which X does not bill again, then 7, 30, 90,
// … days after, and a last time when it is as old as the audit reaches (schedule.go). So
// a deletion is found the sooner the younger the post is, and each post costs a known
// number of reads. Posts that are gone are asked for every day, which costs nothing
// until X gives one again.
//
// It is work that can wait: it runs when a tick's new posts are archived and
// delivered, a few calls a tick, and not at all while X refuses anything.
package recheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
)

// Options is what an Audit needs.
type Options struct {
	State   *state.Store
	Archive *archive.Archive
	Capture *capture.Capture
	Gone    *gone.Register
	Budget  capture.Budget // nil: no limit
	Days    int            // how old the posts are that are looked at, at most; 0: none
	Now     func() time.Time
	Log     *slog.Logger
}

// Audit looks at the posts of all jobs' accounts. Several instances may run at once.
type Audit struct {
	opt Options

	mu    sync.Mutex
	quiet map[string]time.Time // by account, "" being all of them: nothing is due before
}

// New returns an Audit. Nothing is sent yet.
func New(o Options) *Audit { return &Audit{opt: o, quiet: map[string]time.Time{}} }

// Report says what a Run did.
type Report struct {
	Looked int // posts that X was asked for
	Gone   int // of them, those that are newly gone
	Back   int // of them, those that were gone and are back

	Differing int // of them, those that X gives otherwise than they were archived
}

const (
	// callsATick is how often X is asked about an account in a Run.
	callsATick = 20
	// pause is how long X is not asked again about an account after it failed to answer.
	pause = time.Hour
)

// Run looks at what is due, account by account, as far as the context's time goes. That
// X does not answer is written down and no error: the audit waits.
func (a *Audit) Run(ctx context.Context) (Report, error) {
	var report Report
	now := a.opt.Now().UTC()
	if a.opt.Days == 0 || now.Before(a.quietUntil("")) {
		return report, nil
	}
	jobs, _, err := a.opt.State.Jobs(ctx) // damaged ones are reported by package capture
	if err != nil {
		return report, fmt.Errorf("audit: reading the jobs: %w", err)
	}
	var failures []error
	none := next(now)
	for _, job := range jobs {
		if job.AccountID == "" {
			continue
		}
		if now.Before(a.quietUntil(job.AccountID)) || ctx.Err() != nil {
			none = earlier(none, a.quietUntil(job.AccountID))
			continue
		}
		err := panics.Catch(func() error { return a.account(ctx, job, &report) })
		if err != nil && ctx.Err() == nil {
			failures = append(failures, fmt.Errorf("audit: account %s: %w", job.AccountID, err))
		}
		none = earlier(none, a.quietUntil(job.AccountID))
	}
	a.restUntil("", none)
	return report, errors.Join(failures...)
}

func (a *Audit) quietUntil(accountID string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.quiet[accountID]
}

func (a *Audit) restUntil(accountID string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quiet[accountID] = at
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
