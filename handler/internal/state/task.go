package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/blob"
)

// Task is a request of the Compliance Center: deliver what the job's account
// posted from Start to End, and what became of the posts in Dirty.
type Task struct {
	V          int       `json:"v"`
	JobID      string    `json:"jobId"`
	TaskID     string    `json:"taskId"`
	AccountID  string    `json:"accountId"`            // the job's account when the task came
	Start      time.Time `json:"start"`                // UTC, inclusive
	End        time.Time `json:"end"`                  // UTC, inclusive
	Dirty      []string  `json:"dirty,omitempty"`      // ids of posts to look up again
	BlobSASURI string    `json:"blobSasUri,omitempty"` // container SAS; holds a secret; empty once the task has ended
	ReceivedAt time.Time `json:"receivedAt"`           // UTC

	Begun    bool     `json:"begun,omitempty"`   // its window is in the job's [Delivered]
	Position string   `json:"position,omitempty"` // name of the message up to which the window's items are uploaded
	Chunks   int      `json:"chunks,omitempty"`  // of [Items] that are written of the window
	Uploads  int      `json:"uploads,omitempty"` // items that are in the container

	// Extra says that all items of the window are uploaded and that one more chunk,
	// of number Chunks, lists what is delivered besides: late messages, and what was
	// found of Dirty. The chunk is written before they are uploaded.
	Extra     bool `json:"extra,omitempty"`
	ExtraDone int  `json:"extraDone,omitempty"` // items of that chunk that are uploaded, or left

	Partials []Partial `json:"partials,omitempty"` // items on which an attempt ended; at most some hundred
	Left     []Left    `json:"left,omitempty"`     // messages of which nothing could be delivered
	LeftMore int       `json:"leftMore,omitempty"` // how many more there are than Left names

	TriedAt   time.Time `json:"triedAt,omitzero"`   // UTC; when the task last had its turn
	Attempts  int       `json:"attempts"`           // failed or without progress, in a row
	NotBefore time.Time `json:"notBefore,omitzero"` // UTC; the next attempt
	Problem   *Problem  `json:"lastError,omitempty"`

	Verdict *Verdict  `json:"verdict,omitempty"` // what the Import service is to be told
	EndedAt time.Time `json:"endedAt,omitzero"`  // UTC; the task has ended, even if it is still among the open ones
}

// Partial is an item whose upload failed or was interrupted.
type Partial struct {
	Key    string      `json:"key"`             // of its message
	Staged blob.Staged `json:"staged,omitzero"` // where the next attempt goes on
	Tries  int         `json:"tries"`           // attempts in a row that did not bring it further
}

// Left is a message of which nothing could be delivered.
type Left struct {
	Key     string  `json:"key"`
	Problem Problem `json:"problem"`
}

// Verdict is a task's outcome, kept until the Import service has taken it.
type Verdict struct {
	Status int    `json:"status"` // as in the event API: 0 success, 1 temporary, 2 permanent failure
	Reason string `json:"reason,omitempty"`
	// Refusal is what the Import service answered when it refused the verdict for
	// good.
	Refusal string `json:"refusal,omitempty"`
	// Items are those of a verdict from before the format was versioned; today they
	// are in [Items].
	Items []Item `json:"items,omitempty"`
}

// Item is one uploaded item.
type Item struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"` // UTC
	FileName string    `json:"fileName"`
	Name     string    `json:"name,omitempty"` // of the message in the archive; only of the extra chunk
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
// task that has ended stays ended; added is false then. A task that ended as a
// temporary failure and is asked for again is open again. It returns ErrClaimed if the
// task is being worked on with another SAS, and the newer one cannot be taken
// in now.
func (s *Store) AddTask(ctx context.Context, t Task) (added bool, err error) {
	t.V = Version
	ended, err := s.EndedTask(ctx, t.JobID, t.TaskID)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return false, err
	case ended.Verdict == nil || ended.Verdict.Status != temporaryFailure || ended.Verdict.Refusal != "":
		return false, nil
	default:
		if err := s.reopen(ctx, t.JobID, t.TaskID); err != nil {
			return false, err
		}
	}
	_, err = s.write(ctx, taskName(openTasks, t.JobID, t.TaskID), t, blob.Condition{Absent: true})
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, ErrExists) && !errors.Is(err, ErrClaimed) {
		return false, err
	}
	claim, err := s.ClaimTask(ctx, t.JobID, t.TaskID)
	if errors.Is(err, ErrClaimed) {
		return false, s.sameSAS(ctx, t)
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil // just ended
	}
	if err != nil {
		return false, err
	}
	defer claim.Release()
	if claim.Task.BlobSASURI == t.BlobSASURI {
		return false, nil
	}
	// The new SAS may be of another container: all items go there again.
	claim.Task.BlobSASURI = t.BlobSASURI
	claim.Task.Restart()
	return false, claim.Save(ctx)
}

