// Package ingest is what the timer starts: capture (X → archive) and deliver
// (archive → Import service), at the same time, with archive and state between them;
// then, for a minute at most, what can wait; and, once a day, the sweep that removes what
// nobody needs any more, and the archive's verification.
package ingest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/recheck"
)

// Capture reads what is new on X into the archive; *capture.Capture.
type Capture interface {
	Run(ctx context.Context) (capture.Report, error)
}

// Deliver hands archived messages to the Import service; *deliver.Deliver.
type Deliver interface {
	Run(ctx context.Context) (deliver.Report, error)
	// TellChanges tells the Import service what has changed outside of tasks.
	TellChanges(ctx context.Context) error
}

// Audit looks at archived posts again; *recheck.Audit.
type Audit interface {
	Run(ctx context.Context) (recheck.Report, error)
}

// History reads posts from X's whole archive that somebody asked for; *history.Reader.
type History interface {
	Run(ctx context.Context) (archived int, err error)
}

// Mentions reads posts of others that mention an account; *mentions.Reader.
type Mentions interface {
	Run(ctx context.Context) (archived int, err error)
}

// Activity hears what X tells of posts; *activity.Keeper.
type Activity interface {
	Run(ctx context.Context) (worked int, err error)
}

// Sweeper removes, now and then, what nobody needs any more; *state.Store.
type Sweeper interface {
	Sweep(ctx context.Context, now time.Time) (removed int, ran bool, err error)
}

// Daily goes on with what is done once a day; *daily.Daily.
type Daily interface {
	Run(ctx context.Context) error
}

// Recorder records that a tick begins; *state.Store.
type Recorder interface {
	Ticked(ctx context.Context, now time.Time) error
}

// Ingest runs both halves.
type Ingest struct {
	Capture  Capture
	Deliver  Deliver
	Mentions Mentions
	Activity Activity
	Audit    Audit
	History  History
	Sweep    Sweeper
	Daily    Daily
	Ticks    Recorder
	Now      func() time.Time
	Log      *slog.Logger

	// ReportEnds reports when the secrets end that have an end. It is called once an
	// hour, beside the rest; nil: never.
	ReportEnds func(ctx context.Context) error
	reported   time.Time

	// Limit is how long one tick may take. It is below the host's
	// functionTimeout by what ending in order needs.
	Limit time.Duration
}

// Margin returns how much earlier than the host's time limit a tick ends by itself.
func Margin(functionTimeout time.Duration) time.Duration {
	return min(functionTimeout/10, 30*time.Second)
}

// Tick runs capture and deliver. Neither waits for the other, and neither's error
// stops the other. When capture has ended, deliver runs once more, unless there is
// nothing new and no task, so that a window captured in this tick is delivered in it.
// The error holds what failed on either side; later ticks try it again.
func (i *Ingest) Tick(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, i.Limit)
	defer cancel()
	started := time.Now()
	if err := i.Ticks.Ticked(ctx, i.Now()); err != nil {
		i.Log.WarnContext(ctx, "that the timer ticks could not be recorded; the tick goes on", "error", err.Error())
	}

	var captured capture.Report
	done := make(chan error, 1)
	go func() {
		done <- i.guard(ctx, "capture", func() (err error) {
			captured, err = i.Capture.Run(ctx)
			return err
		})
	}()
	ends := make(chan struct{})
	go func() {
		defer close(ends)
		i.reportEnds(ctx)
	}()
	delivered, deliverErr := i.deliver(ctx)
	captureErr := <-done
	<-ends
	if news := captured.Posts > 0 || delivered.Open > 0 || captureErr != nil || deliverErr != nil; news && ctx.Err() == nil {
		again, err := i.deliver(ctx)
		deliverErr = errors.Join(deliverErr, err)
		again.Ended, again.Items = again.Ended+delivered.Ended, again.Items+delivered.Items
		delivered = again
	}
	did, background := i.background(ctx)
	if ctx.Err() == nil {
		i.sweep(ctx)
		// Last, so that nothing waits for it. What it finds is told and written down; it is
		// no failure of the tick.
		_ = i.guard(ctx, "the daily verification", func() error { return i.Daily.Run(ctx) })
	}
	waiting, why := waits(captured.Waiting)
	i.Log.InfoContext(ctx, "tick done", "seconds", time.Since(started).Seconds(),
		"captureFailed", captureErr != nil, "deliverFailed", deliverErr != nil,
		"accounts", captured.Accounts, "accountsSkipped", captured.Skipped, "accountsClaimed", captured.Claimed,
		"accountsWaiting", waiting, "waitingFor", why, "posts", captured.Posts,
		"tasks", delivered.Open, "tasksWaiting", delivered.Waiting, "tasksSkipped", delivered.Skipped, "tasksClaimed", delivered.Claimed,
		"tasksEnded", delivered.Ended, "items", delivered.Items, "postsLookedAt", did.looked.Looked, "postsGone", did.looked.Gone, "postsBack", did.looked.Back, "postsDiffering", did.looked.Differing, "postsOfHistory", did.history, "postsMentioning", did.mentions, "events", did.events)
	return errors.Join(captureErr, deliverErr, background)
}

