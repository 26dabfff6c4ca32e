package pages

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/jobs"
)

// The browser leaves for X with a cookie that says which sign-in it began, for which
// job, and holds a secret of its own. Coming back, it must bring this cookie, for
// the very token that X names. The token's own secret is sealed for job and browser
// (package jobs), so that nobody else can end the sign-in, and lives in
// the state container until it is used once.

// signInCookie is what a browser keeps that has left for X.
type signInCookie struct {
	Token    string `json:"k"`
	JobID    string `json:"j"`
	Browser  string `json:"b"`
	Callback string `json:"a"` // as X was told it
	Window   bool   `json:"w"` // a window of its own, which closes afterwards
	Ends     int64  `json:"e"` // Unix seconds

	// Who began it, and the name of the session, for the log of changes.
	Person  access.Person `json:"p"`
	Session string        `json:"s"`
}

const signInPurpose = "sign-in with X"

// signInCookieName is the cookie's name: one for each sign-in, so that jobs can be
// set up in several tabs.
func signInCookieName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "xarchive-x-" + hex.EncodeToString(sum[:6])
}

// beginSignIn begins a sign-in for a job and sends the browser to X. It goes by a
// page that refreshes: a redirect would make X's own redirects part of sending a
// form, which the pages' policy keeps to this site.
func (q *request) beginSignIn(jobID string) {
	signer := q.signer()
	if signer == nil {
		return
	}
	in := jobs.SignIn{JobID: jobID, Browser: rand.Text(), Callback: q.callback()}
	token, address, err := q.pages.opt.Jobs.BeginSignIn(q.r.Context(), in)
	window := q.field("window") == "1"
	if err != nil {
		problem := q.explain("beginning a sign-in with X", err)
		problem.SetRetry(q.w.Header())
		q.showReturned(problem.Status, returnedPage{Title: "X did not begin the sign-in", Advice: problem.Message, JobID: jobID, Window: window})
		return
	}
	kept := signInCookie{token, jobID, in.Browser, in.Callback, window, q.pages.opt.Now().Add(jobs.SignInLife).Unix(), q.session.Person, audit.SessionName(q.session.ID)}
	q.setCookie(signInCookieName(token), signer.Sign(signInPurpose, kept), jobs.SignInLife)
	start := "/Views/TwitterOAuth?" + url.Values{"loginUrl": {address}}.Encode()
	q.render(http.StatusOK, view{Name: "opening", Title: "Opening X", GoTo: start, Bare: window})
}

// twitterOAuth is GET /Views/TwitterOAuth: to X, and back.
func (q *request) twitterOAuth() {
	switch {
	case q.query("loginUrl") != "":
		q.toX(q.query("loginUrl"))
	case q.r.Method == http.MethodHead: // ends no sign-in
		q.show(http.StatusOK, "fault", "A sign-in ends here", "")
	case q.query("denied") != "":
		q.cancelled(q.query("denied"))
	case q.query("oauth_token") != "" && q.query("oauth_verifier") != "":
		q.endSignIn(q.query("oauth_token"), q.query("oauth_verifier"))
	default:
		q.fault(http.StatusBadRequest, "There is no sign-in here", "X sends the browser here at the end of a sign-in. Begin one from the job's set-up page in the Compliance Center.")
	}
}

// toX redirects to X's sign-in page, and to nothing else.
func (q *request) toX(text string) {
	if !isSignInURL(text, q.pages.opt.XAPIURL) {
		q.fault(http.StatusBadRequest, "That is not X's sign-in page", "loginUrl must be the address that /api/ConnectorSetup/OAuthUrl gave. The browser was not sent there.")
		return
	}
	http.Redirect(q.w, q.r, text, http.StatusFound)
}

