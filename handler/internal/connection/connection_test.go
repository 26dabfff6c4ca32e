package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/secrets/secretstest"
	"xarchive/handler/internal/twitter"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

const (
	tenant   = "0f8fad5b-d9cb-469f-a165-70867728950e"
	callback = "https://contoso.azurewebsites.net/Views/TwitterOAuth"
)

func full(t *testing.T) *secretstest.Vault {
	return secretstest.New(t, map[string]string{
		secrets.APISecretKey: "hush-shared, of 32 characters at least", secrets.TwitterAPIKey: "key", secrets.TwitterAPISecretKey: "hush-x",
		secrets.AADApplicationID: "11111111-2222-4333-8444-555555555555", secrets.AADApplicationSecret: "hush-entra", secrets.AADApplicationURI: "https://contoso.example/x",
	})
}

func store(v *secretstest.Vault) *secrets.Store {
	return v.Store(time.Now, slog.New(slog.DiscardHandler))
}

// try makes one of a checker's tests.
func try(t *testing.T, c *Checker, name string) error {
	t.Helper()
	for _, test := range c.Tests(callback) {
		if test.Name == name {
			return test.Try(context.Background())
		}
	}
	t.Fatalf("there is no test %q", name)
	return nil
}

// expect wants an error that has all parts and no secret; no parts: nil.
func expect(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if len(parts) == 0 {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	words := fault.Of(err).Words()
	for _, part := range parts {
		if !strings.Contains(words, part) {
			t.Errorf("%s: want %q in %q", what, part, words)
		}
	}
	if strings.Contains(words, "hush") || strings.Contains(words, "\n") {
		t.Errorf("%s: %q", what, words)
	}
}

// TestCostsNothing: what the test of X says of its own cost is what X bills, whatever X
// answers, and although a read is among what it does.
func TestCostsNothing(t *testing.T) {
	posts, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	server := x.New(x.Options{Corpus: posts, ConsumerKey: "key", ConsumerSecret: "hush-x", CallbackURLs: []string{callback}})
	b := full(t)
	token, secret := server.Token(corpus.PressAccount)
	b.Put(secrets.TwitterAccessToken, token)
	b.Put(secrets.TwitterAccessTokenSecret, secret)
	c := New(Options{XAPIURL: "https://api.x.com", XHTTP: server.Client(), Secrets: store(b)})
	tried := c.Tests(callback)[0]
	if tried.Name != "X" || !strings.Contains(tried.Good, "costs nothing") {
		t.Fatalf("the test of %s says %q", tried.Name, tried.Good)
	}
	for _, why := range []x.Refusal{x.Nothing, x.CreditsDepleted, x.UsageCapExceeded, x.NotEnrolled, x.NoReadPermission, x.SignedInSuspended, x.OtherSignIn} {
		server.Refuse(why)
		if err := tried.Try(t.Context()); (err == nil) != (why == x.Nothing) {
			t.Errorf("refusal %d: %v", why, err)
		}
	}
	s := server.Stats()
	if s.ByPath["GET /2/tweets/:id"]+s.ByPath["GET /2/tweets"] < 7 {
		t.Errorf("X was asked for %v: no read was tried", s.ByPath)
	}
	if s.BilledReads+s.BilledUsers+s.Counts+s.PostReads+s.MediaRequests > 0 {
		t.Errorf("X bills %d posts, %d users and %d counts", s.BilledReads, s.BilledUsers, s.Counts)
	}
	// The bill is one that would show a cost.
	server.Refuse(x.Nothing)
	if _, err := twitter.Me(t.Context(), server.Client(), "https://api.x.com", twitter.App{Key: "key", Secret: "hush-x"}, twitter.Token{Token: token, Secret: secret}, nil); err != nil || server.Stats().BilledUsers != 1 {
		t.Errorf("a read that costs something is not on the bill: %v, %+v", err, server.Stats())
	}
}

func TestX(t *testing.T) {
	posts, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	server := x.New(x.Options{Corpus: posts, ConsumerKey: "key", ConsumerSecret: "hush-x", CallbackURLs: []string{callback}})
	b := full(t)
	c := New(Options{XAPIURL: "https://api.x.com", XHTTP: server.Client(), Secrets: store(b)})
	try := func() error { return try(t, c, "X") }
	// answer has X answer one endpoint so.
	answer := func(endpoint string, status int, body string) {
		server.Fail(func(r *http.Request) x.Fault {
			if r.URL.Path != endpoint {
				return x.Fault{}
			}
			return x.Fault{Status: status, Body: body}
		})
	}
	const begin, read = "/oauth/request_token", "/2/tweets/1"

	expect(t, "good", try())
	answer(begin, 401, `{"errors":[{"code":32,"message":"Could not authenticate you."}]}`)
	expect(t, "keys refused", try(), "Could not authenticate you", "twitter-api-key")
	answer(begin, 403, `<errors><error code="415">Callback URL not approved for this client application.</error></errors>`)
	expect(t, "callback", try(), "exactly as it is written here: "+callback)
	answer(begin, 401, `{"errors":[{"code":135,"message":"Timestamp out of bounds."}]}`)
	expect(t, "clock", try(), "clock")
	answer(begin, 429, "")
	expect(t, "limit", try(), "rate limit is used up")
	answer(begin, 503, "")
	expect(t, "down", try(), "cannot be reached")
	server.Fail(nil)
	b.Put(secrets.TwitterAPISecretKey, "hush-wrong")
	expect(t, "wrong keys", try(), "twitter-api-key")
	b.Put(secrets.TwitterAPISecretKey, "hush-x")

	token, secret := server.Token(corpus.PressAccount)
	b.Put(secrets.TwitterAccessToken, token)
	b.Put(secrets.TwitterAccessTokenSecret, secret)
	before := server.Stats().ByPath
	expect(t, "with a token", try())
	after := server.Stats().ByPath
	if after["POST "+begin]-before["POST "+begin] != 1 || after["GET /2/tweets/:id"]-before["GET /2/tweets/:id"] != 1 || server.Stats().PostReads != 0 {
		t.Errorf("asked for %v, before for %v; want one sign-in begun and the token tried, at no cost", after, before)
	}
	server.Revoke(corpus.PressAccount)
	expect(t, "token refused", try(), "not the Access Token")
	token, secret = server.Token(corpus.PressAccount)
	b.Put(secrets.TwitterAccessToken, token)
	b.Put(secrets.TwitterAccessTokenSecret, secret)
	answer(read, 403, "")
	expect(t, "no permission", try(), "read permission")
	// The states of app and account are told apart.
	answer(read, 402, `{"title":"CreditsDepleted"}`)
	expect(t, "no credits", try(), "credits at X are used up", "Buy credits")
	answer(read, 429, `{"title":"UsageCapExceeded","type":"https://api.x.com/2/problems/usage-capped","period":"Monthly"}`)
	expect(t, "monthly cap", try(), "cap on reads", "reset")
	answer(read, 403, `{"reason":"client-not-enrolled","type":"https://api.x.com/2/problems/client-forbidden"}`)
	expect(t, "not enrolled", try(), "no project or package")
	answer(read, 403, `{"errors":[{"code":64,"message":"Your account is suspended and is not permitted to access this feature."}]}`)
	expect(t, "suspended", try(), "suspended or locked the account")
	b.Put(secrets.TwitterAPIKey, "")
	expect(t, "not set", try(), "twitter-api-key is not set")
}

func TestEntra(t *testing.T) {
	var answer string
	entra := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		base := "https://" + r.Host + "/" + tenant
		switch {
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			_, _ = fmt.Fprintf(w, `{"token_endpoint":"%s/oauth2/v2.0/token","authorization_endpoint":"%s/oauth2/v2.0/authorize","issuer":"%s/v2.0"}`, base, base, base)
		case r.URL.Path == "/"+tenant+"/oauth2/v2.0/token":
			if err := r.ParseForm(); err != nil || !strings.HasPrefix(r.PostForm.Get("scope"), "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac/.default") || r.PostForm.Get("client_secret") != "hush-entra" {
				t.Errorf("a token is asked for with %v", r.PostForm)
			}
			if strings.Contains(answer, "error") {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = io.WriteString(w, answer)
		default:
			t.Errorf("Entra was asked for %s", r.URL)
		}
	}))
	defer entra.Close()
	b := full(t)
	try := func() error {
		return try(t, New(Options{TenantID: tenant, AuthorityURL: entra.URL, EntraHTTP: entra.Client(), Secrets: store(b)}), "Microsoft Entra")
	}
	answer = `{"token_type":"Bearer","expires_in":3599,"access_token":"hush"}`
	expect(t, "good", try())
	for code, want := range map[string]string{
		"7000215": "Value, not its Secret ID", "7000222": "expired", "700016": "Application (client) ID", "500011": "consent", "65001": "consent",
		"90002": "TENANT_ID", "7000112": "disabled", "53003": "conditional access", "700024": "clock", "999999": "list of Entra error codes",
	} {
		answer = `{"error":"invalid_client","error_description":"AADSTS` + code + `: hush of the trace","error_codes":[` + code + `]}`
		expect(t, code, try(), want, "(AADSTS"+code+")")
	}
	answer = `{"error":"x"}`
	expect(t, "no code", try(), "cannot be reached")
	b.Put(secrets.AADApplicationSecret, "")
	expect(t, "not set", try(), "aad-application-secret is not set")
	b = full(t)
	b.Put(secrets.AADApplicationURI, "")
	answer = `{"token_type":"Bearer","expires_in":3599,"access_token":"hush"}`
	expect(t, "no URI", try(), "aad-application-uri is not set")
}

