// Package access decides who may come in: the Compliance Center's calls, by the
// secret shared with it or by a token of Entra, and people in front of the pages,
// by the same secret and then by a session.
//
// Callers that fail often are slowed down, on calls and pages together. Errors are
// those of package fault: [ErrUnauthorized] says that the caller may not come in
// and tells nobody why, which is in the error's text, for the log;
// [fault.UnknownAuthority] says that it cannot be told now.
package access

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

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

	mu          sync.Mutex
	refreshed   time.Time // when the shared secret was last read again after a mismatch
	refreshFail error     // how that went
}

// New returns an Access. Nothing is sent yet.
func New(o Options) *Access {
	a := &Access{opt: o, throttle: newThrottle(o.Now)}
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

// attempt lets a caller try. Only ErrUnauthorized counts as a failure.
func (a *Access) attempt(r *http.Request, try func() error) error {
	who := caller(r)
	if wait := a.throttle.take(who); wait > 0 {
		return slowed{wait}
	}
	err := try()
	if !errors.Is(err, ErrUnauthorized) {
		a.throttle.giveBack(who)
	}
	return err
}

// refreshEvery is how often a wrong secret can make the connector read the right
// one again.
const refreshEvery = 10 * time.Second

// checkSecret compares with the shared secret, and once more with what it is now
// if it may have been changed since it was read.
func (a *Access) checkSecret(ctx context.Context, got string) error {
	right, err := a.opt.Secrets.Get(ctx, secrets.APISecretKey)
	if err != nil {
		return errors.Join(ErrUndecided, err)
	}
	if same(got, right) {
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
	right, err = a.opt.Secrets.Get(ctx, secrets.APISecretKey)
	if err != nil {
		return errors.Join(ErrUndecided, err)
	}
	if !same(got, right) {
		return fmt.Errorf("%w: the secret is wrong", ErrUnauthorized)
	}
	return nil
}

// key derives a key of 32 bytes for one purpose (HKDF, RFC 5869) from the shared
// secret. Every instance has the same, and once the secret is changed it is another.
func (a *Access) key(ctx context.Context, purpose string) ([]byte, error) {
	secret, err := a.opt.Secrets.Get(ctx, secrets.APISecretKey)
	if err != nil {
		return nil, errors.Join(ErrUndecided, err)
	}
	return hkdf.Key(sha256.New, []byte(secret), nil, "xarchive "+purpose, 32)
}

// same compares in a time that says nothing about either text, its length included.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
