package keyvault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/keyvault"
)

// identity hands out one token, and notes what for.
type identity struct {
	mu     sync.Mutex
	token  string
	scopes []string
}

func (i *identity) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.scopes = append(i.scopes, o.Scopes...)
	return azcore.AccessToken{Token: i.token, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func start(t *testing.T, o keyvault.Options) (*keyvault.Server, *http.Client) {
	t.Helper()
	ca, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	o.Certificate, o.Authority = ca.Loopback(), "https://localhost:1/tenant"
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	o.Verify = func(token, audience string) error {
		if token != "good" || audience != "https://vault.azure.net" {
			return errors.New("bad token")
		}
		return nil
	}
	s, err := keyvault.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s, ca.Client()
}

func open(t *testing.T, url string, hc *http.Client, i *identity) *azsecrets.Client {
	t.Helper()
	c, err := azsecrets.NewClient(url, i, &azsecrets.ClientOptions{
		ClientOptions:                        azcore.ClientOptions{Transport: hc, Retry: policy.RetryOptions{MaxRetries: -1}},
		DisableChallengeResourceVerification: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func set(t *testing.T, c *azsecrets.Client, name, value string) *azsecrets.ID {
	t.Helper()
	answer, err := c.SetSecret(t.Context(), name, azsecrets.SetSecretParameters{Value: &value}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer.ID
}

// wantStatus checks an error's status and code, and what its body says inside.
func wantStatus(t *testing.T, what string, err error, status int, words ...string) {
	t.Helper()
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != status {
		t.Errorf("%s: want status %d, got %v", what, status, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(answer.Error(), word) {
			t.Errorf("%s: the answer does not say %s: %v", what, word, err)
		}
	}
}

func TestVersions(t *testing.T) {
	s, hc := start(t, keyvault.Options{})
	i := &identity{token: "good"}
	c := open(t, s.URL(), hc, i)
	_, err := c.GetSecret(t.Context(), "api-secret-key", "", nil)
	wantStatus(t, "before", err, 404, "SecretNotFound")

	first, second := set(t, c, "api-secret-key", "one"), set(t, c, "API-Secret-Key", "two")
	if first.Version() == second.Version() || first.Name() != "api-secret-key" {
		t.Errorf("ids %s and %s", *first, *second)
	}
	for version, want := range map[string]string{"": "two", first.Version(): "one", second.Version(): "two"} {
		got, err := c.GetSecret(t.Context(), "api-secret-key", version, nil)
		if err != nil || *got.Value != want {
			t.Errorf("version %q: %v, %v", version, got.Value, err)
		}
	}
	_, err = c.GetSecret(t.Context(), "api-secret-key", strings.Repeat("0", 32), nil)
	wantStatus(t, "unknown version", err, 404, "SecretNotFound")
	if got, ok := s.Get("api-secret-key"); !ok || got != "two" {
		t.Errorf("Get: %q, %v", got, ok)
	}

	if _, err := c.UpdateSecretProperties(t.Context(), "api-secret-key", second.Version(), azsecrets.UpdateSecretPropertiesParameters{
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)}, Tags: map[string]*string{"a": to.Ptr("b")}}, nil); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetSecret(t.Context(), "api-secret-key", "", nil)
	wantStatus(t, "disabled", err, 403, "SecretDisabled")

	var versions int
	for pager := c.NewListSecretPropertiesVersionsPager("api-secret-key", nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Value {
			versions++
			if enabled := p.ID.Version() == first.Version(); *p.Attributes.Enabled != enabled {
				t.Errorf("%s: enabled is %v", *p.ID, *p.Attributes.Enabled)
			}
		}
	}
	if versions != 2 {
		t.Errorf("%d versions are listed", versions)
	}
	if len(i.scopes) != 1 || i.scopes[0] != "https://vault.azure.net/.default" {
		t.Errorf("the client asked for tokens for %q", i.scopes)
	}
}

// TestPages: more secrets than fit one answer, listed by two clients at once.
func TestPages(t *testing.T) {
	s, hc := start(t, keyvault.Options{})
	want := 60
	for n := range want {
		if err := s.Set(t.Context(), fmt.Sprintf("secret-%02d", n), "v"); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, s.URL(), hc, &identity{token: "good"})
	one, two := c.NewListSecretPropertiesPager(nil), c.NewListSecretPropertiesPager(nil)
	names := [2]map[string]bool{{}, {}}
	pages := 0
	for one.More() || two.More() {
		for n, pager := range []interface {
			More() bool
			NextPage(context.Context) (azsecrets.ListSecretPropertiesResponse, error)
		}{one, two} {
			if !pager.More() {
				continue
			}
			page, err := pager.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, p := range page.Value {
				names[n][p.ID.Name()] = true
			}
		}
	}
	if len(names[0]) != want || len(names[1]) != want || pages != 6 {
		t.Errorf("listed %d and %d of %d in %d pages", len(names[0]), len(names[1]), want, pages)
	}
}

func TestSoftDelete(t *testing.T) {
	s, hc := start(t, keyvault.Options{})
	c := open(t, strings.Replace(s.URL(), "localhost", "127.0.0.1", 1), hc, &identity{token: "good"})
	ctx := t.Context()
	set(t, c, "token", "one")
	deleted, err := c.DeleteSecret(ctx, "token", nil)
	if err != nil || deleted.RecoveryID == nil || deleted.Value != nil {
		t.Fatalf("%+v, %v", deleted, err)
	}
	_, err = c.GetSecret(ctx, "token", "", nil)
	wantStatus(t, "get of a deleted one", err, 404)
	_, err = c.SetSecret(ctx, "token", azsecrets.SetSecretParameters{Value: to.Ptr("two")}, nil)
	wantStatus(t, "set of a deleted one", err, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	if _, err := c.GetDeletedSecret(ctx, "token", nil); err != nil {
		t.Error(err)
	}
	if n := len(mustPage(t, c.NewListDeletedSecretPropertiesPager(nil).NextPage).Value); n != 1 {
		t.Errorf("%d deleted secrets are listed", n)
	}
	if _, err := c.RecoverDeletedSecret(ctx, "token", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := c.GetSecret(ctx, "token", "", nil); err != nil || *got.Value != "one" {
		t.Errorf("after recovery: %v", err)
	}
	_, err = c.RecoverDeletedSecret(ctx, "token", nil)
	wantStatus(t, "recovery of a secret that is there", err, 404)
	if _, err := c.DeleteSecret(ctx, "token", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PurgeDeletedSecret(ctx, "token", nil); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetDeletedSecret(ctx, "token", nil)
	wantStatus(t, "purged", err, 404)
	set(t, c, "token", "three")
	if got := len(mustPage(t, c.NewListSecretPropertiesVersionsPager("token", nil).NextPage).Value); got != 1 {
		t.Errorf("after purging there are %d versions", got)
	}
}

func mustPage[T any](t *testing.T, next func(context.Context) (T, error)) T {
	t.Helper()
	page, err := next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// TestSettle: deletion and recovery take their time, by the clock of Options.
func TestSettle(t *testing.T) {
	var mu sync.Mutex
	clock := time.Now()
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	later := func() { mu.Lock(); defer mu.Unlock(); clock = clock.Add(time.Minute) }
	s, hc := start(t, keyvault.Options{Settle: 10 * time.Second, Now: now})
	c := open(t, s.URL(), hc, &identity{token: "good"})
	ctx := t.Context()
	set(t, c, "token", "one")
	if _, err := c.DeleteSecret(ctx, "token", nil); err != nil {
		t.Fatal(err)
	}
	_, err := c.SetSecret(ctx, "token", azsecrets.SetSecretParameters{Value: to.Ptr("two")}, nil)
	wantStatus(t, "set while it is being deleted", err, 409, "ObjectIsBeingDeleted")
	_, err = c.GetDeletedSecret(ctx, "token", nil)
	wantStatus(t, "deleted, not yet", err, 404)
	_, err = c.RecoverDeletedSecret(ctx, "token", nil)
	wantStatus(t, "recover while it is being deleted", err, 409)
	later()
	if _, err := c.RecoverDeletedSecret(ctx, "token", nil); err != nil {
		t.Fatal(err)
	}
	_, err = c.SetSecret(ctx, "token", azsecrets.SetSecretParameters{Value: to.Ptr("two")}, nil)
	wantStatus(t, "set while it is being recovered", err, 409, "ObjectIsBeingRecovered")
	later()
	set(t, c, "token", "two")
}

func TestRefusals(t *testing.T) {
	s, hc := start(t, keyvault.Options{})
	if err := s.Set(t.Context(), "token", "value"); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, s.URL(), hc, &identity{token: "forged"}).GetSecret(t.Context(), "token", "", nil)
	wantStatus(t, "a token that is not valid", err, 401, "AKV10032")

	answer, err := hc.Get(s.URL() + "/secrets/token?api-version=7.4")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	const want = `Bearer authorization="https://localhost:1/tenant", resource="https://vault.azure.net"`
	if got := answer.Header.Get("WWW-Authenticate"); answer.StatusCode != 401 || got != want || strings.Contains(string(text), "value") {
		t.Errorf("without a token: status %d, challenge %q, %s", answer.StatusCode, got, text)
	}

	c := open(t, s.URL(), hc, &identity{token: "good"})
	_, err = c.SetSecret(t.Context(), "no_such.name", azsecrets.SetSecretParameters{Value: to.Ptr("v")}, nil)
	wantStatus(t, "name", err, 400, "BadParameter")
	_, err = c.SetSecret(t.Context(), "none", azsecrets.SetSecretParameters{}, nil)
	wantStatus(t, "no value", err, 400, "BadParameter")
	_, err = c.SetSecret(t.Context(), "long", azsecrets.SetSecretParameters{Value: to.Ptr(strings.Repeat("x", 25<<10+1))}, nil)
	wantStatus(t, "too long", err, 400, "BadParameter")

	get := func() error {
		_, err := c.GetSecret(t.Context(), "token", "", nil)
		return err
	}
	before := s.Requests()["GetSecret"]
	s.Forbid(true)
	wantStatus(t, "forbidden", get(), 403, "Forbidden", "ForbiddenByRbac")
	s.Forbid(false)
	s.Down(true)
	wantStatus(t, "down", get(), 503)
	s.Down(false)
	if err := get(); err != nil {
		t.Error(err)
	}
	if n := s.Requests()["GetSecret"] - before; n != 3 {
		t.Errorf("%d of 3 requests were counted", n)
	}
	if s.Kind() != keyvault.Fake {
		t.Errorf("kind %q", s.Kind())
	}
}
