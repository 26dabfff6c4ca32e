package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

var (
	errUnknownJob = fault.Refuse(fault.NotFound, "There is no such job.")
	errNotSame    = bad("Id is not the account that has signed in for this job.")
)

// IsCreated reports whether the job's set-up has come to its end.
func (j *Jobs) IsCreated(ctx context.Context, jobID string) (bool, error) {
	_, err := j.opt.State.Job(ctx, jobID)
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Save creates or changes a job: from now on it archives the account that has
// signed in for it. accountID is the account that the person who decides was shown,
// and must be that one. If another job archives the account, nothing is saved and
// saved is false.
func (j *Jobs) Save(ctx context.Context, jobID, accountID string) (saved bool, err error) {
	user, err := j.userForJob(ctx, jobID)
	if err != nil {
		return false, err
	}
	if accountID != user.ID {
		return false, errNotSame
	}
	before := ""
	err = j.change(ctx, audit.Change{What: audit.JobSaved, JobID: jobID, Account: accountID}, func() error {
		if err := j.opt.State.TakeAccount(ctx, accountID, jobID, j.opt.Now()); err != nil {
			return err
		}
		return j.opt.State.UpdateJob(ctx, jobID, func(job *state.Job) error {
			if job.CreatedAt.IsZero() {
				job.CreatedAt = j.opt.Now().UTC()
			}
			before = job.AccountID
			if before != accountID {
				job.SignedInAt = j.opt.Now().UTC()
			}
			job.TenantID, job.AccountID, job.SignInNeeded = j.opt.TenantID, accountID, false
			job.AccountName, job.Handle = user.Name, user.Username
			return nil
		})
	})
	if errors.Is(err, state.ErrTaken) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	j.opt.Log.InfoContext(ctx, "job saved", "job", jobID, "account", accountID, "handle", user.Username)
	if before != "" && before != accountID {
		if err := j.opt.State.ReleaseOwner(ctx, before, jobID); err != nil {
			// The job is saved. The account it had is free once its record is seen to be stale.
			j.opt.Log.WarnContext(ctx, "the job's former account could not be released", "job", jobID, "account", before, "error", err.Error())
		}
	}
	return true, nil
}

// Delete removes a job, its open tasks and its account's token; the archive stays.
// The token goes first, so that the call can be repeated after a failure; it goes
// even if the job was never saved.
func (j *Jobs) Delete(ctx context.Context, jobID string) error {
	err := j.change(ctx, audit.Change{What: audit.JobDeleted, JobID: jobID}, func() error {
		// A token in the environment belongs to the connector, not to the job.
		if err := j.keys.DeleteAccount(ctx, jobID); err != nil && !errors.Is(err, secrets.ErrReadOnly) {
			return err
		}
		return unknownJob(j.opt.State.DeleteJob(ctx, jobID))
	})
	if err != nil {
		return err
	}
	j.opt.Log.InfoContext(ctx, "job deleted; its archive stays", "job", jobID)
	return nil
}

// RequireSignIn notes that the job's account must sign in again.
func (j *Jobs) RequireSignIn(ctx context.Context, jobID string) error {
	if _, err := j.opt.State.Job(ctx, jobID); err != nil {
		return unknownJob(err)
	}
	err := j.change(ctx, audit.Change{What: audit.SignInRequired, JobID: jobID}, func() error {
		return j.opt.State.UpdateJob(ctx, jobID, func(job *state.Job) error {
			if job.CreatedAt.IsZero() {
				return errUnknownJob // deleted meanwhile
			}
			job.SignInNeeded = true
			return nil
		})
	})
	if err != nil {
		return err
	}
	j.keys.ForgetApp()
	j.keys.ForgetAccount(jobID)
	return nil
}

func unknownJob(err error) error {
	if errors.Is(err, state.ErrNotFound) {
		return errUnknownJob
	}
	return err
}

const (
	// MaxAsked is how many posts a task may ask about. X bills each.
	MaxAsked = 5000
	// latestEnd is how far ahead a task's window may end: it is open until that is
	// captured.
	latestEnd = 24 * time.Hour
)

// firstPost is before anything was posted on X.
var firstPost = time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC)