// backgroundTime is how long a tick goes on with what can wait: the next tick, and with it
// the next new posts, must not wait for it.
const backgroundTime = time.Minute

// done is what was done of what can wait.
type done struct {
	looked   recheck.Report
	history  int // posts archived
	mentions int // posts archived
	events   int // worked on
}

// background does what can wait, when what cannot is done.
func (i *Ingest) background(ctx context.Context) (did done, err error) {
	ctx, cancel := context.WithTimeout(ctx, backgroundTime)
	defer cancel()
	var failures []error
	if ctx.Err() == nil {
		failures = append(failures, i.guard(ctx, "X's events", func() (err error) {
			some, cancel := context.WithTimeout(ctx, backgroundTime/2)
			defer cancel()
			did.events, err = i.Activity.Run(some)
			return err
		}))
	}
	if ctx.Err() == nil {
		failures = append(failures, i.guard(ctx, "mentions", func() (err error) {
			some, cancel := context.WithTimeout(ctx, backgroundTime/2) // a flood of them must not keep the rest waiting for ever
			defer cancel()
			did.mentions, err = i.Mentions.Run(some)
			return err
		}))
	}
	if ctx.Err() == nil {
		failures = append(failures, i.guard(ctx, "audit", func() (err error) {
			did.looked, err = i.Audit.Run(ctx)
			return err
		}))
	}
	if ctx.Err() == nil {
		failures = append(failures, i.guard(ctx, "telling changes", func() error { return i.Deliver.TellChanges(ctx) }))
	}
	if ctx.Err() == nil {
		failures = append(failures, i.guard(ctx, "history", func() (err error) {
			did.history, err = i.History.Run(ctx)
			return err
		}))
	}
	return did, errors.Join(failures...)
}

func (i *Ingest) deliver(ctx context.Context) (r deliver.Report, err error) {
	err = i.guard(ctx, "deliver", func() (err error) {
		r, err = i.Deliver.Run(ctx)
		return err
	})
	return r, err
}

// waits returns how many accounts X is not to be asked for yet, and the causes.
func waits(by map[fault.Cause]int) (n int, why string) {
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(by)) {
		n += by[cause]
		causes = append(causes, string(cause))
	}
	return n, strings.Join(causes, " ")
}

// reportEvery is how often it is reported when secrets end.
const reportEvery = time.Hour

func (i *Ingest) reportEnds(ctx context.Context) {
	now := i.Now()
	if i.ReportEnds == nil || now.Sub(i.reported).Abs() < reportEvery {
		return
	}
	i.reported = now
	if err := panics.Catch(func() error { return i.ReportEnds(ctx) }); err != nil {
		i.Log.WarnContext(ctx, "when the secrets end could not be read", "error", err.Error())
	}
}

// sweep removes leftovers, once a day. That it fails is no failure of the tick.
func (i *Ingest) sweep(ctx context.Context) {
	removed, ran, err := i.Sweep.Sweep(ctx, i.Now())
	if err != nil {
		i.Log.WarnContext(ctx, "leftovers could not all be removed; another day makes up for it", "removed", removed, "error", err.Error())
	} else if ran {
		i.Log.InfoContext(ctx, "leftovers removed", "removed", removed)
	}
}

// guard turns a half's panic into its error: it must not take the other down.
func (i *Ingest) guard(ctx context.Context, name string, run func() error) error {
	err := panics.Catch(run)
	if err != nil {
		i.Log.ErrorContext(ctx, name+" failed", "error", err.Error())
	}
	return err
}
