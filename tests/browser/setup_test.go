package browser

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// wantCreated asks as the Compliance Center does whether a job is set up.
func wantCreated(t *testing.T, s *sandbox.Sandbox, jobID string, want bool) {
	t.Helper()
	got, err := s.Import.IsCreated(t.Context(), jobID)
	if err != nil || got != want {
		t.Errorf("IsCreated of %s: %v, %v; want %v", jobID, got, err, want)
	}
}

// TestSetUp is step 7 of the guide: the Compliance Center opens the page, the account
// signs in with X in a window of its own, the job is saved.
func TestSetUp(t *testing.T) {
	t.Parallel()
	s := world(t)
	p := newTab(t, s)

	p.setUp("job-press")
	p.heading("Sign in")
	if got := ask[string](p, `document.getElementById("tenantId").value`); got != sandbox.TenantID {
		t.Errorf("the tenant's id is not filled in: %q", got)
	}
	p.signIn("not the secret")
	p.sees("The tenant ID and the secret do not match.")
	p.signIn(sandbox.APISecretKey)
	p.heading("Sign in with X")
	p.look("set-up-sign-in")

	t.Log("the sign-in is cancelled at X")
	w := p.window(func() { p.press("Login with X") })
	w.heading("Authorize Contoso archive to access your account?")
	w.atX("")
	w.heading("You cancelled at X")
	w.look("cancelled-at-x")
	w.press("Close this window")
	w.closed()
	p.heading("Sign in with X")
	wantCreated(t, s, "job-press", false)

	t.Log("the sign-in succeeds")
	w = p.window(func() { p.press("Login with X") })
	w.atX("@ContosoEnergy")
	w.closed()
	p.heading("Is this the account?")
	p.sees("@ContosoEnergy")
	wantCreated(t, s, "job-press", false)
	p.look("set-up-account")
	p.press("Save and continue")
	p.heading("The job is set up")
	p.look("set-up-done")
	wantCreated(t, s, "job-press", true)

	t.Log("another job cannot have the same account")
	p.setUp("job-second")
	p.heading("Sign in with X")
	w = p.window(func() { p.press("Login with X") })
	w.atX("@ContosoEnergy")
	w.closed()
	p.heading("This account is archived already")
	p.sees("@ContosoEnergy", "job-press")
	p.look("set-up-already-used")
	wantCreated(t, s, "job-second", false)
	w = p.window(func() { p.press("Login with X") })
	w.atX("@ContosoHelp")
	w.closed()
	p.heading("Is this the account?")
	p.press("Save and continue")
	p.heading("The job is set up")
	p.sees("@ContosoHelp")
	wantCreated(t, s, "job-second", true)
}

// TestXRefuses is X out of order, and taking the keys no longer, at the sign-in.
func TestXRefuses(t *testing.T) {
	t.Parallel()
	s := world(t)
	p := newTab(t, s)
	p.setUp("job-press")
	p.signIn(sandbox.APISecretKey)
	p.heading("Sign in with X")

	s.X.Down(true)
	w := p.window(func() { p.press("Login with X") })
	w.heading("X did not begin the sign-in")
	w.look("x-is-down")
	w.press("Close this window")
	w.closed()
	s.X.Down(false)

	if err := s.Vault.Set(t.Context(), "twitter-api-key", "a-key-of-nobody"); err != nil {
		t.Fatal(err)
	}
	w = p.window(func() { p.press("Login with X") })
	w.heading("X did not begin the sign-in")
	w.sees("twitter-api-key")
	w.press("Close this window")
	w.closed()
	p.heading("Sign in with X")
}

