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
	// askEvery is the least time between two requests for the same thing to Entra.
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
var errTooSoon = errors.New("Entra was asked for this less than a minute ago")

// keySet is the tenant's signing keys. It finds them by discovery when they are
// first needed, and again once a day, so that a key that Entra has withdrawn does not
// serve for ever. The keys themselves are kept by oidc's remote key set, which reads
// them again for every signature that none of them fits; gate bounds that.
// https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
type keySet struct {
	issuer string
	http   *http.Client // through gate
	gate   *gate
	now    func() time.Time

	mu     sync.Mutex
	remote *oidc.RemoteKeySet // nil until discovery has succeeded
	url    string             // of the keys
	since  time.Time          // of that discovery
}

func newKeySet(issuer string, hc *http.Client, now func() time.Time) *keySet {
	g := &gate{base: hc.Transport, now: now, asked: map[string]asked{}}
	client := &http.Client{Transport: g, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &keySet{issuer: issuer, http: client, gate: g, now: now}
}

// VerifySignature checks a token's signature; oidc.IDTokenVerifier calls it.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	remote, err := k.discover(ctx)
	if err != nil {
		return nil, err
	}
	return remote.VerifySignature(ctx, token)
}

// undecided wraps ErrUndecided if the keys at hand may not be Entra's present ones,
// and is otherwise errRefused.
func (k *keySet) undecided(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() != nil || k.remote == nil || k.now().Sub(k.since) >= stale || k.gate.failed(k.url) {
		return fmt.Errorf("%w: ", ErrUndecided)
	}
	return errRefused
}

var errRefused = errors.New("it is refused: ")

// discover returns the remote key set, of a discovery that is fresh where Entra answers.
func (k *keySet) discover(ctx context.Context) (*oidc.RemoteKeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.remote != nil && k.now().Sub(k.since) < fresh {
		return k.remote, nil
	}
	// Other callers rely on its outcome, so this caller's hanging up must not decide it.
	err := k.ask(context.WithoutCancel(ctx))
	if err != nil && (k.remote == nil || k.now().Sub(k.since) >= stale) {
		return nil, fmt.Errorf("finding Entra's keys: %w", err)
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
	k.remote, k.url, k.since = oidc.NewRemoteKeySet(ctx, keys.String()), keys.String(), k.now()
	k.gate.open(k.url) // the new set has no keys yet
	return nil
}

// gate lets a request through once in askEvery for each URL, and cuts answers that
// are longer than maxAnswer.
type gate struct {
	base http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	asked map[string]asked // by URL
}

// asked is the last request for a URL.
type asked struct {
	at     time.Time
	failed bool
}

// RoundTrip fails with errTooSoon where it does not let the request through.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	address, now := r.URL.String(), g.now()
	g.mu.Lock()
	if last, ok := g.asked[address]; ok && now.Sub(last.at) < askEvery {
		g.mu.Unlock()
		return nil, errTooSoon
	}
	g.asked[address] = asked{now, true} // until it is known better
	g.mu.Unlock()
	resp, err := g.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.asked[address] = asked{now, resp.StatusCode != http.StatusOK}
	g.mu.Unlock()
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// open lets the next request for a URL through.
func (g *gate) open(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.asked, address)
}

// failed reports whether the last request for a URL failed.
func (g *gate) failed(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[address].failed
}
