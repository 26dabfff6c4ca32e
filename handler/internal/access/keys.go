package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// askEvery is the least time between two questions of the same kind to Entra.
	askEvery = time.Minute
	// fresh is how long keys serve before discovery is made again. Microsoft's
	// advice is a day.
	fresh = 24 * time.Hour
	// stale is how long they serve while Entra does not answer.
	stale = 48 * time.Hour

	askTimeout = 10 * time.Second
	maxAnswer  = 1 << 20 // bytes; a key set has some 10,000
)

// errTooSoon: Entra was asked a short while ago.
var errTooSoon = errors.New("Entra was asked for its keys less than a minute ago")

// keySet is the tenant's signing keys. It finds them by discovery when they are
// first needed. It implements oidc.KeySet with oidc's own remote key set, which
// reads the keys again for every signature that none of them fits; gate bounds that.
// https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
type keySet struct {
	issuer string
	http   *http.Client
	now    func() time.Time

	mu     sync.Mutex
	remote *oidc.RemoteKeySet // nil until discovery has succeeded
	since  time.Time          // of that discovery
	tried  time.Time          // the last discovery
	failed error              // how it went
	gate   *gate              // to the keys
}

func newKeySet(issuer string, hc *http.Client, now func() time.Time) *keySet {
	bounded := &http.Client{Transport: &boundedBody{hc.Transport}, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &keySet{issuer: issuer, http: bounded, now: now}
}

// VerifySignature checks a token's signature; oidc.IDTokenVerifier calls it.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	remote, err := k.discover(ctx)
	if err != nil {
		return nil, err
	}
	return remote.VerifySignature(ctx, token)
}

// undecided wraps ErrUndecided if the keys at hand may not be Entra's
// present ones, and is otherwise an error without words.
func (k *keySet) undecided(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil || k.remote == nil || k.now().Sub(k.since) >= stale || k.gate.lastFailed() {
		return fmt.Errorf("%w: ", ErrUndecided)
	}
	return errRefused
}

var errRefused = errors.New("it is refused: ")

// discover returns the remote key set, of a discovery that is fresh where Entra answers.
func (k *keySet) discover(ctx context.Context) (*oidc.RemoteKeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if k.remote != nil && now.Sub(k.since) < fresh {
		return k.remote, nil
	}
	if k.tried.IsZero() || now.Sub(k.tried) >= askEvery {
		k.tried = now
		// Other callers rely on its outcome, so this caller's hanging up must not decide it.
		k.failed = k.ask(context.WithoutCancel(ctx))
	}
	if k.failed != nil && (k.remote == nil || now.Sub(k.since) >= stale) {
		return nil, fmt.Errorf("finding Entra's keys: %w", k.failed)
	}
	return k.remote, nil
}

// ask makes discovery. https://openid.net/specs/openid-connect-discovery-1_0.html
func (k *keySet) ask(ctx context.Context) error {
	ctx = oidc.ClientContext(ctx, k.http)
	provider, err := oidc.NewProvider(ctx, k.issuer)
	if err != nil {
		return err
	}
	var document struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return err
	}
	// The keys decide who may call: they come from where the document came from.
	keys, err := url.Parse(document.JWKSURI)
	issuer, issuerErr := url.Parse(k.issuer)
	if err != nil || issuerErr != nil || keys.Scheme != issuer.Scheme || keys.Host != issuer.Host {
		return fmt.Errorf("the discovery document of %s leads to keys on another host", k.issuer)
	}
	gate := &gate{base: k.http.Transport, now: k.now}
	client := &http.Client{Transport: gate, Timeout: askTimeout, CheckRedirect: k.http.CheckRedirect}
	k.remote, k.since, k.gate = oidc.NewRemoteKeySet(oidc.ClientContext(ctx, client), keys.String()), k.now(), gate
	return nil
}

// gate lets a request through once in askEvery.
type gate struct {
	base http.RoundTripper
	now  func() time.Time

	mu     sync.Mutex
	tried  time.Time
	failed bool
}

// RoundTrip fails with errTooSoon where it does not let the request through.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	now := g.now()
	if !g.tried.IsZero() && now.Sub(g.tried) < askEvery {
		g.mu.Unlock()
		return nil, errTooSoon
	}
	g.tried, g.failed = now, true // until it is known better
	g.mu.Unlock()
	resp, err := g.base.RoundTrip(r)
	g.mu.Lock()
	g.failed = err != nil || resp.StatusCode != http.StatusOK
	g.mu.Unlock()
	return resp, err
}

// lastFailed tells whether the keys could not be read when that was last tried.
func (g *gate) lastFailed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// boundedBody cuts answers that are longer than maxAnswer.
type boundedBody struct{ base http.RoundTripper }

func (b *boundedBody) RoundTrip(r *http.Request) (*http.Response, error) {
	base := b.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}
