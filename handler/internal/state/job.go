package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/blob"
)

// Job is a connector job of the Compliance Center: one account of X archived
// into one mailbox.
type Job struct {
	V            int       `json:"v"`
	ID           string    `json:"id"`
	TenantID     string    `json:"tenantId"`
	AccountID    string    `json:"accountId"`   // on X
	AccountName  string    `json:"accountName"` // as shown on X
	Handle       string    `json:"handle,omitempty"`
	CreatedAt    time.Time `json:"createdAt"`              // UTC
	SignInNeeded bool      `json:"signInNeeded,omitempty"` // the account must sign in again
	SignedInAt   time.Time `json:"signedInAt,omitzero"`    // UTC; when the account last signed in, or was chosen
	AskedAt      time.Time `json:"askedAt,omitzero"`       // UTC, to within an hour: when the Compliance Center last asked for a task
}

// Asked returns when the Compliance Center last asked for a task for the job, or, as
// long as it never has, when the job was made.
func (j Job) Asked() time.Time {
	if j.AskedAt.IsZero() {
		return j.CreatedAt
	}
	return j.AskedAt
}

func (j *Job) belongs(name string) bool { return j.ID != "" && name == jobName(j.ID) }

// upgrade sets V: 0 stands for a job that does not exist, see [Store.UpdateJob].
func (j *Job) upgrade() { j.V = Version }

const jobs = "jobs/"

func jobName(id string) string { return jobs + id + ".json" }

// Job reads a job. It returns ErrNotFound if there is none of that id.
func (s *Store) Job(ctx context.Context, id string) (Job, error) {
	var j Job
	_, err := s.read(ctx, jobName(id), &j)
	return j, err
}

// Jobs reads all jobs. A record that cannot be read is in damaged and does not
// stop the others.
func (s *Store) Jobs(ctx context.Context) (list []Job, damaged []Damaged, err error) {
	return all[Job, *Job](ctx, s, jobs)
}

// UpdateJob changes a job. change gets the job as it is, with V 0 if there is
// none: never made, or deleted meanwhile. It may be called again when another
// instance was faster; an error of change is returned, and nothing is written. It
// returns ErrClaimed if others were faster each time ([Again]).
func (s *Store) UpdateJob(ctx context.Context, id string, change func(*Job) error) error {
	return update(ctx, s, jobName(id), func(j *Job) error {
		j.ID = id
		if err := change(j); err != nil {
			return err
		}
		j.V, j.ID = Version, id
		return nil
	})
}

// update reads a record, has it changed, and writes it if nobody else has
// meanwhile; if somebody has, it begins again.
func update[T any, P pointer[T]](ctx context.Context, s *Store, name string, change func(P) error) error {
	for n := 1; ; n++ {
		v := P(new(T))
		info, err := s.read(ctx, name, v)
		when := blob.Condition{ETag: info.ETag}
		if errors.Is(err, ErrNotFound) {
			when, err = blob.Condition{Absent: true}, nil
		}
		if err != nil {
			return err
		}
		if err := change(v); err != nil {
			return err
		}
		_, err = s.write(ctx, name, v, when)
		if !errors.Is(err, ErrClaimed) && !errors.Is(err, ErrExists) {
			return err
		}
		if !Again(ctx, n) {
			return fmt.Errorf("changing %s: %w", name, ErrClaimed)
		}
	}
}

// DeleteJob removes a job, its open tasks, and its ownership of the account. It
// returns ErrNotFound if there is no such job, and ErrNewer, removing nothing, if a
// newer version wrote it. The account's cursor and coverage stay: a later job for
// the account goes on where this one stopped. A task that is being delivered just
// now is left to the instance that delivers it, which finds the job gone. What was
// kept for the job besides is removed by [Store.Sweep].
func (s *Store) DeleteJob(ctx context.Context, id string) error {
	j, err := s.Job(ctx, id)
	if errors.Is(err, ErrDamaged) {
		j, err = Job{}, nil // its account comes free when the job is gone
	}
	if err != nil {
		return err
	}
	tasks, err := s.names(ctx, openTasks+id+"/")
	if err != nil {
		return err
	}
	for _, name := range tasks {
		if err := s.remove(ctx, name, blob.Condition{}); err != nil && !errors.Is(err, ErrClaimed) {
			return err
		}
	}
	if err := s.ReleaseOwner(ctx, j.AccountID, id); err != nil {
		return err
	}
	return s.remove(ctx, jobName(id), blob.Condition{})
}
