package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/blob"
)

// Owner says which job archives an account. It is made create-only, so that of two
// jobs that choose the account at the same moment only one gets it.
type Owner struct {
	V     int       `json:"v"`
	JobID string    `json:"jobId"`
	At    time.Time `json:"at"` // UTC; when the job took the account
}

// ownerGrace is how long a job that is being set up holds its account before its
// own record says so.
const ownerGrace = 10 * time.Minute

func (o *Owner) belongs(string) bool { return o.JobID != "" }
func (o *Owner) upgrade()            {}

func ownerName(accountID string) string { return "owners/" + accountID + ".json" }

// Owner returns the id of the job that archives an account, "" if there is none.
func (s *Store) Owner(ctx context.Context, accountID string, now time.Time) (string, error) {
	o, _, err := s.owner(ctx, accountID, now)
	return o.JobID, err
}

// owner reads the owner of an account. A job that was deleted, or has turned to
// another account, is none, even if its record could not be removed.
func (s *Store) owner(ctx context.Context, accountID string, now time.Time) (Owner, blob.Info, error) {
	var o Owner
	info, err := s.read(ctx, ownerName(accountID), &o)
	if errors.Is(err, ErrNotFound) {
		o, err := s.unrecordedOwner(ctx, accountID)
		return o, blob.Info{}, err
	}
	if err != nil {
		return Owner{}, blob.Info{}, err
	}
	j, err := s.Job(ctx, o.JobID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Owner{}, info, err
	}
	if (err != nil || j.AccountID != accountID) && now.Sub(o.At) > ownerGrace {
		return Owner{}, info, nil
	}
	return o, info, nil
}

// unrecordedOwner looks among all jobs for the owner of an account. Jobs from
// before the format was versioned have no owner record until the first
// [Store.Sweep] makes them; after that, no record is no owner.
func (s *Store) unrecordedOwner(ctx context.Context, accountID string) (Owner, error) {
	neverSwept, err := s.absent(ctx, sweepName)
	if err != nil || !neverSwept {
		return Owner{}, err
	}
	list, _, err := s.Jobs(ctx)
	for _, j := range list {
		if j.AccountID == accountID {
			return Owner{JobID: j.ID, At: j.CreatedAt}, err
		}
	}
	return Owner{}, err
}

// recordOwners makes the owner records of jobs from before the format was versioned.
func (s *Store) recordOwners(ctx context.Context) error {
	list, _, err := s.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range list {
		if j.AccountID == "" {
			continue
		}
		_, err := s.write(ctx, ownerName(j.AccountID), Owner{Version, j.ID, j.CreatedAt}, blob.Condition{Absent: true})
		if err != nil && !errors.Is(err, ErrExists) {
			return err
		}
	}
	return nil
}

// TakeAccount makes a job the one that archives an account. It returns ErrTaken
// if another job is, or is just becoming it. Repeating it is harmless. The job's
// own record must say so within ten minutes; after that the account is free.
func (s *Store) TakeAccount(ctx context.Context, accountID, jobID string, now time.Time) error {
	o, info, err := s.owner(ctx, accountID, now)
	if err != nil {
		return err
	}
	if o.JobID != "" && o.JobID != jobID {
		return fmt.Errorf("account %s: %w: job %s", accountID, ErrTaken, o.JobID)
	}
	if o.JobID == jobID && info.ETag != "" {
		return nil
	}
	when := blob.Condition{ETag: info.ETag, Absent: info.ETag == ""}
	_, err = s.write(ctx, ownerName(accountID), Owner{Version, jobID, now.UTC()}, when)
	if errors.Is(err, ErrExists) || errors.Is(err, ErrClaimed) {
		return fmt.Errorf("account %s: %w", accountID, ErrTaken)
	}
	return err
}

// ReleaseOwner lets other jobs archive an account that this job has archived.
func (s *Store) ReleaseOwner(ctx context.Context, accountID, jobID string) error {
	if accountID == "" {
		return nil
	}
	var o Owner
	info, err := s.read(ctx, ownerName(accountID), &o)
	if errors.Is(err, ErrNotFound) || err == nil && o.JobID != jobID {
		return nil
	}
	if err != nil {
		return err
	}
	return s.remove(ctx, ownerName(accountID), blob.Condition{ETag: info.ETag})
}
