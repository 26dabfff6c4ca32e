package api

import (
	"strings"
	"testing"

	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
)

// TestABrowserIsNotMadeToCall: a browser that has kept credentials does nothing for another
// site: by no link, form or script. It is not asked for credentials to keep.
func TestABrowserIsNotMadeToCall(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: jobstest.Press})
	w.signIn("j-1", jobstest.Press)
	const (
		deleteToken = "/api/ConnectorSetup/DeleteToken?jobType=Twitter&jobId=j-1"
		entities    = "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1"
		settings    = "/api/Configuration"
		key         = `{"TwitterApiKeyValue":"stolen"}`
	)
	for _, c := range []struct {
		what, method, uri, body string
		header                  []string
		status                  int
	}{
		{"a link of another site", "GET", deleteToken, "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"a link of a neighbour", "GET", deleteToken, "", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"a script of another site", "GET", deleteToken, "", []string{"Origin", "https://evil.example"}, 403},
		{"a sandboxed frame", "GET", deleteToken, "", []string{"Origin", "null"}, 403},
		{"a form of another site", "POST", settings, key, []string{"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"}, 403},
		{"the same of an old browser", "POST", settings, key, []string{"Origin", "https://evil.example", "Content-Type", "text/plain"}, 403},
		{"a form that says nothing of its site", "POST", settings, key, []string{"Content-Type", "text/plain"}, 400},
		{"another", "POST", settings, key, []string{"Content-Type", "application/x-www-form-urlencoded"}, 400},
		{"one with files", "POST", settings, key, []string{"Content-Type", "multipart/form-data; boundary=x"}, 400},
		{"a type that is none", "POST", settings, key, []string{"Content-Type", "/"}, 400},
	} {
		if status, answer, _ := w.call(c.method, c.uri, c.body, c.header...); status != c.status || !strings.HasPrefix(answer, `{"Message":`) {
			t.Errorf("%s: want %d, got %d %s", c.what, c.status, status, answer)
		}
	}
	if got := w.Vault.Value(secrets.TwitterAPIKey); got != jobstest.XKey {
		t.Errorf("the key is %s", got)
	}
	w.expect("GET", entities, "", 200, `[{"Id":"`+jobstest.Press+`","Name":"Contoso Energy ⚡","AdditionalInfo":null,"AlreadyUsed":false}]`)

	// What is not made by another site works: as .NET sends it, and as a person does who
	// types the address in.
	for _, header := range [][]string{{"Content-Type", "application/json; charset=utf-8"}, {"Sec-Fetch-Site", "same-origin", "Origin", w.server.URL}} {
		if status, answer, _ := w.call("POST", settings, `{"TwitterApiKeyValue":"new"}`, header...); status != 200 {
			t.Errorf("%v: %d %s", header, status, answer)
		}
	}
	for _, header := range [][]string{{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "none"}, {"Accept", "text/html,*/*"}} {
		status, _, h := w.call("GET", "/setup/Validate", "", append(header, "Authorization", "")...)
		if asked := strings.Join(h.Values("WWW-Authenticate"), ", "); status != 401 || strings.Contains(asked, "Basic") {
			t.Errorf("%v: %d, a browser is asked for %s", header, status, asked)
		}
	}
	if _, _, h := w.call("GET", "/setup/Validate", "", "Authorization", ""); !strings.Contains(strings.Join(h.Values("WWW-Authenticate"), ", "), "Basic") {
		t.Error("others are not told of Basic")
	}
}

// TestHeadChangesNothing: calls that change something do not do so for HEAD.
func TestHeadChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: jobstest.Press})
	w.signIn("j-1", jobstest.Press)
	before := len(w.Blobs.Names("state"))
	for _, uri := range []string{"/api/ConnectorSetup/DeleteToken?jobType=Twitter&jobId=j-1", "/API/connectorsetup/deletetoken/?jobType=Twitter&jobId=j-1",
		"/job/OnRemediation?jobId=j-1&remediationType=Relogin", "/api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl=" + jobstest.Callback} {
		if status, _, h := w.call("HEAD", uri, ""); status != 405 || h.Get("Allow") != "GET" {
			t.Errorf("HEAD %s: %d, Allow %s", uri, status, h.Get("Allow"))
		}
	}
	if job, err := w.State.Job(t.Context(), "j-1"); err != nil || job.SignInNeeded || len(w.Blobs.Names("state")) != before {
		t.Errorf("something was done: %+v, %v, %v", job, err, w.Blobs.Names("state"))
	}
	if status, answer, _ := w.call("GET", "/api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=j-1", ""); status != 200 {
		t.Errorf("the account's token: %d %s", status, answer)
	}
}
