package connector

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// begin begins a sign-in and returns its request token.
func (w *world) begin() string {
	w.t.Helper()
	status, answer, _ := w.call("GET", "/api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl="+url.QueryEscape(page), "")
	var signInURL string
	if err := json.Unmarshal([]byte(answer), &signInURL); status != 200 || err != nil {
		w.t.Fatalf("OAuthUrl: %d %s", status, answer)
	}
	token, ok := strings.CutPrefix(signInURL, w.x.URL+"/oauth/authenticate?oauth_token=")
	if !ok {
		w.t.Fatalf("the browser is sent to %s", signInURL)
	}
	return token
}

func storeBody(code, jobID string) string {
	return fmt.Sprintf(`{"temporaryAccessCode":%q,"redirectUrl":%q,"jobId":%q}`, code, page, jobID)
}

const storeToken = "/api/ConnectorSetup/StoreToken"

func TestSignInFromBeginningToJob(t *testing.T) {
	w := newWorld(t)
	const entities, save = "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId=" + tenant
	w.expect("GET", entities, "", 400, "Sign in first")
	w.expect("POST", save, `{"Id":"77","Name":"User 77"}`, 400, "Sign in first")

	token := w.begin()
	if in := w.state.signIns[token]; in.RedirectURL != page || in.ExpiresAt.Sub(w.now) != 10*time.Minute || strings.Contains(string(in.Sealed), "hush") {
		t.Errorf("kept: %+v", in)
	}
	verifier := w.x.signIn(token, "77")
	w.expect("POST", storeToken, storeBody("?oauth_token="+token+"&oauth_verifier="+verifier, "j-1"), 200, "true")
	want := twitter.Account{Token: twitter.Token{Token: "77-access", Secret: "hush 77-access"}, UserID: "77", ScreenName: "user77"}
	if got := w.secrets.accounts["j-1"]; got != want {
		t.Errorf("kept %+v", got)
	}
	if len(w.state.signIns) != 0 {
		t.Error("the sign-in is still there")
	}
	w.expect("POST", storeToken, storeBody("oauth_token="+token+"&oauth_verifier="+verifier, "j-1"), 400, "Begin it again")

	w.expect("GET", entities, "", 200, `[{"Id":"77","Name":"User 77","AdditionalInfo":null,"AlreadyUsed":false}]`)
	w.expect("GET", "/job/IsCreated?jobId=j-1", "", 200, `{"IsJobCreated":false,"Reason":null}`)
	w.expect("POST", save, `{"Id":"78","Name":"User 78"}`, 400, "not the account")
	w.expect("POST", save, `{"Id":"seven"}`, 400, "Id must")
	w.expect("POST", "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId=x", `{"Id":"77"}`, 400, "tenantId")
	w.expect("POST", save, `{"Id":"77","Name":"User 77"}`, 200, "true")
	if job := w.state.jobs["j-1"]; job != (state.Job{ID: "j-1", TenantID: tenant, AccountID: "77", AccountName: "User 77", CreatedAt: w.now}) {
		t.Errorf("%+v", job)
	}
	w.expect("GET", "/job/IsCreated?jobId=j-1", "", 200, `{"IsJobCreated":true,"Reason":null}`)

	// The same account for another job.
	token = w.begin()
	w.expect("POST", storeToken, storeBody(w.x.signIn(token, "77"), "j-2"), 200, "true")
	w.expect("GET", strings.Replace(entities, "j-1", "j-2", 1), "", 200, `[{"Id":"77","Name":"User 77","AdditionalInfo":null,"AlreadyUsed":true}]`)
	w.expect("POST", strings.Replace(save, "j-1", "j-2", 1), `{"Id":"77","Name":"User 77"}`, 200, "false")
	if len(w.state.jobs) != 1 {
		t.Errorf("%v", w.state.jobs)
	}
	for range 2 {
		w.expect("GET", "/api/ConnectorSetup/DeleteToken?jobType=twitter&jobId=j-2", "", 200, "true")
	}
	if _, left := w.secrets.accounts["j-2"]; left || len(w.secrets.accounts) != 1 {
		t.Errorf("%v", w.secrets.accounts)
	}
	if strings.Contains(w.log.String(), "hush") || strings.Contains(w.log.String(), "verifier-of") {
		t.Errorf("the log holds a secret: %s", w.log)
	}
}

