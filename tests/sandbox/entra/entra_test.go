package entra_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/entra"
)

const (
	tenant   = "5b2fb5b0-5a1e-4d2a-9a5e-0f3f3e5d0c11"
	client   = "0d9d2c2e-9f0f-4f4f-8a73-0c8f0a4f2b10"
	secret   = "s3cret~value+with/odd=chars"
	resource = "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac"
	office   = "570d0bec-d001-4c4e-985e-3ab17fdc3073"
)

func start(t *testing.T) (*entra.Server, *http.Client) {
	t.Helper()
	ca, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := entra.Start(t.Context(), entra.Options{
		Certificate: ca.Loopback(), TenantID: tenant,
		Apps:   []entra.App{{ClientID: client, Secret: secret, Resources: []string{resource}}},
		People: []entra.Person{{User: "ada@contoso.example", ObjectID: "a", Roles: []string{"Administrator"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s, ca.Client()
}

func credential(t *testing.T, s *entra.Server, hc *http.Client, tenant, client, secret string) azcore.TokenCredential {
	t.Helper()
	c, err := azidentity.NewClientSecretCredential(tenant, client, secret, &azidentity.ClientSecretCredentialOptions{
		DisableInstanceDiscovery: true,
		ClientOptions: azcore.ClientOptions{
			Transport: hc, Retry: policy.RetryOptions{MaxRetries: -1},
			Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: s.URL()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientSecret(t *testing.T) {
	s, hc := start(t)
	got, err := credential(t, s, hc, tenant, client, secret).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(got.Token, resource); err != nil {
		t.Error(err)
	}
	if err := s.Verify(got.Token, "https://vault.azure.net"); err == nil {
		t.Error("a token for one audience was taken for another")
	}
	if left := time.Until(got.ExpiresOn); left < 50*time.Minute || left > time.Hour {
		t.Errorf("expires in %s", left)
	}
	if n := s.Requests(); n.Token != 1 || n.Discovery == 0 || n.Refused != 0 {
		t.Errorf("counted %+v", n)
	}
}

// TestRefusals: the SDK must find the code that an administrator looks up.
func TestRefusals(t *testing.T) {
	s, hc := start(t)
	for code, c := range map[string]struct {
		tenant, client, secret, scope string
		status                        int
	}{
		"AADSTS7000215": {tenant, client, "wrong", resource + "/.default", 401},
		"AADSTS700016":  {tenant, office, secret, resource + "/.default", 400},
		"AADSTS90002":   {"11111111-1111-4111-8111-111111111111", client, secret, resource + "/.default", 400},
		"AADSTS65001":   {tenant, client, secret, "https://graph.microsoft.com/.default", 400},
		"AADSTS1002012": {tenant, client, secret, resource, 400},
	} {
		_, err := credential(t, s, hc, c.tenant, c.client, c.secret).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{c.scope}})
		if err == nil || !strings.Contains(err.Error(), code+":") {
			t.Errorf("%s: got %v", code, err)
			continue
		}
		var failed *azidentity.AuthenticationFailedError
		if errors.As(err, &failed) && failed.RawResponse != nil && failed.RawResponse.StatusCode != c.status {
			t.Errorf("%s came with status %d", code, failed.RawResponse.StatusCode)
		}
		if strings.Contains(err.Error(), c.secret) {
			t.Errorf("%s: the error holds the secret", code)
		}
	}
	if n := s.Requests().Refused; n != 5 {
		t.Errorf("%d refusals were counted", n)
	}
}

// TestVersion1 asks as clients of the v1 endpoint do, its secret in the header.
func TestVersion1(t *testing.T) {
	s, hc := start(t)
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}}
	req, err := http.NewRequest(http.MethodPost, s.Authority()+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(client, url.QueryEscape(secret))
	answer, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   string `json:"expires_in"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || answer.StatusCode != 200 || got.ExpiresIn == "" {
		t.Fatalf("status %d, %+v, %v", answer.StatusCode, got, err)
	}
	if err := s.Verify(got.AccessToken, resource); err != nil {
		t.Error(err)
	}
}

// TestDiscovery verifies tokens of both versions as any OpenID client would.
func TestDiscovery(t *testing.T) {
	s, hc := start(t)
	ctx := oidc.ClientContext(t.Context(), hc)
	provider, err := oidc.NewProvider(ctx, s.Authority()+"/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: "api://connector"})
	good := s.Issue(entra.Claims{Version: 2, Audience: "api://connector", AppID: office})
	if _, err := verifier.Verify(ctx, good); err != nil {
		t.Error(err)
	}
	v1 := oidc.NewVerifier("https://sts.windows.net/"+tenant+"/", oidc.NewRemoteKeySet(ctx, s.URL()+"/common/discovery/keys"), &oidc.Config{ClientID: "api://connector"})
	idToken, err := v1.Verify(ctx, s.Issue(entra.Claims{Audience: "api://connector", AppID: office}))
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		AppID    string `json:"appid"`
		TenantID string `json:"tid"`
	}
	if err := idToken.Claims(&claims); err != nil || claims.AppID != office || claims.TenantID != tenant {
		t.Errorf("claims %+v, %v", claims, err)
	}
	// The issuer of version 1 is on another host, so that document does not verify itself.
	answer, err := hc.Get(s.Authority() + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if !strings.Contains(string(text), `"issuer":"https://sts.windows.net/`+tenant+`/"`) {
		t.Errorf("document of version 1: %s", text)
	}
}

// TestBadTokens: each is refused, by Verify and by an OpenID client alike.
func TestBadTokens(t *testing.T) {
	s, hc := start(t)
	ctx := oidc.ClientContext(t.Context(), hc)
	provider, err := oidc.NewProvider(ctx, s.Authority()+"/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: "aud"})
	hour := time.Hour
	for name, c := range map[string]entra.Claims{
		"wrong audience": {Audience: "other"},
		"expired":        {IssuedAt: time.Now().Add(-3 * hour)},
		"not yet":        {NotBefore: time.Now().Add(hour), Expires: time.Now().Add(2 * hour)},
		"other tenant":   {TenantID: "22222222-2222-4222-8222-222222222222"},
		"other issuer":   {Issuer: "https://login.example.com/" + tenant + "/v2.0"},
		"other key":      {Signature: entra.OtherKey},
		"unknown key":    {Signature: entra.UnknownKey},
		"alg none":       {Signature: entra.Unsigned},
		"HMAC":           {Signature: entra.HMAC},
		"no expiry":      {Extra: map[string]any{"exp": nil}},
	} {
		c.Version = 2
		if c.Audience == "" {
			c.Audience = "aud"
		}
		token := s.Issue(c)
		if strings.Count(token, ".") != 2 {
			t.Errorf("%s: not a token: %q", name, token)
		}
		if err := s.Verify(token, "aud"); err == nil {
			t.Errorf("%s: Verify took it", name)
		}
		if _, err := verifier.Verify(ctx, token); err == nil {
			t.Errorf("%s: an OpenID client took it", name)
		}
	}
}

func TestRotate(t *testing.T) {
	s, _ := start(t)
	old := s.Issue(entra.Claims{Audience: "aud"})
	for i, want := range []bool{true, false} {
		if err := s.Rotate(); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(old, "aud"); (err == nil) != want {
			t.Errorf("after %d rotations: %v", i+1, err)
		}
		if err := s.Verify(s.Issue(entra.Claims{Audience: "aud"}), "aud"); err != nil {
			t.Error(err)
		}
	}
}

func TestManagedIdentity(t *testing.T) {
	s, hc := start(t)
	t.Setenv("IDENTITY_ENDPOINT", s.IdentityEndpoint())
	t.Setenv("IDENTITY_HEADER", s.IdentityHeader())
	ask := func(id azidentity.ManagedIDKind) (azcore.AccessToken, error) {
		c, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
			ID: id, ClientOptions: azcore.ClientOptions{Transport: hc, Retry: policy.RetryOptions{MaxRetries: -1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	}
	got, err := ask(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(got.Token, "https://storage.azure.com"); err != nil {
		t.Error(err)
	}
	if _, err := ask(azidentity.ClientID(office)); err == nil || !strings.Contains(err.Error(), "No User Assigned") {
		t.Errorf("an identity that does not exist: %v", err)
	}
	for query, want := range map[string]int{
		"?resource=r&api-version=2019-08-01": 401, "?resource=r": 401, "": 401,
	} {
		answer, err := hc.Get(s.IdentityEndpoint() + query)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("without the header %q is answered %d", query, answer.StatusCode)
		}
	}
	for query, want := range map[string]int{
		"?resource=r&api-version=2019-08-01": 200, "?resource=r&api-version=2017-09-01": 400, "?api-version=2019-08-01": 400,
	} {
		req, _ := http.NewRequest(http.MethodGet, s.IdentityEndpoint()+query, nil)
		req.Header.Set("X-IDENTITY-HEADER", s.IdentityHeader())
		answer, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%q is answered %d, want %d", query, answer.StatusCode, want)
		}
	}
}

func TestDown(t *testing.T) {
	s, hc := start(t)
	for _, down := range []bool{true, false} {
		s.Down(down)
		_, err := credential(t, s, hc, tenant, client, secret).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
		if (err != nil) != down {
			t.Errorf("down is %v, got %v", down, err)
		}
	}
}

// TestPeople signs people in as any OpenID client would; a code counts once, for its app, its
// address and its verifier.
func TestPeople(t *testing.T) {
	s, hc := start(t)
	const back = "https://connector.example/back"
	ctx := oidc.ClientContext(t.Context(), hc)
	provider, err := oidc.NewProvider(ctx, s.Authority()+"/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	config := oauth2.Config{ClientID: client, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: back, Scopes: []string{"openid", "profile"}}
	browser := &http.Client{Transport: hc.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	pick := func(address, user string) (status int, q url.Values, body string) {
		t.Helper()
		answer, err := browser.PostForm(address, url.Values{"user": {user}})
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		if to, err := answer.Location(); err == nil {
			q = to.Query()
		}
		return answer.StatusCode, q, string(text)
	}
	verifier := oauth2.GenerateVerifier()
	address := config.AuthCodeURL("the state", oidc.Nonce("the nonce"), oauth2.S256ChallengeOption(verifier))
	if status, _, body := pick(address, "ada@contoso.example"); status != 400 || !strings.Contains(body, "AADSTS50011") {
		t.Errorf("an address that is not registered: %d %s", status, body)
	}
	s.Register(back)
	if _, q, _ := pick(address+"&prompt=none", ""); q.Get("error") != "login_required" {
		t.Errorf("nobody is signed in: %v", q)
	}
	if _, q, _ := pick(address, "stranger@contoso.example"); q.Get("error") != "access_denied" || q.Get("state") != "the state" {
		t.Errorf("nobody of the tenant: %v", q)
	}
	if _, q, _ := pick(config.AuthCodeURL("s"), "ada@contoso.example"); q.Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %v", q)
	}
	for what, wrong := range map[string]string{"another verifier": oauth2.GenerateVerifier(), "": verifier} {
		_, q, _ := pick(address, "ada@contoso.example")
		token, err := config.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(wrong))
		if (err != nil) != (what != "") {
			t.Fatalf("%s: %v", what, err)
		}
		if _, again := config.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(verifier)); again == nil {
			t.Errorf("%s: a code counts twice", what)
		}
		if err != nil {
			continue
		}
		text, _ := token.Extra("id_token").(string)
		id, err := provider.Verifier(&oidc.Config{ClientID: client}).Verify(ctx, text)
		var claims struct {
			User   string   `json:"preferred_username"`
			Roles  []string `json:"roles"`
			Tenant string   `json:"tid"`
		}
		if err != nil || id.Claims(&claims) != nil || id.Nonce != "the nonce" || claims.User != "ada@contoso.example" || len(claims.Roles) != 1 || claims.Tenant != tenant {
			t.Errorf("%+v, %v", claims, err)
		}
	}
}
