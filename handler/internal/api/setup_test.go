package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
)

// begin begins a sign-in and returns its request token.
func (w *world) begin() string {
	w.T.Helper()
	status, answer, _ := w.call("GET", "/api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl="+url.QueryEscape(jobstest.Callback), "")
	var address string
	if err := json.Unmarshal([]byte(answer), &address); status != 200 || err != nil {
		w.T.Fatalf("OAuthUrl: %d %s", status, answer)
	}
	token, ok := strings.CutPrefix(address, w.SignInURL(""))
	if !ok {
		w.T.Fatalf("the browser is sent to %s", address)
	}
	return token
}

// finish begins a sign-in and has the account authorize it; it returns what
// StoreToken gets.
func (w *world) finish(account string) (code string) {
	w.T.Helper()
	token := w.begin()
	_, verifier := w.AtX(token, account)
	return "oauth_token=" + token + "&oauth_verifier=" + verifier
}

// signIn has an account sign in for a job.
func (w *world) signIn(jobID, account string) {
	w.T.Helper()
	w.expect("POST", storeToken, storeBody(w.finish(account), jobID), 200, "true")
}

func (w *world) accountSecret(jobID string) string {
	sum := sha256.Sum256([]byte(jobID))
	return "x-token-" + hex.EncodeToString(sum[:16])
}

func storeBody(code, jobID string) string {
	return fmt.Sprintf(`{"temporaryAccessCode":%q,"redirectUrl":%q,"jobId":%q}`, code, jobstest.Callback, jobID)
}

func entityOf(account, name string, used bool) string {
	return fmt.Sprintf(`[{"Id":"%s","Name":"%s","AdditionalInfo":null,"AlreadyUsed":%v}]`, account, name, used)
}

const (
	storeToken = "/api/ConnectorSetup/StoreToken"
	entities   = "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId="
	savePage   = "/api/ConnectorSetup/SavePage?tenantId=" + jobstest.Tenant + "&jobId="
	press      = `{"Id":"` + jobstest.Press + `","Name":"chosen by the caller"}`
)

func TestSignInFromBeginningToJob(t *testing.T) {
	w := newWorld(t)
	w.expect("GET", entities+"j-1", "", 400, "Sign in first")
	w.expect("POST", savePage+"j-1", press, 400, "Sign in first")

	token := w.begin()
	in, err := w.State.SignIn(t.Context(), token, w.Now())
	if err != nil || in.RedirectURL != jobstest.Callback || in.Page || in.ExpiresAt.Sub(w.Now()) != 10*time.Minute {
		t.Errorf("kept: %+v, %v", in, err)
	}
	_, verifier := w.AtX(token, jobstest.Press)
	w.expect("POST", storeToken, storeBody("?oauth_token="+token+"&oauth_verifier="+verifier, "j-1"), 200, "true")
	if w.Account("j-1") != jobstest.Press || w.SignIns() != 0 {
		t.Errorf("kept is %q, and %d sign-ins", w.Account("j-1"), w.SignIns())
	}
	w.expect("POST", storeToken, storeBody("oauth_token="+token+"&oauth_verifier="+verifier, "j-1"), 400, "Begin it again")

	w.expect("GET", entities+"j-1", "", 200, entityOf(jobstest.Press, jobstest.PressName, false))
	w.expect("GET", "/job/IsCreated?jobId=j-1", "", 200, `{"IsJobCreated":false,"Reason":null}`)
	w.expect("POST", savePage+"j-1", `{"Id":"78","Name":"User 78"}`, 400, "not the account")
	w.expect("POST", savePage+"j-1", `{"Id":"seven"}`, 400, "Id must")
	w.expect("POST", "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId=x", press, 400, "tenantId")
	w.expect("POST", savePage+"j-1", press, 200, "true")
	want := state.Job{V: state.Version, ID: "j-1", TenantID: jobstest.Tenant, AccountID: jobstest.Press, AccountName: jobstest.PressName, Handle: jobstest.PressHandle, CreatedAt: w.Now(), SignedInAt: w.Now()}
	if job, _ := w.Job("j-1"); job != want {
		t.Errorf("the job is %+v, want %+v", job, want)
	}
	w.expect("GET", "/job/IsCreated?jobId=j-1", "", 200, `{"IsJobCreated":true,"Reason":null}`)

	// The same account for another job.
	w.signIn("j-2", jobstest.Press)
	w.expect("GET", entities+"j-2", "", 200, entityOf(jobstest.Press, jobstest.PressName, true))
	w.expect("POST", savePage+"j-2", press, 200, "false")
	if _, found := w.Job("j-2"); found {
		t.Error("the second job is saved")
	}
	for range 2 {
		w.expect("GET", "/api/ConnectorSetup/DeleteToken?jobType=twitter&jobId=j-2", "", 200, "true")
	}
	if w.Account("j-2") != "" || w.Account("j-1") != jobstest.Press {
		t.Error("another token than the second job's is deleted")
	}
	if strings.Contains(w.Log.String(), "hush") || strings.Contains(w.Log.String(), verifier) {
		t.Errorf("the log holds a secret: %s", w.Log)
	}
}