// A job signs in again: the same account keeps everything, another waits for SavePage.
func TestSignInAgain(t *testing.T) {
	w := newWorld(t)
	created := w.now.Add(-time.Hour)
	w.state.jobs["j-1"] = state.Job{ID: "j-1", TenantID: tenant, AccountID: "77", AccountName: "User 77", CreatedAt: created, SignInNeeded: true}
	w.expect("POST", storeToken, storeBody(w.x.signIn(w.begin(), "78"), "j-1"), 200, "true")
	if job := w.state.jobs["j-1"]; job.AccountID != "77" || !job.SignInNeeded {
		t.Errorf("%+v", job)
	}
	w.expect("POST", storeToken, storeBody(w.x.signIn(w.begin(), "77"), "j-1"), 200, "true")
	if job := w.state.jobs["j-1"]; job.AccountID != "77" || job.SignInNeeded {
		t.Errorf("%+v", job)
	}
	w.expect("GET", "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", "", 200, `[{"Id":"77","Name":"User 77","AdditionalInfo":null,"AlreadyUsed":false}]`)
	w.expect("POST", "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId="+tenant, `{"Id":"77","Name":"User 77"}`, 200, "true")
	w.expect("POST", storeToken, storeBody(w.x.signIn(w.begin(), "78"), "j-1"), 200, "true")
	w.expect("POST", "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId="+strings.ToUpper(tenant), `{"id":"78","name":""}`, 200, "true")
	if job := w.state.jobs["j-1"]; job.AccountID != "78" || job.AccountName != "user78" || !job.CreatedAt.Equal(created) {
		t.Errorf("%+v", job)
	}
}

// A bare verifier does not say which sign-in it is for.
func TestBareVerifierFindsItsSignIn(t *testing.T) {
	w := newWorld(t)
	var tokens []string
	for range 6 {
		tokens = append(tokens, w.begin())
		w.now = w.now.Add(time.Second)
	}
	third := w.x.signIn(tokens[2], "77")
	w.expect("POST", storeToken, storeBody(third, "j-1"), 200, "true")
	if w.secrets.accounts["j-1"].UserID != "77" || w.x.exchanges != 4 {
		t.Errorf("%+v after %d tries", w.secrets.accounts["j-1"], w.x.exchanges)
	}
	// The sign-ins of the others are still good; one that is named is found at once.
	if len(w.state.signIns) != 5 {
		t.Errorf("%d sign-ins are left", len(w.state.signIns))
	}
	w.begin() // now there are 6, and the oldest is not tried
	oldest := w.x.signIn(tokens[0], "78")
	w.expect("POST", storeToken, storeBody(oldest, "j-2"), 400, "Invalid oauth_verifier")
	if w.x.exchanges != 4+maxTries {
		t.Errorf("%d tries", w.x.exchanges-4)
	}
	w.expect("POST", storeToken, storeBody("oauth_token="+tokens[0]+"&oauth_verifier="+oldest, "j-2"), 200, "true")
}

func TestCandidates(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	in := func(token, redirect string, age time.Duration) state.SignIn {
		return state.SignIn{Token: token, RedirectURL: redirect, CreatedAt: now.Add(-age), ExpiresAt: now.Add(signInLife - age)}
	}
	all := []state.SignIn{in("old", page, 9*time.Minute), in("new", page, time.Minute), in("expired", page, 10*time.Minute),
		in("elsewhere", "https://fabrikam.azurewebsites.net/Views/TwitterOAuth", 0)}
	for _, c := range []struct{ token, redirect, want string }{
		{"", page, "new old"},
		{"", strings.ToUpper(page), "new old"},
		{"old", page, "old"},
		{"expired", page, ""},
		{"elsewhere", page, ""},
		{"unknown", page, ""},
	} {
		var got []string
		for _, in := range candidates(all, c.token, c.redirect, now) {
			got = append(got, in.Token)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: want %q, got %q", c.token, c.want, got)
		}
	}
}

// Two instances get the same verifier at the same time: one of them ends the sign-in.
func TestASignInEndsOnce(t *testing.T) {
	w := newWorld(t)
	second := w.instance()
	token := w.begin()
	body := storeBody("oauth_token="+token+"&oauth_verifier="+w.x.signIn(token, "77"), "j-1")
	other := make(chan int)
	go func() {
		status, _, _ := w.callAt(second, "POST", storeToken, body)
		other <- status
	}()
	first, _, _ := w.call("POST", storeToken, body)
	if sum := first + <-other; sum != 200+400 || w.x.exchanges != 1 {
		t.Errorf("statuses add up to %d, X was asked %d times", sum, w.x.exchanges)
	}
}

func TestSignInOutlivesTrouble(t *testing.T) {
	w := newWorld(t)
	token := w.begin()
	body := storeBody("oauth_token="+token+"&oauth_verifier="+w.x.signIn(token, "77"), "j-1")
	w.x.down = true
	w.expect("POST", storeToken, body, 503, "X cannot be reached")
	w.x.down = false
	w.expect("POST", storeToken, body, 200, "true")

	// The shared secret was changed meanwhile: nothing can be unsealed.
	token = w.begin()
	body = storeBody("oauth_token="+token+"&oauth_verifier="+w.x.signIn(token, "77"), "j-1")
	in := w.state.signIns[token]
	in.Sealed, _ = seal("another secret", token, page, "hush")
	w.state.signIns[token] = in
	w.expect("POST", storeToken, body, 400, "Begin it again")

	// Too late.
	token = w.begin()
	body = storeBody("oauth_token="+token+"&oauth_verifier="+w.x.signIn(token, "77"), "j-1")
	w.now = w.now.Add(signInLife)
	w.expect("POST", storeToken, body, 400, "Begin it again")
}

