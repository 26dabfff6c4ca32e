package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/blob"
)

// TaskClaim is a task that this instance alone works on.
type TaskClaim struct {
	Task Task

	store *Store
	lease *blob.Lease
	gone  bool // the open task is removed, by us
}

// ClaimTask claims an open task. It returns ErrClaimed if another instance has
// it, ErrNotFound if it is no longer open.
func (s *Store) ClaimTask(ctx context.Context, jobID, taskID string) (*TaskClaim, error) {
	name := taskName(openTasks, jobID, taskID)
	l, err := s.blobs.Lease(ctx, name, "")
	if err != nil {
		return nil, claimed(err)
	}
	c := &TaskClaim{store: s, lease: l}
	if err := c.open(l.Context(), name); err != nil {
		l.Release()
		return nil, err
	}
	return c, nil
}

// open reads the claimed task. It finishes what an interrupted End has begun.
func (c *TaskClaim) open(ctx context.Context, name string) error {
	if _, err := c.store.read(ctx, name, &c.Task); err != nil {
		return err
	}
	if !c.Task.EndedAt.IsZero() {
		if err := c.move(ctx); err != nil {
			return err
		}
		return fmt.Errorf("claiming %s: %w", name, ErrNotFound)
	}
	if c.Task.V != 0 {
		return nil
	}
	// A crash between the two steps of an older version's End left the task in both
	// folders.
	_, err := c.store.EndedTask(ctx, c.Task.JobID, c.Task.TaskID)
	if errors.Is(err, ErrNotFound) {
		return c.store.adopt(ctx, &c.Task)
	}
	if err != nil {
		return err
	}
	if err := c.store.remove(ctx, name, blob.Condition{Lease: c.lease.ID}); err != nil {
		return err
	}
	return fmt.Errorf("claiming %s: %w", name, ErrNotFound)
}

// Context returns a context that ends, with cause ErrLost, when the claim is lost.
func (c *TaskClaim) Context() context.Context { return c.lease.Context() }

// Lost returns ErrLost if the claim was lost. That the task is no longer there,
// because End or Drop has removed it, is no loss.
func (c *TaskClaim) Lost() error {
	if c.gone {
		return nil
	}
	return c.lease.Lost()
}

// Save writes the task as it is now. It returns ErrLost if the claim is lost.
func (c *TaskClaim) Save(ctx context.Context) error {
	c.Task.V = Version
	_, err := c.store.write(ctx, taskName(openTasks, c.Task.JobID, c.Task.TaskID), c.Task, blob.Condition{Lease: c.lease.ID})
	return err
}

// End moves the task among those that have ended, without its SAS, and removes
// what was kept for it. Its first step is conditioned on the claim: it returns
// ErrLost, and nothing has happened, if the claim is lost. If a later step
// fails, the next claim of the task finishes the move.
func (c *TaskClaim) End(ctx context.Context, at time.Time) error {
	c.Task.EndedAt = at.UTC()
	if err := c.Save(ctx); err != nil {
		c.Task.EndedAt = time.Time{} // a later save must not end it
		return err
	}
	return c.move(ctx)
}

// move is what is left of End once the task is marked as ended. The open blob, whose
// removal is conditioned on the claim, goes before the work: an instance that was
// suspended in between cannot remove the work of the task opened again.
func (c *TaskClaim) move(ctx context.Context) error {
	t := c.Task
	work, err := c.store.work(ctx, t.JobID, t.TaskID)
	if err != nil {
		return err
	}
	t.V, t.BlobSASURI, t.Partials = Version, "", nil
	if err := replace(ctx, c.store, taskName(endedTasks, t.JobID, t.TaskID), t); err != nil {
		return err
	}
	return c.remove(ctx, work)
}

// Drop removes the task, whose job is gone. It does not become an ended one.
func (c *TaskClaim) Drop(ctx context.Context) error {
	work, err := c.store.work(ctx, c.Task.JobID, c.Task.TaskID)
	if err != nil {
		return err
	}
	return c.remove(ctx, work)
}

// remove removes the open task, if the claim is not lost, and then its work. What is
// left of that by a crash is swept.
func (c *TaskClaim) remove(ctx context.Context, work []blob.Info) error {
	if err := c.store.remove(ctx, taskName(openTasks, c.Task.JobID, c.Task.TaskID), blob.Condition{Lease: c.lease.ID}); err != nil {
		return err
	}
	c.gone = true
	// The renewal may meet the removed blob and end the claim's context.
	return c.store.removeWork(context.WithoutCancel(ctx), work)
}

// Release gives the claim back.
func (c *TaskClaim) Release() { c.lease.Release() }
