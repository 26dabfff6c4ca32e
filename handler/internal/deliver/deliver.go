// Package deliver hands archived messages to the Office 365 Import service. For each
// task of the Compliance Center it uploads an item for each message of the task's
// window, for late messages, and for the posts that the task asks about; then it
// sends the event that says that the task has ended.
//
// It reads the archive and the state, and calls nothing of X. It waits for what
// capture has not done yet: a task is left alone until its window is covered and the
// posts that it asks about are looked up.
//
// A task ends only when the Import service has taken its verdict (2xx), or refused
// it for good. Until then it stays open, whatever fails, and later ticks go on
// where earlier ones stopped:
//
//	deliver.go   which tasks get a turn, in what order, for how long
//	window.go    whether a task must still wait for capture
//	task.go      a task's way from its claim to its end, and what a failed attempt means
//	upload.go    items on their way, several at once
//	item.go      one of them
//	progress.go  what of that is written down
//	extra.go     what a task delivers besides its window
//	verdict.go   the outcome, and the event that reports it
//	changes.go   what the Import service is told outside of tasks
package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/telemetry"

	"golang.org/x/sync/errgroup"
)

// Inbox is a task's container at the Import service; *importer.Container.
type Inbox interface {
	// Upload puts the item that write produces under a name, replacing one that
	// is there. Nothing is visible before it is whole. It keeps resume up to date,
	// synchronously with write's calls of its writer, so that a later upload of the
	// same bytes goes on there.
	//
	// It returns write's error as it is; blob.ErrBlocks, with resume reset, if the
	// item must be uploaded from its start; importer.ErrGone or
	// importer.ErrExpired only if the container will never take anything again.
	Upload(ctx context.Context, name string, resume *blob.Staged, write func(io.Writer) error) error
}

// Events tells the Import service how a task ended; *importer.Events.
type Events interface {
	// Complete returns nil only if the service has taken the event, and an
	// *importer.RefusedError only if it never will. An error of the completion's
	// Items it returns as it is.
	Complete(ctx context.Context, jobID string, c importer.Completion) error
}

// ChangeEvents tells the Import service what has changed outside of tasks;
// *importer.Events.
type ChangeEvents interface {
	// Changed tells of items that have changed at their source. It returns nil and
	// errors as Events.Complete does.
	Changed(ctx context.Context, jobID string, changes []importer.Change) error
}

// Deliver works on the open tasks. Several instances may run at once.
type Deliver struct {
	State   *state.Store
	Archive *archive.Archive
	// OpenInbox opens the container of a SAS. It returns importer.ErrGone if the SAS
	// can never serve.
	OpenInbox func(sasURL string) (Inbox, error)
	// Item writes the item of an archived message, the same bytes each time. It
	// need not read the message to its end.
	Item      func(w io.Writer, m importer.Source) error
	Events    Events
	Changes   ChangeEvents
	Now       func() time.Time
	Log       *slog.Logger
	Telemetry *telemetry.Telemetry // nil: none

	// ItemsADay is how many items the Import service takes on a UTC day; 0 for
	// Microsoft's number.
	ItemsADay int
}

// itemsADay is how many items of a connector Microsoft imports on one day. It says that
// of more than that none is imported.
// https://learn.microsoft.com/purview/archive-twitter-data-with-sample-connector
const itemsADay = 200_000

const (
	tasksAtOnce = 4

	// shortestTurn is how long a task's turn is at least, if the tick lasts as long.
	shortestTurn = 5 * time.Second

	// checksAtOnce is how many tasks are looked at at the same time, to see
	// whether they must wait.
	checksAtOnce = 16
)

// Report says what a Run did.
type Report struct {
	Open    int // tasks that were open
	Waiting int // of them, those that wait for capture
	Skipped int // of them, those that had no turn because time was over
	Claimed int // of them, those that another instance works on, or did a moment ago
	Damaged int // records that cannot be read
	Ended   int // tasks that ended
	Items   int // items that were uploaded
}

