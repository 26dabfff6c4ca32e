// Package capture brings what accounts post on X into the archive: what is new,
// in which order, and what is covered. It is the heart of the connector.
//
// A run reads an account's timeline newest first, because X gives it so, from
// a moment that has settled back to the newest post stored. Every raw page is kept
// in the state container as it comes. Only when all pages are there are they
// stored, the oldest first; after each one the cursor moves up and the covered
// time grows. So whatever interrupts a run, nothing between cursor and now is
// skipped, and no post is read from X twice.
package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/telemetry"
	"xarchive/handler/internal/twitter"

	"golang.org/x/sync/errgroup"
)

// X reads from X on behalf of one account; *twitter.Client.
type X interface {
	Timeline(ctx context.Context, accountID string, q twitter.Query) (twitter.Answer, error)
	Lookup(ctx context.Context, ids []string) (twitter.Answer, error)
}

// SignIn opens X for a job's account. fresh asks for keys and token anew,
// because X has refused those at hand.
type SignIn func(ctx context.Context, jobID string, fresh bool) (X, error)

// Capture reads the accounts of all jobs. Its methods may run in several
// instances at once.
type Capture struct {
	State   *state.Store
	Archive *archive.Archive
	SignIn  SignIn
	Media   twitter.Media
	Format  message.Format
	Now     func() time.Time
	Log     *slog.Logger

	Telemetry *telemetry.Telemetry // nil: none
}

const (
	// settle is how old a post is before it is read. X shows posts in its
	// timelines with some delay and not always in the order of their ids;
	// reading up to the present could move the cursor past one not yet shown.
	// X itself wants end_time to be 10 seconds ago or more.
	settle = 30 * time.Second

	// longestWait is how long a tick waits for X's rate limit; a reset further
	// off is left to a later tick, so that no execution is paid for waiting.
	longestWait = time.Minute

	accountsAtOnce = 2
	postsAtOnce    = 4
)

// Run brings every account up to date, or as far as the context's time goes:
// what is left, a later run continues. One account's trouble does not stop the
// others; all of it is in the error.
func (c *Capture) Run(ctx context.Context) error {
	jobs, err := c.State.Jobs(ctx)
	if err != nil {
		return fmt.Errorf("capture: reading the jobs: %w", err)
	}
	seen := map[string]bool{}
	var group errgroup.Group
	group.SetLimit(accountsAtOnce)
	failures := make([]error, len(jobs))
	for i, job := range jobs {
		if job.AccountID == "" || seen[job.AccountID] {
			continue
		}
		seen[job.AccountID] = true
		group.Go(func() error {
			failures[i] = panics.Catch(func() error { return c.account(ctx, job) })
			return nil
		})
	}
	_ = group.Wait() // failures are collected one by one
	return errors.Join(failures...)
}

// account brings one account up to date under its claim.
func (c *Capture) account(ctx context.Context, job state.Job) (err error) {
	log := c.Log.With("job", job.ID, "account", job.AccountID)
	claim, err := c.State.ClaimAccount(ctx, job.AccountID)
	if errors.Is(err, state.ErrClaimed) {
		log.DebugContext(ctx, "another instance captures the account")
		return nil
	}
	if err != nil {
		return fmt.Errorf("capturing account %s: %w", job.AccountID, err)
	}
	defer claim.Release()

	r := &run{Capture: c, AccountClaim: claim, job: job, log: log}
	before := claim.Account.PostsTotal
	work, span := c.Telemetry.Capture(claim.Context(), job.ID, job.AccountID)
	defer func() { span.End(err) }()
	err = r.bringUpToDate(work)
	c.Telemetry.Lag(work, job.AccountID, claim.Covered.End(), c.Now())
	if n := claim.Account.PostsTotal - before; n > 0 {
		log.InfoContext(ctx, "posts archived", "posts", n, "cursor", claim.Cursor, "coveredTo", claim.Covered.End())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLater):
		log.InfoContext(ctx, "capture continues at a later tick", "reason", err.Error())
		return nil
	case ctx.Err() != nil:
		log.InfoContext(ctx, "capture interrupted, a later tick continues", "reason", context.Cause(ctx).Error())
		// Which posts waited for media is written down even now, or a video too long for
		// a tick would be begun anew for ever; the claim may still be ours.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := claim.Save(ctx); err != nil {
			log.WarnContext(ctx, "how far capture came is not written down", "error", err.Error())
		}
		return nil
	}
	claim.Account.LastError = err.Error()
	if saveErr := claim.Save(claim.Context()); saveErr != nil {
		err = errors.Join(err, saveErr)
	}
	return fmt.Errorf("capturing account %s: %w", job.AccountID, err)
}

// errLater ends an account's run before it is through, for no fault.
var errLater = errors.New("to be continued")
