package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// Job is a connector job of the Compliance Center: one account of X archived
// into one mailbox.
type Job struct {
	ID           string
	TenantID     string
	AccountID    string    // on X
	AccountName  string    // as shown on X; "" if X did not say
	Handle       string    // without @
	CreatedAt    time.Time // UTC
	SignInNeeded bool      // the account must sign in again
}

func jobName(id string) string { return "jobs/" + id + ".json" }

// Job reads a job; ErrNotFound if there is none of that id.
func (s *Store) Job(ctx context.Context, id string) (Job, error) {
	var j Job
	err := s.readJSON(ctx, jobName(id), &j)
	return j, err
}

// Jobs reads all jobs.
func (s *Store) Jobs(ctx context.Context) ([]Job, error) {
	return all[Job](ctx, s, "jobs/")
}

// PutJob creates or replaces a job.
func (s *Store) PutJob(ctx context.Context, j Job) error {
	return s.writeJSON(ctx, jobName(j.ID), j, condition{})
}

// DeleteJob removes a job and its open tasks; ErrNotFound if there is none. The
// account's cursor and coverage stay: a later job for the account goes on
// where this one stopped. A task that is being delivered just now is left to the
// instance that delivers it, which finds the job gone.
func (s *Store) DeleteJob(ctx context.Context, id string) error {
	j, err := s.Job(ctx, id)
	if err != nil {
		return err
	}
	tasks, err := s.names(ctx, openTasks+id+"/")
	if err != nil {
		return err
	}
	for _, name := range tasks {
		if err := s.remove(ctx, name, ""); err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrClaimed) {
			return err
		}
	}
	if err := s.ReleaseOwner(ctx, j.AccountID, id); err != nil {
		return err
	}
	return s.remove(ctx, jobName(id), "")
}

// SignIn is a sign-in with X that has begun and not ended: the request token
// and, sealed, its secret.
type SignIn struct {
	Token       string
	Sealed      []byte
	RedirectURL string
	Page        bool      // a page began it, not a call
	CreatedAt   time.Time // UTC
	ExpiresAt   time.Time // UTC
}

func signInName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "signins/" + hex.EncodeToString(sum[:16]) + ".json"
}

// PutSignIn keeps a sign-in.
func (s *Store) PutSignIn(ctx context.Context, in SignIn) error {
	return s.writeJSON(ctx, signInName(in.Token), in, condition{})
}

// SignIn reads the sign-in of a request token; ErrNotFound if there is none.
func (s *Store) SignIn(ctx context.Context, token string) (SignIn, error) {
	var in SignIn
	err := s.readJSON(ctx, signInName(token), &in)
	return in, err
}

// SignIns reads the sign-ins that have not expired and removes those that have.
func (s *Store) SignIns(ctx context.Context) ([]SignIn, error) {
	list, err := all[SignIn](ctx, s, "signins/")
	if err != nil {
		return nil, err
	}
	var live []SignIn
	for _, in := range list {
		if time.Now().Before(in.ExpiresAt) {
			live = append(live, in)
		} else if err := s.DeleteSignIn(ctx, in.Token); err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return live, nil
}

// DeleteSignIn removes a sign-in. ErrNotFound tells that somebody else has
// taken it, which makes a sign-in good for one use.
func (s *Store) DeleteSignIn(ctx context.Context, token string) error {
	return s.remove(ctx, signInName(token), "")
}
