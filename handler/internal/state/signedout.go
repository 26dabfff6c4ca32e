package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"xarchive/handler/internal/blob"
)

// SignedOut says that a person has ended a session with the pages before its time.
// Sessions themselves are kept nowhere: they are what a browser's cookie says.
type SignedOut struct {
	V  int       `json:"v"`
	At time.Time `json:"at"` // UTC
}

func (o *SignedOut) belongs(string) bool { return !o.At.IsZero() }
func (o *SignedOut) upgrade()            {}

const signedOut = "signed-out/"

func signedOutName(session string) string {
	sum := sha256.Sum256([]byte(session))
	return signedOut + hex.EncodeToString(sum[:16]) + ".json"
}

// SignOut ends a session, by its id. Repeating it is harmless. What it writes is removed
// by [Store.Sweep], when no session of that time can be good any more.
func (s *Store) SignOut(ctx context.Context, session string, now time.Time) error {
	_, err := s.write(ctx, signedOutName(session), SignedOut{Version, now.UTC()}, blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// SignedOut reports whether a session has been ended.
func (s *Store) SignedOut(ctx context.Context, session string) (bool, error) {
	gone, err := s.absent(ctx, signedOutName(session))
	return !gone && err == nil, err
}
