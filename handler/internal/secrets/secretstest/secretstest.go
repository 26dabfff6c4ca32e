// Package secretstest gives tests a secrets.Store in front of Key Vault's stand-in.
package secretstest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/secrets"
	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/keyvault"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Vault is a vault of the test's own.
type Vault struct {
	*keyvault.Server
	t      testing.TB
	client *http.Client
	refuse *refuse
}

// New starts a vault that holds values.
func New(t testing.TB, values map[string]string) *Vault {
	t.Helper()
	authority, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := keyvault.Start(t.Context(), keyvault.Options{
		Certificate: authority.Loopback(), Authority: "https://login.microsoftonline.com/tenant", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	client := authority.Client()
	v := &Vault{Server: server, t: t, refuse: &refuse{base: client.Transport}}
	v.client = &http.Client{Transport: v.refuse}
	for name, value := range values {
		v.Put(name, value)
	}
	return v
}

// Put saves a secret as an administrator would. A Store that has read the secret
// does not know.
func (v *Vault) Put(name, value string) {
	v.t.Helper()
	if err := v.Set(v.t.Context(), name, value); err != nil {
		v.t.Fatal(err)
	}
}

// Value returns a secret's newest value; "" if there is none.
func (v *Vault) Value(name string) string {
	value, _ := v.Get(name)
	return value
}

// Store returns a new Store in front of the vault, as another instance of the
// connector has.
func (v *Vault) Store(now func() time.Time, log *slog.Logger) *secrets.Store {
	v.t.Helper()
	s, err := secrets.New(secrets.Options{VaultURL: v.URL(), Credential: credential{}, HTTP: v.client, Now: now, Log: log})
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

// Environment returns a Store without a vault.
func Environment(t testing.TB, values map[string]string) *secrets.Store {
	t.Helper()
	s, err := secrets.New(secrets.Options{Getenv: func(name string) string { return values[name] }, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Refuse makes the vault answer 403 to requests of one method for one secret; "" for
// a method ends that.
func (v *Vault) Refuse(method, name string) {
	v.refuse.mu.Lock()
	defer v.refuse.mu.Unlock()
	v.refuse.method, v.refuse.name = method, name
}

type refuse struct {
	base http.RoundTripper

	mu           sync.Mutex
	method, name string
}

func (f *refuse) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	matches := r.Method == f.method && strings.Contains(r.URL.Path+"/", "/secrets/"+f.name+"/")
	f.mu.Unlock()
	if !matches {
		return f.base.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"error":{"code":"Forbidden"}}`))}, nil
}

type credential struct{}

func (credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "a token for the vault", ExpiresOn: time.Now().Add(time.Hour)}, nil
}