// A job signs in again: the same account keeps everything, another waits for SavePage.
func TestSignInAgain(t *testing.T) {
	w := newWorld(t)
	created := w.Now().Add(-time.Hour)
	w.Save(state.Job{ID: "j-1", TenantID: jobstest.Tenant, AccountID: jobstest.Press, AccountName: "an old name", CreatedAt: created, SignInNeeded: true})
	w.signIn("j-1", jobstest.Help)
	if job, _ := w.Job("j-1"); job.AccountID != jobstest.Press || !job.SignInNeeded {
		t.Errorf("after another account signed in: %+v", job)
	}
	w.signIn("j-1", jobstest.Press)
	if job, _ := w.Job("j-1"); job.AccountID != jobstest.Press || job.SignInNeeded || job.AccountName != "an old name" {
		t.Errorf("after its account signed in: %+v", job)
	}
	w.expect("GET", entities+"j-1", "", 200, entityOf(jobstest.Press, jobstest.PressName, false))
	w.expect("POST", savePage+"j-1", press, 200, "true")
	w.signIn("j-1", jobstest.Help)
	w.expect("POST", "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId="+strings.ToUpper(jobstest.Tenant), `{"id":"`+jobstest.Help+`","name":""}`, 200, "true")
	if job, _ := w.Job("j-1"); job.AccountID != jobstest.Help || job.Handle != jobstest.HelpHandle || !job.CreatedAt.Equal(created) {
		t.Errorf("saved with another account: %+v", job)
	}
}

func TestSignInOutlivesTrouble(t *testing.T) {
	w := newWorld(t)
	body := storeBody(w.finish(jobstest.Press), "j-1")
	w.X.Down(true)
	w.expect("POST", storeToken, body, 503, "X cannot be reached")
	w.X.Down(false)
	w.expect("POST", storeToken, body, 200, "true")

	// Too late.
	body = storeBody(w.finish(jobstest.Press), "j-1")
	w.Pass(jobs.SignInLife)
	w.expect("POST", storeToken, body, 400, "Begin it again")

	// The shared secret was changed meanwhile: nothing can be unsealed.
	body = storeBody(w.finish(jobstest.Press), "j-1")
	w.Vault.Put(secrets.APISecretKey, "another secret of 32 characters at least")
	w.Pass(5 * time.Minute) // as long as a secret is kept
	status, answer, _ := w.call("POST", storeToken, body, "Authorization", basic("another secret of 32 characters at least"))
	if status != 400 || !strings.Contains(answer, "Begin it again") {
		t.Errorf("after the secret was changed: %d %s", status, answer)
	}
}

func TestSignInRefused(t *testing.T) {
	w := newWorld(t)
	oauth := func(query string) string { return "/api/ConnectorSetup/OAuthUrl?" + query }
	for query, want := range map[string]string{
		"redirectUrl=" + jobstest.Callback:                                      "jobType",
		"jobType=Facebook&redirectUrl=" + jobstest.Callback:                     "jobType",
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
	if w.SignIns() != 0 {
		t.Errorf("%d sign-ins are kept", w.SignIns())
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
	if w.Exchanges() != 0 || w.Account("j-1") != "" {
		t.Errorf("%d exchanges, %q is kept", w.Exchanges(), w.Account("j-1"))
	}
	w.expect("POST", storeToken, storeBody("oauth_token="+w.begin()+"&oauth_verifier=wrong", "j-1"), 400, "Invalid oauth_verifier")
	w.signIn("j-1", jobstest.Press)
	w.X.Revoke(jobstest.Press)
	w.expect("GET", entities+"j-1", "", 400, "Sign in again")
}
