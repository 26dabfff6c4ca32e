package api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/web"
)

// TestRepeatedRequests: the Functions host sends a request without a body again, up to
// three times, if the connection closes before the answer. What was done once must
// not be done otherwise by the repetition.
func TestRepeatedRequests(t *testing.T) {
	w := newWorld(t)
	a := New(Options{TenantID: jobstest.Tenant, Access: w.Access, Jobs: w.Jobs, Now: w.Now, Log: w.Logger})
	mux := web.New(a.Refuse)
	a.Register(mux)
	// repeated makes a call four times and returns the answers.
	repeated := func(method, uri string) (answers []string) {
		for range 4 {
			r := httptest.NewRequest(method, uri, nil)
			r.SetBasicAuth(jobstest.Tenant, jobstest.Secret)
			r.Header.Set("X-Azure-Functions-InvocationId", "the-same")
			rec := httptest.NewRecorder()
			mux.ServeHTTP(rec, r)
			answers = append(answers, http.StatusText(rec.Code)+" "+rec.Body.String())
		}
		return answers
	}
	same := func(method, uri string) {
		t.Helper()
		if got := repeated(method, uri); len(slices.Compact(got)) != 1 || got[0][:2] != "OK" {
			t.Errorf("%s %s: want one and the same answer, got %q", method, uri, got)
		}
	}
	for _, id := range []string{"j-1", "j-2"} {
		w.signIn(id, map[string]string{"j-1": jobstest.Press, "j-2": jobstest.Help}[id])
	}
	w.Save(state.Job{ID: "j-1", TenantID: jobstest.Tenant, AccountID: jobstest.Press})
	w.Save(state.Job{ID: "j-2", TenantID: jobstest.Tenant, AccountID: jobstest.Help})

	same("GET", "/setup/Validate")
	same("GET", "/job/IsCreated?jobId=j-1")
	same("GET", "/api/Configuration")
	same("GET", entities+"j-1")
	same("GET", "/job/OnRemediation?jobId=j-1&remediationType=Relogin")
	if job, _ := w.Job("j-1"); !job.SignInNeeded || job.AccountID != jobstest.Press {
		t.Errorf("after OnRemediation the job is %+v", job)
	}
	same("GET", "/api/ConnectorSetup/DeleteToken?jobType=twitter&jobId=j-1")
	if w.Account("j-1") != "" || w.Account("j-2") != jobstest.Help {
		t.Error("another token than the job's is deleted, or its own is not")
	}

	// Each begins a sign-in of its own; those nobody ends expire.
	for _, answer := range repeated("GET", "/api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl="+jobstest.Callback) {
		if answer[:2] != "OK" {
			t.Errorf("OAuthUrl: %s", answer)
		}
	}

	// The first deletes the job; to the others there is none, and nothing else goes.
	if got := repeated("DELETE", "/job/OnDeleted?jobId=j-1"); got[0][:2] != "OK" || got[1] != got[3] || got[1][:9] != "Not Found" {
		t.Errorf("OnDeleted: %q", got)
	}
	if _, found := w.Job("j-1"); found {
		t.Error("the job is left")
	}
	if _, found := w.Job("j-2"); !found || w.Account("j-2") != jobstest.Help {
		t.Error("the other job is gone")
	}
}

// TestStoreTokenRepeated: with a body the host repeats nothing, but the Compliance
// Center may. The verifier is good for one use, and what the first use kept stays.
func TestStoreTokenRepeated(t *testing.T) {
	w := newWorld(t)
	body := storeBody(w.finish(jobstest.Press), "j-1")
	w.expect("POST", storeToken, body, 200, "true")
	for range 3 {
		w.expect("POST", storeToken, body, 400, "Begin it again")
	}
	if w.Account("j-1") != jobstest.Press || w.SignIns() != 0 || w.Exchanges() != 1 {
		t.Errorf("kept is %q, %d sign-ins are left, %d exchanges", w.Account("j-1"), w.SignIns(), w.Exchanges())
	}
}
