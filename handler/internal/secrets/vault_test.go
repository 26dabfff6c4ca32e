package secrets

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/fault"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
)

// keyVault is a vault with soft delete, made of the SDK's own fake and served
// over TLS, with Key Vault's challenge before the first answer.
type keyVault struct {
	*httptest.Server
	mu         sync.Mutex
	live, gone map[string]string
	recovering int // answers 409 to this many SetSecret calls after a recovery
	fail       int // answers this to everything, if set
	created    map[string]time.Time
	ends       map[string]*time.Time
	asked      map[string]int // by operation
}

const vaultToken = "a token for the vault"

func newKeyVault(t *testing.T) *keyVault {
	v := &keyVault{live: map[string]string{}, gone: map[string]string{}, asked: map[string]int{}}
	transport := fake.NewServerTransport(&fake.Server{
		GetSecret: func(_ context.Context, name, _ string, _ *azsecrets.GetSecretOptions) (ok azfake.Responder[azsecrets.GetSecretResponse], fail azfake.ErrorResponder) {
			if value, found := v.live[name]; found {
				ok.SetResponse(200, azsecrets.GetSecretResponse{Secret: azsecrets.Secret{Value: to.Ptr(value), Attributes: &azsecrets.SecretAttributes{Created: to.Ptr(v.created[name]), Expires: v.ends[name]}}}, nil)
			} else {
				fail.SetResponseError(404, "SecretNotFound")
			}
			return
		},
		SetSecret: func(_ context.Context, name string, p azsecrets.SetSecretParameters, _ *azsecrets.SetSecretOptions) (ok azfake.Responder[azsecrets.SetSecretResponse], fail azfake.ErrorResponder) {
			if _, deleted := v.gone[name]; deleted || v.recovering > 0 {
				if !deleted {
					v.recovering--
				}
				fail.SetResponseError(409, "Conflict")
				return
			}
			v.live[name] = *p.Value
			ok.SetResponse(200, azsecrets.SetSecretResponse{Secret: azsecrets.Secret{Value: p.Value}}, nil)
			return
		},
		DeleteSecret: func(_ context.Context, name string, _ *azsecrets.DeleteSecretOptions) (ok azfake.Responder[azsecrets.DeleteSecretResponse], fail azfake.ErrorResponder) {
			value, found := v.live[name]
			if !found {
				fail.SetResponseError(404, "SecretNotFound")
				return
			}
			delete(v.live, name)
			v.gone[name] = value
			ok.SetResponse(200, azsecrets.DeleteSecretResponse{}, nil)
			return
		},
		RecoverDeletedSecret: func(_ context.Context, name string, _ *azsecrets.RecoverDeletedSecretOptions) (ok azfake.Responder[azsecrets.RecoverDeletedSecretResponse], fail azfake.ErrorResponder) {
			value, found := v.gone[name]
			if !found {
				fail.SetResponseError(404, "SecretNotFound")
				return
			}
			delete(v.gone, name)
			v.live[name] = value
			v.recovering = 2
			ok.SetResponse(200, azsecrets.RecoverDeletedSecretResponse{}, nil)
			return
		},
	})
	v.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+vaultToken {
			w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com/0f8fad5b-d9cb-469f-a165-70867728950e", resource="https://vault.azure.net"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		operation := map[string]string{"GET": "GetSecret", "PUT": "SetSecret", "DELETE": "DeleteSecret", "POST": "RecoverDeletedSecret"}[r.Method]
		v.asked[operation]++
		if v.fail != 0 {
			w.WriteHeader(v.fail)
			_, _ = io.WriteString(w, `{"error":{"code":"Refused","message":"because"}}`)
			return
		}
		// The fake learns the operation from the client's context, which does not
		// come over the wire.
		r = r.WithContext(context.WithValue(r.Context(), runtime.CtxAPINameKey{}, "Client."+operation))
		answer, err := transport.Do(r)
		var refused *azcore.ResponseError
		if errors.As(err, &refused) {
			w.WriteHeader(refused.StatusCode)
			_, _ = io.WriteString(w, `{"error":{"code":"`+refused.ErrorCode+`"}}`)
			return
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		defer answer.Body.Close()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *keyVault) do(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

type staticCredential struct{ t *testing.T }

func (c staticCredential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 || o.Scopes[0] != "https://vault.azure.net/.default" {
		c.t.Errorf("a token for %v was asked for", o.Scopes)
	}
	return azcore.AccessToken{Token: vaultToken, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func openKeyVault(t *testing.T, v *keyVault) *Store {
	t.Helper()
	s, err := New(Options{VaultURL: v.URL, Credential: staticCredential{t}, HTTP: v.Client(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVault(t *testing.T) {
	v := newKeyVault(t)
	s, ctx := openKeyVault(t, v), context.Background()
	v.do(func() {
		if len(v.asked) != 0 {
			t.Error("the vault was asked before a secret was")
		}
	})
	wantError(t, s, APISecretKey, ErrNotSet)
	if err := s.Set(ctx, APISecretKey, "s3cret"); err != nil {
		t.Fatal(err)
	}
	want(t, s, APISecretKey, "s3cret")
	if err := s.Delete(ctx, APISecretKey); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, APISecretKey); err != nil {
		t.Errorf("deleting twice: %v", err)
	}
	wantError(t, s, APISecretKey, ErrNotSet)
	if s.Writable() != nil {
		t.Error("a vault is writable")
	}
}

func TestVaultRecoversADeletedName(t *testing.T) {
	v := newKeyVault(t)
	s, ctx := openKeyVault(t, v), context.Background()
	v.do(func() { v.gone["a"] = "old" })
	if err := s.Set(ctx, "a", "new"); err != nil {
		t.Fatal(err)
	}
	want(t, s, "a", "new")
	v.do(func() {
		if len(v.live) != 1 || v.live["a"] != "new" {
			t.Errorf("the vault has %v", v.live)
		}
	})
}

func TestVaultRefuses(t *testing.T) {
	v := newKeyVault(t)
	s, ctx := openKeyVault(t, v), context.Background()
	v.do(func() { v.fail = 403 })
	_, err := s.Get(ctx, APISecretKey)
	if !errors.Is(err, ErrForbidden) || !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "\n") || fault.CauseOf(err) != fault.KeyVaultAccess {
		t.Errorf("%v", err)
	}
	if err := s.Set(ctx, "a", "hidden"); !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
	v.do(func() {
		if v.asked["GetSecret"] != 1 {
			t.Errorf("a refusal was asked for %d times", v.asked["GetSecret"])
		}
	})
}

func TestVaultNotThere(t *testing.T) {
	v := newKeyVault(t)
	s := openKeyVault(t, v)
	v.Close()
	_, err := s.Get(context.Background(), APISecretKey)
	if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// A vault outside Azure's domain must not get a token for Azure's vaults.
func TestVaultOfAnotherDomainGetsNoToken(t *testing.T) {
	v := newKeyVault(t)
	hc := v.Client()
	transport := hc.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com" // the test certificate's
	hc.Transport = redirected{transport, strings.TrimPrefix(v.URL, "https://")}
	s, err := New(Options{VaultURL: "https://vault.example.com", Credential: staticCredential{t}, HTTP: hc, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(context.Background(), APISecretKey); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "challenge resource") {
		t.Errorf("%v", err)
	}
	v.do(func() {
		if len(v.asked) != 0 {
			t.Errorf("the token was sent: %v", v.asked)
		}
	})
}

// redirected takes connections to one host elsewhere, as DNS would.
type redirected struct {
	base http.RoundTripper
	to   string
}

func (r redirected) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Host = req.URL.Host
	req.URL.Host = r.to
	return r.base.RoundTrip(req)
}

func TestManagedIdentityIsUsedInAzure(t *testing.T) {
	asked := ""
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("X-IDENTITY-HEADER") + " " + r.URL.Query().Get("resource") + " " + r.URL.Query().Get("client_id")
		_, _ = io.WriteString(w, `{"access_token":"t","expires_on":"4102444800","resource":"r","token_type":"Bearer"}`)
	}))
	defer identity.Close()
	t.Setenv("IDENTITY_ENDPOINT", identity.URL)
	t.Setenv("IDENTITY_HEADER", "proof")
	env := map[string]string{"IDENTITY_ENDPOINT": identity.URL, "AZURE_CLIENT_ID": "0f8fad5b-d9cb-469f-a165-70867728950e"}
	credential, err := Credential(func(name string) string { return env[name] }, identity.Client())
	if err != nil {
		t.Fatal(err)
	}
	// The library keeps tokens for the whole process, by resource.
	resource := "https://" + identity.Listener.Addr().String()
	token, err := credential.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
	if err != nil || token.Token != "t" {
		t.Fatalf("%v, %v", token, err)
	}
	if asked != "proof "+resource+" 0f8fad5b-d9cb-469f-a165-70867728950e" {
		t.Errorf("asked for %q", asked)
	}
}
