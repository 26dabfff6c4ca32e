package connector

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"xarchive/handler/internal/state"
)

// A page's sign-in can be ended by who knows its job and its browser's secret, once.
func TestAPagesSignInIsBound(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	api := New(Options{TenantID: tenant, XAPIURL: w.x.URL, State: w.state, Secrets: w.secrets, HTTP: w.x.Client(),
		Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	in := SignIn{JobID: "j-1", Browser: "browser's own", Callback: page}
	begin := func() (token, verifier string) {
		t.Helper()
		token, signInURL, err := api.BeginSignIn(ctx, in)
		if err != nil || signInURL != w.x.URL+"/oauth/authenticate?oauth_token="+token {
			t.Fatalf("%s, %v", signInURL, err)
		}
		return token, w.x.signIn(token, "77")
	}
	for what, change := range map[string]func(*SignIn){
		"another job":      func(in *SignIn) { in.JobID = "j-2" },
		"another browser":  func(in *SignIn) { in.Browser = "" },
		"another callback": func(in *SignIn) { in.Callback += "x" },
	} {
		token, verifier := begin()
		other := in
		change(&other)
		if _, err := api.EndSignIn(ctx, other, token, verifier); explain(err).status != 400 {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(w.secrets.accounts) != 0 || w.x.exchanges != 0 {
		t.Errorf("%v after %d exchanges", w.secrets.accounts, w.x.exchanges)
	}

	// No call takes it, by name or by bare verifier.
	token, verifier := begin()
	w.expect("POST", storeToken, storeBody("oauth_token="+token+"&oauth_verifier="+verifier, "j-1"), 400, "Begin it again")
	w.expect("POST", storeToken, storeBody(verifier, "j-1"), 400, "Begin it again")
	account, err := api.EndSignIn(ctx, in, token, verifier)
	if err != nil || account.UserID != "77" || w.secrets.accounts["j-1"].UserID != "77" {
		t.Errorf("%+v, %v", account, err)
	}
	if _, err := api.EndSignIn(ctx, in, token, verifier); explain(err).status != 400 {
		t.Errorf("a second time: %v", err)
	}

	// Nor does a page take a call's.
	token = w.begin()
	if _, err := api.EndSignIn(ctx, in, token, w.x.signIn(token, "77")); explain(err).status != 400 {
		t.Errorf("a call's sign-in: %v", err)
	}

	// Ten minutes.
	token, verifier = begin()
	w.now = w.now.Add(signInLife)
	if _, err := api.EndSignIn(ctx, in, token, verifier); explain(err).status != 400 {
		t.Errorf("too late: %v", err)
	}

	// A wrong verifier ends it; X being down does not.
	token, verifier = begin()
	w.x.down = true
	if _, err := api.EndSignIn(ctx, in, token, verifier); explain(err).status != 503 {
		t.Errorf("X is down: %v", err)
	}
	w.x.down = false
	if _, err := api.EndSignIn(ctx, in, token, "wrong"); explain(err).status != 400 {
		t.Errorf("a wrong verifier: %v", err)
	}
	if _, err := api.EndSignIn(ctx, in, token, verifier); explain(err).status != 400 {
		t.Errorf("after a wrong verifier: %v", err)
	}
}

func TestKeysFollowTheSharedSecret(t *testing.T) {
	w := newWorld(t)
	api := New(Options{TenantID: tenant, State: w.state, Secrets: w.secrets, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	key := func(purpose string) string {
		k, err := api.Key(context.Background(), purpose)
		if err != nil || len(k) != 32 {
			t.Fatalf("%d bytes, %v", len(k), err)
		}
		return string(k)
	}
	first := key("a")
	if key("a") != first || key("b") == first {
		t.Error("a key is not of its purpose")
	}
	w.secrets.values["api-secret-key"] = "another"
	if key("a") == first {
		t.Error("the key outlives the secret")
	}
}

func TestSetup(t *testing.T) {
	w := newWorld(t)
	api := New(Options{TenantID: tenant, XAPIURL: w.x.URL, HTTP: w.x.Client(), State: w.state, Secrets: w.secrets, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	ctx := context.Background()
	if s, err := api.Setup(ctx, "j-1"); err != nil || s.Job != nil || s.Account.ID != "" {
		t.Errorf("%+v, %v", s, err)
	}
	token := w.begin()
	w.expect("POST", storeToken, storeBody("oauth_token="+token+"&oauth_verifier="+w.x.signIn(token, "77"), "j-1"), 200, "true")
	w.state.jobs["j-2"] = state.Job{ID: "j-2", AccountID: "77"}
	s, err := api.Setup(ctx, "j-1")
	if err != nil || s.Account.ID != "77" || s.Account.Username != "user77" || s.UsedBy != "j-2" || s.Job != nil {
		t.Errorf("%+v, %v", s, err)
	}
	if saved, err := api.SaveJob(ctx, "j-1", "77", ""); saved || err != nil {
		t.Errorf("saved %v, %v", saved, err)
	}
	delete(w.state.jobs, "j-2")
	if saved, err := api.SaveJob(ctx, "j-1", "77", ""); !saved || err != nil {
		t.Errorf("saved %v, %v", saved, err)
	}
	if s, err := api.Setup(ctx, "j-1"); err != nil || s.Job == nil || s.Job.AccountName != "user77" || s.UsedBy != "" {
		t.Errorf("%+v, %v", s, err)
	}
}