// TestSignInAgain is a remediation: the account signs in again, and the archive goes
// on where it was.
func TestSignInAgain(t *testing.T) {
	t.Parallel()
	s := world(t)
	account := corpus.SupportAccount
	if err := s.Connect(t.Context(), "job-help", account); err != nil {
		t.Fatal(err)
	}
	tick(t, s)
	read := s.X.Stats().PostReads
	if want := len(s.Corpus.Posts(account)); read < want { // some are read again for what they answer
		t.Fatalf("the first run read %d posts, there are %d", read, want)
	}

	s.X.Revoke(account)
	if err := s.Import.OnRemediation(t.Context(), "job-help"); err != nil {
		t.Fatal(err)
	}
	p := newTab(t, s)
	p.open("/Status")
	p.signIn(sandbox.APISecretKey)
	p.sees("Sign-in needed")
	p.look("status-sign-in-needed")
	p.press("Overview")
	p.heading("One thing needs you")
	p.look("overview-sign-in-needed")
	p.press("Sign in with X")
	p.heading("Sign in with X again")
	p.look("set-up-again")

	t.Log("with another account the job stays as it is")
	w := p.window(func() { p.press("Login with X") })
	w.atX("@ContosoEnergy")
	w.closed()
	p.heading("Is this the account?")
	p.sees("This job archives Contoso Energy Help (@ContosoHelp) now.")
	p.look("set-up-other-account")
	w = p.window(func() { p.press("Use another account") })
	w.atX("@ContosoHelp")
	w.closed()
	p.heading("The job is set up")

	newer := post(t, s, account, time.Now().Add(-2*time.Minute), 0)
	tick(t, s)
	if got := s.X.Stats().PostReads - read; got != 1 {
		t.Errorf("after the sign-in %d posts were read, want the new one, %s, only", got, newer)
	}
	p.open("/Status")
	p.sees("Read from X", "Posts archived "+fmt.Sprint(len(s.Corpus.All(account))))
}

// TestWithoutScript is the set-up in a browser that runs no script: in one window.
func TestWithoutScript(t *testing.T) {
	t.Parallel()
	s := world(t)
	p := newTab(t, s)
	p.withoutScript()
	p.setUp("job-press")
	p.signIn(sandbox.APISecretKey)
	p.heading("Sign in with X")

	p.press("Login with X")
	p.atX("@ContosoHelp")
	p.heading("Is this the account?")
	p.press("Save and continue")
	p.heading("The job is set up")
	p.sees("@ContosoHelp")
	wantCreated(t, s, "job-press", true)

	p.press("Login with X again")
	p.atX("")
	p.heading("You cancelled at X")
	p.press("To the job's set-up")
	p.heading("The job is set up")
	p.open("/Configure")
	p.press("Test connection")
	p.sees("Connections X ")
	wantConnections(t, p.connections(), nil)
}

// TestBlockedWindow is a browser that lets no page open windows: the sign-in goes on
// in the page's own.
func TestBlockedWindow(t *testing.T) {
	t.Parallel()
	s := world(t)
	p := newTab(t, s)
	p.setUp("job-press")
	p.signIn(sandbox.APISecretKey)
	p.heading("Sign in with X")
	ask[any](p, `window.open = () => null; null`)

	// Where X answers without content the browser stays on the page between.
	var asked atomic.Int32
	s.X.Fail(func(r *http.Request) x.Fault {
		if strings.HasPrefix(r.URL.Path, "/oauth/authenticate") && asked.Add(1) == 1 {
			return x.Fault{Status: http.StatusNoContent}
		}
		return x.Fault{}
	})
	p.press("Login with X")
	p.heading("Opening X")
	p.look("opening-x")
	p.press("Continue to X")
	p.atX("@ContosoHelp")
	p.heading("Is this the account?")
	p.sees("@ContosoHelp")
}

// tick runs the timer function to its end.
func tick(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := s.Host.Tick(ctx, "ingest"); err != nil {
		t.Fatal(err)
	}
}

// post has an account post something, and returns its id.
func post(t *testing.T, s *sandbox.Sandbox, account string, at time.Time, n int) string {
	t.Helper()
	id := corpus.NewID(at, n)
	at, _ = corpus.IDTime(id)
	_, err := s.Corpus.Add(fmt.Appendf(nil, `{"data":[{"id":%q,"author_id":%q,"text":"Post number %d of the day.","created_at":%q,"conversation_id":%q,"edit_history_tweet_ids":[%q],"lang":"en"}]}`,
		id, account, n, at.Format("2006-01-02T15:04:05.000Z"), id, id))
	if err != nil {
		t.Fatal(err)
	}
	return id
}