func TestSignInRefused(t *testing.T) {
	w := newWorld(t)
	oauth := func(query string) string { return "/api/ConnectorSetup/OAuthUrl?" + query }
	for query, want := range map[string]string{
		"redirectUrl=" + page:                                                   "jobType",
		"jobType=Facebook&redirectUrl=" + page:                                  "jobType",
		"jobType=Twitter":                                                       "redirectUrl is missing",
		"jobType=Twitter&redirectUrl=/Views/TwitterOAuth":                       "redirectUrl must",
		"jobType=Twitter&redirectUrl=http://contoso.com/Views/TwitterOAuth":     "redirectUrl must",
		"jobType=Twitter&redirectUrl=javascript:alert(1)//Views/TwitterOAuth":   "redirectUrl must",
		"jobType=Twitter&redirectUrl=https://contoso.com/Views/Other":           "redirectUrl must",
		"jobType=Twitter&redirectUrl=https://u@contoso.com/Views/TwitterOAuth":  "redirectUrl must",
		"jobType=Twitter&redirectUrl=https://contoso.com/x?/Views/TwitterOAuth": "redirectUrl must",
	} {
		w.expect("GET", oauth(query), "", 400, want)
	}
	// X's answer names what to register, to the letter.
	w.expect("GET", oauth("jobType=twitter&redirectUrl=http://localhost:7071/views/twitteroauth"), "", 500, "exactly as it is written here: http://localhost:7071/views/twitteroauth")
	if len(w.state.signIns) != 0 {
		t.Errorf("kept: %v", w.state.signIns)
	}
	for code, want := range map[string]string{
		"":                               "temporaryAccessCode",
		"oauth_token=x":                  "temporaryAccessCode",
		"oauth_verifier=":                "temporaryAccessCode",
		"%=":                             "temporaryAccessCode",
		"denied=x":                       "cancelled",
		strings.Repeat("v", 513):         "temporaryAccessCode",
		"nobody-began":                   "Begin it again",
		"oauth_token=x&oauth_verifier=y": "Begin it again",
	} {
		w.expect("POST", storeToken, storeBody(code, "j-1"), 400, want)
	}
	w.expect("POST", storeToken, storeBody("v", ""), 400, "jobId")
	if w.x.exchanges != 0 || len(w.secrets.accounts) != 0 {
		t.Errorf("%d exchanges, %v", w.x.exchanges, w.secrets.accounts)
	}
	w.secrets.accounts["j-1"] = twitter.Account{Token: twitter.Token{Token: "revoked", Secret: "s"}, UserID: "77"}
	w.expect("GET", "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", "", 400, "Sign in again")
}

func TestWithoutAVaultNothingIsSaved(t *testing.T) {
	w := newWorld(t)
	w.secrets.readOnly = true
	w.expect("GET", "/api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl="+page, "", 409, "KEY_VAULT_URL")
	w.expect("POST", storeToken, storeBody("v", "j-1"), 409, "KEY_VAULT_URL")
	w.expect("GET", "/api/ConnectorSetup/DeleteToken?jobType=Twitter&jobId=j-1", "", 409, "KEY_VAULT_URL")
	w.expect("GET", "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", "", 500, "lacks a secret")

	// The account is the one whose token is in the environment; X says who it is.
	w.x.signIn("", "77")
	w.secrets.accounts["j-1"] = twitter.Account{Token: twitter.Token{Token: "77-access", Secret: "s"}}
	w.expect("GET", "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", "", 200, `[{"Id":"77","Name":"User 77","AdditionalInfo":null,"AlreadyUsed":false}]`)
	save := "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId=" + tenant
	w.expect("POST", save, `{"Id":"78","Name":"x"}`, 400, "not the account")
	w.expect("POST", save, `{"Id":"77","Name":"x"}`, 200, "true")
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 200, "")
	if len(w.state.jobs) != 0 {
		t.Errorf("%v", w.state.jobs)
	}
}

func TestSeal(t *testing.T) {
	sealed, err := seal(secret, "token", page, "hush")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unseal(secret, "token", page, sealed); err != nil || got != "hush" {
		t.Errorf("%q, %v", got, err)
	}
	again, err := seal(secret, "token", page, "hush")
	if err != nil || string(again) == string(sealed) {
		t.Error("the same secret seals to the same bytes")
	}
	for what, open := range map[string]func() (string, error){
		"another key":      func() (string, error) { return unseal(secret+"x", "token", page, sealed) },
		"another token":    func() (string, error) { return unseal(secret, "token2", page, sealed) },
		"another redirect": func() (string, error) { return unseal(secret, "token", page+"2", sealed) },
		"nothing":          func() (string, error) { return unseal(secret, "token", page, nil) },
	} {
		if got, err := open(); !errors.Is(err, errSeal) || got != "" {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	for i := range sealed {
		sealed[i] ^= 1
		if got, err := unseal(secret, "token", page, sealed); !errors.Is(err, errSeal) {
			t.Errorf("altered at %d: %q, %v", i, got, err)
		}
		sealed[i] ^= 1
	}
}
