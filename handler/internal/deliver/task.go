package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
)

const (
	// maxAttempts is how many attempts in a row may bring a task, or an item, no
	// further before it is given up for now. With firstPause doubling up to
	// longestPause that is about 5 hours.
	maxAttempts  = 10
	firstPause   = time.Minute
	longestPause = time.Hour

	// grace is how long writing down may take when time is over.
	grace = 5 * time.Second
)

// attempt is one turn of a claimed task.
type attempt struct {
	deliver  *Deliver
	claim    *state.TaskClaim
	wait     wait
	found    *state.Found // once it is read
	progress *progress
	log      *slog.Logger

	item     string // key of the item that the task waited for when the attempt ended
	answered bool   // the Import service has taken the event, or refused it for good
	refused  error
	ended    bool
}

// done is what an attempt did.
type done struct {
	items     int // uploaded
	ended     bool
	elsewhere bool // another instance has claimed it
}

// task gives a task its turn. An interruption is no error, nor is a claim that
// another instance has or took over.
func (d *Deliver) task(ctx context.Context, c candidate) (done, error) {
	claim, err := d.State.ClaimTask(ctx, c.task.JobID, c.task.TaskID)
	if errors.Is(err, state.ErrClaimed) || errors.Is(err, state.ErrLost) {
		d.Log.InfoContext(ctx, "another instance has claimed the task; it is delivered there, or here once the claim has run out", "job", c.task.JobID, "task", c.task.TaskID)
		return done{elsewhere: true}, nil
	}
	if errors.Is(err, state.ErrNotFound) {
		return done{}, nil // another instance has just ended it
	}
	if err != nil {
		if ctx.Err() != nil {
			return done{}, nil
		}
		return done{}, err
	}
	defer claim.Release()
	a := &attempt{deliver: d, claim: claim, wait: c.wait, progress: &progress{claim: claim, written: time.Now()},
		log: d.Log.With("job", c.task.JobID, "account", c.wait.account.ID, "task", c.task.TaskID)}
	ctx, span := d.Telemetry.Task(claim.Context(), c.task.JobID, c.task.TaskID)
	err = a.conclude(ctx, panics.Catch(func() error { return a.run(ctx) }))
	span.End(errors.Join(err, a.refused))
	return done{items: a.progress.uploaded, ended: a.ended}, err
}

// run takes the task as far as it goes now.
func (a *attempt) run(ctx context.Context) error {
	t := &a.claim.Task
	job, err := a.deliver.State.Job(ctx, t.JobID)
	if errors.Is(err, state.ErrNotFound) {
		a.log.InfoContext(ctx, "the task's job was deleted; the task is dropped")
		a.answered = true // there is nobody to tell
		return a.claim.Drop(ctx)
	}
	if err != nil && (!isUnreadable(err) || t.AccountID == "") { // the task has all that it needs
		return err
	}
	if t.AccountID == "" { // from before the format was versioned
		t.AccountID = job.AccountID
	}
	t.TriedAt = a.deliver.Now().UTC()
	if t.Verdict == nil && a.wait.reason == "" && !t.Begun {
		// Before anything is listed: what is archived from now on into the window,
		// and is not listed, is noted as late.
		if err := a.deliver.State.AddDelivered(ctx, t.JobID, t.AccountID, window(*t)); err != nil {
			return err
		}
		t.Begun = true
	}
	if err := a.claim.Save(ctx); err != nil {
		return err
	}
	if t.Verdict == nil {
		v, err := a.reachVerdict(ctx)
		if err != nil {
			return err
		}
		a.setVerdict(ctx, v)
		if err := a.progress.save(ctx); err != nil {
			return err
		}
	}
	return a.tell(ctx)
}

// reachVerdict uploads what is still to be uploaded.
func (a *attempt) reachVerdict(ctx context.Context) (*state.Verdict, error) {
	if a.wait.reason != "" {
		return a.waitedInVain(), nil
	}
	err := a.uploadAll(ctx)
	switch {
	case err == nil:
		return a.verdict(ctx)
	case errors.Is(err, importer.ErrGone):
		a.restart()
		return &state.Verdict{Status: int(importer.PermanentFailure), Reason: err.Error()}, nil
	case errors.Is(err, importer.ErrExpired): // the Compliance Center may ask again, with a new one
		a.restart()
		return &state.Verdict{Status: int(importer.TemporaryFailure), Reason: err.Error()}, nil
	case errors.Is(err, archive.ErrPosition):
		a.restart()
	}
	return nil, err
}

