package pages

import (
	"fmt"
	"strings"
	"testing"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
)

// TestChanges: who signs in, saves settings, signs an account in, saves and deletes a job,
// is written down, by page and by call, with no value; what fails is, too.
func TestChanges(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Views/Changes")
	b.has("Changes", "Signed in to these pages", "shared secret, on these pages")
	b.get("/Configure", 200)
	b.post("/Configure", 303, "do", "save", "TwitterApiKeyValue", "a-new-value")
	w.Vault.Put(secrets.TwitterAPIKey, jobstest.XKey)
	b.get(w.atX(b.toX(jobURL), jobstest.Press), 303)
	b.get(jobURL, 200)
	b.post(jobURL, 303, "do", "save", "account", jobstest.Press)
	for _, call := range []string{"DELETE /job/OnDeleted?jobId=j-1", "DELETE /job/OnDeleted?jobId=j-1"} { // the second fails
		method, uri, _ := strings.Cut(call, " ")
		w.browser().send(method, uri, "", "Authorization", basic(), "X-Forwarded-For", "198.51.100.7:1")
	}
	b.get("/Views/Changes", 200, "Settings saved", "twitter-api-key", "Account signed in with X", "Job saved", "Job deleted", "by a call", "198.51.100.7", "failed", "not_found")
	if strings.Contains(b.page, "a-new-value") {
		t.Error("the log holds a setting's value")
	}
	list, broken, err := w.Audit.Newest(t.Context(), 0, 100)
	if err != nil || len(broken) > 0 {
		t.Fatalf("%v, %v", broken, err)
	}
	var what []string
	for _, r := range list {
		what = append(what, r.What)
	}
	if got, want := strings.Join(what, " "), "failed job_deleted job_deleted job_saved signed_in_with_x settings_saved session_begun"; got != want {
		t.Errorf("the log has %s, want %s", got, want)
	}

	b.get("/Configure", 200)
	b.post("/Views/SignOut", 303)
	list, _, _ = w.Audit.Newest(t.Context(), 0, 1)
	if list[0].What != audit.SessionEnded {
		t.Errorf("the last is %+v", list[0])
	}
	b.get("/Views/Changes", 200, "APISecretKey")
}

// TestManyChanges: the log is shown in pages.
func TestManyChanges(t *testing.T) {
	w := newWorld(t)
	for i := range 70 {
		if _, err := w.Audit.Begin(t.Context(), audit.Change{What: audit.JobSaved, JobID: fmt.Sprint("job-", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	b := w.browser()
	b.signIn("/Views/Changes") // number 71
	b.has("job-70", "job-22", "Older ones")
	if strings.Contains(b.text(), "job-21 ") || strings.Contains(b.page, "The newest") {
		t.Error("the first page has more")
	}
	b.get("/Views/Changes?before=22", 200, "job-21", "job-1", "The newest")
	if strings.Contains(b.page, "Older ones") {
		t.Error("the last page leads further")
	}
}

// TestNoChangeUnwritten: what cannot be written down is not done; that pages cannot say who
// signed in keeps nobody out.
func TestNoChangeUnwritten(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	w.BreakState(true)
	b.get("/Configure", 200)
	b.post("/Configure", 303, "do", "enter", "tenantId", tenant, "secret", secret)
	b.get("/Configure", 200, "Sign out")
	b.post("/Configure", 503, "do", "save", "TwitterApiKeyValue", "new")
	if got := w.Vault.Value(secrets.TwitterAPIKey); got != jobstest.XKey {
		t.Errorf("the key is %s", got)
	}
	b.get("/Views/Changes", 503, "The storage account")
	w.BreakState(false)
	b.get("/Configure", 200)
	b.post("/Configure", 303, "do", "save", "TwitterApiKeyValue", "new")
}
