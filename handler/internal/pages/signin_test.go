package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// The Compliance Center opens the page in the administrator's browser; password,
// sign-in at X, save.
func TestSetUpFromBeginningToEnd(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get(strings.Replace(jobURL, "j-1", "a/b", 1), 400, "Which job is this for?")
	b.get(strings.Replace(jobURL, tenant, "72f988bf-86f1-41af-91ab-2d7cd011db47", 1), 400, "another tenant")
	b.get("/preview/OnJobCreating?jobId=j-1", 400, "another tenant")

	b.get(jobURL, 200, "APISecretKey")
	if !strings.Contains(b.page, `value="`+tenant+`"`) {
		t.Error("the tenant has to be typed again")
	}
	b.post(jobURL, 403, "do", "enter", "tenantId", tenant, "secret", "wrong")
	b.signIn(jobURL)
	b.has("Login with X")

	request := b.toX(jobURL)
	var found bool
	for _, c := range b.http.Jar.Cookies(b.resp.Request.URL) {
		found = found || c.Name == signInCookieName(request)
	}
	if !found {
		t.Error("the browser has no cookie of its sign-in")
	}
	b.get(w.atX(request, jobstest.Press), 303)
	if b.location() != jobURL {
		t.Errorf("sent to %s", b.location())
	}
	b.get(b.location(), 200, "Is this the account?", "@ContosoEnergy")
	if got := w.Account("j-1"); got != jobstest.Press {
		t.Errorf("the token of %q is kept", got)
	}
	b.post(jobURL, 400, "do", "save", "account", jobstest.Help)
	b.has("not the account that has signed in")
	b.post(jobURL, 303, "do", "save", "account", jobstest.Press)
	b.get(b.location(), 200, "The job is set up", "go back to the Compliance Center")
	want := state.Job{V: state.Version, ID: "j-1", TenantID: tenant, AccountID: jobstest.Press, AccountName: jobstest.PressName, Handle: jobstest.PressHandle, CreatedAt: w.Now(), SignedInAt: w.Now()}
	if job, _ := w.Job("j-1"); job != want {
		t.Errorf("the job is %+v, want %+v", job, want)
	}
	accessToken, _ := w.X.Token(jobstest.Press)
	for _, hidden := range []string{"hush", "oauth_verifier", accessToken} {
		if strings.Contains(w.Log.String(), hidden) || strings.Contains(b.page, hidden) {
			t.Errorf("log or page hold %q", hidden)
		}
	}

	// The same account for another job.
	other := strings.Replace(jobURL, "j-1", "j-2", 1)
	b.get(w.atX(b.toX(other), jobstest.Press), 303)
	b.get(b.location(), 200, "This account is archived already", "j-1")
	b.post(other, 200, "do", "save", "account", jobstest.Press)
	b.has("This account is archived already")
	if _, found := w.Job("j-2"); found {
		t.Error("the second job is saved")
	}
}

// TestReturnRepeated: the Functions host sends the request again with which the browser
// returns from X, if the connection closed before the answer. The account that has
// signed in stays so, and a sign-in that was cancelled stays cancelled.
func TestReturnRepeated(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(jobURL)
	back := w.atX(b.toX(jobURL), jobstest.Press)
	cookies := b.http.Jar.Cookies(b.resp.Request.URL) // an answer that got lost changes none
	b.get(back, 303)
	for range 3 {
		b.http.Jar.SetCookies(b.resp.Request.URL, cookies)
		b.get(back, 400, "used already")
	}
	if w.Account("j-1") != jobstest.Press || w.Exchanges() != 1 || w.SignIns() != 0 {
		t.Errorf("kept is %q, after %d exchanges, %d sign-ins are left", w.Account("j-1"), w.Exchanges(), w.SignIns())
	}
	b.get(jobURL, 200, "Is this the account?", "@ContosoEnergy")

	token := b.toX(jobURL)
	cookies = b.http.Jar.Cookies(b.resp.Request.URL)
	for range 4 {
		b.http.Jar.SetCookies(b.resp.Request.URL, cookies)
		b.get("/Views/TwitterOAuth?denied="+token, 200, "You cancelled at X")
	}
	if w.Account("j-1") != jobstest.Press || w.SignIns() != 0 {
		t.Errorf("after cancelling: kept is %q, %d sign-ins are left", w.Account("j-1"), w.SignIns())
	}
}

func TestSignInWindow(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(jobURL)
	b.get(w.atX(b.toX(jobURL, "window", "1"), jobstest.Press), 200, "Signed in as @ContosoEnergy")
	if !strings.Contains(b.page, `data-returned="done"`) {
		t.Error("the script does not learn that the window may close")
	}
	b.get(jobURL, 200, "Is this the account?")
}

