package connector

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/secrets"
)

// Bearer judges access tokens of Entra; *entra.Verifier. Verify is nil for a token
// that may call. Its error is for the log and wraps ErrUndecided where it cannot be
// told, as when Entra is down; every other one means that the token may not.
type Bearer interface {
	Verify(ctx context.Context, token string) error
}

// ErrUndecided: it cannot be told now who may call.
var ErrUndecided = errors.New("authorization cannot be checked")

// auth decides who may call.
type auth struct {
	tenantID string
	secrets  Secrets
	bearer   Bearer // may be nil
	now      func() time.Time
	throttle *throttle

	mu          sync.Mutex
	refreshed   time.Time // when the shared secret was last read anew after a mismatch
	refreshFail error     // how that went
}

func newAuth(o Options) *auth {
	return &auth{tenantID: o.TenantID, secrets: o.Secrets, bearer: o.Bearer, now: o.Now, throttle: newThrottle(o.Now)}
}

// refreshEvery is how often a wrong secret can make the connector read the right
// one anew.
const refreshEvery = 10 * time.Second

// errSecretUnknown: it cannot be told who may call. That is no 401, which would say
// that the caller is wrong.
var errSecretUnknown = &refusal{http.StatusServiceUnavailable, "The connector cannot check authorizations now. Try again later."}

// slowed is the answer to a caller that has no attempt left.
type slowed struct {
	refusal
	wait time.Duration
}

func (e *slowed) Unwrap() error { return &e.refusal }

// check is nil for a call that carries one of
//
//	Authorization: Basic base64(tenantId:APISecretKey)
//	Authorization: Bearer <Entra's access token for the Office 365 Import service>
//
// Errors are errUnauthorized; errSecretUnknown when it cannot be told, with the
// reason for the log; and *slowed for a caller that failed often.
func (a *auth) check(r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "basic":
		tenant, secret, ok := r.BasicAuth()
		if !ok {
			return fmt.Errorf("%w The Basic authorization is malformed", errUnauthorized)
		}
		return a.admit(r, tenant, secret)
	case "bearer":
		if a.bearer == nil {
			return fmt.Errorf("%w Bearer authorization is not set up", errUnauthorized)
		}
		return a.attempt(r, func() error {
			err := a.bearer.Verify(r.Context(), strings.TrimSpace(token))
			switch {
			case errors.Is(err, ErrUndecided):
				return errors.Join(errSecretUnknown, err)
			case err != nil:
				return fmt.Errorf("%w The token is refused: %w", errUnauthorized, err)
			}
			return nil
		})
	case "":
		return fmt.Errorf("%w There is no authorization", errUnauthorized)
	}
	return fmt.Errorf("%w The authorization is neither Basic nor Bearer", errUnauthorized)
}

// admit checks a tenant and the secret shared with the Compliance Center.
func (a *auth) admit(r *http.Request, tenant, secret string) error {
	return a.attempt(r, func() error {
		if !strings.EqualFold(tenant, a.tenantID) {
			return fmt.Errorf("%w It is for another tenant", errUnauthorized)
		}
		return a.checkSecret(r.Context(), secret)
	})
}

// attempt lets a caller try. Only errUnauthorized counts as a failure.
func (a *auth) attempt(r *http.Request, try func() error) error {
	who := caller(r)
	if wait := a.throttle.take(who); wait > 0 {
		seconds := int((wait + time.Second - 1) / time.Second)
		return &slowed{refusal{http.StatusTooManyRequests, fmt.Sprintf("Too many attempts have failed. Try again in %d seconds.", seconds)}, wait}
	}
	err := try()
	if !errors.Is(err, errUnauthorized) {
		a.throttle.giveBack(who)
	}
	return err
}

// checkSecret compares with the shared secret, and once more with what it is now
// if it may have been changed since it was read.
func (a *auth) checkSecret(ctx context.Context, got string) error {
	right, err := a.secrets.Get(ctx, secrets.APISecretKey)
	if err != nil {
		return errors.Join(errSecretUnknown, err)
	}
	if same(got, right) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now.Sub(a.refreshed) >= refreshEvery {
		a.refreshed = now
		// Others go by its outcome: this caller's hanging up must not decide it.
		_, a.refreshFail = a.secrets.Refresh(context.WithoutCancel(ctx), secrets.APISecretKey)
	}
	if a.refreshFail != nil {
		return errors.Join(errSecretUnknown, a.refreshFail)
	}
	right, err = a.secrets.Get(ctx, secrets.APISecretKey)
	if err != nil {
		return errors.Join(errSecretUnknown, err)
	}
	if !same(got, right) {
		return fmt.Errorf("%w The secret is wrong", errUnauthorized)
	}
	return nil
}

// same compares in a time that says nothing about either text, its length included.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
