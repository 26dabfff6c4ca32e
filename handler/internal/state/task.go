package state

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Task is a request of the Compliance Center: deliver what the job's account
// posted from Start to End, and what became of the posts in Dirty.
type Task struct {
	JobID      string
	TaskID     string
	Start, End time.Time // UTC, both inclusive
	Dirty      []string  // ids of posts to look up again
	BlobSASURI string    // container SAS; holds a secret; empty once the task has ended
	ReceivedAt time.Time // UTC

	Uploaded  []string  // file names of items that are in the container
	Attempts  int       // failed ones
	NotBefore time.Time // UTC; the next attempt
	LastError string    // in words, without secrets

	Verdict *Verdict `json:",omitempty"` // what the Import service is to be told
	EndedAt time.Time
}

// Verdict is a task's outcome, kept until the Import service has taken it.
type Verdict struct {
	Status int // as in the event API: 0 success, 1 temporary, 2 permanent failure
	Reason string
	Items  []VerdictItem
}

// VerdictItem is one uploaded item.
type VerdictItem struct {
	ID       string
	Modified time.Time // UTC
	FileName string
}

const (
	openTasks  = "tasks/open/"
	endedTasks = "tasks/ended/"
)

func taskName(folder, jobID, taskID string) string {
	return fmt.Sprintf("%s%s/%s.json", folder, jobID, taskID)
}

// temporaryFailure is the event API's status for a task that is to be tried again.
const temporaryFailure = 1

// AddTask makes a task durable. A task already open stays one task, as far as
// it has come, with the newer request's SAS, which may outlive the first; a
// task that has ended stays ended. added is false then. A task that ended as a
// temporary failure and is asked for again is open again. ErrClaimed: the task is
// being worked on with another SAS, and the newer one cannot be taken in now.
func (s *Store) AddTask(ctx context.Context, t Task) (added bool, err error) {
	ended, err := s.EndedTask(ctx, t.JobID, t.TaskID)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return false, err
	case ended.Verdict == nil || ended.Verdict.Status != temporaryFailure:
		return false, nil
	default:
		if err := s.reopen(ctx, t.JobID, t.TaskID); err != nil {
			return false, err
		}
	}
	name := taskName(openTasks, t.JobID, t.TaskID)
	err = s.writeJSON(ctx, name, t, condition{absent: true})
	if err == nil {
		return true, nil
	}
	if errors.Is(err, ErrClaimed) {
		return false, s.sameSAS(ctx, t)
	}
	if !errors.Is(err, errExists) {
		return false, err
	}
	claimed, err := s.ClaimTask(ctx, t.JobID, t.TaskID)
	if errors.Is(err, ErrClaimed) {
		return false, s.sameSAS(ctx, t)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil // just ended
	}
	if err != nil {
		return false, err
	}
	defer claimed.Release()
	if claimed.BlobSASURI == t.BlobSASURI {
		return false, nil
	}
	claimed.BlobSASURI = t.BlobSASURI
	claimed.Uploaded = nil // the new SAS may be of another container
	return false, claimed.Save(ctx)
}

// reopen forgets a task's end. An open blob that a crash in End has left goes first,
// or it would be taken for the reopened task.
func (s *Store) reopen(ctx context.Context, jobID, taskID string) error {
	for _, folder := range []string{openTasks, endedTasks} {
		if err := s.remove(ctx, taskName(folder, jobID, taskID), ""); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// sameSAS is nil if a task that is in work has the SAS of this request, or has just
// ended; else ErrClaimed.
func (s *Store) sameSAS(ctx context.Context, t Task) error {
	var inWork Task
	err := s.readJSON(ctx, taskName(openTasks, t.JobID, t.TaskID), &inWork)
	if errors.Is(err, ErrNotFound) || err == nil && inWork.BlobSASURI == t.BlobSASURI {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("task %s: %w", t.TaskID, ErrClaimed)
}

func (s *Store) taskEnded(ctx context.Context, jobID, taskID string) (bool, error) {
	_, err := s.read(ctx, taskName(endedTasks, jobID, taskID))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// OpenTasks reads the tasks that have not ended.
func (s *Store) OpenTasks(ctx context.Context) ([]Task, error) {
	return all[Task](ctx, s, openTasks)
}

// EndedTask reads a task that has ended; ErrNotFound if there is none.
func (s *Store) EndedTask(ctx context.Context, jobID, taskID string) (Task, error) {
	var t Task
	err := s.readJSON(ctx, taskName(endedTasks, jobID, taskID), &t)
	return t, err
}

// TaskClaim is a task that this instance alone works on.
type TaskClaim struct {
	Task
	store *Store
	claim *claim
}

// ClaimTask claims an open task. ErrClaimed if another instance has it,
// ErrNotFound if it is no longer open.
func (s *Store) ClaimTask(ctx context.Context, jobID, taskID string) (*TaskClaim, error) {
	name := taskName(openTasks, jobID, taskID)
	c, err := s.claim(ctx, name)
	if err != nil {
		return nil, err
	}
	tc := &TaskClaim{store: s, claim: c}
	if err := s.readJSON(c.ctx, name, &tc.Task); err != nil {
		c.release()
		return nil, err
	}
	// A crash between the two steps of End leaves the task in both folders.
	ended, err := s.taskEnded(c.ctx, jobID, taskID)
	if err == nil && ended {
		err = s.remove(c.ctx, name, c.id)
		if err == nil {
			err = ErrNotFound
		}
	}
	if err != nil {
		c.release()
		return nil, err
	}
	return tc, nil
}

// Context ends, with cause ErrLost, when the claim is lost.
func (c *TaskClaim) Context() context.Context { return c.claim.ctx }

// Save writes the task as it is now.
func (c *TaskClaim) Save(ctx context.Context) error {
	return c.store.writeJSON(ctx, taskName(openTasks, c.JobID, c.TaskID), c.Task, condition{lease: c.claim.id})
}

// End moves the task among those that have ended, without its SAS.
func (c *TaskClaim) End(ctx context.Context, at time.Time) error {
	t := c.Task
	t.BlobSASURI, t.Uploaded, t.EndedAt = "", nil, at
	if err := c.store.writeJSON(ctx, taskName(endedTasks, t.JobID, t.TaskID), t, condition{}); err != nil {
		return err
	}
	return c.store.remove(ctx, taskName(openTasks, t.JobID, t.TaskID), c.claim.id)
}

// Drop removes the task without a trace: its job is gone.
func (c *TaskClaim) Drop(ctx context.Context) error {
	return c.store.remove(ctx, taskName(openTasks, c.JobID, c.TaskID), c.claim.id)
}

// Release gives the claim back.
func (c *TaskClaim) Release() { c.claim.release() }