func TestSignInAgainKeepsTheJob(t *testing.T) {
	w := newWorld(t)
	created := w.Now().Add(-time.Hour)
	w.Save(state.Job{ID: "j-1", TenantID: tenant, AccountID: jobstest.Press, AccountName: "Contoso News", Handle: "contoso", CreatedAt: created, SignInNeeded: true})
	w.account(state.Account{ID: jobstest.Press, Cursor: "123"})
	old := twitter.Account{UserID: jobstest.Press, ScreenName: jobstest.PressHandle, Token: twitter.Token{Token: "old", Secret: "s"}}
	if err := w.Keys.SaveAccount(t.Context(), "j-1", old); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.signIn(jobURL)
	b.has("Sign in with X again", "@ContosoEnergy")
	b.get(w.atX(b.toX(jobURL), jobstest.Help), 303) // the wrong account
	b.get(jobURL, 200, "Is this the account?", "archives Contoso News (@contoso) now")
	if job, _ := w.Job("j-1"); job.AccountID != jobstest.Press || !job.SignInNeeded {
		t.Errorf("after another account signed in the job is %+v", job)
	}
	b.get(w.atX(b.toX(jobURL), jobstest.Press), 303)
	b.get(jobURL, 200, "The job is set up")
	account, err := w.State.Account(t.Context(), jobstest.Press)
	if job, _ := w.Job("j-1"); job.SignInNeeded || !job.CreatedAt.Equal(created) || err != nil || account.Cursor != "123" {
		t.Errorf("after the account signed in the job is %+v, the account %+v, %v", job, account, err)
	}
	w.Keys.ForgetAccount("j-1")
	if kept, err := w.Keys.Account(t.Context(), "j-1"); err != nil || kept == old {
		t.Errorf("the old token is still kept: %v", err)
	}
}

