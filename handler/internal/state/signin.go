package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"xarchive/handler/internal/blob"
)

// SignIn is a sign-in with X that has begun and not ended: the request token
// and, sealed, its secret.
type SignIn struct {
	V           int       `json:"v"`
	Token       string    `json:"token"`
	Sealed      []byte    `json:"sealed"`
	RedirectURL string    `json:"redirectUrl"`
	Page        bool      `json:"page,omitempty"` // begun on a page of ours, not by a call
	CreatedAt   time.Time `json:"createdAt"`      // UTC
	ExpiresAt   time.Time `json:"expiresAt"`      // UTC
}

func (in *SignIn) belongs(name string) bool { return name == signInName(in.Token) }
func (in *SignIn) upgrade()                 {}

const signIns = "signins/"

func signInName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return signIns + hex.EncodeToString(sum[:16]) + ".json"
}

// PutSignIn keeps a sign-in.
func (s *Store) PutSignIn(ctx context.Context, in SignIn) error {
	in.V = Version
	return replace(ctx, s, signInName(in.Token), in)
}

// SignIn returns the sign-in of a request token. It returns ErrNotFound if there is
// none, or none any more.
func (s *Store) SignIn(ctx context.Context, token string, now time.Time) (SignIn, error) {
	var in SignIn
	_, err := s.read(ctx, signInName(token), &in)
	if err == nil && !now.Before(in.ExpiresAt) {
		return SignIn{}, fmt.Errorf("a sign-in that has expired: %w", ErrNotFound)
	}
	return in, err
}

// SignIns returns the sign-ins that have not expired. Those that have are removed
// by [Store.Sweep].
func (s *Store) SignIns(ctx context.Context, now time.Time) ([]SignIn, error) {
	list, _, err := all[SignIn, *SignIn](ctx, s, signIns)
	var live []SignIn
	for _, in := range list {
		if now.Before(in.ExpiresAt) {
			live = append(live, in)
		}
	}
	return live, err
}

// TakeSignIn removes a sign-in. ErrNotFound says that it was taken before, which
// makes a sign-in good for one use; so does the loss of the answer to the removal.
func (s *Store) TakeSignIn(ctx context.Context, token string) error {
	return s.blobs.Remove(ctx, signInName(token), blob.Condition{})
}