// AddTask accepts a task: what the job's account posted from task.Start to
// task.End, and what became of the posts in task.Dirty, is to be delivered to
// task.BlobSASURI. It returns once the task is durable. The same task may come
// again, and is one task.
func (j *Jobs) AddTask(ctx context.Context, task state.Task) error {
	if err := CheckID("JobId", task.JobID); err != nil {
		return err
	}
	if err := CheckID("TaskId", task.TaskID); err != nil {
		return err
	}
	switch now := j.opt.Now(); {
	case task.Start.After(task.End):
		return bad("StartTime is after EndTime.")
	case task.End.After(now.Add(latestEnd)):
		return bad("EndTime is later than a day from now.")
	case task.End.Before(firstPost):
		return bad("EndTime is before 2006, when there were no posts.")
	case len(task.Dirty) > MaxAsked:
		return bad(fmt.Sprintf("DirtyEntities has %d posts; a task may ask about %d.", len(task.Dirty), MaxAsked))
	}
	if task.Start.Before(firstPost) { // .NET's earliest time, for one: since the beginning
		task.Start = firstPost
	}
	if err := checkContainerSAS(task.BlobSASURI, j.opt.AllowLoopbackBlobs); err != nil {
		return err
	}
	job, err := j.opt.State.Job(ctx, task.JobID)
	if err != nil {
		return unknownJob(err)
	}
	task.AccountID, task.ReceivedAt = job.AccountID, j.opt.Now().UTC()
	added, err := j.opt.State.AddTask(ctx, task)
	if errors.Is(err, state.ErrClaimed) {
		return fault.RefuseWith(fault.Claimed, "The task is being delivered just now. Send it again later.", err)
	}
	if err != nil {
		return err
	}
	j.opt.Log.InfoContext(ctx, "task received", "job", task.JobID, "task", task.TaskID, "new", added,
		"start", task.Start, "end", task.End, "dirty", len(task.Dirty))
	if task.ReceivedAt.Sub(job.AskedAt) > askedWithin {
		j.asked(ctx, task.JobID, task.ReceivedAt)
	}
	return nil
}

// askedWithin is how exactly a job says when it was last asked for.
const askedWithin = time.Hour

// asked notes when a job was last asked for. The task is durable already; that this
// fails is no failure of the request.
func (j *Jobs) asked(ctx context.Context, jobID string, at time.Time) {
	err := j.opt.State.UpdateJob(ctx, jobID, func(job *state.Job) error {
		if job.V == 0 {
			return state.ErrNotFound // deleted meanwhile
		}
		job.AskedAt = at
		return nil
	})
	if err != nil {
		j.opt.Log.WarnContext(ctx, "when the Compliance Center asked last could not be noted; its next request notes it", "job", jobID, "error", err.Error())
	}
}

// Setup is how far a job's set-up has come.
type Setup struct {
	Job      *state.Job   // nil: it has not been saved yet
	Account  twitter.User // who has signed in for it; no ID: nobody
	UsedBy   string       // the other job that archives this account; "" if none does
	ReadOnly bool         // the account is the one in the environment; nobody can sign in
}

// Setup returns how far a job's set-up has come; with an error, as far as is known. X
// is asked only where the account comes out of the environment.
func (j *Jobs) Setup(ctx context.Context, jobID string) (Setup, error) {
	setup := Setup{ReadOnly: j.ReadOnly()}
	job, err := j.opt.State.Job(ctx, jobID)
	switch {
	case err == nil:
		setup.Job = &job
	case !errors.Is(err, state.ErrNotFound):
		return setup, err
	}
	account, err := j.account(ctx, jobID)
	switch {
	case errors.Is(err, ErrNotSignedIn):
		return setup, nil
	case err != nil:
		return setup, err
	}
	setup.Account = twitter.User{ID: account.UserID, Username: account.ScreenName}
	if account.UserID == "" {
		if setup.Account, err = j.ask(ctx, account.Token); err != nil {
			return setup, err
		}
	}
	setup.UsedBy, err = j.usedBy(ctx, jobID, setup.Account.ID)
	return setup, err
}

// usedBy returns the id of the job other than this one that archives an account;
// "" if there is none.
func (j *Jobs) usedBy(ctx context.Context, jobID, accountID string) (string, error) {
	owner, err := j.opt.State.Owner(ctx, accountID, j.opt.Now())
	if err != nil {
		return "", fmt.Errorf("finding out who archives account %s: %w", accountID, err)
	}
	if owner == jobID {
		return "", nil
	}
	return owner, nil
}