func TestStorage(t *testing.T) {
	for _, c := range []struct {
		err  error
		want []string
	}{
		{nil, nil},
		{&blob.StatusError{Status: 403, Code: "AuthorizationPermissionMismatch"}, []string{"Storage Blob Data Contributor", "AuthorizationPermissionMismatch"}},
		{fmt.Errorf("listing: %w", blob.ErrNotFound), []string{"is not there", "STATE_CONTAINER"}},
		{fmt.Errorf("listing: %w", &blob.StatusError{Status: 503, Code: "ServerBusy"}), []string{"503", "ServerBusy"}},
		{errors.New("dial hush"), []string{"cannot be reached"}},
	} {
		checker := New(Options{Secrets: secretstest.Environment(t, nil), Reach: func(context.Context) error { return c.err }})
		expect(t, fmt.Sprint(c.err), try(t, checker, "Storage"), c.want...)
	}
}

func TestKeyVault(t *testing.T) {
	b := full(t)
	c := New(Options{Secrets: store(b)})
	expect(t, "good", try(t, c, "Key Vault"))
	shared := b.Value(secrets.APISecretKey)
	b.Put(secrets.APISecretKey, "a secret of less than 32 charac")
	expect(t, "a short secret", try(t, c, "Key Vault"), "fewer than 32 characters", "Compliance Center")
	b.Put(secrets.APISecretKey, shared)
	b.Forbid(true)
	expect(t, "refused", try(t, c, "Key Vault"), "Key Vault Secrets Officer")
	b.Forbid(false)
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	expect(t, "down", try(t, c, "Key Vault"), "KEY_VAULT_URL")

	c = New(Options{Secrets: secretstest.Environment(t, nil)})
	expect(t, "no vault", try(t, c, "Key Vault"))
	if good := c.Tests(callback)[3].Good; !strings.Contains(good, "No Key Vault is set") {
		t.Errorf("without a vault it says %q", good)
	}
}
