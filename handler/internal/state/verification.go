package state

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/verify"
)

// Verification is what the daily reading of an account's archive has found.
type Verification struct {
	V         int    `json:"v"`
	AccountID string `json:"accountId"`

	Pass  *verify.Pass `json:"pass,omitempty"` // the one that is under way
	Last  *verify.Pass `json:"last,omitempty"` // the last that came to its end
	Ended time.Time    `json:"ended,omitzero"` // UTC; when it did
	Sound time.Time    `json:"sound,omitzero"` // UTC; when the last pass began that found no fault: what was archived before was as it was archived
}

func (v *Verification) belongs(name string) bool { return name == verificationName(v.AccountID) }
func (v *Verification) upgrade()                 {}

func verificationName(accountID string) string { return "verified/" + accountID + ".json" }

// Verification returns what is known of an account's archive; that of one that was never
// read is empty but for its id.
func (s *Store) Verification(ctx context.Context, accountID string) (Verification, error) {
	var v Verification
	_, err := s.read(ctx, verificationName(accountID), &v)
	if err != nil {
		v = Verification{AccountID: accountID}
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return v, err
}

// PutVerification writes it down. It returns ErrClaimed if another instance was faster.
func (s *Store) PutVerification(ctx context.Context, v Verification) error {
	v.V = Version
	return replace(ctx, s, verificationName(v.AccountID), v)
}

// Round is the daily round through all accounts' archives, after which the statement of the
// month before is written once.
type Round struct {
	V     int       `json:"v"`
	At    time.Time `json:"at"`              // UTC; when it began
	After string    `json:"after,omitempty"` // the account that was done last
	Done  bool      `json:"done"`

	Statement string `json:"statement,omitempty"` // the newest month (2006-01) of which a statement was written
}

func (r *Round) belongs(string) bool { return !r.At.IsZero() }
func (r *Round) upgrade()            {}

const roundName = "verify.json"

// Round returns the last round, and the ETag it was read with, also of a record that is
// damaged; the zero Round if there was none.
func (s *Store) Round(ctx context.Context) (r Round, etag string, err error) {
	info, err := s.read(ctx, roundName, &r)
	if err != nil {
		r = Round{}
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return r, info.ETag, err
}

// PutRound writes a round down. It returns ErrClaimed if another instance has written
// since the round was read with that ETag.
func (s *Store) PutRound(ctx context.Context, r Round, etag string) error {
	r.V = Version
	_, err := s.write(ctx, roundName, r, blob.Condition{ETag: etag, Absent: etag == ""})
	if errors.Is(err, ErrExists) {
		return ErrClaimed
	}
	return err
}

// AccountIDs returns the ids of all accounts that were ever read, in order, by one
// listing.
func (s *Store) AccountIDs(ctx context.Context) ([]string, error) {
	names, err := s.names(ctx, "accounts/")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(path.Base(name), ".json"); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
