package jobs_test

import (
	"errors"
	"strings"
	"testing"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/twitter"
)

// TestKeys: an account's token is one secret, by the job's id, in a form that
// stays.
func TestKeys(t *testing.T) {
	w := jobstest.New(t)
	ctx := t.Context()
	account := twitter.Account{Token: twitter.Token{Token: "77-t", Secret: "ts"}, UserID: "77", ScreenName: "contoso"}
	if err := w.Keys.SaveAccount(ctx, "job/1", account); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Keys.Account(ctx, "job/1"); err != nil || got != account {
		t.Errorf("the account is %+v, %v", got, err)
	}
	_, err := w.Keys.Account(ctx, "job/2")
	if !errors.Is(err, jobs.ErrNotSignedIn) || !errors.Is(err, secrets.ErrNotSet) || !strings.Contains(err.Error(), "job/2") || fault.CauseOf(err) != fault.NotSignedIn {
		t.Errorf("a job without account: %v", err)
	}
	// printf 'job/1' | sha256sum | cut -c 1-32
	const name, value = "x-token-cf3e45372e2d2dbe030a260190eb5afe", `{"token":"77-t","secret":"ts","userId":"77","screenName":"contoso"}`
	if got := w.Vault.Value(name); got != value {
		t.Errorf("the vault has %q, want %q", got, value)
	}
	w.Vault.Put(name, "{}")
	if got, err := w.Keys.Account(ctx, "job/1"); err != nil || got != account {
		t.Errorf("what is kept in memory: %+v, %v", got, err)
	}
	w.Keys.ForgetAccount("job/1")
	if _, err := w.Keys.Account(ctx, "job/1"); !errors.Is(err, jobs.ErrNotSignedIn) {
		t.Errorf("a damaged secret: %v", err)
	}
	for range 2 {
		if err := w.Keys.DeleteAccount(ctx, "job/1"); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Vault.Value(name); got != "" {
		t.Errorf("the vault still has %q", got)
	}
	if app, err := w.Keys.App(ctx); err != nil || app != (twitter.App{Key: jobstest.XKey, Secret: "hush app"}) {
		t.Errorf("the app is %v, %v", app, err)
	}
	w.Vault.Put(secrets.TwitterAPIKey, "another")
	w.Keys.ForgetApp()
	if app, err := w.Keys.App(ctx); err != nil || app.Key != "another" {
		t.Errorf("the app after ForgetApp is %v, %v", app, err)
	}
}

// TestKeysOfTheEnvironment: without a vault all jobs have one account, and nothing
// can be saved.
func TestKeysOfTheEnvironment(t *testing.T) {
	w := jobstest.New(t)
	_, _, keys := w.Instance(map[string]string{"TWITTER_API_KEY": "k", "TWITTER_API_SECRET_KEY": "ks", "TWITTER_ACCESS_TOKEN": "t", "TWITTER_ACCESS_TOKEN_SECRET": "ts"})
	ctx := t.Context()
	if app, err := keys.App(ctx); err != nil || app != (twitter.App{Key: "k", Secret: "ks"}) {
		t.Errorf("the app is %v, %v", app, err)
	}
	if a, err := keys.Account(ctx, "any job"); err != nil || a != (twitter.Account{Token: twitter.Token{Token: "t", Secret: "ts"}}) {
		t.Errorf("the account is %v, %v", a, err)
	}
	if err := keys.SaveAccount(ctx, "j", twitter.Account{}); !errors.Is(err, secrets.ErrReadOnly) {
		t.Errorf("saving: %v", err)
	}
}
