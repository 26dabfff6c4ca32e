package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"xarchive/handler/internal/access"
)

// A person signs in with Microsoft Entra (package access): the browser leaves with a cookie
// that says which sign-in it began, and must bring it back with the very state that
// Entra names. The cookie holds nothing that is made of a secret, and nothing that helps
// anybody but its browser. The code that comes back is good at Entra for one exchange.

// entraCookie is what a browser keeps that has left for Entra.
type entraCookie struct {
	access.SignIn
	To string `json:"t"` // the page that was asked for
}

const (
	entraPath       = "/Views/Entra"
	entraReturnPath = "/Views/Entra/Return"
)

// EntraReturn is the redirect URI that must be registered with the Entra app, for a
// connector that browsers reach at publicURL.
func EntraReturn(publicURL string) string { return strings.TrimRight(publicURL, "/") + entraReturnPath }

// entraCookieName is the cookie's name: one for each sign-in, so that they can be begun in
// several tabs.
func entraCookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return "xarchive-entra-" + hex.EncodeToString(sum[:6])
}

// entraLink leads to the beginning of a sign-in with Entra that ends at the page asked for.
// "" where nobody can sign in with Entra: where the app is not known, or the public address,
// to which Entra sends people back. It is never taken from a request.
func (q *request) entraLink() string {
	if q.pages.opt.PublicURL == "" || !q.pages.opt.Access.EntraOffered(q.r.Context()) {
		return ""
	}
	return q.pages.opt.PublicURL + entraPath + "?" + url.Values{"to": {q.target()}}.Encode()
}

// local returns a path of the connector's own pages, with its query; "/Views/SignIn" for
// anything else, so that nobody is sent elsewhere.
func local(to string) string {
	const start = "/Views/SignIn"
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || len(to) > 2000 ||
		!strings.HasPrefix(to, "/") || strings.ContainsAny(to, "\\\r\n\t ") || u.Path != path.Clean(u.Path) || u.Path == "/" ||
		strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n\t") {
		return start
	}
	return u.RequestURI()
}

// toEntra is GET /Views/Entra?to=: to Entra's page.
func (q *request) toEntra() {
	if q.r.Method == http.MethodHead {
		q.show(http.StatusOK, "fault", "A sign-in begins here", "")
		return
	}
	q.to = local(q.query("to"))
	if q.pages.opt.PublicURL == "" {
		q.askAgain(http.StatusNotFound, "Signing in with Microsoft is not set up: the connector does not know its own address (WEBSITE_HOSTNAME).")
		return
	}
	address, kept, err := q.pages.opt.Access.BeginSignIn(q.r.Context(), EntraReturn(q.pages.opt.PublicURL))
	if err != nil {
		problem := q.explain("beginning a sign-in with Entra", err)
		problem.SetRetry(q.w.Header())
		q.askAgain(problem.Status, problem.Message)
		return
	}
	data, err := json.Marshal(entraCookie{kept, q.to})
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	q.setCookie(entraCookieName(kept.State), base64.RawURLEncoding.EncodeToString(data), access.EntraSignInLife)
	http.Redirect(q.w, q.r, address, http.StatusFound)
}

// aadsts finds Entra's own code in its description of a refusal.
var aadsts = regexp.MustCompile(`\bAADSTS[0-9]{4,8}\b`)

// fromEntra is GET /Views/Entra/Return: the browser comes back from Entra.
func (q *request) fromEntra() {
	if q.r.Method == http.MethodHead { // ends no sign-in
		q.show(http.StatusOK, "fault", "A sign-in ends here", "")
		return
	}
	state, code := q.query("state"), q.query("code")
	var kept entraCookie
	data, err := base64.RawURLEncoding.DecodeString(q.cookie(entraCookieName(state)))
	if err != nil || json.Unmarshal(data, &kept) != nil || !q.pages.opt.Access.Began(kept.SignIn, state) {
		q.to = local("")
		q.askAgain(http.StatusBadRequest, "This browser did not begin this sign-in, or began it more than 10 minutes ago, or it has been used already. Nobody is signed in by it. Begin again.")
		return
	}
	q.setCookie(entraCookieName(state), "", 0) // whatever comes: it was used
	q.to = local(kept.To)
	switch {
	case q.query("error") != "":
		says := "Microsoft did not sign you in."
		if q.query("error") == "access_denied" {
			says = "Microsoft did not sign you in: you cancelled, or may not use this app."
		}
		if named := aadsts.FindString(q.query("error_description")); named != "" {
			says += " It says " + named + "; login.microsoftonline.com/error says what that means."
		}
		q.askAgain(http.StatusForbidden, says)
		return
	case code == "" || len(code) > 8<<10:
		q.askAgain(http.StatusBadRequest, "Microsoft sent you back without an answer. Begin again.")
		return
	}
	person, err := q.pages.opt.Access.EndSignIn(q.r, EntraReturn(q.pages.opt.PublicURL), code, kept.SignIn)
	if err != nil {
		problem := q.explain("ending a sign-in with Entra", err)
		problem.SetRetry(q.w.Header())
		if problem.Status == http.StatusUnauthorized {
			problem.Status, problem.Message = http.StatusForbidden, "Microsoft's answer does not show who you are, or was used already. Nobody is signed in by it. Begin again; if it stays so, the connector's log says why."
		}
		q.askAgain(problem.Status, problem.Message)
		return
	}
	if person.Role == "" {
		q.pages.opt.Log.InfoContext(q.r.Context(), "somebody without a role has signed in with Entra, and is not let in", "objectId", person.ObjectID)
		q.show(http.StatusForbidden, "norole", "You have no role here", struct {
			Person access.Person
			Again  string // sign-in as somebody else
		}{person, q.entraLink()})
		return
	}
	q.begin(person)
}

// askAgain shows the sign-in page at the end of a sign-in that came to nothing.
func (q *request) askAgain(status int, problem string) {
	q.visitor()
	q.askWhoItIs(status, problem)
}

// needsAdministrator answers who may only look.
func (q *request) needsAdministrator() {
	q.fault(http.StatusForbidden, "This needs the role Administrator", "Nothing was done. You are signed in as "+q.session.Person.User+
		" with the role Reader, which sees everything and changes nothing. Ask whoever administers the connector's app in Microsoft Entra for the role Administrator, then sign out here and sign in again.")
}
