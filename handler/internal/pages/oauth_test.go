package pages

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/secrets"
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
		found = found || c.Name == leavingCookie(request)
	}
	if !found {
		t.Error("the browser has no cookie of its sign-in")
	}
	b.get(w.x.signIn(request, "77"), 303)
	if b.location() != jobURL {
		t.Errorf("sent to %s", b.location())
	}
	b.get(b.location(), 200, "Is this the account?", "@user77")
	if account := w.secrets.accounts["j-1"]; account.UserID != "77" || account.Token.Token != "77-access-"+request {
		t.Errorf("kept %+v", account)
	}
	b.post(jobURL, 400, "do", "save", "account", "78")
	b.has("not the account that has signed in")
	b.post(jobURL, 303, "do", "save", "account", "77")
	b.get(b.location(), 200, "The job is set up", "go back to the Compliance Center")
	if job := w.state.jobs["j-1"]; job.AccountID != "77" || job.AccountName != "user77" || job.TenantID != tenant {
		t.Errorf("%+v", job)
	}
	for _, hidden := range []string{"hush", "verifier-of", "77-access"} {
		if strings.Contains(w.log.String(), hidden) || strings.Contains(b.page, hidden) {
			t.Errorf("log or page hold %q", hidden)
		}
	}

	// The same account for another job.
	other := strings.Replace(jobURL, "j-1", "j-2", 1)
	b.get(w.x.signIn(b.toX(other), "77"), 303)
	b.get(b.location(), 200, "This account is archived already", "j-1")
	b.post(other, 200, "do", "save", "account", "77")
	b.has("This account is archived already")
	if len(w.state.jobs) != 1 {
		t.Errorf("%v", w.state.jobs)
	}
}

func TestSignInWindow(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(jobURL)
	b.get(w.x.signIn(b.toX(jobURL, "window", "1"), "77"), 200, "Signed in as @user77")
	if !strings.Contains(b.page, `data-returned="done"`) {
		t.Error("the script does not learn that the window may close")
	}
	b.get(jobURL, 200, "Is this the account?")
}

