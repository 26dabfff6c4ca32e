package secrets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"xarchive/handler/internal/twitter"
)

// XApp returns the consumer keys of the company's app at X.
func (s *Store) XApp(ctx context.Context) (twitter.App, error) {
	keys, err := s.GetAll(ctx, TwitterAPIKey, TwitterAPISecretKey)
	return twitter.App{Key: keys[TwitterAPIKey], Secret: keys[TwitterAPISecretKey]}, err
}

// XAccount returns the account that has signed in for a job: ErrNotSet if none
// has. Without a vault it is, for every job, the one whose access token is in the
// environment; who that is is not known then, UserID and ScreenName are empty.
func (s *Store) XAccount(ctx context.Context, jobID string) (twitter.Account, error) {
	if s.Writable() != nil {
		token, err := s.GetAll(ctx, TwitterAccessToken, TwitterAccessTokenSecret)
		return twitter.Account{Token: twitter.Token{Token: token[TwitterAccessToken], Secret: token[TwitterAccessTokenSecret]}}, err
	}
	text, err := s.Get(ctx, accountName(jobID))
	if errors.Is(err, ErrNotSet) {
		return twitter.Account{}, fmt.Errorf("%w: no account has signed in for job %s (secret %s)", ErrNotSet, jobID, accountName(jobID))
	}
	if err != nil {
		return twitter.Account{}, err
	}
	var saved savedAccount
	if err := json.Unmarshal([]byte(text), &saved); err != nil || saved.Token == "" || saved.Secret == "" {
		return twitter.Account{}, fmt.Errorf("%w: secret %s is not what the connector saved there: sign in again for job %s", ErrNotSet, accountName(jobID), jobID)
	}
	return twitter.Account{Token: twitter.Token{Token: saved.Token, Secret: saved.Secret}, UserID: saved.UserID, ScreenName: saved.ScreenName}, nil
}

// SetXAccount saves the account that has signed in for a job.
func (s *Store) SetXAccount(ctx context.Context, jobID string, a twitter.Account) error {
	text, err := json.Marshal(savedAccount{a.Token.Token, a.Token.Secret, a.UserID, a.ScreenName})
	if err != nil {
		return err
	}
	return s.Set(ctx, accountName(jobID), string(text))
}

// DeleteXAccount removes the access token of a job's account; it is no error if
// there is none.
func (s *Store) DeleteXAccount(ctx context.Context, jobID string) error {
	return s.Delete(ctx, accountName(jobID))
}

// ForgetX drops what is kept in memory of the app's keys and of a job's account,
// after X has refused them.
func (s *Store) ForgetX(jobID string) {
	s.Forget(TwitterAPIKey, TwitterAPISecretKey, TwitterAccessToken, TwitterAccessTokenSecret, accountName(jobID))
}

// savedAccount is the value of an account's secret.
type savedAccount struct {
	Token      string `json:"token"`
	Secret     string `json:"secret"`
	UserID     string `json:"userId"`
	ScreenName string `json:"screenName"`
}

// accountName is the name of the secret that holds a job's account. A job's id may
// hold characters that Key Vault does not take.
func accountName(jobID string) string {
	sum := sha256.Sum256([]byte(jobID))
	return "x-token-" + hex.EncodeToString(sum[:16])
}
