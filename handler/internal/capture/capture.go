// Package capture brings what accounts post on X into the archive: what is new,
// in which order, and what is covered. It is the heart of the connector, and the
// only part of it that asks X for posts.
//
// An account's turn begins with a question: what is newer than the newest known
// post? If nothing is, the account's record is written once, and that is all.
// Else the account is claimed and a run begins. It reads the timeline newest
// first, because X gives it so. Every raw page is retained in the state container.
// When all pages are there, their posts are archived, the oldest first; after
// each page the cursor moves up and the covered time grows. So whatever interrupts a
// run, nothing between the cursor and now is skipped.
//
// Time is covered only if something proves it:
//
//   - X's timelines reach back 3,200 posts, counted from the newest post at the
//     time of the call. A run that comes near that must show that it reached what was
//     known before, or the time in between is recorded as a gap; see proof.go.
//   - Each run reads the posts of the last minutes again, which X bills once a day.
//     That finds posts that X shows late, and shows that the known ones are still in
//     the answer. If X leaves known posts out, the time is not covered; see overlap.go.
//   - "Now" is X's own Date. This machine's clock decides nothing about posts.
//
// What X does not give at once (media, earlier versions of edited posts) never
// holds a post up: the post is archived with what is there, and the rest follows
// as a second message; see waiting.go.
package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/telemetry"
	"xarchive/handler/internal/twitter"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// X reads from X on behalf of one account; *twitter.Client. Its errors are those
// of package twitter: after ErrUnauthorized one sign-in with fresh keys is tried, a
// RateLimitError ends the account's turn until its reset, ErrInvalid for a page
// with a token lets the run go on below the oldest post, every other error ends the turn
// and is recorded.
type X interface {
	Timeline(ctx context.Context, accountID string, q twitter.Query) (twitter.Answer, error)
	Lookup(ctx context.Context, ids []string) (twitter.Answer, error)
	Look(ctx context.Context, ids []string) (twitter.Answer, error)
	Mentions(ctx context.Context, accountID string, q twitter.Query) (twitter.Answer, error)
	User(ctx context.Context, id string) (twitter.User, error)
	// Credits is the app's balance at X in US dollars. Its failing means nothing.
	Credits(ctx context.Context) (float64, error)
	// Renewal returns a refusal with the day on which the monthly cap begins again.
	Renewal(ctx context.Context, refusal *twitter.RateLimitError) *twitter.RateLimitError
	// WhatIsRefused says whether X refuses the app's keys or the account's token.
	WhatIsRefused(ctx context.Context, unauthorized error) error
}

// Media opens the files of posts by their sources (post.Media.Sources); twitter.Media. Its
// errors are that type's.
type Media interface {
	Open(ctx context.Context, source string) (*twitter.File, error)
}

// Gone keeps what X said of archived posts that it was asked for by their ids;
// *gone.Register.
type Gone interface {
	Note(ctx context.Context, jobID, accountID, by string, looks []gone.Look, list func(context.Context, []manifest.Line) error) (newlyGone, back int, err error)
}

// SignIn opens X for a job's account. fresh asks for keys and token from the vault,
// because X has refused those at hand. What X reads is counted there.
type SignIn func(ctx context.Context, job state.Job, fresh bool) (X, error)

// Options is what Capture needs.
type Options struct {
	State   *state.Store
	Archive *archive.Archive
	// Manifest lists what is archived, in the archive container.
	Manifest *manifest.Store
	SignIn   SignIn
	// Gone keeps which archived posts X no longer gives; nil: nobody does.
	Gone    Gone
	Media   Media
	Format  message.Format
	Now     func() time.Time
	Log     *slog.Logger
	Version string // of the connector; posts that were set aside by another are tried again

	// First returns the accounts whose turns come first; nil: nobody's do.
	First func(ctx context.Context) map[string]bool

	Telemetry *telemetry.Telemetry // nil: none

	PageSize int // posts a page; 0 for X's maximum
	Reach    int // posts that a timeline reaches back; 0 for X's own
}

// Capture reads the accounts of all jobs. Several instances may run at once.
type Capture struct {
	opt   Options
	posts *semaphore.Weighted // how many posts are archived at the same time
}

const (
	// accountsAtOnce is how many accounts have their turn at the same time.
	accountsAtOnce = 8

	// postsAtOnce is how many posts are archived at the same time, of all accounts
	// together.
	postsAtOnce = 16

	// leastShare is the least time that an account's turn gets of a tick, however
	// many accounts there are.
	leastShare = 5 * time.Second

	// grace is how long writing down may take after a tick's time is over.
	grace = 5 * time.Second
)

// New returns a Capture. Nothing is sent yet.
func New(o Options) *Capture {
	if o.PageSize == 0 {
		o.PageSize = twitter.PageSize
	}
	if o.Reach == 0 {
		o.Reach = twitter.Reach
	}
	return &Capture{opt: o, posts: semaphore.NewWeighted(postsAtOnce)}
}

// Report says what a Run did.
type Report struct {
	Accounts int // accounts of all jobs
	Skipped  int // of them, those that had no turn because time was over
	Claimed  int // of them, those that another instance works on, or did a moment ago
	Posts    int // posts that were archived

	// Waiting counts, of the accounts, those for which X is not to be asked yet, by
	// why: the rate limit, credits, the month's cap.
	Waiting map[fault.Cause]int
}