func (a *attempt) uploadAll(ctx context.Context) error {
	t := &a.claim.Task
	inbox, err := a.deliver.OpenInbox(t.BlobSASURI)
	if err != nil {
		return err
	}
	if !t.Extra {
		walk := a.deliver.Archive.Walk(ctx, t.AccountID, t.Start, t.End, t.Position)
		if err := a.upload(ctx, inbox, walk); err != nil {
			return err
		}
		if err := a.planExtra(ctx); err != nil {
			return err
		}
	}
	if !t.Extra {
		return nil
	}
	return a.upload(ctx, inbox, a.extra(ctx))
}

// restart forgets what is uploaded: it cannot be relied on.
func (a *attempt) restart() {
	a.claim.Task.Restart()
	a.progress.settled = nil
}

// conclude decides what it means that an attempt ended with err, and writes down how
// far it came. It returns an error only for a failure: an interruption and a lost
// claim are none.
func (a *attempt) conclude(ctx context.Context, err error) error {
	interrupted := ctx.Err() != nil
	if err != nil && !a.lost(err) && !a.answered {
		saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if saveErr := a.writeDown(saving, err, interrupted); saveErr != nil {
			err, interrupted = errors.Join(err, saveErr), false
		} else if interrupted {
			return nil
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errDayIsFull):
		a.log.WarnContext(ctx, "the Import service takes no more items today; the task's event waits", "items", a.claim.Task.Uploads, "until", a.claim.Task.NotBefore)
		return nil
	case a.lost(err):
		a.log.InfoContext(ctx, "the claim of the task is lost; another instance goes on", "reason", state.ErrLost.Error())
		return nil
	case interrupted:
		a.log.InfoContext(ctx, "ending a task was interrupted; a later tick goes on", "reason", err.Error())
		return nil
	case a.answered:
		return fmt.Errorf("ending the task, whose event is settled: %w", err)
	}
	return err
}

// lost reports whether the claim is lost.
func (a *attempt) lost(err error) bool { return a.claim.Lost() != nil || errors.Is(err, state.ErrLost) }

// writeDown notes an attempt that did not end the task, and when to make the next.
func (a *attempt) writeDown(ctx context.Context, cause error, interrupted bool) error {
	t := &a.claim.Task
	goesWell := a.progress.made && t.Verdict == nil
	if goesWell {
		t.Attempts = 0
	} else {
		t.Attempts++
	}
	t.NotBefore, t.Problem = time.Time{}, nil
	if !goesWell || !interrupted {
		t.Problem = state.NewProblem(cause, a.deliver.Now())
		tries := t.Attempts
		for _, p := range t.Partials {
			tries = max(tries, p.Tries)
		}
		if tries > 0 {
			t.NotBefore = a.deliver.Now().Add(min(firstPause<<min(tries-1, 10), longestPause)).UTC()
		}
	}
	if errors.Is(cause, errDayIsFull) {
		t.NotBefore = a.deliver.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	}
	switch {
	case t.Verdict != nil:
	case !a.progress.made:
		a.log.WarnContext(ctx, "an attempt at a task brought it no further", "item", a.item, "attempts", t.Attempts, "reason", cause.Error())
	case interrupted:
		a.log.InfoContext(ctx, "delivery was interrupted; a later tick goes on", "item", a.item, "uploaded", a.progress.uploaded, "reason", cause.Error())
	}
	if t.Verdict == nil && t.Attempts >= maxAttempts {
		if err := a.progress.flush(ctx); err != nil {
			return err
		}
		reason := fmt.Sprintf("%d attempts brought the task no further; the last ended with: %v", t.Attempts, cause)
		if a.item != "" {
			reason = fmt.Sprintf("%d attempts brought the task no further than message %s; the last ended with: %v", t.Attempts, a.item, cause)
		}
		problem := t.Problem
		a.setVerdict(ctx, &state.Verdict{Status: int(importer.TemporaryFailure), Reason: reason})
		t.Problem = problem
	}
	return a.progress.save(ctx)
}
