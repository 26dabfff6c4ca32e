package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// world is the connector, fresh, and everything around it.
type world struct {
	*sandbox.Sandbox
	dir    string
	ours   *blobs.Server // the connector's storage
	theirs *blobs.Server // that of the Import service
	logged *os.File
	stops  []func() error
}

// newWorld starts one that knows the posts.
func newWorld(ctx context.Context, app string, posts posts) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	if w.dir, err = sandbox.Scratch(); err != nil {
		return w, err
	}
	w.stops = append(w.stops, func() error { return os.RemoveAll(w.dir) })
	if err := posts.write(w.dir); err != nil {
		return w, err
	}
	known, err := corpus.Load(w.dir)
	if err != nil {
		return w, err
	}
	if w.logged, err = os.Create(w.dir + "/handler.log"); err != nil {
		return w, err
	}
	w.stops = append(w.stops, w.logged.Close)
	w.Sandbox, err = sandbox.Start(ctx, sandbox.Options{Dir: w.dir + "/sandbox", App: app, Corpus: known, Stderr: w.logged, InMemory: true})
	if err != nil {
		return w, err
	}
	w.stops = append(w.stops, w.Sandbox.Stop)
	w.ours, w.theirs = w.Sandbox.Memory, w.Sandbox.Tasks
	// The day's verification is over before there is anything to read, so that it is not
	// part of what is measured.
	return w, w.tick(ctx)
}

// stop ends everything, in the reverse order of its start.
func (w *world) stop() error {
	var errs []error
	for i := len(w.stops) - 1; i >= 0; i-- {
		errs = append(errs, w.stops[i]())
	}
	w.stops = nil
	return errors.Join(errs...)
}

// connect sets up the jobs of the accounts from one number up to another.
func (w *world) connect(ctx context.Context, from, to int) error {
	for n := from; n < to; n++ {
		if err := w.Connect(ctx, jobID(n), accountID(n)); err != nil {
			return err
		}
	}
	return nil
}

// tick fires the timer and waits for its end, which must be good.
func (w *world) tick(ctx context.Context) error {
	inv, err := w.Host.Tick(ctx, "ingest")
	if err = errors.Join(err, inv.Err); err != nil {
		log, _ := os.ReadFile(w.logged.Name()) // says what it can
		return fmt.Errorf("the tick failed: %w; the log ends with\n%s", err, log[max(0, len(log)-4000):])
	}
	return nil
}

func (w *world) ticks(ctx context.Context, n int) error {
	for range n {
		if err := w.tick(ctx); err != nil {
			return err
		}
	}
	return nil
}

// request asks for everything that a job's account has posted.
func (w *world) request(ctx context.Context, job string) error {
	task := importservice.Task{JobID: job, TaskID: "everything", Start: beginning.Add(-time.Hour), End: beginning.AddDate(1, 0, 0)}
	status, answer, err := w.Import.Request(ctx, task)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the connector answers %d %s", status, answer)
	}
	if err != nil {
		return fmt.Errorf("asking for a task: %w", err)
	}
	return nil
}

// told checks that the Import service was told that the items of a job's task are
// there.
func (w *world) told(job string, items int) error {
	for _, e := range w.Import.Events() {
		if e.JobID == job && e.Status == importservice.Success && len(e.Items) == items {
			return nil
		}
	}
	return fmt.Errorf("a tick did not deliver the %d items (%d events)", items, len(w.Import.Events()))
}

// archived returns how many messages are in the archive.
func (w *world) archived() (n int) {
	for _, name := range w.ours.Names("archive") {
		if strings.HasSuffix(name, ".eml") {
			n++
		}
	}
	return n
}

// spent is what was used since the last time it was asked for.
type spent struct {
	usage
	ours, theirs blobs.Counts
	asked        int // requests to X's API
}

// calls is the number of calls to both storage accounts. Of the Import service's only
// writes are the connector's: its SAS allows nothing else, and the service itself
// reads what was delivered, meanwhile.
func (s spent) calls() int { return s.ours.All() + s.theirs.Write }

func (s spent) writes() int { return s.ours.Write + s.theirs.Write }

func (s spent) bytes() int64 { return s.ours.BytesIn + s.ours.BytesOut + s.theirs.BytesIn }

// measured runs something and returns what it took.
func (w *world) measured(do func() error) (spent, error) {
	if err := resetPeak(w.Host.PID()); err != nil {
		return spent{}, fmt.Errorf("resetting the peak of memory (Linux only): %w", err)
	}
	before, err := used(w.Host.PID())
	if err != nil {
		return spent{}, err
	}
	w.ours.ResetCalls()
	w.theirs.ResetCalls()
	asked := w.X.Stats().Requests
	if err := do(); err != nil {
		return spent{}, err
	}
	after, err := used(w.Host.PID())
	return spent{usage{after.cpu - before.cpu, after.peak}, w.ours.Calls(), w.theirs.Calls(), w.X.Stats().Requests - asked}, err
}