// Run gives every account its turn, those that have waited longest first, as far as
// the context's time goes. One account's trouble does not stop the others; all
// of it is in the error. What is left, a later run continues.
func (c *Capture) Run(ctx context.Context) (Report, error) {
	jobs, failures, err := c.jobs(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("capture: reading the jobs: %w", err)
	}
	asking, err := c.asking(ctx)
	if err != nil {
		failures = append(failures, fmt.Errorf("capture: reading the tasks: %w", err))
	}
	if len(failures) == 0 { // a job that cannot be read may have any account
		failures = append(failures, c.answerOrphans(ctx, jobs, asking)...)
	}
	turns, more := c.turns(ctx, jobs, asking)
	failures = append(failures, more...)

	var (
		mu     sync.Mutex
		report = Report{Accounts: len(turns), Waiting: map[fault.Cause]int{}}
		group  errgroup.Group
	)
	group.SetLimit(accountsAtOnce)
	for i, t := range turns {
		group.Go(func() error {
			if ctx.Err() != nil {
				mu.Lock()
				defer mu.Unlock()
				report.Skipped++
				return nil
			}
			ctx, cancel := share(ctx, len(turns)-i)
			defer cancel()
			before := t.account.PostsTotal
			err := panics.Catch(func() error { return t.take(ctx) })
			mu.Lock()
			defer mu.Unlock()
			report.Posts += t.account.PostsTotal - before
			if t.elsewhere {
				report.Claimed++
			}
			if t.waits != "" {
				report.Waiting[t.waits]++
			}
			if err != nil {
				failures = append(failures, fmt.Errorf("capturing account %s: %w", t.account.ID, err))
			}
			return nil
		})
	}
	_ = group.Wait() // failures are collected one by one
	// Of every account, also of one that had no turn, or whose turn ended with the tick:
	// that is what the alert must see.
	for _, t := range turns {
		c.opt.Telemetry.Lag(ctx, t.job.AccountID, t.behindSince(), c.opt.Now())
	}
	if report.Skipped > 0 {
		c.opt.Log.WarnContext(ctx, "the tick's time was over before every account had its turn; the next tick begins with them", "accounts", report.Accounts, "skipped", report.Skipped)
		c.opt.Telemetry.Skipped(ctx, "accounts", report.Skipped)
	}
	return report, errors.Join(failures...)
}

// share returns a context that ends with an account's fair share of the time that
// is left, when so many accounts have yet to have their turn.
func share(ctx context.Context, left int) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	rounds := (left + accountsAtOnce - 1) / accountsAtOnce
	fair := time.Until(deadline) / time.Duration(rounds)
	return context.WithTimeout(ctx, max(fair, leastShare))
}

// jobs reads the jobs that have an account. Records that cannot be read are set
// aside and reported; they stop nothing.
func (c *Capture) jobs(ctx context.Context) (jobs []state.Job, failures []error, err error) {
	all, damaged, err := c.opt.State.Jobs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range damaged {
		failures = append(failures, c.damaged(ctx, d))
	}
	seen := map[string]bool{}
	for _, job := range all {
		c.opt.Telemetry.Unasked(ctx, job.ID, job.Asked(), c.opt.Now())
		if job.AccountID == "" || seen[job.AccountID] {
			continue
		}
		seen[job.AccountID] = true
		jobs = append(jobs, job)
	}
	return jobs, failures, nil
}

// damaged sets a record aside that cannot be read, and returns what is wrong.
func (c *Capture) damaged(ctx context.Context, d state.Damaged) error {
	added, err := c.opt.State.PutDamaged(ctx, d)
	if added {
		c.opt.Log.ErrorContext(ctx, "a record of the connector cannot be read; its bytes are kept under set-aside", "record", d.Name, "error", d.Err.Error())
	}
	return errors.Join(d.Err, err)
}

// turns reads the accounts, several at once, and returns their turns: those that
// have waited longest first.
func (c *Capture) turns(ctx context.Context, jobs []state.Job, asking map[string][]state.Task) (turns []*turn, failures []error) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(16)
	for _, job := range jobs {
		group.Go(func() error {
			record, err := c.opt.State.LoadAccount(ctx, job.AccountID)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				var damaged state.Damaged
				if errors.As(err, &damaged) {
					err = c.damaged(ctx, damaged)
				}
				failures = append(failures, fmt.Errorf("capture: reading account %s: %w", job.AccountID, err))
				return nil
			}
			turns = append(turns, newTurn(c, job, record, asking[job.AccountID]))
			return nil
		})
	}
	_ = group.Wait() // failures are collected one by one
	var first map[string]bool
	if c.opt.First != nil {
		first = c.opt.First(ctx)
	}
	slices.SortFunc(turns, func(a, b *turn) int {
		if x, y := first[a.account.ID], first[b.account.ID]; x != y {
			if x {
				return -1
			}
			return 1
		}
		if d := a.account.TriedAt.Compare(b.account.TriedAt); d != 0 {
			return d
		}
		return a.account.LastRun.Compare(b.account.LastRun)
	})
	return turns, failures
}

// errLater ends an account's turn early. Nothing is wrong; a later tick goes on.
var errLater = errors.New("to be continued")

// joined joins what went wrong in several pieces of work. Those that merely go on later
// count only where nothing failed.
func joined(errs []error) error {
	failed := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil || errors.Is(err, errLater) })
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return errors.Join(errs...)
}
