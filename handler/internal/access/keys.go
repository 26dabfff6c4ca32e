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
	"golang.org/x/oauth2"
)

const (
	// askEvery is the least time between two discoveries.
	askEvery = time.Minute
	// keysEvery is the least time between two readings of the keys: Entra may sign with a
	// key a moment after the one at hand were read, and a caller with it is not to be
	// refused for long. Whoever makes key ids up makes Entra be asked no more often.
	keysEvery = 5 * time.Second
	// fresh is how long keys serve before discovery is made again. Microsoft's
	// advice is a day.
	fresh = 24 * time.Hour
	// stale is how long they serve while Entra does not answer.
	stale = 48 * time.Hour

	askTimeout = 10 * time.Second
	maxAnswer  = 1 << 20 // bytes; a key set has some 10,000
)

// errTooSoon: Entra was asked a short while ago.
var errTooSoon = errors.New("Entra was asked for this a moment ago")

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

	mu       sync.Mutex
	remote   *oidc.RemoteKeySet // nil until discovery has succeeded
	url      string             // of the keys
	endpoint oauth2.Endpoint    // where people sign in
	since    time.Time          // of that discovery
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
	keys, ok := k.own(document.JWKSURI)
	if !ok {
		return fmt.Errorf("the discovery document of %s leads to keys on another host", k.issuer)
	}
	k.remote, k.url, k.since, k.endpoint = oidc.NewRemoteKeySet(ctx, keys), keys, k.now(), provider.Endpoint()
	k.gate.open(k.url) // the new set has no keys yet
	return nil
}

// own returns an address of the discovery document if it is on the document's own host.
func (k *keySet) own(address string) (string, bool) {
	u, err := url.Parse(address)
	issuer, issuerErr := url.Parse(k.issuer)
	if err != nil || issuerErr != nil || u.Scheme != issuer.Scheme || u.Host != issuer.Host || u.User != nil {
		return "", false
	}
	return u.String(), true
}

// signIn returns where people sign in and where what they bring back is exchanged, on
// Entra's own host: the client secret goes nowhere else.
func (k *keySet) signIn(ctx context.Context) (oauth2.Endpoint, error) {
	if _, err := k.discover(ctx); err != nil {
		return oauth2.Endpoint{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, there := k.own(k.endpoint.AuthURL)
	if _, too := k.own(k.endpoint.TokenURL); !there || !too {
		return oauth2.Endpoint{}, fmt.Errorf("the discovery document of %s leads people to another host", k.issuer)
	}
	return oauth2.Endpoint{AuthURL: k.endpoint.AuthURL, TokenURL: k.endpoint.TokenURL, AuthStyle: oauth2.AuthStyleInParams}, nil
}

// gate lets a request through once in askEvery for each URL, once in keysEvery for one
// that was answered well, and cuts answers that are longer than maxAnswer.
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
	last, ok := g.asked[address]
	least := askEvery
	if !last.failed {
		least = keysEvery
	}
	if ok && now.Sub(last.at) < least {
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