// Restart forgets what is uploaded.
func (t *Task) Restart() {
	t.Position, t.Chunks, t.Uploads, t.Extra, t.ExtraDone = "", 0, 0, false, 0
	t.Partials, t.Left, t.LeftMore = nil, nil, 0
}

// reopen forgets a task's end. An open blob that a crash in End has left goes first,
// or it would be taken for the reopened task.
func (s *Store) reopen(ctx context.Context, jobID, taskID string) error {
	for _, folder := range []string{openTasks, endedTasks} {
		if err := s.remove(ctx, taskName(folder, jobID, taskID), blob.Condition{}); err != nil {
			return err
		}
	}
	return nil
}

// sameSAS returns nil if a task that is in work has the SAS of this request, or
// has just ended; else ErrClaimed.
func (s *Store) sameSAS(ctx context.Context, t Task) error {
	var inWork Task
	_, err := s.read(ctx, taskName(openTasks, t.JobID, t.TaskID), &inWork)
	if errors.Is(err, ErrNotFound) || err == nil && inWork.BlobSASURI == t.BlobSASURI {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("task %s: %w", t.TaskID, ErrClaimed)
}

// OpenTasks reads the tasks that have not ended, with their SAS. A record that
// cannot be read is in damaged and does not stop the others.
func (s *Store) OpenTasks(ctx context.Context) (list []Task, damaged []Damaged, err error) {
	return all[Task](ctx, s, openTasks)
}

// EndedTask reads a task that has ended. It returns ErrNotFound if there is none.
func (s *Store) EndedTask(ctx context.Context, jobID, taskID string) (Task, error) {
	var t Task
	_, err := s.read(ctx, taskName(endedTasks, jobID, taskID), &t)
	return t, err
}

// TaskClaim is a task that this instance alone works on.
type TaskClaim struct {
	Task Task

	store *Store
	lease *blob.Lease
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
	if _, err := s.read(l.Context(), name, &c.Task); err != nil {
		l.Release()
		return nil, err
	}
	if !c.Task.EndedAt.IsZero() { // a crash interrupted End
		defer l.Release()
		if err := c.move(l.Context()); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("claiming %s: %w", name, ErrNotFound)
	}
	// A crash between the two steps of an older version's End left the task in both folders.
	if c.Task.V == 0 {
		if _, err := s.EndedTask(l.Context(), jobID, taskID); !errors.Is(err, ErrNotFound) {
			defer l.Release()
			if err == nil {
				err = s.remove(l.Context(), name, blob.Condition{Lease: l.ID})
			}
			if err == nil {
				err = fmt.Errorf("claiming %s: %w", name, ErrNotFound)
			}
			return nil, err
		}
	}
	return c, nil
}

// Context returns a context that ends, with cause ErrLost, when the claim is lost.
func (c *TaskClaim) Context() context.Context { return c.lease.Context() }

// Lost returns ErrLost if the claim was lost.
func (c *TaskClaim) Lost() error { return c.lease.Lost() }

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
		return err
	}
	return c.move(ctx)
}

// move is what is left of End once the task is marked as ended.
func (c *TaskClaim) move(ctx context.Context) error {
	t := c.Task
	if err := c.store.removeWork(ctx, t.JobID, t.TaskID); err != nil {
		return err
	}
	t.BlobSASURI, t.Partials = "", nil
	if _, err := c.store.write(ctx, taskName(endedTasks, t.JobID, t.TaskID), t, blob.Condition{}); err != nil {
		return err
	}
	return c.store.remove(ctx, taskName(openTasks, t.JobID, t.TaskID), blob.Condition{Lease: c.lease.ID})
}

// Drop removes the task without a trace: its job is gone.
func (c *TaskClaim) Drop(ctx context.Context) error {
	if err := c.store.removeWork(ctx, c.Task.JobID, c.Task.TaskID); err != nil {
		return err
	}
	return c.store.remove(ctx, taskName(openTasks, c.Task.JobID, c.Task.TaskID), blob.Condition{Lease: c.lease.ID})
}

// Release gives the claim back.
func (c *TaskClaim) Release() { c.lease.Release() }