// What a callback must bring: the browser's own cookie, for the very token, once,
// in time.
func TestCallbacksThatAreMixedUp(t *testing.T) {
	w := newWorld(t)
	b, victim := w.browser(), w.browser()
	b.signIn(jobURL)
	victim.signIn(strings.Replace(jobURL, "j-1", "j-2", 1))

	// An attacker's sign-in, opened in the victim's browser.
	first := b.toX(jobURL)
	way := w.atX(first, jobstest.Help)
	victim.get(way, 400, "did not begin this sign-in")
	// One nobody began.
	b.get(w.callback+"?oauth_token=made-up&oauth_verifier=v", 400, "did not begin this sign-in")
	w.exchanges(0)

	// The cookie of one sign-in under the name of another.
	second := b.toX(strings.Replace(jobURL, "j-1", "j-3", 1))
	home, err := url.Parse(w.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	value := ""
	for _, c := range b.http.Jar.Cookies(home) {
		if c.Name == signInCookieName(first) {
			value = c.Value
		}
	}
	swapped := w.browser()
	swapped.http.Jar.SetCookies(home, []*http.Cookie{{Name: signInCookieName(second), Value: value, Path: "/"}})
	secondWay := w.atX(second, jobstest.Press)
	swapped.get(secondWay, 400, "did not begin this sign-in")
	forged := w.browser()
	for _, v := range []string{"", "x", "e30.e30", value + "x", strings.Split(value, ".")[0] + "."} {
		forged.http.Jar.SetCookies(home, []*http.Cookie{{Name: signInCookieName(first), Value: v, Path: "/"}})
		forged.get(way, 400, "did not begin this sign-in")
	}
	w.exchanges(0)

	// Two jobs side by side in one browser: each gets its own.
	b.get(way, 303)
	b.get(secondWay, 303)
	if w.Account("j-1") != jobstest.Help || w.Account("j-2") != "" || w.Account("j-3") != jobstest.Press {
		t.Errorf("signed in are %q, %q and %q", w.Account("j-1"), w.Account("j-2"), w.Account("j-3"))
	}
	// Once.
	b.get(way, 400, "has been used already")
	kept := w.browser() // one that kept the cookie all the same
	kept.http.Jar.SetCookies(home, []*http.Cookie{{Name: signInCookieName(first), Value: value, Path: "/"}})
	kept.get(way, 400, "used already")
	w.exchanges(2)
	// In time.
	way = w.atX(b.toX(jobURL), jobstest.Press)
	w.Pass(jobs.SignInLife)
	b.get(way, 400, "more than 10 minutes ago")

	// A session's cookie is not a sign-in's, whatever its name.
	for _, c := range b.http.Jar.Cookies(home) {
		if c.Name == sessionCookie {
			forged.http.Jar.SetCookies(home, []*http.Cookie{{Name: signInCookieName(first), Value: c.Value, Path: "/"}})
		}
	}
	forged.get(w.callback+"?oauth_token="+first+"&oauth_verifier=v", 400, "did not begin")
}

func TestSignInThatFails(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(jobURL)
	// Cancelled.
	request := b.toX(jobURL)
	b.get(w.callback+"?denied="+request, 200, "You cancelled at X")
	if w.SignIns() != 0 {
		t.Error("the sign-in is still there")
	}
	b.get(w.callback+"?denied="+request, 400, "did not begin")
	b.get("/Views/TwitterOAuth", 400, "There is no sign-in here")
	b.get("/Views/TwitterOAuth?oauth_token=x", 400, "There is no sign-in here")

	// X is down at the callback: reloading the page ends the sign-in.
	way := w.atX(b.toX(jobURL), jobstest.Press)
	w.X.Down(true)
	b.get(way, 503, "X cannot be reached")
	w.X.Down(false)
	b.get(way, 303)

	// An app that may not read: nothing is kept.
	before := w.Vault.Requests()["SetSecret"]
	w.fail("/2/users/me", 403, `{"title":"Forbidden","detail":"Your client app is not configured with the appropriate oauth1 app permissions for this endpoint."}`)
	b.get(w.atX(b.toX(jobURL), jobstest.Press), 400, "Give the app read permission in X's developer portal")
	w.X.Fail(nil)
	if w.Vault.Requests()["SetSecret"] != before {
		t.Error("a token is kept that cannot read")
	}

	// Keys that X refuses; a callback that is not registered: the exact address.
	w.fail("/oauth/request_token", 401, `{"errors":[{"code":32,"message":"Could not authenticate you."}]}`)
	b.get(jobURL, 200)
	b.post(jobURL, 500, "do", "sign-in")
	b.has("twitter-api-key", "Could not authenticate you")
	w.X.Fail(nil)
	w.serve(w.Access, w.Jobs, func(o *Options) { o.PublicURL = "http://localhost:7999" })
	b.get(jobURL, 200)
	b.post(jobURL, 500, "do", "sign-in")
	b.has("Register this callback URL", "exactly as it is written here: http://localhost:7999/Views/TwitterOAuth")

	// The vault does not say who has signed in.
	sum := sha256.Sum256([]byte("j-1"))
	w.Vault.Refuse("GET", "x-token-"+hex.EncodeToString(sum[:16]))
	b.get(jobURL, 503, "Key Vault Secrets Officer")
}

func TestSetUpWithoutAVault(t *testing.T) {
	w := newWorld(t)
	guard, work, _ := w.Instance(map[string]string{"API_SECRET_KEY": secret})
	w.serve(guard, work)
	b := w.browser()
	b.signIn("/Configure")
	b.get(jobURL, 500, "TWITTER_ACCESS_TOKEN", "nobody can sign in with X")
	w.withoutVault()
	b.signIn("/Configure")
	b.get(jobURL, 200, "Is this the account?", "@ContosoEnergy")
	if strings.Contains(b.page, "Use another account") {
		t.Error("a sign-in is offered that cannot be saved")
	}
	b.post(jobURL, 303, "do", "save", "account", jobstest.Press)
	b.get(jobURL, 200, "The job is set up")
}

func TestOnlyToX(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	good := w.XURL + "/oauth/authenticate?oauth_token=abc"
	b.get("/Views/TwitterOAuth?"+url.Values{"loginUrl": {good}}.Encode(), 302)
	if b.location() != good {
		t.Errorf("sent to %s", b.location())
	}
	b.get("/views/twitteroauth?"+url.Values{"LOGINURL": {good}}.Encode(), 302)
	host := strings.TrimPrefix(w.XURL, "http://")
	for _, bad := range []string{
		"https://evil.example/oauth/authenticate?oauth_token=abc",
		"//evil.example/oauth/authenticate?oauth_token=abc",
		"/oauth/authenticate?oauth_token=abc",
		"https://" + host + "/oauth/authenticate?oauth_token=abc",
		"http://" + host + ".evil.example/oauth/authenticate?oauth_token=abc",
		"http://evil.example#" + host + "/oauth/authenticate?oauth_token=abc",
		"http://" + host + "@evil.example/oauth/authenticate?oauth_token=abc",
		"http://user@" + host + "/oauth/authenticate?oauth_token=abc",
		"http://evil.example\\@" + host + "/oauth/authenticate?oauth_token=abc",
		"http://127.0.0.1:1/oauth/authenticate?oauth_token=abc",
		w.XURL + "/oauth/authorize?oauth_token=abc",
		w.XURL + "/oauth/authenticate/../../evil?oauth_token=abc",
		w.XURL + "/oauth/authenticate%2f?oauth_token=abc",
		w.XURL + "//oauth/authenticate?oauth_token=abc",
		w.XURL + "/OAuth/Authenticate?oauth_token=abc",
		w.XURL + "/oauth/authenticate",
		w.XURL + "/oauth/authenticate?oauth_token=",
		w.XURL + "/oauth/authenticate?oauth_token=abc&oauth_callback=https://evil.example",
		w.XURL + "/oauth/authenticate?oauth_token=abc&oauth_token=def",
		w.XURL + "/oauth/authenticate?oauth_token=abc#x",
		w.XURL + "/oauth/authenticate?oauth_token=abc\r\nSet-Cookie: x=y",
		w.XURL + "/oauth/authenticate?oauth_token=" + strings.Repeat("a", 513),
		"javascript:alert(1)",
		"data:text/html,x",
	} {
		b.get("/Views/TwitterOAuth?"+url.Values{"loginUrl": {bad}}.Encode(), 400, "not X's sign-in page")
		if b.location() != "" || strings.Contains(b.page, "evil") {
			t.Errorf("%s: sent to %s", bad, b.location())
		}
	}
}
