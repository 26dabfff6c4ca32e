package state

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"xarchive/handler/internal/blob"
)

// Audit says which of an account's archived posts were looked at again on X, and when.
type Audit struct {
	V         int    `json:"v"`
	AccountID string `json:"accountId"`

	// Days is when the posts of a day (UTC, 2006-01-02) were last looked at, all of them;
	// UTC.
	Days map[string]time.Time `json:"days"`

	Day   string    `json:"day,omitempty"`   // whose posts are being looked at
	Began time.Time `json:"began,omitzero"`  // UTC; when that began
	After string    `json:"after,omitempty"` // name of the message up to which they are

	GoneAt   time.Time `json:"goneAt,omitzero"`     // UTC; when the posts that are gone were last asked for
	Looks    int       `json:"looks"`               // posts that X was asked about
	Silent   int       `json:"silent,omitempty"`    // of them, those that X neither gave nor explained
	Until    time.Time `json:"until,omitzero"`      // UTC; X is not asked before
	LastLook time.Time `json:"lastLook,omitzero"`   // UTC
	Problem  *Problem  `json:"lastError,omitempty"` // why the last attempt failed

	etag string // as it was read or written
}

func auditName(accountID string) string { return "audits/" + accountID + ".json" }

func (a *Audit) belongs(name string) bool { return name == auditName(a.AccountID) }
func (a *Audit) upgrade()                 {}

// Forget drops days before one (2006-01-02): nobody looks at their posts again.
func (a *Audit) Forget(before string) {
	for _, day := range slices.Collect(maps.Keys(a.Days)) {
		if day < before {
			delete(a.Days, day)
		}
	}
}

// Audit returns the record of an account; an empty one if there is none.
func (s *Store) Audit(ctx context.Context, accountID string) (Audit, error) {
	var a Audit
	info, err := s.read(ctx, auditName(accountID), &a)
	if errors.Is(err, ErrNotFound) {
		return Audit{AccountID: accountID}, nil
	}
	a.etag = info.ETag
	return a, err
}

// SaveAudit writes the record of an account. It returns ErrClaimed if another instance
// has written it since it was read.
func (s *Store) SaveAudit(ctx context.Context, a *Audit) error {
	a.V = Version
	etag, err := s.write(ctx, auditName(a.AccountID), a, blob.Condition{ETag: a.etag, Absent: a.etag == ""})
	if errors.Is(err, ErrExists) {
		return ErrClaimed
	}
	if err == nil {
		a.etag = etag
	}
	return err
}
