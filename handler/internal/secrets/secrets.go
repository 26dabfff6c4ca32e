// Package secrets gives the connector its secrets: the keys of its app at X and
// of its app at Entra, the secret it shares with the Compliance Center, and the
// access token of each account that has signed in. They come from Azure Key Vault,
// or, where no vault is set, from the environment, which cannot be written.
//
// What was read is kept in memory for a while (see [Store.Get]), so that a vault
// that is slow or down for a moment does not matter. Values are written nowhere but to
// the vault, and no error or log line holds one.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/fault"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
)

// Names of secrets, as in Key Vault. In the environment they are in capitals and
// with underscores: API_SECRET_KEY.
const (
	APISecretKey             = "api-secret-key" // shared with the Compliance Center
	TwitterAPIKey            = "twitter-api-key"
	TwitterAPISecretKey      = "twitter-api-secret-key"
	TwitterAccessToken       = "twitter-access-token"        // without a vault: the one account's
	TwitterAccessTokenSecret = "twitter-access-token-secret" // without a vault: the one account's
	AADApplicationID         = "aad-application-id"
	AADApplicationSecret     = "aad-application-secret"
	AADApplicationURI        = "aad-application-uri"
	PagesKey                 = "pages-key" // random; signs what browsers keep for the pages. The connector makes it
)

// LeastSharedSecret is how many characters [APISecretKey] must have: whoever may guess it
// without end must not find it. A shorter one is taken for none.
const LeastSharedSecret = 32

var (
	// ErrNotSet: there is no such secret, or it is empty. Errors that wrap it are
	// [*NotSetError] and say how to set it.
	ErrNotSet = fault.New(fault.SecretNotSet, "secret is not set")
	// ErrReadOnly: secrets come from the environment and cannot be saved.
	ErrReadOnly = fault.New(fault.SecretReadOnly, "settings come from the environment and cannot be saved: set KEY_VAULT_URL to a vault in which the connector may write secrets")
	// ErrUnavailable: the vault cannot be reached or refuses the connector.
	ErrUnavailable = fault.New(fault.KeyVault, "the vault does not answer as it should")
	// ErrForbidden: the vault answers, and refuses the connector's identity. It is
	// a kind of ErrUnavailable.
	ErrForbidden = fault.Kind(ErrUnavailable, fault.KeyVaultAccess, "the vault refuses the connector")
)

const (
	maxAge     = 5 * time.Minute  // of a value, before it is asked for again
	maxAbsence = 30 * time.Second // of the knowledge that a secret is not set
	maxStale   = time.Hour        // of a value while the vault cannot be asked
	retryAfter = time.Minute      // between two tries while a stale value serves
	maxFailure = 5 * time.Second  // of a failure of the vault, before it is asked again

	// askTimeout bounds one reading or writing of the vault, retries included.
	askTimeout = 20 * time.Second
)

// source is where secrets are kept.
type source interface {
	// get returns a value; "" or ErrNotSet if there is none.
	get(ctx context.Context, name string) (string, error)
	set(ctx context.Context, name, value string) error
	remove(ctx context.Context, name string) error // no error where there is none
	writable() error                               // nil or ErrReadOnly
	// describe returns what may be shown of a secret.
	describe(ctx context.Context, name string) (Info, error)
}

// Options is what a Store needs.
type Options struct {
	// VaultURL is the vault's, https. "" reads secrets from the environment and
	// leaves Credential and HTTP unused.
	VaultURL   string
	Credential azcore.TokenCredential
	HTTP       *http.Client

	Getenv func(string) string
	Now    func() time.Time
	Log    *slog.Logger
}

// Store reads, keeps and writes secrets. Its methods may be called at once.
type Store struct {
	source source
	now    func() time.Time
	log    *slog.Logger

	group singleflight.Group // one reading of a secret at a time

	mu   sync.Mutex
	kept map[string]kept
	// generation counts, by name, how often what was known of a secret became
	// void. A reading that began before does not count after.
	generation map[string]int
	failed     map[string]failure // by name; of secrets of which nothing is known
}

