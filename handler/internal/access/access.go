// Package access decides who may come in: the Compliance Center's calls, by the
// secret shared with it or by a token of Entra, and people in front of the pages,
// by the same secret and then by a session.
//
// Callers that fail often are slowed down, on calls and pages together; the right secret
// always passes. Errors are
// those of package fault: [ErrUnauthorized] says that the caller may not come in
// and tells nobody why, which is in the error's text, for the log;
// [fault.UnknownAuthority] says that it cannot be told now.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
)

// ErrUnauthorized: the caller may not come in.
var ErrUnauthorized = fault.New(fault.Unauthorized, "not authorized")

// ErrUndecided: it cannot be told now who the caller is. That is not
// ErrUnauthorized, which would say that the caller is wrong.
var ErrUndecided = fault.New(fault.UnknownAuthority, "authorization cannot be checked")

// Secrets gives the shared secret and the ids under which the connector is
// registered at Entra; *secrets.Store.
type Secrets interface {
	// Get may return a value that was read a while ago.
	Get(ctx context.Context, name string) (string, error)
	// Refresh must read the value as it is now.
	Refresh(ctx context.Context, name string) (string, error)
	// Make must return a secret, having saved value as it where it is not set, or
	// secrets.ErrReadOnly where it is not set and cannot be saved.
	Make(ctx context.Context, name, value string) (string, error)
	// Writable must return nil where Make can save.
	Writable() error
}

// Options is what Access needs.
type Options struct {
	TenantID string // GUID, the only tenant served
	Secrets  Secrets
	Now      func() time.Time

	AuthorityURL string       // Entra's, without trailing slash
	HTTP         *http.Client // for Entra; nil: tokens are refused
}

// Access judges callers. Its methods may be called at once.
type Access struct {
	opt      Options
	tokens   *verifier // nil: tokens are refused
	throttle *throttle
	own      string // signs for the pages where no such key can be saved

	mu          sync.Mutex
	refreshed   time.Time // when the shared secret was last read again after a mismatch
	refreshFail error     // how that went
	keyRead     time.Time // when the pages' key was last read again because a cookie was not signed with it
}

// New returns an Access. Nothing is sent yet.
func New(o Options) *Access {
	a := &Access{opt: o, throttle: newThrottle(o.Now), own: rand.Text()}
	if o.HTTP != nil {
		a.tokens = newVerifier(o)
	}
	return a
}

// Call returns nil for a call that carries one of
//
//	Authorization: Basic base64(tenantId:APISecretKey)
//	Authorization: Bearer <Entra's access token for the Office 365 Import service>
//
// and otherwise [ErrUnauthorized], [ErrUndecided], or [fault.TooManyAttempts] for
// a caller that has failed often.
func (a *Access) Call(r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "basic":
		tenant, secret, ok := r.BasicAuth()
		if !ok {
			return fmt.Errorf("%w: the Basic authorization is malformed", ErrUnauthorized)
		}
		return a.Admit(r, tenant, secret)
	case "bearer":
		if a.tokens == nil {
			return fmt.Errorf("%w: Bearer authorization is not set up", ErrUnauthorized)
		}
		return a.attempt(r, func() error { return a.tokens.verify(r.Context(), strings.TrimSpace(token)) })
	case "":
		return fmt.Errorf("%w: there is no authorization", ErrUnauthorized)
	}
	return fmt.Errorf("%w: the authorization is neither Basic nor Bearer", ErrUnauthorized)
}

// Admit returns nil for somebody who knows the tenant's id and the secret shared
// with the Compliance Center, and otherwise the errors of [Access.Call].
func (a *Access) Admit(r *http.Request, tenant, secret string) error {
	return a.attempt(r, func() error {
		if !strings.EqualFold(tenant, a.opt.TenantID) {
			return fmt.Errorf("%w: it is for another tenant", ErrUnauthorized)
		}
		return a.checkSecret(r.Context(), secret)
	})
}

// attempt lets a caller try. Only ErrUnauthorized counts as a failure; a caller that
// has no failure left is told to wait, and not whether it was one.
func (a *Access) attempt(r *http.Request, try func() error) error {
	err := try()
	if errors.Is(err, ErrUnauthorized) {
		if wait := a.throttle.failed(Caller(r)); wait > 0 {
			return slowed{wait}
		}
	}
	return err
}

// sharedSecret reads the shared secret with get. Where it cannot be used the error is
// ErrUndecided.
func sharedSecret(get func() (string, error)) (string, error) {
	secret, err := get()
	if err != nil {
		return "", errors.Join(ErrUndecided, err)
	}
	if n := utf8.RuneCountInString(secret); n < secrets.LeastSharedSecret {
		return "", fmt.Errorf("%w: the secret %s has %d characters and could be guessed; set one of %d at least", ErrUndecided, secrets.APISecretKey, n, secrets.LeastSharedSecret)
	}
	return secret, nil
}

// refreshEvery is how often a wrong secret can make the connector read the right
// one again.
const refreshEvery = 10 * time.Second

// checkSecret compares with the shared secret, and once more with what it is now
// if it may have been changed since it was read.
func (a *Access) checkSecret(ctx context.Context, got string) error {
	known := func() (string, error) { return a.opt.Secrets.Get(ctx, secrets.APISecretKey) }
	right, err := sharedSecret(known)
	if err == nil && same(got, right) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.opt.Now(); now.Sub(a.refreshed) >= refreshEvery {
		a.refreshed = now
		// Other callers rely on its outcome, so this caller's hanging up must not decide it.
		_, a.refreshFail = a.opt.Secrets.Refresh(context.WithoutCancel(ctx), secrets.APISecretKey)
	}
	if a.refreshFail != nil {
		return errors.Join(ErrUndecided, a.refreshFail)
	}
	if right, err = sharedSecret(known); err != nil {
		return err
	}
	if !same(got, right) {
		return fmt.Errorf("%w: the secret is wrong", ErrUnauthorized)
	}
	return nil
}

// same compares in a time that says nothing about either text, its length included.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
