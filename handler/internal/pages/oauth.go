package pages

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"xarchive/handler/internal/connector"
)

// The browser leaves for X with a cookie that says which sign-in it began, for which
// job, and holds a secret of its own. Coming back, it must bring this cookie, for
// the very token that X names. The token's own secret is sealed for job and browser
// (package connector), so that nobody else can end the sign-in, and lives in
// the state container until it is used once.

// leaving is the cookie of a browser that has left for X.
type leaving struct {
	Token   string `json:"k"`
	JobID   string `json:"j"`
	Browser string `json:"b"`
	Back    string `json:"a"` // the callback as X was told it
	Window  bool   `json:"w"` // a window of its own, which closes afterwards
	Ends    int64  `json:"e"` // Unix seconds
}

// leavingCookie is the cookie's name: one for each sign-in, so that jobs can be set
// up in several tabs.
func leavingCookie(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "xarchive-x-" + hex.EncodeToString(sum[:6])
}

// leave begins a sign-in for a job and sends the browser to X. It goes by a page
// that refreshes: a redirect would make X's own redirects part of sending a form,
// which the pages' policy keeps to this site.
func (v *visit) leave(jobID string) {
	key := v.key()
	if key == nil {
		return
	}
	in := connector.SignIn{JobID: jobID, Browser: rand.Text(), Callback: v.callback()}
	token, signInURL, err := v.API.BeginSignIn(v.r.Context(), in)
	window := v.field("window") == "1"
	if err != nil {
		told := v.API.Explain(v.r.Context(), "beginning a sign-in with X", err)
		told.SetRetry(v.w.Header())
		v.came(told.Status, returned{Title: "X did not begin the sign-in", Advice: told.Message, JobID: jobID, Window: window})
		return
	}
	v.setCookie(leavingCookie(token), sign(key, "leaving", leaving{token, jobID, in.Browser, in.Callback, window, v.Now().Add(signInLife).Unix()}), signInLife)
	start := "/Views/TwitterOAuth?" + url.Values{"loginUrl": {signInURL}}.Encode()
	v.render(http.StatusOK, view{Name: "leaving", Title: "Opening X", Leave: start, Bare: window})
}

// twitterOAuth is GET /Views/TwitterOAuth: to X, and back.
func (p *Pages) twitterOAuth(v *visit) {
	switch {
	case v.query("loginUrl") != "":
		v.toX(v.query("loginUrl"))
	case v.query("denied") != "":
		v.denied(v.query("denied"))
	case v.query("oauth_token") != "" && v.query("oauth_verifier") != "":
		v.back(v.query("oauth_token"), v.query("oauth_verifier"))
	default:
		v.fault(http.StatusBadRequest, "There is no sign-in here", "X sends the browser here at the end of a sign-in. Begin one from the job's set-up page in the Compliance Center.")
	}
}

// toX redirects to X's sign-in page, and to nothing else.
func (v *visit) toX(text string) {
	if !isSignInURL(text, v.XAPIURL) {
		v.fault(http.StatusBadRequest, "That is not X's sign-in page", "loginUrl must be the address that /api/ConnectorSetup/OAuthUrl gave. The browser was not sent there.")
		return
	}
	http.Redirect(v.w, v.r, text, http.StatusFound)
}

// isSignInURL tells whether a URL is the sign-in page of X at apiURL: same scheme,
// host, port and path, with a request token and nothing more.
func isSignInURL(text, apiURL string) bool {
	u, err := url.Parse(text)
	api, apiErr := url.Parse(apiURL)
	if err != nil || apiErr != nil || strings.ContainsAny(text, "\\\t\r\n #") {
		return false
	}
	q, err := url.ParseQuery(u.RawQuery)
	return err == nil && u.Scheme == api.Scheme && u.Host == api.Host && u.Host != "" && u.User == nil && u.Opaque == "" &&
		u.EscapedPath() == strings.TrimRight(api.EscapedPath(), "/")+"/oauth/authenticate" &&
		len(q) == 1 && len(q["oauth_token"]) == 1 && q.Get("oauth_token") != "" && len(q.Get("oauth_token")) <= 512
}

// remembered finds the cookie of the sign-in that X names. Without it the visit
// has been answered.
func (v *visit) remembered(token string) (leaving, bool) {
	key := v.key()
	if key == nil {
		return leaving{}, false
	}
	var l leaving
	value := v.cookie(leavingCookie(token))
	if !verify(key, "leaving", value, &l) || l.Token != token || v.Now().Unix() >= l.Ends {
		v.came(http.StatusBadRequest, returned{Title: "This browser did not begin this sign-in",
			Advice: "Or it began more than 10 minutes ago, or it has been used already. Nothing was changed. Begin again from the job's set-up page, and end it in the same browser."})
		return leaving{}, false
	}
	return l, true
}

// back is X's callback: the account has signed in.
func (v *visit) back(token, verifier string) {
	if len(token) > 512 || len(verifier) > 512 {
		v.fault(http.StatusBadRequest, "There is no sign-in here", "Begin again from the job's set-up page.")
		return
	}
	l, ok := v.remembered(token)
	if !ok {
		return
	}
	in := connector.SignIn{JobID: l.JobID, Browser: l.Browser, Callback: l.Back}
	account, err := v.API.EndSignIn(v.r.Context(), in, token, verifier)
	if err != nil {
		told := v.API.Explain(v.r.Context(), "ending a sign-in with X", err)
		told.SetRetry(v.w.Header())
		if told.Status < 500 {
			v.setCookie(leavingCookie(token), "", 0)
		}
		v.came(told.Status, returned{Title: "The sign-in did not succeed", Advice: told.Message, JobID: l.JobID, Window: l.Window})
		return
	}
	v.setCookie(leavingCookie(token), "", 0)
	if !l.Window {
		v.redirect(v.setupURL(l.JobID))
		return
	}
	v.came(http.StatusOK, returned{OK: true, Title: "Signed in as @" + account.ScreenName, Advice: "Go on in the window that this one was opened from.", JobID: l.JobID, Window: true})
}

// denied is X's callback when the person did not let the app in.
func (v *visit) denied(token string) {
	l, ok := v.remembered(token)
	if !ok {
		return
	}
	if err := v.API.AbandonSignIn(v.r.Context(), token); err != nil {
		v.Log.WarnContext(v.r.Context(), "a sign-in that was cancelled stays until it expires", "error", err.Error())
	}
	v.setCookie(leavingCookie(token), "", 0)
	v.came(http.StatusOK, returned{Title: "You cancelled at X", Advice: "Nothing was changed. To archive an account, somebody must sign in with it and let the app read it.", JobID: l.JobID, Window: l.Window})
}

// returned is what the page says to who comes back from X.
type returned struct {
	OK            bool
	Title, Advice string
	JobID         string // "": not known
	Window        bool   // it closes by itself where that is possible
	SetUp         string // the job's page
}

func (v *visit) came(status int, r returned) {
	if r.JobID != "" {
		r.SetUp = v.setupURL(r.JobID)
	}
	v.render(status, view{Name: "returned", Title: r.Title, Bare: r.Window, Data: r})
}

func (v *visit) setupURL(jobID string) string {
	return "/preview/OnJobCreating?" + url.Values{"jobId": {jobID}, "tenantId": {v.TenantID}}.Encode()
}
