package pages

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/audit"
)

// A session (package access) is kept in a cookie. Every form carries a token that
// belongs to the session, or, before there is one, is the random value of a cookie that
// the browser was given with the form: strangers are given nothing that is made of a
// secret.
const (
	sessionCookie = "xarchive-session"
	formCookie    = "xarchive-form"
)

func (q *request) cookieName(name string) string {
	if q.secure {
		return "__Host-" + name // browsers take it only over TLS, for this host alone
	}
	return name
}

func (q *request) setCookie(name, value string, life time.Duration) {
	c := &http.Cookie{Name: q.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: q.secure,
		SameSite: http.SameSiteLaxMode, MaxAge: int(life / time.Second)}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(q.w, c)
}

func (q *request) cookie(name string) string {
	c, err := q.r.Cookie(q.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// signer signs what the browser keeps. Where the shared secret cannot be read the
// request is answered with that, and signer returns nil.
func (q *request) signer() *access.Signer {
	signer, err := q.pages.opt.Access.Signer(q.r.Context(), q.cookie(sessionCookie))
	return q.checked(signer, err)
}

func (q *request) checked(signer *access.Signer, err error) *access.Signer {
	if err != nil {
		q.explain("opening "+q.r.Pattern, err)
		q.fault(http.StatusServiceUnavailable, "The connector cannot check who you are",
			"Its shared secret (api-secret-key) cannot be read, or has fewer than 32 characters. If the connector has just been deployed, set that secret in its Key Vault and let its identity read and save secrets; otherwise try again in a few minutes. The connector's log says why.")
		return nil
	}
	return signer
}

// findSession finds the session, and sets the token for the page's forms.
func (q *request) findSession(signer *access.Signer) bool {
	q.session = signer.Session(q.cookie(sessionCookie))
	if q.session == nil || q.signedOut() {
		q.session = nil
		return false
	}
	q.csrf = signer.FormOfSession(q.session)
	q.act()
	return true
}

// act has what the request changes be written down as the session's.
func (q *request) act() {
	q.actAs(q.session.Person, audit.SessionName(q.session.ID))
}

// actAs is act for a session that may have ended since.
func (q *request) actAs(p access.Person, session string) {
	by := audit.Actor{Who: audit.SharedSecret, Door: "page", From: access.Caller(q.r), Session: session}
	if p.Known() {
		by.Who, by.Name, by.ObjectID, by.Role = cmp.Or(p.User, p.ObjectID), p.Name, p.ObjectID, string(p.Role)
	}
	q.r = q.r.WithContext(audit.By(q.r.Context(), by))
}

// note writes down that a session begins or ends. That it cannot be written down keeps
// nobody out: pages must say what is wrong with the storage account.
func (q *request) note(what string) {
	if _, err := q.pages.opt.Changes.Begin(q.r.Context(), audit.Change{What: what}); err != nil {
		q.pages.opt.Log.ErrorContext(q.r.Context(), "a session's beginning or end is not in the log of changes", "what", what, "error", err.Error())
	}
}

// askTime is how long a page waits to learn whether the session was ended.
const askTime = time.Second

// signedOut reports whether the session was ended. While that cannot be read the session
// is good: pages must say what is wrong with the storage account, and who has a copy of
// a cookie cannot make it fail.
func (q *request) signedOut() bool {
	ctx, cancel := context.WithTimeout(q.r.Context(), askTime)
	defer cancel()
	ended, err := q.pages.opt.Records.SignedOut(ctx, q.session.ID)
	if err != nil {
		q.pages.opt.Strangers.WarnContext(ctx, "whether a session was ended cannot be read; it is taken for good", "error", err.Error())
	}
	return ended
}

// ownForm reports whether a form has the token that it was given.
func (q *request) ownForm() bool {
	return q.csrf != "" && hmac.Equal([]byte(q.field("csrf")), []byte(q.csrf))
}

// visitor gives a browser without session what its form is checked with.
func (q *request) visitor() {
	q.csrf = q.cookie(formCookie)
	if q.csrf == "" || len(q.csrf) > 64 {
		q.csrf = rand.Text()
		q.setCookie(formCookie, q.csrf, access.SessionLife)
	}
}

// enter is the way into every page but the home page. It returns true if there is a
// session and, on POST, the form is the page's own. Otherwise the request has been
// answered.
func (q *request) enter() bool {
	signer := q.signer()
	if signer == nil {
		return false
	}
	if q.findSession(signer) {
		switch {
		case q.r.Method != http.MethodPost:
			return true
		case q.field("do") == "enter": // signed in already, in another tab
			q.redirect(q.r.URL.RequestURI())
		case q.ownForm() && q.mayChange():
			return true
		case q.ownForm():
			q.needsAdministrator()
		default:
			q.fault(http.StatusForbidden, "This form is out of date", "Nothing was done. Go back, reload the page and send the form again.")
		}
		return false
	}
	q.visitor()
	if q.r.Method != http.MethodPost {
		q.askWhoItIs(http.StatusOK, "")
		return false
	}
	switch {
	case q.field("do") != "enter":
		q.askWhoItIs(http.StatusForbidden, "Your session has ended, and nothing was saved. Sign in and do it again.")
	case !q.ownForm():
		q.askWhoItIs(http.StatusForbidden, "This form was out of date, or the browser does not keep cookies for this site. Try again.")
	default:
		q.admit()
	}
	return false
}

// mayChange reports whether the session's person may do more than look.
func (q *request) mayChange() bool {
	return q.session != nil && q.session.Person.Role == access.Administrator
}

// target is the page that is asked for, where somebody who signs in comes to.
func (q *request) target() string {
	if q.to != "" {
		return q.to
	}
	return q.r.URL.RequestURI()
}

// admit begins a session for a person who knows the shared secret.
func (q *request) admit() {
	if err := q.pages.opt.Access.Admit(q.r, strings.TrimSpace(q.field("tenantId")), q.field("secret")); err != nil {
		problem := q.explain("beginning a session on "+q.r.Pattern, err)
		problem.SetRetry(q.w.Header())
		if problem.Status == http.StatusUnauthorized {
			problem.Status, problem.Message = http.StatusForbidden, "The tenant ID and the secret do not match. The secret is the APISecretKey that azd up made; it is kept in the Key Vault under the name api-secret-key."
		}
		q.askWhoItIs(problem.Status, problem.Message)
		return
	}
	q.begin(access.Person{Role: access.Administrator})
}

// begin begins a session, and sends the browser to the page that was asked for.
func (q *request) begin(p access.Person) {
	// The secret may have been changed a moment ago, so the signer is made again.
	signer := q.checked(q.pages.opt.Access.MakeSigner(q.r.Context()))
	if signer == nil {
		return
	}
	cookie := signer.NewSession(p)
	q.setCookie(sessionCookie, cookie, access.SessionLife)
	if q.session = signer.Session(cookie); q.session != nil {
		q.act()
		q.note(audit.SessionBegun)
	}
	q.setCookie(formCookie, "", 0)
	q.pages.opt.Log.InfoContext(q.r.Context(), "a session has begun", "page", q.r.Pattern, "objectId", p.ObjectID, "role", p.Role)
	q.redirect(q.target())
}

// askWhoItIs shows the ways to sign in: with Entra where that is set up, and the form for the
// tenant's id and the shared secret.
func (q *request) askWhoItIs(status int, problem string) {
	tenant := q.query("tenantId")
	if q.field("tenantId") != "" {
		tenant = q.field("tenantId")
	}
	q.show(status, "enter", "Sign in", struct{ Tenant, Problem, Entra, Target string }{tenant, problem, q.entraLink(), q.target()})
}

// signIn is /Views/SignIn: it leads to the overview.
func (q *request) signIn() {
	if q.enter() {
		q.redirect("/")
	}
}

// signOut is POST /Views/SignOut.
func (q *request) signOut() {
	signer := q.signer()
	if signer == nil {
		return
	}
	if q.findSession(signer) && !q.ownForm() {
		q.fault(http.StatusForbidden, "This form is out of date", "You are still signed in. Go back, reload the page and try again.")
		return
	}
	q.setCookie(sessionCookie, "", 0)
	if q.session != nil {
		q.note(audit.SessionEnded)
		if err := q.pages.opt.Records.SignOut(q.r.Context(), q.session.ID, q.pages.opt.Now()); err != nil {
			problem := q.explain("ending a session", err)
			q.session = nil
			q.fault(problem.Status, "You are signed out in this browser", "That could not be written down for all instances of the connector. If somebody has copied the browser's cookie, it is good until half an hour after you signed in. "+problem.Message)
			return
		}
	}
	q.redirect("/")
}
