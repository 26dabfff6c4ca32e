package jobs_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/jobs/jobstest"
)

// wantStatus wants an error that means an HTTP status.
func wantStatus(t *testing.T, what string, err error, status int) {
	t.Helper()
	if got := fault.Of(err).Status; got != status {
		t.Errorf("%s: want status %d, got %d: %v", what, status, got, err)
	}
}

// TestPagesSignInIsBound: a page's sign-in can be ended by the browser that began
// it, for its job, once, in time.
func TestPagesSignInIsBound(t *testing.T) {
	w := jobstest.New(t)
	ctx := context.Background()
	in := jobs.SignIn{JobID: "j-1", Browser: "browser's own", Callback: jobstest.Callback}
	begin := func() (token, verifier string) {
		t.Helper()
		token, address, err := w.Jobs.BeginSignIn(ctx, in)
		if err != nil || address != w.SignInURL(token) {
			t.Fatalf("the browser is sent to %s, %v", address, err)
		}
		_, verifier = w.AtX(token, jobstest.Press)
		return token, verifier
	}
	end := func(in jobs.SignIn, token, verifier string) error {
		_, err := w.Jobs.EndSignIn(ctx, in, token, verifier)
		return err
	}
	for what, change := range map[string]func(*jobs.SignIn){
		"another job":      func(in *jobs.SignIn) { in.JobID = "j-2" },
		"another browser":  func(in *jobs.SignIn) { in.Browser = "" },
		"another callback": func(in *jobs.SignIn) { in.Callback += "x" },
	} {
		token, verifier := begin()
		other := in
		change(&other)
		wantStatus(t, what, end(other, token, verifier), 400)
	}
	if w.Account("j-1")+w.Account("j-2") != "" || w.Exchanges() != 0 {
		t.Errorf("a foreign sign-in got to X: %d exchanges", w.Exchanges())
	}

	// No call takes it, by name or by bare verifier.
	token, verifier := begin()
	wantStatus(t, "a call, by name", w.Jobs.StoreToken(ctx, "j-1", jobstest.Callback, "oauth_token="+token+"&oauth_verifier="+verifier), 400)
	wantStatus(t, "a call, by verifier", w.Jobs.StoreToken(ctx, "j-1", jobstest.Callback, verifier), 400)
	account, err := w.Jobs.EndSignIn(ctx, in, token, verifier)
	if err != nil || account.UserID != jobstest.Press || account.ScreenName != jobstest.PressHandle || w.Account("j-1") != jobstest.Press {
		t.Errorf("it ends with %+v, %v", account, err)
	}
	wantStatus(t, "a second time", end(in, token, verifier), 400)

	// Nor does a page take a call's.
	address, err := w.Jobs.OAuthURL(ctx, jobstest.Callback)
	if err != nil {
		t.Fatal(err)
	}
	token = address[len(w.SignInURL("")):]
	_, verifier = w.AtX(token, jobstest.Press)
	wantStatus(t, "a call's sign-in", end(in, token, verifier), 400)

	token, verifier = begin()
	w.Pass(jobs.SignInLife)
	wantStatus(t, "too late", end(in, token, verifier), 400)

	// X being down does not end it; a verifier that X refuses does.
	token, verifier = begin()
	w.X.Down(true)
	wantStatus(t, "X is down", end(in, token, verifier), 503)
	w.X.Down(false)
	wantStatus(t, "a wrong verifier", end(in, token, "wrong"), 400)
	wantStatus(t, "after a wrong verifier", end(in, token, verifier), 400)
}

// TestASignInEndsOnce: two instances get the same verifier at the same time, and
// one of them ends the sign-in.
func TestASignInEndsOnce(t *testing.T) {
	w := jobstest.New(t)
	ctx := context.Background()
	_, second, _ := w.Instance(nil)
	address, err := w.Jobs.OAuthURL(ctx, jobstest.Callback)
	if err != nil {
		t.Fatal(err)
	}
	token := address[len(w.SignInURL("")):]
	_, verifier := w.AtX(token, jobstest.Press)
	var (
		all  sync.WaitGroup
		errs [2]error
	)
	for i, instance := range []*jobs.Jobs{w.Jobs, second} {
		all.Go(func() {
			errs[i] = instance.StoreToken(ctx, "j-1", jobstest.Callback, "oauth_token="+token+"&oauth_verifier="+verifier)
		})
	}
	all.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || fault.CauseOf(errors.Join(errs[:]...)) != fault.BadRequest || w.Exchanges() != 1 {
		t.Errorf("they end with %v and %v after %d exchanges", errs[0], errs[1], w.Exchanges())
	}
}

// TestBareVerifier: a verifier alone does not say which sign-in it is for. The
// newest are tried, and stay good for their own verifiers.
func TestBareVerifier(t *testing.T) {
	w := jobstest.New(t)
	ctx := context.Background()
	var tokens []string
	begin := func() {
		t.Helper()
		address, err := w.Jobs.OAuthURL(ctx, jobstest.Callback)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, address[len(w.SignInURL("")):])
		w.Pass(1e9)
	}
	for range 6 {
		begin()
	}
	_, third := w.AtX(tokens[2], jobstest.Press)
	if err := w.Jobs.StoreToken(ctx, "j-1", jobstest.Callback, third); err != nil || w.Account("j-1") != jobstest.Press || w.Exchanges() != 4 {
		t.Errorf("it ends with %v after %d exchanges", err, w.Exchanges())
	}
	if w.SignIns() != 5 {
		t.Errorf("%d sign-ins are left, want 5", w.SignIns())
	}
	begin() // now there are 6, and the oldest is not tried
	_, oldest := w.AtX(tokens[0], jobstest.Help)
	wantStatus(t, "the oldest, by its verifier", w.Jobs.StoreToken(ctx, "j-2", jobstest.Callback, oldest), 400)
	if w.Exchanges() != 4+5 {
		t.Errorf("%d exchanges, want 9", w.Exchanges())
	}
	if err := w.Jobs.StoreToken(ctx, "j-2", jobstest.Callback, "oauth_token="+tokens[0]+"&oauth_verifier="+oldest); err != nil || w.Account("j-2") != jobstest.Help {
		t.Errorf("the oldest, by its token: %v", err)
	}
}

func messageOf(err error) string { return fault.Of(err).Words() }
