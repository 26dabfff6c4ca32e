package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/fault"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// ErrTaken: another job archives the account.
var ErrTaken = fault.New(fault.Claimed, "another job archives the account")

// owner says which job archives an account. It is made create-only, so that of two
// jobs that choose the account at the same moment one gets it.
type owner struct{ JobID string }

func ownerName(accountID string) string { return "owners/" + accountID + ".json" }

// ownerGrace is how long an owner is believed although its job does not archive the
// account: the job is written after the owner, and may be on its way.
const ownerGrace = 10 * time.Minute

// Owner returns the id of the job that archives an account; "" if none does.
func (s *Store) Owner(ctx context.Context, accountID string) (string, error) {
	o, _, err := s.owner(ctx, accountID)
	return o.JobID, err
}

// owner reads an account's owner. One that no longer archives the account is
// empty; etag is the record's all the same.
func (s *Store) owner(ctx context.Context, accountID string) (o owner, etag *azcore.ETag, err error) {
	data, etag, modified, err := s.readVersion(ctx, ownerName(accountID))
	if errors.Is(err, ErrNotFound) {
		return owner{}, nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return owner{}, nil, err
	}
	j, err := s.Job(ctx, o.JobID)
	gone := errors.Is(err, ErrNotFound) || err == nil && j.AccountID != accountID
	if gone && time.Since(modified) >= ownerGrace {
		return owner{}, etag, nil
	}
	if gone {
		err = nil
	}
	return o, etag, err
}

// TakeAccount makes a job the one that archives an account. It returns ErrTaken if
// another job is. Repeating it is harmless.
func (s *Store) TakeAccount(ctx context.Context, accountID, jobID string) error {
	o, etag, err := s.owner(ctx, accountID)
	switch {
	case err != nil:
		return err
	case o.JobID == jobID:
		return nil
	case o.JobID != "":
		return fmt.Errorf("account %s: %w: job %s", accountID, ErrTaken, o.JobID)
	}
	if etag == nil { // a job from before there were owners has none
		jobs, err := s.Jobs(ctx)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if j.AccountID == accountID && j.ID != jobID {
				if err := s.writeOwner(ctx, accountID, j.ID, nil); err != nil && !errors.Is(err, errExists) {
					return err
				}
				return fmt.Errorf("account %s: %w: job %s", accountID, ErrTaken, j.ID)
			}
		}
	}
	err = s.writeOwner(ctx, accountID, jobID, etag)
	if errors.Is(err, errExists) {
		return fmt.Errorf("account %s: %w", accountID, ErrTaken)
	}
	return err
}

func (s *Store) writeOwner(ctx context.Context, accountID, jobID string, etag *azcore.ETag) error {
	return s.writeJSON(ctx, ownerName(accountID), owner{jobID}, condition{absent: etag == nil, etag: etag})
}

// ReleaseOwner lets other jobs archive an account, if this job does.
func (s *Store) ReleaseOwner(ctx context.Context, accountID, jobID string) error {
	var o owner
	err := s.readJSON(ctx, ownerName(accountID), &o)
	if errors.Is(err, ErrNotFound) || err == nil && o.JobID != jobID {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.remove(ctx, ownerName(accountID), ""); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// UpdateJob changes a job. change gets the job as it is, an empty one if there is
// none yet, and may be called again when another instance was faster; an error of
// change is returned, and nothing is written.
func (s *Store) UpdateJob(ctx context.Context, id string, change func(*Job) error) error {
	for n := 1; ; n++ {
		data, etag, _, err := s.readVersion(ctx, jobName(id))
		j := Job{ID: id}
		if err == nil {
			err = json.Unmarshal(data, &j)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := change(&j); err != nil {
			return err
		}
		err = s.writeJSON(ctx, jobName(id), j, condition{absent: etag == nil, etag: etag})
		if n == 10 || !errors.Is(err, errExists) {
			return err
		}
	}
}

// readVersion is read, with the blob's ETag and when it was written.
func (s *Store) readVersion(ctx context.Context, name string) ([]byte, *azcore.ETag, time.Time, error) {
	b, err := s.blob(ctx, name)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	properties, err := b.GetProperties(ctx, nil)
	if err != nil {
		return nil, nil, time.Time{}, fmt.Errorf("reading %s: %w", name, translate(err))
	}
	data := make([]byte, *properties.ContentLength)
	_, err = b.DownloadBuffer(ctx, data, &blob.DownloadBufferOptions{AccessConditions: &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: properties.ETag}}})
	if err != nil {
		return nil, nil, time.Time{}, fmt.Errorf("reading %s: %w", name, translate(err))
	}
	return data, properties.ETag, *properties.LastModified, nil
}
