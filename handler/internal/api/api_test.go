package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
)

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	const ok = `{"Status":true,"Message":null}`
	for _, path := range []string{"/setup/Validate", "/setup/validate", "/SETUP/VALIDATE", "/setup/Validate/", "/setup/Validate?x=1", "/setup/%56alidate"} {
		w.expect("GET", path, "", 200, ok)
	}
	for _, path := range []string{"/", "/setup", "/setup/Validate/x", "/setup/Validate//", "//setup/Validate", "/ingest", "/api", "/api/Configuration/x"} {
		w.expect("GET", path, "", 404, "nothing here")
	}
}

// TestMethods: every path with every method.
func TestMethods(t *testing.T) {
	w := newWorld(t)
	for path, allow := range map[string]string{
		"/setup/Validate": "GET, HEAD", "/job/IsCreated": "GET, HEAD", "/job/OnRemediation": "GET, HEAD",
		"/job/OnDeleted": "DELETE", "/data/OnDownloadRequest": "POST", "/api/Configuration": "GET, HEAD, POST",
		"/api/ConnectorSetup/OAuthUrl": "GET, HEAD", "/api/ConnectorSetup/StoreToken": "POST", "/api/ConnectorSetup/GetEntities": "GET, HEAD",
		"/api/ConnectorSetup/SavePage": "POST", "/api/ConnectorSetup/DeleteToken": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"} {
			status, body, h := w.call(method, path, "", "Authorization", "")
			allowed := slices.Contains(strings.Split(allow, ", "), method)
			switch {
			case allowed && (status != 401 || method != "HEAD" && body != `{"Message":"Not authorized."}` || h.Get("WWW-Authenticate") == ""):
				t.Errorf("%s %s without authorization: %d %s", method, path, status, body)
			case !allowed && (status != 405 || h.Get("Allow") != allow || method != "HEAD" && !strings.Contains(body, `{"Message":"This call is made with `+allow)):
				t.Errorf("%s %s: %d, Allow %q, %s", method, path, status, h.Get("Allow"), body)
			case method == "HEAD" && body != "":
				t.Errorf("HEAD %s has a body: %s", path, body)
			}
		}
	}
	if status, body, h := w.call("HEAD", "/setup/Validate", ""); status != 200 || body != "" || h.Get("Content-Type") == "" {
		t.Errorf("HEAD: %d %q", status, body)
	}
}

func basic(secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(jobstest.Tenant, secret)
	return r.Header.Get("Authorization")
}

// TestAStrangerIsToldNothing: neither why, nor anything of the vault; and how long to
// wait after many attempts.
func TestAStrangerIsToldNothing(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		if status, body, _ := w.call("GET", "/setup/Validate", "", "Authorization", basic("guess")); status != 401 || body != `{"Message":"Not authorized."}` {
			t.Fatalf("a wrong secret: %d %s", status, body)
		}
	}
	status, body, h := w.call("GET", "/setup/Validate", "", "Authorization", basic("guess"))
	if status != 429 || h.Get("Retry-After") == "" || !strings.Contains(body, "Too many attempts have failed") {
		t.Errorf("after many attempts: %d %s, Retry-After %q", status, body, h.Get("Retry-After"))
	}
	w = newWorld(t)
	w.Vault.Forbid(true)
	w.expect("GET", "/setup/Validate", "", 503, "cannot check authorizations")
	if strings.Contains(w.Log.String(), "s3cret") {
		t.Errorf("the log holds the secret: %s", w.Log)
	}
}

func TestAFailureShowsNoInternals(t *testing.T) {
	w := newWorld(t)
	w.BreakState(true)
	w.expect("GET", "/job/IsCreated?jobId=j", "", 503, "at reference")
	_, body, _ := w.call("GET", "/job/IsCreated?jobId=j", "")
	reference := body[strings.Index(body, "reference ")+len("reference "):][:10]
	if strings.Contains(body, jobstest.InnerDetail) || !strings.Contains(w.Log.String(), jobstest.InnerDetail) || !strings.Contains(w.Log.String(), reference) {
		t.Errorf("answer %s, log %s", body, w.Log)
	}
}