// failure is how a reading failed.
type failure struct {
	err error
	at  time.Time
}

// kept is what is known of a secret.
type kept struct {
	value   string // "": it is not set
	readAt  time.Time
	retryAt time.Time // the vault failed; no try before this
}

// New returns a store. Nothing is asked of the vault yet.
func New(o Options) (*Store, error) {
	s := &Store{now: o.Now, log: o.Log, kept: map[string]kept{}, generation: map[string]int{}, failed: map[string]failure{}}
	if o.VaultURL == "" {
		s.source = environment{o.Getenv}
		return s, nil
	}
	var err error
	s.source, err = openVault(o.VaultURL, o.Credential, o.HTTP)
	return s, err
}

// Get returns a secret, white space around it removed. A value read in the last
// 5 minutes is used as it is, and so is, for 30 seconds, the knowledge that the
// secret is not set, and, for 5 seconds, that the vault fails: strangers cannot make the
// connector ask the vault often.
// While the vault cannot be asked, a value goes on serving until it is an hour old,
// with a warning in the log; one that was forgotten does not. Errors: ErrNotSet,
// ErrUnavailable, or the context's.
func (s *Store) Get(ctx context.Context, name string) (string, error) {
	s.mu.Lock()
	k, known := s.kept[name]
	failed := s.failed[name]
	s.mu.Unlock()
	now := s.now()
	age := now.Sub(k.readAt)
	switch {
	case failed.err != nil && now.Sub(failed.at) < maxFailure && (!known || k.value == ""):
		return "", failed.err
	case known && k.value == "" && age < maxAbsence:
		return "", notSet(name)
	case known && k.value != "" && (age < maxAge || age < maxStale && now.Before(k.retryAt)):
		return k.value, nil
	}
	value, err := s.read(ctx, name, now)
	if err == nil || errors.Is(err, ErrNotSet) || ctx.Err() != nil {
		return value, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// It may have been forgotten, or read by someone else, in the meantime.
	k, known = s.kept[name]
	if age = now.Sub(k.readAt); !known || k.value == "" || age >= maxStale {
		s.failed[name] = failure{err, now}
		return "", err
	}
	k.retryAt = now.Add(retryAfter)
	s.kept[name] = k
	s.log.WarnContext(ctx, "a secret cannot be read again; the value read before goes on serving", "secret", name, "age", age.Round(time.Second).String(), "error", err.Error())
	return k.value, nil
}

// Refresh reads a secret from the source, whatever is kept. If that fails, what
// is kept stays.
func (s *Store) Refresh(ctx context.Context, name string) (string, error) {
	return s.read(ctx, name, time.Time{})
}

// read asks the source, once for all callers that ask at the same time. It returns a
// value that another caller has read since the time since, if there is one; the zero
// time always asks.
func (s *Store) read(ctx context.Context, name string, since time.Time) (string, error) {
	s.mu.Lock()
	generation := s.generation[name]
	s.mu.Unlock()
	result := s.group.DoChan(fmt.Sprint(name, " ", generation, " ", since.IsZero()), func() (any, error) {
		s.mu.Lock()
		k, known := s.kept[name]
		s.mu.Unlock()
		if known && k.value != "" && !since.IsZero() && !k.readAt.Before(since) {
			return k.value, nil
		}
		// It is read for others too: the first to give up must not end it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		value, err := s.source.get(ctx, name)
		value = strings.TrimSpace(value)
		if err == nil && value == "" {
			err = notSet(name)
		}
		if err == nil || errors.Is(err, ErrNotSet) {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.failed, name)
			if s.generation[name] == generation {
				s.kept[name] = kept{value: value, readAt: s.now()}
			}
		}
		return value, err
	})
	select {
	case r := <-result:
		return r.Val.(string), r.Err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// GetAll returns several secrets by name, read side by side. Its error names
// every secret that could not be read, or else every one that is not set.
func (s *Store) GetAll(ctx context.Context, names ...string) (map[string]string, error) {
	values, errs := make([]string, len(names)), make([]error, len(names))
	var group errgroup.Group
	for i, name := range names {
		group.Go(func() error {
			values[i], errs[i] = s.Get(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // errors are gathered one by one
	var missing NotSetError
	for _, err := range errs {
		var one *NotSetError
		switch {
		case errors.As(err, &one):
			missing.Names = append(missing.Names, one.Names...)
		case err != nil:
			return nil, errors.Join(errs...)
		}
	}
	if len(missing.Names) > 0 {
		return nil, &missing
	}
	all := map[string]string{}
	for i, name := range names {
		all[name] = values[i]
	}
	return all, nil
}

// Forget drops what is kept of secrets, so that the next Get asks for them. It is
// for a service's 401: they may have been changed.
func (s *Store) Forget(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.generation[name]++
		delete(s.kept, name)
		delete(s.failed, name)
	}
}

// Writable returns nil, or ErrReadOnly if Set and Delete would return that.
func (s *Store) Writable() error { return s.source.writable() }

// Set saves a secret. Errors: ErrReadOnly, ErrUnavailable, the context's.
func (s *Store) Set(ctx context.Context, name, value string) error {
	err := s.source.set(ctx, name, value)
	s.Forget(name) // even a failed call may have changed it
	return err
}

// Make returns a secret as it is now. Where it is not set, value is saved as it first. Of
// several instances that do so at the same moment the last one counts; all read what
// became of it. Errors: ErrReadOnly, ErrUnavailable, the context's.
func (s *Store) Make(ctx context.Context, name, value string) (string, error) {
	got, err := s.Refresh(ctx, name)
	if !errors.Is(err, ErrNotSet) {
		return got, err
	}
	if err := s.Set(ctx, name, value); err != nil {
		return "", err
	}
	return s.Refresh(ctx, name)
}

// Delete removes a secret; it is no error if there is none. Errors as Set's.
func (s *Store) Delete(ctx context.Context, name string) error {
	err := s.source.remove(ctx, name)
	s.Forget(name)
	return err
}

// NotSetError says which secrets are not set. To errors.Is it is [ErrNotSet].
type NotSetError struct{ Names []string }

func (e *NotSetError) Error() string {
	var how []string
	for _, name := range e.Names {
		how = append(how, fmt.Sprintf("%s (in Key Vault: az keyvault secret set --vault-name <vault> --name %s --value <value>; without a vault: environment variable %s)",
			name, name, environmentName(name)))
	}
	return ErrNotSet.Error() + ": " + strings.Join(how, ", ")
}

func (e *NotSetError) Unwrap() error { return ErrNotSet }

// FaultCause returns [fault.SecretNotSet].
func (e *NotSetError) FaultCause() fault.Cause { return fault.SecretNotSet }

// FaultSentence names the secrets.
func (e *NotSetError) FaultSentence() string {
	if len(e.Names) == 1 {
		return "The secret " + e.Names[0] + " is not set. Enter it under Settings; without a Key Vault, set the environment variable " + environmentName(e.Names[0]) + "."
	}
	return "The secrets " + strings.Join(e.Names, ", ") + " are not set. Enter them under Settings; without a Key Vault, set the environment variables of these names."
}

func notSet(name string) error { return &NotSetError{[]string{name}} }

func environmentName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// environment has the secrets of a connector without a vault.
type environment struct{ getenv func(string) string }

func (e environment) get(_ context.Context, name string) (string, error) {
	return e.getenv(environmentName(name)), nil
}

func (environment) set(context.Context, string, string) error { return ErrReadOnly }

func (environment) remove(context.Context, string) error { return ErrReadOnly }

func (environment) writable() error { return ErrReadOnly }
