package connector

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

const (
	tenant = "0f8fad5b-d9cb-469f-a165-70867728950e"
	secret = "s3cret:with colon"
	page   = "https://contoso.azurewebsites.net/Views/TwitterOAuth"
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
	for path, method := range map[string]string{"/setup/Validate": "GET", "/job/OnDeleted": "DELETE", "/data/OnDownloadRequest": "POST",
		"/job/IsCreated": "GET", "/job/OnRemediation": "GET", "/api/ConnectorSetup/OAuthUrl": "GET", "/api/ConnectorSetup/StoreToken": "POST",
		"/api/ConnectorSetup/GetEntities": "GET", "/api/ConnectorSetup/SavePage": "POST", "/api/ConnectorSetup/DeleteToken": "GET"} {
		allow := strings.Replace(method, "GET", "GET, HEAD", 1)
		if status, _, header := w.call("PATCH", path, ""); status != 405 || header.Get("Allow") != allow {
			t.Errorf("PATCH %s: %d, Allow %q", path, status, header.Get("Allow"))
		}
		if status, body, header := w.call(method, path, "", "Authorization", ""); status != 401 || body != `{"Message":"Not authorized."}` || header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s without authorization: %d %s", method, path, status, body)
		}
	}
}

func TestAuthorization(t *testing.T) {
	basic := func(user, password string) string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	w := newWorld(t)
	for _, c := range []struct {
		header string
		want   int
	}{
		{basic(tenant, secret), 200},
		{basic(strings.ToUpper(tenant), secret), 200},
		{strings.Replace(basic(tenant, secret), "Basic", "basic", 1), 200},
		{basic(tenant, secret+"x"), 401},
		{basic(tenant, strings.ToUpper(secret)), 401},
		{basic(tenant, ""), 401},
		{basic("", secret), 401},
		{basic("72f988bf-86f1-41af-91ab-2d7cd011db47", secret), 401},
		{"Basic", 401},
		{"Basic !!!", 401},
		{"Basic " + tenant, 401},
		{"Bearer " + secret, 401},
		{secret, 401},
	} {
		status, body, _ := w.call("GET", "/setup/Validate", "", "Authorization", c.header)
		if status != c.want || status == 401 && body != `{"Message":"Not authorized."}` {
			t.Errorf("%q: want %d, got %d %s", c.header, c.want, status, body)
		}
	}
	if strings.Contains(w.log.String(), "s3cret") {
		t.Errorf("the log holds the secret: %s", w.log)
	}
}

func TestAChangedSecretIsTakenUpAtOnce(t *testing.T) {
	w := newWorld(t)
	w.secrets.cached = map[string]string{secrets.APISecretKey: "the old one"}
	w.expect("GET", "/setup/Validate", "", 200, `{"Status":true,"Message":null}`)

	// Wrong secrets do not make the vault be asked more often than every 10 seconds.
	before := w.secrets.refreshed
	w.now = w.now.Add(refreshEvery)
	for range 5 {
		if status, _, _ := w.call("GET", "/setup/Validate", "", "Authorization", "Basic Og=="); status != 401 {
			t.Errorf("got %d", status)
		}
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(tenant, "guess")
		if status, _, _ := w.call("GET", "/setup/Validate", "", "Authorization", r.Header.Get("Authorization")); status != 401 {
			t.Errorf("got %d", status)
		}
	}
	if n := w.secrets.refreshed - before; n != 1 {
		t.Errorf("the secret was read anew %d times", n)
	}
}

func TestNoSecretNoVerdict(t *testing.T) {
	w := newWorld(t)
	const unknown = "cannot check authorizations"
	w.secrets.fail(secrets.ErrUnavailable)
	w.expect("GET", "/setup/Validate", "", 503, unknown)

	// With an old value at hand and the vault down, a mismatch is no verdict either.
	w.secrets.cached = map[string]string{secrets.APISecretKey: "the old one"}
	w.expect("GET", "/setup/Validate", "", 503, unknown)
	w.expect("GET", "/setup/Validate", "", 503, unknown)

	w = newWorld(t)
	delete(w.secrets.values, secrets.APISecretKey)
	w.expect("GET", "/setup/Validate", "", 503, unknown)
	// A stranger is told nothing of the vault.
	w.secrets.fail(secrets.ErrUnavailable)
	if status, _, _ := w.call("GET", "/setup/Validate", "", "Authorization", ""); status != 401 {
		t.Errorf("without authorization: %d", status)
	}
}

func TestAFailureShowsNoInternals(t *testing.T) {
	w := newWorld(t)
	w.state.failure = errors.New("reading jobs/j.json: inner detail")
	w.expect("GET", "/job/IsCreated?jobId=j", "", 500, "at reference")
	_, body, _ := w.call("GET", "/job/IsCreated?jobId=j", "")
	reference := body[strings.Index(body, "reference ")+len("reference "):][:10]
	if strings.Contains(body, "inner detail") || !strings.Contains(w.log.String(), "inner detail") || !strings.Contains(w.log.String(), reference) {
		t.Errorf("answer %s, log %s", body, w.log)
	}
}

func TestJob(t *testing.T) {
	w := newWorld(t)
	w.state.jobs["j-1"] = state.Job{ID: "j-1", TenantID: tenant, AccountID: "77"}
	w.secrets.accounts["j-1"] = twitter.Account{UserID: "77"}
	w.secrets.accounts["never-saved"] = twitter.Account{UserID: "78"}

	w.expect("GET", "/job/IsCreated?jobId=j-1", "", 200, `{"IsJobCreated":true,"Reason":null}`)
	w.expect("GET", "/job/IsCreated?JOBID=j-2", "", 200, `{"IsJobCreated":false,"Reason":null}`)
	for _, id := range []string{"", ".", "..", "a/b", "a%2Fb", "a%00", "a.", strings.Repeat("a", 129)} {
		w.expect("GET", "/job/IsCreated?jobId="+id, "", 400, "jobId")
	}

	w.expect("GET", "/job/OnRemediation?jobId=j-1&remediationType=Other", "", 400, "Relogin")
	w.expect("GET", "/job/OnRemediation?jobId=j-2&remediationType=Relogin", "", 404, "no such job")
	w.expect("GET", "/job/OnRemediation?jobId=j-1&remediationType=relogin", "", 200, "")
	if !w.state.jobs["j-1"].SignInNeeded || !slices.Contains(w.secrets.forgotten, "j-1") {
		t.Errorf("%+v, forgotten %v", w.state.jobs["j-1"], w.secrets.forgotten)
	}

	// A failure on the way leaves the job, so that the call can be repeated.
	w.secrets.setFailure = secrets.ErrUnavailable
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 503, "Key Vault")
	if len(w.state.jobs) != 1 {
		t.Error("the job is gone, its token is not")
	}
	w.secrets.setFailure = nil
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 200, "")
	w.expect("DELETE", "/job/OnDeleted?jobId=j-1", "", 404, "no such job")
	w.expect("DELETE", "/job/OnDeleted?jobId=never-saved", "", 404, "no such job")
	if len(w.state.jobs) != 0 || len(w.secrets.accounts) != 0 {
		t.Errorf("left: %v, %v", w.state.jobs, w.secrets.accounts)
	}
}
