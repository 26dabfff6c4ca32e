package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
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

	// Asks is the number of Dirty, which itself is left out of tasks that are read many
	// at a time.
	Asks int `json:"-"`

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
	Counted   string    `json:"counted,omitempty"`  // the UTC date on which its items are in Day
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

// lighten leaves out what a list of tasks is read without.
func (t *Task) lighten() { t.Asks, t.Dirty = len(t.Dirty), nil }

// MaxOpen is how many tasks of a job may be open at a time. The Compliance Center asks
// for one after the other; this is room for weeks in which none could be ended.
const MaxOpen = 1000

// ErrTooMany: the job has as many open tasks as it may have.
var ErrTooMany = fault.New(fault.TooManyTasks, "the job has too many open tasks")

// reopens reports whether a task that has this verdict, and is asked for again, is
// to be done again.
func (v *Verdict) reopens() bool {
	return v != nil && v.Status == temporaryFailure && v.Refusal == ""
}

// adds is how often AddTask begins again because the task ends meanwhile.
const adds = 5

// AddTask makes a task durable. A task that is open already stays one task and
// keeps its progress; a newer request with another SAS replaces the SAS, and all
// items go to the new container. A task that has ended stays ended. In both cases
// added is false. A task that ended as a temporary failure and is asked for
// again is open again. It returns ErrTooMany if the job has [MaxOpen] others that are open;
// ErrClaimed if the task is in work and the newer
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
		if err := s.mayOpen(ctx, t); err != nil {
			return false, err
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

// mayOpen returns ErrTooMany if a task is not open and its job may not have another
// that is. Requests at the same moment may go a little beyond.
func (s *Store) mayOpen(ctx context.Context, t Task) error {
	open, err := s.names(ctx, fmt.Sprintf("%s%s/", openTasks, t.JobID))
	if err != nil || len(open) < MaxOpen || slices.Contains(open, taskName(openTasks, t.JobID, t.TaskID)) {
		return err
	}
	return fmt.Errorf("job %s has %d open tasks: %w", t.JobID, len(open), ErrTooMany)
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
	t.Attempts, t.NotBefore, t.Verdict, t.Counted = 0, time.Time{}, nil, ""
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

// OpenTask reads a task that has not ended. It returns ErrNotFound if there is none.
func (s *Store) OpenTask(ctx context.Context, jobID, taskID string) (Task, error) {
	var t Task
	_, err := s.read(ctx, taskName(openTasks, jobID, taskID), &t)
	t.Asks = len(t.Dirty)
	return t, err
}

// OpenTasks reads the tasks that have not ended, with their SAS but without the ids of
// Dirty, which may be thousands in each. A record that cannot be read is in damaged and
// does not stop the others.
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