// isSignInURL reports whether a URL is the sign-in page of X at apiURL: same scheme,
// host, port and path, with a request token and nothing more.
func isSignInURL(text, apiURL string) bool {
	u, err := url.Parse(text)
	api, apiErr := url.Parse(apiURL)
	if err != nil || apiErr != nil || strings.ContainsAny(text, "\\\t\r\n #") {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	return err == nil && u.Scheme == api.Scheme && u.Host == api.Host && u.Host != "" && u.User == nil && u.Opaque == "" &&
		u.EscapedPath() == strings.TrimRight(api.EscapedPath(), "/")+"/oauth/authenticate" &&
		len(query) == 1 && len(query["oauth_token"]) == 1 && query.Get("oauth_token") != "" && len(query.Get("oauth_token")) <= 512
}

// keptSignIn finds the cookie of the sign-in that X names. Without it the request
// has been answered.
func (q *request) keptSignIn(token string) (signInCookie, bool) {
	signer := q.signer()
	if signer == nil {
		return signInCookie{}, false
	}
	var kept signInCookie
	value := q.cookie(signInCookieName(token))
	if !signer.Verify(signInPurpose, value, &kept) || kept.Token != token || q.pages.opt.Now().Unix() >= kept.Ends {
		q.showReturned(http.StatusBadRequest, returnedPage{Title: "This browser did not begin this sign-in",
			Advice: "Or it began more than 10 minutes ago, or it has been used already. Nothing was changed. Begin again from the job's set-up page, and end it in the same browser."})
		return signInCookie{}, false
	}
	if q.findSession(signer) && !q.mayChange() {
		q.needsAdministrator()
		return signInCookie{}, false
	}
	q.actAs(kept.Person, kept.Session)
	return kept, true
}

// endSignIn is X's callback: the account has signed in.
func (q *request) endSignIn(token, verifier string) {
	if len(token) > 512 || len(verifier) > 512 {
		q.fault(http.StatusBadRequest, "There is no sign-in here", "Begin again from the job's set-up page.")
		return
	}
	kept, ok := q.keptSignIn(token)
	if !ok {
		return
	}
	in := jobs.SignIn{JobID: kept.JobID, Browser: kept.Browser, Callback: kept.Callback}
	account, err := q.pages.opt.Jobs.EndSignIn(q.r.Context(), in, token, verifier)
	if err != nil {
		problem := q.explain("ending a sign-in with X", err)
		problem.SetRetry(q.w.Header())
		if problem.Status < 500 {
			q.setCookie(signInCookieName(token), "", 0)
		}
		q.showReturned(problem.Status, returnedPage{Title: "The sign-in did not succeed", Advice: problem.Message, JobID: kept.JobID, Window: kept.Window})
		return
	}
	q.setCookie(signInCookieName(token), "", 0)
	if !kept.Window {
		q.redirect(q.setupURL(kept.JobID))
		return
	}
	q.showReturned(http.StatusOK, returnedPage{OK: true, Title: "Signed in as @" + account.ScreenName, Advice: "Go on in the window that this one was opened from.", JobID: kept.JobID, Window: true})
}

// cancelled is X's callback when the person did not let the app in.
func (q *request) cancelled(token string) {
	kept, ok := q.keptSignIn(token)
	if !ok {
		return
	}
	if err := q.pages.opt.Jobs.AbandonSignIn(q.r.Context(), token); err != nil {
		q.pages.opt.Log.WarnContext(q.r.Context(), "a sign-in that was cancelled stays until it expires", "error", err.Error())
	}
	q.setCookie(signInCookieName(token), "", 0)
	q.showReturned(http.StatusOK, returnedPage{Title: "You cancelled at X", Advice: "Nothing was changed. To archive an account, somebody must sign in with it and let the app read it.", JobID: kept.JobID, Window: kept.Window})
}

// returnedPage is what a person is told who comes back from X.
type returnedPage struct {
	OK            bool
	Title, Advice string
	JobID         string // "": not known
	Window        bool   // it closes by itself where that is possible
	SetUp         string // the job's page
}

func (q *request) showReturned(status int, page returnedPage) {
	if page.JobID != "" {
		page.SetUp = q.setupURL(page.JobID)
	}
	q.render(status, view{Name: "returned", Title: page.Title, Bare: page.Window, Data: page})
}
