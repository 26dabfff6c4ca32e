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
	AccountID  string    `json:"accountId"`            // the job's account when the task was added
	Start      time.Time `json:"start"`                // UTC, inclusive
	End        time.Time `json:"end"`                  // UTC, inclusive
	Dirty      []string  `json:"dirty,omitempty"`      // ids of posts to look up again
	BlobSASURI string    `json:"blobSasUri,omitempty"` // container SAS; holds a secret; empty once the task has ended
	ReceivedAt time.Time `json:"receivedAt"`           // UTC

	Begun    bool   `json:"begun,omitempty"`    // its window is in the job's [Delivered]
	Position string `json:"position,omitempty"` // name of the message up to which the window's items are uploaded
	Chunks   int    `json:"chunks,omitempty"`   // of [Items] that are written of the window
	Uploads  int    `json:"uploads,omitempty"`  // items that are in the container

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

func (t *Task) belongs(name string) bool {
	return t.TaskID != "" && (name == taskName(openTasks, t.JobID, t.TaskID) || name == taskName(endedTasks, t.JobID, t.TaskID))
}

func (t *Task) upgrade() { t.Problem = t.Problem.orNil() }

// reopens reports whether a task that has this verdict, and is asked for again, is
// to be done again.
func (v *Verdict) reopens() bool {
	return v != nil && v.Status == temporaryFailure && v.Refusal == ""
}

// adds is how often AddTask begins again because the task ends meanwhile.
const adds = 5

// AddTask makes a task durable. A task already open stays one task, as far as
// it has come; if the newer request has another SAS, that one is taken, which may
// outlive the first, and all items go there. A task that has ended stays ended.
// added is false then. A task that ended as a temporary failure and is asked for
// again is open again. It returns ErrClaimed if the task is in work and the newer
// request cannot be taken in now: it has another SAS, or the task is just ending
// as a temporary failure.
func (s *Store) AddTask(ctx context.Context, t Task) (added bool, err error) {
	t.V = Version
	for range adds {
		ended, err := s.EndedTask(ctx, t.JobID, t.TaskID)
		has := err == nil
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		if has && !ended.Verdict.reopens() {
			return false, nil
		}
		_, err = s.write(ctx, taskName(openTasks, t.JobID, t.TaskID), t, blob.Condition{Absent: true})
		added = err == nil
		if errors.Is(err, ErrExists) || errors.Is(err, ErrClaimed) {
			err = s.addToOpen(ctx, t)
		}
		if errors.Is(err, ErrNotFound) {
			continue // it has ended since; how, decides
		}
		if err != nil {
			return false, err
		}
		if has { // only now, so that the task is in one of the folders at any time
			err = s.remove(ctx, taskName(endedTasks, t.JobID, t.TaskID), blob.Condition{})
		}
		return added, err
	}
	return false, fmt.Errorf("task %s: %w", t.TaskID, ErrClaimed)
}

// addToOpen takes a request for a task that is open. It returns ErrNotFound if the
// task is no longer open.
func (s *Store) addToOpen(ctx context.Context, t Task) error {
	claim, err := s.ClaimTask(ctx, t.JobID, t.TaskID)
	if errors.Is(err, ErrClaimed) {
		return s.inWork(ctx, t)
	}
	if err != nil {
		return err
	}
	defer claim.Release()
	if claim.Task.BlobSASURI == t.BlobSASURI {
		return nil
	}
	claim.Task.BlobSASURI = t.BlobSASURI
	claim.Task.Restart()
	return claim.Save(ctx)
}

// Restart forgets what is uploaded and what came of it: a new SAS may be of
// another container, and what failed may have failed for the old one.
func (t *Task) Restart() {
	t.Position, t.Chunks, t.Uploads, t.Extra, t.ExtraDone = "", 0, 0, false, 0
	t.Partials, t.Left, t.LeftMore = nil, nil, 0
	t.Attempts, t.NotBefore, t.Verdict = 0, time.Time{}, nil
}

// inWork returns nil if the work under way does what a request asks for;
// ErrNotFound if the task is no longer open; else ErrClaimed.
func (s *Store) inWork(ctx context.Context, t Task) error {
	var open Task
	if _, err := s.read(ctx, taskName(openTasks, t.JobID, t.TaskID), &open); err != nil {
		return err
	}
	if open.BlobSASURI == t.BlobSASURI && !open.Verdict.reopens() {
		return nil
	}
	return fmt.Errorf("task %s: %w", t.TaskID, ErrClaimed)
}

// OpenTasks reads the tasks that have not ended, with their SAS. A record that
// cannot be read is in damaged and does not stop the others.
func (s *Store) OpenTasks(ctx context.Context) (list []Task, damaged []Damaged, err error) {
	list, damaged, err = all[Task, *Task](ctx, s, openTasks)
	for i := range list {
		if err == nil {
			err = s.adopt(ctx, &list[i])
		}
	}
	return list, damaged, err
}

// adopt gives a task from before the format was versioned its account: its job's.
// The task of a deleted job stays without.
func (s *Store) adopt(ctx context.Context, t *Task) error {
	if t.V != 0 || t.AccountID != "" {
		return nil
	}
	j, err := s.Job(ctx, t.JobID)
	if err == nil {
		t.AccountID = j.AccountID
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewer) {
		return nil // whoever works on the task meets it
	}
	return err
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

// Drop removes the task without a trace: its job is gone.
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
