// Package deliver hands archived posts to the Office 365 Import service: for
// each task of the Compliance Center one item a post of the task's window, then
// the event that says the task is through. It reads the archive, never X's
// timelines, and knows nothing of how posts got there beyond which times are
// covered.
//
// A task ends only when the Import service has taken its verdict (2xx). Until
// then it stays open, whatever fails, and later ticks go on where earlier ones
// stopped.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/telemetry"

	"golang.org/x/sync/errgroup"
)

// Relooker looks posts up on X again and archives what is new of them. What it
// returns as gone X no longer has; found holds all that is archived. It keeps X's
// answers under key until Forget, so that a second try bills nothing.
type Relooker interface {
	Relook(ctx context.Context, job state.Job, key string, ids []string) (found []archive.Entry, gone map[string]string, err error)
	Forget(ctx context.Context, accountID, key string) error
}

// Inbox is a task's container at the Import service. Upload is safe to repeat.
type Inbox interface {
	Upload(ctx context.Context, name string, write func(io.Writer) error) error
}

// Events tells the Import service how a task went; nil only if it has taken it.
type Events interface {
	Complete(ctx context.Context, jobID string, c importer.Completion) error
}

// Deliver works on the open tasks. Several instances may run at once.
type Deliver struct {
	State     *state.Store
	Archive   *archive.Archive
	Again     Relooker
	OpenInbox func(sasURI string) (Inbox, error)
	Item      func(w io.Writer, eml io.Reader) error // turns an archived message into an item
	Events    Events
	Now       func() time.Time
	Log       *slog.Logger
	Telemetry *telemetry.Telemetry // nil: none
}

const (
	// patience is how long a task waits for its window to be captured before
	// the Import service is told of a temporary failure.
	patience = 24 * time.Hour

	// maxAttempts is how often delivering may fail before the Import service is
	// told. With firstPause doubling up to longestPause that is about 5 hours.
	maxAttempts  = 10
	firstPause   = time.Minute
	longestPause = time.Hour

	tasksAtOnce = 2
	itemsAtOnce = 4

	// saveEvery is after how many items a task's progress is written down.
	saveEvery = 50
)

// Run works on every task that is due, as far as the context's time goes. One
// task's trouble does not stop the others; all of it is in the error.
func (d *Deliver) Run(ctx context.Context) error {
	tasks, err := d.State.OpenTasks(ctx)
	if err != nil {
		return fmt.Errorf("deliver: reading the tasks: %w", err)
	}
	var group errgroup.Group
	group.SetLimit(tasksAtOnce)
	failures := make([]error, len(tasks))
	for i, t := range tasks {
		if d.Now().Before(t.NotBefore) {
			continue
		}
		group.Go(func() error {
			if err := panics.Catch(func() error { return d.task(ctx, t) }); err != nil {
				failures[i] = fmt.Errorf("delivering task %s of job %s: %w", t.TaskID, t.JobID, err)
			}
			return nil
		})
	}
	_ = group.Wait() // failures are collected one by one
	return errors.Join(failures...)
}

// task works on one task under its claim.
func (d *Deliver) task(ctx context.Context, t state.Task) (err error) {
	log := d.Log.With("job", t.JobID, "task", t.TaskID)
	claim, err := d.State.ClaimTask(ctx, t.JobID, t.TaskID)
	if errors.Is(err, state.ErrClaimed) || errors.Is(err, state.ErrNotFound) {
		return nil // another instance has it, or has just ended it
	}
	if err != nil {
		return err
	}
	defer claim.Release()
	ctx, span := d.Telemetry.Task(claim.Context(), t.JobID, t.TaskID)
	defer func() { span.End(err) }()

	job, err := d.State.Job(ctx, t.JobID)
	if errors.Is(err, state.ErrNotFound) {
		log.InfoContext(ctx, "the task's job was deleted; the task is dropped")
		return claim.Drop(ctx)
	}
	if err != nil {
		return err
	}
	w := &work{Deliver: d, TaskClaim: claim, job: job, log: log, altered: map[string]string{}}
	err = w.run(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		log.InfoContext(ctx, "delivery interrupted, a later tick continues", "reason", context.Cause(ctx).Error(), "uploaded", len(claim.Uploaded))
		// What is uploaded is written down even now; the claim may still be ours.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = claim.Save(ctx) // without it the items are only uploaded again
		return nil
	}
	return errors.Join(err, w.postpone(ctx, err))
}

// postpone notes a failed attempt and when to make the next.
func (w *work) postpone(ctx context.Context, cause error) error {
	pause := min(firstPause<<min(w.Attempts, 10), longestPause)
	w.Attempts++
	w.NotBefore = w.Now().Add(pause).UTC()
	w.LastError = cause.Error()
	if w.Verdict == nil && w.Attempts >= maxAttempts {
		w.Verdict = &state.Verdict{Status: int(importer.TemporaryFailure), Reason: fmt.Sprintf("%d attempts failed, the last with: %v", w.Attempts, cause)}
		w.log.ErrorContext(ctx, "task given up for now; the Import service will be told of a temporary failure", "error", cause.Error())
	}
	return w.Save(ctx)
}