// Run gives each task that is due a turn, those that waited longest first, as far
// as the context's time goes. What fails with one task does not stop the others;
// all of it is in the error.
func (d *Deliver) Run(ctx context.Context) (Report, error) {
	tasks, damaged, err := d.State.OpenTasks(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("reading the open tasks: %w", err)
	}
	report := Report{Open: len(tasks) + len(damaged), Damaged: len(damaged)}
	failures := []error{d.setAside(ctx, damaged)}

	turns, err := d.due(ctx, tasks, &report)
	failures = append(failures, err)
	var (
		mu    sync.Mutex
		group errgroup.Group
	)
	group.SetLimit(tasksAtOnce)
	for i, t := range turns {
		group.Go(func() error {
			if ctx.Err() != nil {
				mu.Lock()
				defer mu.Unlock()
				report.Skipped++
				return nil
			}
			ctx, cancel := turn(ctx, len(turns)-i)
			defer cancel()
			var did done
			err := panics.Catch(func() (err error) {
				did, err = d.task(ctx, t)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			report.Items += did.items
			if did.ended {
				report.Ended++
			}
			if did.elsewhere {
				report.Claimed++
			}
			if err != nil {
				failures = append(failures, fmt.Errorf("delivering task %s of job %s: %w", t.task.TaskID, t.task.JobID, err))
			}
			return nil
		})
	}
	_ = group.Wait() // failures are collected one by one
	d.Telemetry.Skipped(ctx, "tasks", report.Skipped)
	return report, errors.Join(failures...)
}

// turn bounds a task's turn by its share of what is left of the tick, so that a slow
// task leaves the others theirs. left is how many tasks have not begun, this one
// included.
func turn(ctx context.Context, left int) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(shortestTurn, time.Until(end)*tasksAtOnce/time.Duration(left)))
}

// candidate is a task that gets a turn.
type candidate struct {
	task state.Task // as it was read
	wait wait
}

// due returns the tasks that get a turn: those that need not wait for capture or for
// their next attempt, the one whose last turn is longest ago first.
func (d *Deliver) due(ctx context.Context, tasks []state.Task, report *Report) ([]candidate, error) {
	slices.SortFunc(tasks, func(a, b state.Task) int {
		return cmp.Or(a.TriedAt.Compare(b.TriedAt), a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.TaskID, b.TaskID))
	})
	seen := &accounts{store: d.State}
	waits, failures := make([]wait, len(tasks)), make([]error, len(tasks))
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for i, t := range tasks {
		if !d.Now().Before(t.NotBefore) {
			group.Go(func() error {
				waits[i], failures[i] = d.look(ctx, seen, t)
				return nil
			})
		}
	}
	_ = group.Wait() // failures are collected one by one
	var out []candidate
	for i, t := range tasks {
		switch {
		case d.Now().Before(t.NotBefore):
		case failures[i] != nil && ctx.Err() != nil: // time was over before it was looked at
			report.Skipped++
			failures[i] = nil
		case failures[i] != nil:
			failures[i] = fmt.Errorf("seeing whether task %s of job %s can be delivered: %w", t.TaskID, t.JobID, failures[i])
		case waits[i].reason != "" && d.patient(t):
			report.Waiting++
			d.Log.DebugContext(ctx, "a task waits for capture", "job", t.JobID, "task", t.TaskID, "for", waits[i].reason)
		default:
			out = append(out, candidate{t, waits[i]})
		}
	}
	return out, errors.Join(failures...)
}

// setAside copies the bytes of records that cannot be read. Its error names all of
// them at each call, because they stay until somebody acts.
func (d *Deliver) setAside(ctx context.Context, damaged []state.Damaged) error {
	var failures []error
	for _, r := range damaged {
		failures = append(failures, r.Err)
		added, err := d.State.PutDamaged(ctx, r)
		if err != nil {
			failures = append(failures, fmt.Errorf("setting %s aside: %w", r.Name, err))
		}
		if added {
			d.Log.ErrorContext(ctx, "a record cannot be read; its bytes are set aside, everything else goes on",
				"record", r.Name, "error", r.Err.Error())
		}
	}
	return errors.Join(failures...)
}
