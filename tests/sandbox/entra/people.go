package entra

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Person is somebody of the tenant, who can sign in to every app with the roles named.
type Person struct {
	User, Name, ObjectID string
	Roles                []string
}

// codeLife is how long a code can be exchanged. Entra's is ten minutes.
const codeLife = 10 * time.Minute

// code is what an app may exchange for an ID token, once.
type code struct {
	app, redirect, challenge, nonce string
	person                          Person
	ends                            time.Time
}

// Register adds an address that people are sent back to who sign in to an app.
func (s *Server) Register(redirectURI string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redirects = append(s.redirects, redirectURI)
}

func (s *Server) registered(redirectURI string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.redirects, redirectURI)
}

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Pick an account</title></head>
<body><h1>Pick an account</h1><p>This stands in for Microsoft Entra.</p><form method="post">
{{range .}}<p><button name="user" value="{{.User}}">{{.User}}{{range .Roles}} · {{.}}{{else}} · no role{{end}}</button></p>
{{end}}<p><button name="user" value="">Cancel</button></p></form></body></html>
`))

// authorize is the page on which people say who they are: authorization code flow with PKCE.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back := q.Get("redirect_uri")
	known := slices.ContainsFunc(s.options.Apps, func(a App) bool { return strings.EqualFold(a.ClientID, q.Get("client_id")) })
	switch {
	case !known:
		s.refusePage(w, fmt.Sprintf("AADSTS700016: Application with identifier '%s' was not found in the directory '%s'.", q.Get("client_id"), s.options.TenantID))
		return
	case !s.registered(back):
		s.refusePage(w, fmt.Sprintf("AADSTS50011: The redirect URI '%s' specified in the request does not match the redirect URIs configured for the application '%s'.", back, q.Get("client_id")))
		return
	}
	answer := func(values url.Values) {
		values.Set("state", q.Get("state"))
		http.Redirect(w, r, back+"?"+values.Encode(), http.StatusFound)
	}
	refuse := func(name, text string) { answer(url.Values{"error": {name}, "error_description": {text}}) }
	switch {
	case q.Get("response_type") != "code" || !slices.Contains(strings.Fields(q.Get("scope")), "openid"):
		refuse("invalid_request", "AADSTS900144: The request must have response_type code and the scope openid.")
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		refuse("invalid_request", "AADSTS501481: The code challenge is not one of S256.")
	case q.Get("prompt") == "none":
		refuse("login_required", "AADSTS50058: A silent sign-in request was sent but no user is signed in.")
	case r.Method != http.MethodPost:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, s.options.People) // the client went away
	default:
		who := slices.IndexFunc(s.options.People, func(p Person) bool { return p.User == r.PostFormValue("user") })
		if who < 0 {
			refuse("access_denied", "AADSTS65004: User declined to consent to access the app.")
			return
		}
		value := rand.Text()
		s.mu.Lock()
		s.codes[value] = code{strings.ToLower(q.Get("client_id")), back, q.Get("code_challenge"), q.Get("nonce"), s.options.People[who], s.now().Add(codeLife)}
		s.mu.Unlock()
		answer(url.Values{"code": {value}})
	}
}

func (s *Server) refusePage(w http.ResponseWriter, text string) {
	s.counts.refused.Add(1)
	http.Error(w, text, http.StatusBadRequest)
}

// exchange gives the ID token for a code.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, app App) {
	form := r.PostForm
	s.mu.Lock()
	c, there := s.codes[form.Get("code")]
	delete(s.codes, form.Get("code")) // whatever comes
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case !there:
		s.refuse(w, r, http.StatusBadRequest, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	case !s.now().Before(c.ends):
		s.refuse(w, r, http.StatusBadRequest, "invalid_grant", 70008, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.")
	case c.app != strings.ToLower(app.ClientID) || c.redirect != form.Get("redirect_uri"):
		s.refuse(w, r, http.StatusBadRequest, "invalid_grant", 500112, "The reply address does not match the reply address provided when requesting Authorization code.")
	case subtle.ConstantTimeCompare([]byte(challenge), []byte(c.challenge)) != 1:
		s.refuse(w, r, http.StatusBadRequest, "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request.")
	default:
		seconds := int(lifetime/time.Second) - 1
		claims := map[string]any{"idtyp": nil, "azp": nil, "azpacr": nil, "name": c.person.Name, "preferred_username": c.person.User, "nonce": c.nonce}
		if len(c.person.Roles) > 0 {
			claims["roles"] = c.person.Roles
		}
		writeJSON(w, http.StatusOK, map[string]any{"token_type": "Bearer", "scope": "openid profile", "expires_in": seconds, "ext_expires_in": seconds,
			"access_token": s.Issue(Claims{Version: 2, Audience: "00000003-0000-0000-c000-000000000000", AppID: app.ClientID, ObjectID: c.person.ObjectID}),
			"id_token":     s.Issue(Claims{Version: 2, Audience: strings.ToLower(app.ClientID), AppID: app.ClientID, ObjectID: c.person.ObjectID, Extra: claims})})
	}
}
