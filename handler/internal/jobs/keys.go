package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/twitter"
)

// ErrNotSignedIn: no account has signed in for the job. It is a kind of
// secrets.ErrNotSet.
var ErrNotSignedIn = fault.Kind(secrets.ErrNotSet, fault.NotSignedIn, "no account has signed in for the job")

// KeyStore is where keys are kept; *secrets.Store.
type KeyStore interface {
	Get(ctx context.Context, name string) (string, error)
	GetAll(ctx context.Context, names ...string) (map[string]string, error)
	Set(ctx context.Context, name, value string) error // a new version
	Delete(ctx context.Context, name string) error     // nil if there is none
	Forget(names ...string)                            // the next Get asks for them again
	Writable() error                                   // secrets.ErrReadOnly where nothing can be saved
}

// Keys are what calls to X are signed with: the keys of the organization's app, and
// the token of each account that has signed in, one for each job. All are secrets.
// Errors are those of the KeyStore.
type Keys struct{ store KeyStore }

// NewKeys returns the keys kept in a store.
func NewKeys(s KeyStore) *Keys { return &Keys{s} }

// App returns the keys of the organization's app at X.
func (k *Keys) App(ctx context.Context) (twitter.App, error) {
	keys, err := k.store.GetAll(ctx, secrets.TwitterAPIKey, secrets.TwitterAPISecretKey)
	return twitter.App{Key: keys[secrets.TwitterAPIKey], Secret: keys[secrets.TwitterAPISecretKey]}, err
}

// Account returns the account that has signed in for a job. It returns
// [ErrNotSignedIn] if none has. Without a vault it is, for every job, the one whose access token is
// in the environment; who that is is not known then, UserID and ScreenName are empty.
func (k *Keys) Account(ctx context.Context, jobID string) (twitter.Account, error) {
	if k.store.Writable() != nil {
		token, err := k.store.GetAll(ctx, secrets.TwitterAccessToken, secrets.TwitterAccessTokenSecret)
		return twitter.Account{Token: twitter.Token{Token: token[secrets.TwitterAccessToken], Secret: token[secrets.TwitterAccessTokenSecret]}}, err
	}
	name := accountSecret(jobID)
	text, err := k.store.Get(ctx, name)
	if errors.Is(err, secrets.ErrNotSet) {
		return twitter.Account{}, fmt.Errorf("%w: job %s, secret %s", ErrNotSignedIn, jobID, name)
	}
	if err != nil {
		return twitter.Account{}, err
	}
	var saved savedAccount
	if err := json.Unmarshal([]byte(text), &saved); err != nil || saved.Token == "" || saved.Secret == "" {
		return twitter.Account{}, fmt.Errorf("%w: job %s: secret %s is not what the connector saved there", ErrNotSignedIn, jobID, name)
	}
	return twitter.Account{Token: twitter.Token{Token: saved.Token, Secret: saved.Secret}, UserID: saved.UserID, ScreenName: saved.ScreenName}, nil
}

// SaveAccount saves the account that has signed in for a job.
func (k *Keys) SaveAccount(ctx context.Context, jobID string, a twitter.Account) error {
	text, err := json.Marshal(savedAccount{a.Token.Token, a.Token.Secret, a.UserID, a.ScreenName})
	if err != nil {
		return err
	}
	return k.store.Set(ctx, accountSecret(jobID), string(text))
}

// DeleteAccount removes the token of a job's account. It is no error if there is
// none.
func (k *Keys) DeleteAccount(ctx context.Context, jobID string) error {
	return k.store.Delete(ctx, accountSecret(jobID))
}

// ForgetApp drops what is kept in memory of the app's keys, so that the next call
// of App reads them: X has refused them, or somebody may have changed them.
func (k *Keys) ForgetApp() {
	k.store.Forget(secrets.TwitterAPIKey, secrets.TwitterAPISecretKey)
}

// ForgetAccount drops what is kept in memory of a job's account, so that the next
// call of Account reads it.
func (k *Keys) ForgetAccount(jobID string) {
	k.store.Forget(secrets.TwitterAccessToken, secrets.TwitterAccessTokenSecret, accountSecret(jobID))
}

// savedAccount is the value of an account's secret.
type savedAccount struct {
	Token      string `json:"token"`
	Secret     string `json:"secret"`
	UserID     string `json:"userId"`
	ScreenName string `json:"screenName"`
}

// accountSecret is the name of the secret that holds a job's account. A job's id
// may hold characters that Key Vault does not take.
func accountSecret(jobID string) string {
	sum := sha256.Sum256([]byte(jobID))
	return "x-token-" + hex.EncodeToString(sum[:16])
}
