package e2e

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/x"
)

// person is somebody who has signed in to the pages.
type person struct {
	w  *world
	hc *http.Client
}

var hiddenField = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// person signs in.
func (w *world) person() person {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	p := person{w, &http.Client{Jar: jar}}
	form := hiddenField.FindStringSubmatch(p.get("/Status"))
	if form == nil {
		w.t.Fatal("nobody is asked to sign in")
	}
	resp, err := p.hc.PostForm(w.HostURL+"/Status", url.Values{"csrf": {html.UnescapeString(form[1])}, "do": {"enter"}, "tenantId": {sandbox.TenantID}, "secret": {sandbox.APISecretKey}})
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	return p
}

func (p person) get(path string) string {
	p.w.t.Helper()
	resp, err := p.hc.Get(p.w.HostURL + path)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return html.UnescapeString(string(page))
}

// TestStatesOfX: each state in which X serves nothing is told apart on the status page
// and in the log, with what to do; none costs anything, and when it ends by itself or by
// a person nothing is missing.
func TestStatesOfX(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	p := w.person()
	refuse := func(why x.Refusal) (func(), func()) {
		return func() { w.X.Refuse(why) }, func() { w.X.Refuse(x.Nothing) }
	}
	toggle := func(set func(string, bool)) (func(), func()) {
		return func() { set(account, true) }, func() { set(account, false) }
	}
	const signIn, settings = ">Sign in with X</a>", ">Test connections</a>"
	read := 0
	for _, c := range []struct {
		cause string
		words string // on the page
		do    string // the button there
		begin func() (begin, end func())
	}{
		{"x_credits", "The credits at X are used up", "", func() (func(), func()) { return refuse(x.CreditsDepleted) }},
		{"x_usage_cap", "The month's cap on reads at X is reached", "", func() (func(), func()) { return refuse(x.UsageCapExceeded) }},
		{"x_not_enrolled", "it belongs to no project or package", settings, func() (func(), func()) { return refuse(x.NotEnrolled) }},
		{"x_forbidden", "X does not let the app read", settings, func() (func(), func()) { return refuse(x.NoReadPermission) }},
		{"x_forbidden", "X does not let the app read", settings, func() (func(), func()) { return refuse(x.OtherSignIn) }},
		{"x_suspended", "X has suspended or locked the account", "", func() (func(), func()) { return refuse(x.SignedInSuspended) }},
		{"x_suspended", "X has suspended or locked the account", "", func() (func(), func()) { return toggle(w.X.Suspend) }},
		{"x_gone", "X no longer has the account", "", func() (func(), func()) { return toggle(w.X.Leave) }},
		{"x_protected", "they are protected", "", func() (func(), func()) {
			// The account that has signed in sees its own posts: X means another one's.
			const body = `{"errors":[{"value":"%s","detail":"Sorry, you are not authorized to see the user with id: [%[1]s].","title":"Authorization Error","resource_type":"user","parameter":"id","resource_id":"%[1]s","type":"https://api.x.com/2/problems/not-authorized-for-resource"}]}`
			return func() {
				w.X.Fail(func(*http.Request) x.Fault { return x.Fault{Status: http.StatusOK, Body: fmt.Sprintf(body, account)} })
			}, func() { w.X.Fail(nil) }
		}},
		{"x_unavailable", "X cannot be reached", "", func() (func(), func()) {
			return func() { w.X.Down(true) }, func() { w.X.Down(false) }
		}},
		{"x_changed", "X changed its answer", "", func() (func(), func()) {
			return func() { w.X.Understand() }, func() { w.X.Understand(x.TweetWords, x.PostWords) }
		}},
		{"x_keys", "X refuses the app's keys", settings, func() (func(), func()) {
			return func() { w.X.Regenerate("new-key") }, func() { w.secret("twitter-api-key", "new-key") }
		}},
		{"x_unauthorized", "The account must sign in with X again", signIn, func() (func(), func()) {
			return func() { w.X.Revoke(account) }, func() { w.connect(job, account) }
		}},
	} {
		begin, end := c.begin()
		begin()
		if err := w.tryTick(); err == nil {
			t.Errorf("%s: the tick is good", c.cause)
		}
		page := p.get("/Status")
		if !strings.Contains(page, c.words) {
			t.Errorf("%s: the status page does not say %q:\n%s", c.cause, c.words, page)
		}
		for _, button := range []string{signIn, settings} {
			if has := strings.Contains(page, button); has != (button == c.do) {
				t.Errorf("%s: the button %q is there: %v", c.cause, button, has)
			}
		}
		if asked := strings.Contains(page, "By X's account it begins again on") && strings.Contains(page, "X is asked again on"); asked != (c.cause == "x_usage_cap") {
			t.Errorf("%s: the page names the day on which the cap begins again: %v", c.cause, asked)
		}
		if strings.Contains(page, "All is well") {
			t.Errorf("%s: the status page says that all is well", c.cause)
		}
		if got := w.X.Stats().BilledReads; c.cause != "x_changed" && got != read {
			t.Errorf("%s: X bills %d posts", c.cause, got-read)
		}
		read = w.X.Stats().BilledReads
		end()
		if c.cause == "x_unauthorized" {
			if page := p.get("/Status"); strings.Contains(page, "must sign in with X again") || strings.Contains(page, signIn) || !strings.Contains(page, "Signed in again") {
				t.Errorf("the page still asks for a sign-in after one:\n%s", page)
			}
		}
		w.later()
	}
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantArchived(account, w.Corpus.All(account))
	if page := p.get("/Status"); strings.Contains(page, "Last run failed") || strings.Contains(page, "Sign-in needed") {
		t.Error("what has ended is still said")
	}
	w.wantClean()
}

// secret replaces a secret in the vault.
func (w *world) secret(name, value string) {
	w.t.Helper()
	if err := w.Vault.Set(w.t.Context(), name, value); err != nil {
		w.t.Fatal(err)
	}
}
