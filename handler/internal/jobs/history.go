package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/reads"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// A person has the older posts of a job's account counted (package history does that, in
// the timer's ticks), sees what reading them costs, and says how many may be read. Each
// step names the one before by when that was asked for: nobody starts, or stops, what he
// has not seen.

const (
	// LeastReads is the smallest number of posts that is read: X gives no smaller page.
	LeastReads = 10
	mostReads  = 10_000_000
)

var (
	errOtherHistory = fault.Refuse(fault.BadRequest, "What you decided about has changed meanwhile. Nothing was done; look again.")
	errUnderWay     = fault.Refuse(fault.BadRequest, "The account's older posts are being read just now. Nothing was done; stop that first.")
	errNotCounted   = fault.Refuse(fault.BadRequest, "The posts are not counted to their end yet, so nobody can say what they cost. Nothing was done; look again in some minutes.")
)

// CountHistory has X asked how many posts of a time a job's account has, from inclusive, to
// exclusive; the zero times are as much as there is.
func (j *Jobs) CountHistory(ctx context.Context, jobID string, from, to time.Time) error {
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return bad("From must be before To.")
	}
	job, err := j.withAccount(ctx, jobID)
	if err != nil {
		return err
	}
	detail := "from " + dayOr(from, "the account's first day") + " to " + dayOr(to, "now")
	return j.history(ctx, audit.HistoryCounted, job, detail, func(h *state.History) error {
		if h.JobID == job.ID && h.MaxReads > 0 && h.Ended.IsZero() {
			return errUnderWay
		}
		h.Begin(job, from, to, j.opt.Now())
		return nil
	})
}

func dayOr(at time.Time, without string) string {
	if at.IsZero() {
		return without
	}
	return at.UTC().Format(time.RFC3339)
}

// ReadHistory says that as many of the counted posts may be read. asked is when they were
// asked for, as the person was shown it.
func (j *Jobs) ReadHistory(ctx context.Context, jobID string, asked time.Time, maxReads int) error {
	if maxReads < LeastReads || maxReads > mostReads {
		return bad(fmt.Sprintf("The number of posts must be from %d to %d.", LeastReads, mostReads))
	}
	job, err := j.withAccount(ctx, jobID)
	if err != nil {
		return err
	}
	detail := fmt.Sprintf("%d posts at most, %.2f US dollars without what they refer to", maxReads, float64(maxReads)*reads.Price(string(twitter.History)))
	return j.history(ctx, audit.HistoryRead, job, detail, func(h *state.History) error {
		if _, whole := h.Estimated(); h.JobID == job.ID && h.Asked.Equal(asked) && !whole {
			return errNotCounted
		}
		if h.JobID != job.ID || !h.Asked.Equal(asked) || !h.Ended.IsZero() && h.Stopped == "" {
			return errOtherHistory
		}
		h.Read(maxReads)
		return nil
	})
}

// StopHistory ends what was asked for at that time. What was read stays.
func (j *Jobs) StopHistory(ctx context.Context, jobID string, asked time.Time) error {
	job, err := j.withAccount(ctx, jobID)
	if err != nil {
		return err
	}
	return j.history(ctx, audit.HistoryStopped, job, "", func(h *state.History) error {
		if h.JobID != job.ID || !h.Asked.Equal(asked) || !h.Ended.IsZero() {
			return errOtherHistory
		}
		h.Stop("a person stopped it", j.opt.Now())
		return nil
	})
}

func (j *Jobs) withAccount(ctx context.Context, jobID string) (state.Job, error) {
	job, err := j.opt.State.Job(ctx, jobID)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return job, unknownJob(err)
	case err != nil:
		return job, err
	case job.AccountID == "":
		return job, bad("The job has no account yet: somebody has to sign in with X first.")
	}
	return job, nil
}

// history makes a change that is written down before.
func (j *Jobs) history(ctx context.Context, what string, job state.Job, detail string, change func(*state.History) error) error {
	err := j.change(ctx, audit.Change{What: what, JobID: job.ID, Account: job.AccountID, Detail: detail}, func() error {
		return j.opt.State.ChangeHistory(ctx, job.AccountID, change)
	})
	if err == nil {
		j.opt.Log.InfoContext(ctx, "a person decided about an account's older posts", "what", what, "job", job.ID, "account", job.AccountID, "detail", detail)
	}
	return err
}