func TestJob(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", TenantID: jobstest.Tenant, AccountID: jobstest.Press})
	w.signIn("j-1", jobstest.Press)
	w.signIn("never-saved", jobstest.Help)

	w.expect("GET", "/job/IsCreated?jobId=j-1", "", 200, `{"IsJobCreated":true,"Reason":null}`)
	w.expect("GET", "/job/IsCreated?JOBID=j-2", "", 200, `{"IsJobCreated":false,"Reason":null}`)
	for _, id := range []string{"", ".", "..", "a/b", "a%2Fb", "a%00", "a.", strings.Repeat("a", 129)} {
		w.expect("GET", "/job/IsCreated?jobId="+id, "", 400, "jobId")
	}

	w.expect("GET", "/job/OnRemediation?jobId=j-1&remediationType=Other", "", 400, "Relogin")
	w.expect("GET", "/job/OnRemediation?jobId=j-2&remediationType=Relogin", "", 404, "no such job")
	w.expect("GET", "/job/OnRemediation?jobId=j-1&remediationType=relogin", "", 200, "")
	if job, _ := w.Job("j-1"); !job.SignInNeeded || job.AccountID != jobstest.Press {
		t.Errorf("after OnRemediation the job is %+v", job)
	}

	// A failure on the way leaves the job, so that the call can be repeated.
	w.Vault.Refuse("DELETE", w.accountSecret("j-1"))
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 503, "Key Vault")
	if _, found := w.Job("j-1"); !found {
		t.Error("the job is gone, its token is not")
	}
	w.Vault.Refuse("", "")
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 200, "")
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 404, "no such job")
	w.expect("DELETE", "/job/OnDeleted?jobId=never-saved", "", 404, "no such job")
	if _, found := w.Job("j-1"); found || w.Account("j-1") != "" || w.Account("never-saved") != "" {
		t.Error("the job or a token is left")
	}
}

// TestWithoutAVaultNothingIsSaved: the account is the one whose token is in the
// environment; X says who it is.
func TestWithoutAVaultNothingIsSaved(t *testing.T) {
	w := newWorld(t)
	w.withoutVault()
	w.expect("GET", "/api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl="+jobstest.Callback, "", 409, "KEY_VAULT_URL")
	w.expect("POST", storeToken, storeBody("v", "j-1"), 409, "KEY_VAULT_URL")
	w.expect("GET", "/api/ConnectorSetup/DeleteToken?jobType=Twitter&jobId=j-1", "", 409, "KEY_VAULT_URL")
	w.expect("POST", "/api/Configuration", `{"TwitterApiKeyValue":"x"}`, 409, "settings come from the environment")
	w.expect("POST", "/api/Configuration", `{}`, 409, "settings come from the environment")

	w.expect("GET", "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", "", 200, `[{"Id":"`+jobstest.Press+`","Name":"`+jobstest.PressName+`","AdditionalInfo":null,"AlreadyUsed":false}]`)
	save := "/api/ConnectorSetup/SavePage?jobId=j-1&tenantId=" + jobstest.Tenant
	w.expect("POST", save, `{"Id":"78","Name":"x"}`, 400, "not the account")
	w.expect("POST", save, `{"Id":"`+jobstest.Press+`","Name":"x"}`, 200, "true")
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 200, "")
	if _, found := w.Job("j-1"); found {
		t.Error("the job is left")
	}
	guard, work, _ := w.Instance(map[string]string{"API_SECRET_KEY": jobstest.Secret, "TWITTER_API_KEY": "k"})
	w.server = w.serve(guard, work)
	w.expect("GET", "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", "", 500, secrets.TwitterAccessToken)
}
