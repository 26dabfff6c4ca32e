package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/blob"
)

// Owner says which job archives an account. It is made create-only, so that of two
// jobs that choose the account at the same moment one gets it.
type Owner struct {
	V     int       `json:"v"`
	JobID string    `json:"jobId"`
	At    time.Time `json:"at"` // UTC; when the job took the account
}

// ownerGrace is how long a job that is being set up holds its account before its
// own record says so.
const ownerGrace = 10 * time.Minute

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
		return Owner{}, blob.Info{}, nil
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

// TakeAccount makes a job the one that archives an account. It returns ErrTaken
// if another job is. Repeating it is harmless.
func (s *Store) TakeAccount(ctx context.Context, accountID, jobID string, now time.Time) error {
	o, info, err := s.owner(ctx, accountID, now)
	switch {
	case err != nil:
		return err
	case o.JobID == jobID:
		return nil
	case o.JobID != "":
		return fmt.Errorf("account %s: %w: job %s", accountID, ErrTaken, o.JobID)
	}
	if info.ETag == "" {
		// Jobs from before the format was versioned have no owner record.
		list, _, err := s.Jobs(ctx)
		if err != nil {
			return err
		}
		for _, j := range list {
			if j.AccountID == accountID && j.ID != jobID {
				return fmt.Errorf("account %s: %w: job %s", accountID, ErrTaken, j.ID)
			}
		}
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
