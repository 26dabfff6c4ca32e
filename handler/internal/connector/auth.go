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

// auth decides who may call.
type auth struct {
	tenantID string
	secrets  Secrets
	now      func() time.Time

	mu          sync.Mutex
	refreshed   time.Time // when the shared secret was last read anew after a mismatch
	refreshFail error     // how that went
}

func newAuth(o Options) *auth {
	return &auth{tenantID: o.TenantID, secrets: o.Secrets, now: o.Now}
}

// refreshEvery is how often a wrong secret can make the connector read the right
// one anew.
const refreshEvery = 10 * time.Second

// errSecretUnknown: it cannot be told who may call. That is no 401, which would say
// that the caller is wrong.
var errSecretUnknown = &refusal{http.StatusServiceUnavailable, "The connector cannot check authorizations now. Try again later."}

// check is nil for a call that carries
//
//	Authorization: Basic base64(tenantId:APISecretKey)
//
// Errors are errUnauthorized, and errSecretUnknown when the right secret cannot be
// read, with the reason for the log.
func (a *auth) check(r *http.Request) error {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "basic":
		tenant, secret, ok := r.BasicAuth()
		if !ok {
			return fmt.Errorf("%w The Basic authorization is malformed", errUnauthorized)
		}
		if !strings.EqualFold(tenant, a.tenantID) {
			return fmt.Errorf("%w It is for another tenant", errUnauthorized)
		}
		return a.checkSecret(r.Context(), secret)
	case "":
		return fmt.Errorf("%w There is no authorization", errUnauthorized)
	}
	return fmt.Errorf("%w The authorization is not Basic", errUnauthorized)
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
