package access

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/secrets/secretstest"

	"github.com/go-jose/go-jose/v4"
)

const (
	tenant    = "0f8fad5b-d9cb-469f-a165-70867728950e"
	appID     = "11111111-2222-4333-8444-555555555555"
	appURI    = "https://contoso.onmicrosoft.com/x-archive"
	sharedKey = "the shared secret of 32 characters"
)

// authority is Entra: a discovery document and keys, over TLS.
type authority struct {
	*httptest.Server
	mu        sync.Mutex
	keys      []jose.JSONWebKey
	down      bool // answers 503
	elsewhere bool // the document leads to another host
	discovery int  // times asked
	keyReads  int  // times asked
}

func newAuthority(t *testing.T) *authority {
	a := &authority{}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		answer := any(nil)
		switch r.URL.Path {
		case "/" + tenant + "/v2.0/.well-known/openid-configuration":
			a.discovery++
			host := a.URL
			if a.elsewhere {
				host = "https://keys.example"
			}
			answer = map[string]any{"issuer": a.URL + "/" + tenant + "/v2.0", "jwks_uri": host + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}}
		case "/keys":
			a.keyReads++
			answer = jose.JSONWebKeySet{Keys: a.keys}
		default:
			t.Errorf("Entra was asked for %s", r.URL)
		}
		if a.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *authority) do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *authority) asked() (discovery, keyReads int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.discovery, a.keyReads
}

// newKey makes a signing key; the authority publishes those it is given.
func newKey(t *testing.T, kid string) jose.JSONWebKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: "RS256", Use: "sig"}
}

func (a *authority) publish(keys ...jose.JSONWebKey) {
	a.do(func() {
		a.keys = nil
		for _, key := range keys {
			a.keys = append(a.keys, key.Public())
		}
	})
}

func sign(t *testing.T, key any, alg jose.SignatureAlgorithm, kid string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// world is an Access, called with tokens of an authority.
type world struct {
	t      *testing.T
	entra  *authority
	vault  *secretstest.Vault
	access *Access
	key    jose.JSONWebKey
	err    error  // of the last call
	why    string // its text
	mu     sync.Mutex
	time   time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, entra: newAuthority(t), key: newKey(t, "key-1"), time: time.Now().UTC()}
	w.entra.publish(w.key)
	w.vault = secretstest.New(t, map[string]string{secrets.APISecretKey: sharedKey, secrets.AADApplicationID: appID, secrets.AADApplicationURI: appURI})
	w.access = New(Options{TenantID: tenant, AuthorityURL: w.entra.URL, HTTP: w.entra.Client(),
		Secrets: w.vault.Store(w.now, slog.New(slog.DiscardHandler)), Now: w.now})
	if discovery, keyReads := w.entra.asked(); discovery+keyReads != 0 {
		t.Error("Entra is asked before a token comes")
	}
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// good are the claims of a good token, changed pair by pair; nil takes one away.
func (w *world) good(version int, changes ...any) map[string]any {
	now := w.now()
	c := map[string]any{"tid": tenant, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	if version == 1 {
		maps.Copy(c, map[string]any{"ver": "1.0", "iss": "https://sts.windows.net/" + tenant + "/", "aud": appURI, "appid": ImportService})
	} else {
		maps.Copy(c, map[string]any{"ver": "2.0", "iss": w.entra.URL + "/" + tenant + "/v2.0", "aud": appID, "azp": ImportService})
	}
	for i := 0; i < len(changes); i += 2 {
		delete(c, changes[i].(string))
		if changes[i+1] != nil {
			c[changes[i].(string)] = changes[i+1]
		}
	}
	return c
}

// call makes a call; header pairs are added. It returns the status that the
// outcome means.
func (w *world) call(authorization string, header ...string) int {
	w.t.Helper()
	r := httptest.NewRequest("GET", "/setup/Validate", nil)
	r.Header.Set("Authorization", authorization)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	err := w.access.Call(r)
	w.why = fmt.Sprint(err)
	w.err = err
	m := fault.Of(err)
	if want := map[int]string{401: "Not authorized.", 503: "The connector cannot check authorizations now. Try again later."}[m.Status]; want != "" && m.Words() != want {
		w.t.Errorf("a stranger is told %q", m.Words())
	}
	return m.Status
}

func (w *world) expect(what, token string, want int) {
	w.t.Helper()
	if got := w.call("Bearer " + token); got != want {
		w.t.Errorf("%s: want %d, got %d: %s", what, want, got, w.why)
	}
}

// expectSoon is expect for the first call after the keys are asked for again. The
// remote key set may hand out the outcome of its last request for an instant after
// that request has ended.
func (w *world) expectSoon(what, token string, want int) {
	w.t.Helper()
	for range 1000 {
		if w.call("Bearer "+token) == want {
			return
		}
		runtime.Gosched()
	}
	w.expect(what, token, want)
}

func (w *world) signed(claims map[string]any) string {
	return sign(w.t, w.key.Key, jose.RS256, w.key.KeyID, claims)
}

func (w *world) basic() int { return w.call(basic(tenant, sharedKey)) }

func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}