func TestSignInAgainKeepsTheJob(t *testing.T) {
	w := newWorld(t)
	created := w.now().Add(-time.Hour)
	w.state.jobs["j-1"] = state.Job{ID: "j-1", TenantID: tenant, AccountID: "77", AccountName: "Contoso News", CreatedAt: created, SignInNeeded: true}
	w.state.accounts["77"] = state.Account{Cursor: "123"}
	w.secrets.accounts["j-1"] = twitter.Account{UserID: "77", ScreenName: "user77", Token: twitter.Token{Token: "old", Secret: "s"}}
	b := w.browser()
	b.signIn(jobURL)
	b.has("Sign in with X again", "@user77")
	b.get(w.x.signIn(b.toX(jobURL), "78"), 303) // the wrong account
	b.get(jobURL, 200, "Is this the account?", "archives Contoso News now")
	if job := w.state.jobs["j-1"]; job.AccountID != "77" || !job.SignInNeeded {
		t.Errorf("%+v", job)
	}
	b.post(jobURL, 200, "do", "sign-in")
	b.get(w.x.signIn("request-b", "77"), 303)
	b.get(jobURL, 200, "The job is set up")
	if job := w.state.jobs["j-1"]; job.SignInNeeded || !job.CreatedAt.Equal(created) || w.state.accounts["77"].Cursor != "123" || w.secrets.accounts["j-1"].Token.Token != "77-access-request-b" {
		t.Errorf("%+v, %+v", job, w.secrets.accounts["j-1"])
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
	way := w.x.signIn(b.toX(jobURL), "666")
	victim.get(way, 400, "did not begin this sign-in")
	// One nobody began.
	b.get(w.x.callback+"?oauth_token=made-up&oauth_verifier=v", 400, "did not begin this sign-in")
	if w.x.exchanges != 0 || len(w.secrets.accounts) != 0 {
		t.Errorf("%d exchanges, %v", w.x.exchanges, w.secrets.accounts)
	}

	// The cookie of one sign-in under the name of another.
	second := b.toX(strings.Replace(jobURL, "j-1", "j-3", 1))
	home, err := url.Parse(w.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	value := ""
	for _, c := range b.http.Jar.Cookies(home) {
		if c.Name == leavingCookie("request-a") {
			value = c.Value
		}
	}
	swapped := w.browser()
	swapped.http.Jar.SetCookies(home, []*http.Cookie{{Name: leavingCookie(second), Value: value, Path: "/"}})
	swapped.get(w.x.signIn(second, "666"), 400, "did not begin this sign-in")
	forged := w.browser()
	for _, v := range []string{"", "x", "e30.e30", value + "x", strings.Split(value, ".")[0] + "."} {
		forged.http.Jar.SetCookies(home, []*http.Cookie{{Name: leavingCookie("request-a"), Value: v, Path: "/"}})
		forged.get(way, 400, "did not begin this sign-in")
	}
	if w.x.exchanges != 0 {
		t.Errorf("%d exchanges", w.x.exchanges)
	}

	// Two jobs side by side in one browser: each gets its own.
	b.get(way, 303)
	b.get(w.x.signIn(second, "77"), 303)
	if w.secrets.accounts["j-1"].UserID != "666" || w.secrets.accounts["j-3"].UserID != "77" || len(w.secrets.accounts) != 2 {
		t.Errorf("%v", w.secrets.accounts)
	}
	// Once.
	b.get(way, 400, "has been used already")
	kept := w.browser() // one that kept the cookie all the same
	kept.http.Jar.SetCookies(home, []*http.Cookie{{Name: leavingCookie("request-a"), Value: value, Path: "/"}})
	kept.get(way, 400, "used already")
	if w.x.exchanges != 2 {
		t.Errorf("%d exchanges", w.x.exchanges)
	}
	// In time.
	way = w.x.signIn(b.toX(jobURL), "77")
	w.pass(signInLife)
	b.get(way, 400, "more than 10 minutes ago")

	// A session's cookie is not a sign-in's, whatever its name.
	for _, c := range b.http.Jar.Cookies(home) {
		if c.Name == sessionCookie {
			forged.http.Jar.SetCookies(home, []*http.Cookie{{Name: leavingCookie("request-a"), Value: c.Value, Path: "/"}})
		}
	}
	forged.get(w.x.callback+"?oauth_token=request-a&oauth_verifier=v", 400, "did not begin")
}

func TestSignInThatFails(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(jobURL)
	// Cancelled.
	request := b.toX(jobURL)
	b.get(w.x.callback+"?denied="+request, 200, "You cancelled at X")
	if len(w.state.signIns) != 0 {
		t.Error("the sign-in is still there")
	}
	b.get(w.x.callback+"?denied="+request, 400, "did not begin")
	b.get("/Views/TwitterOAuth", 400, "There is no sign-in here")
	b.get("/Views/TwitterOAuth?oauth_token=x", 400, "There is no sign-in here")

	// X is down at the callback: reloading the page ends the sign-in.
	way := w.x.signIn(b.toX(jobURL), "77")
	w.x.down = true
	b.get(way, 503, "X cannot be reached")
	w.x.down = false
	b.get(way, 303)

	// An app that may not read: nothing is kept.
	before := w.secrets.accounts["j-1"]
	w.x.unread = true
	b.get(w.x.signIn(b.toX(jobURL), "77"), 400, "Give the app read permission in X's developer portal")
	w.x.unread = false
	if w.secrets.accounts["j-1"] != before {
		t.Error("a token is kept that cannot read")
	}

	// Keys that X refuses; a callback that is not registered: the exact address.
	w.x.refuse = `{"errors":[{"code":32,"message":"Could not authenticate you."}]}`
	b.get(jobURL, 200)
	b.post(jobURL, 500, "do", "sign-in")
	b.has("twitter-api-key", "Could not authenticate you")
	w.x.refuse = ""
	registered := w.x.callback
	w.x.callback = "https://elsewhere.example/Views/TwitterOAuth"
	b.get(jobURL, 200)
	b.post(jobURL, 500, "do", "sign-in")
	b.has("Register this callback URL", "exactly as it is written here: "+registered)
	w.x.callback = registered

	// The vault refuses to keep the token.
	w.secrets.failure = secrets.ErrForbidden
	b.get(jobURL, 503, "Key Vault Secrets Officer")
}

func TestSetUpWithoutAVault(t *testing.T) {
	w := newWorld(t)
	w.secrets.readOnly = true
	b := w.browser()
	b.signIn("/Configure")
	b.get(strings.Replace(jobURL, "j-1", "j-9", 1), 500, "lacks a secret", "nobody can sign in with X")
	w.secrets.accounts["j-1"] = twitter.Account{Token: twitter.Token{Token: "t", Secret: "s"}}
	b.get(jobURL, 200, "Is this the account?", "@user77")
	if strings.Contains(b.page, "Use another account") {
		t.Error("a sign-in is offered that cannot be saved")
	}
	b.post(jobURL, 303, "do", "save", "account", "77")
	b.get(jobURL, 200, "The job is set up")
}

func TestOnlyToX(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	good := w.x.URL + "/oauth/authenticate?oauth_token=abc"
	b.get("/Views/TwitterOAuth?"+url.Values{"loginUrl": {good}}.Encode(), 302)
	if b.location() != good {
		t.Errorf("sent to %s", b.location())
	}
	b.get("/views/twitteroauth?"+url.Values{"LOGINURL": {good}}.Encode(), 302)
	host := strings.TrimPrefix(w.x.URL, "http://")
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
		w.x.URL + "/oauth/authorize?oauth_token=abc",
		w.x.URL + "/oauth/authenticate/../../evil?oauth_token=abc",
		w.x.URL + "/oauth/authenticate%2f?oauth_token=abc",
		w.x.URL + "//oauth/authenticate?oauth_token=abc",
		w.x.URL + "/OAuth/Authenticate?oauth_token=abc",
		w.x.URL + "/oauth/authenticate",
		w.x.URL + "/oauth/authenticate?oauth_token=",
		w.x.URL + "/oauth/authenticate?oauth_token=abc&oauth_callback=https://evil.example",
		w.x.URL + "/oauth/authenticate?oauth_token=abc&oauth_token=def",
		w.x.URL + "/oauth/authenticate?oauth_token=abc#x",
		w.x.URL + "/oauth/authenticate?oauth_token=abc\r\nSet-Cookie: x=y",
		w.x.URL + "/oauth/authenticate?oauth_token=" + strings.Repeat("a", 513),
		"javascript:alert(1)",
		"data:text/html,x",
	} {
		b.get("/Views/TwitterOAuth?"+url.Values{"loginUrl": {bad}}.Encode(), 400, "not X's sign-in page")
		if b.location() != "" || strings.Contains(b.page, "evil") {
			t.Errorf("%s: sent to %s", bad, b.location())
		}
	}
}
