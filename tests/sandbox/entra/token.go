package entra

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lifetime of the tokens. Entra's is 60 to 90 minutes; 24 hours for a managed identity's.
const lifetime = time.Hour

// maxForm bounds the body of a token request, bytes.
const maxForm = 64 << 10

// token2 is the v2 endpoint: client credentials with a scope, and codes of people.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (s *Server) token2(w http.ResponseWriter, r *http.Request) {
	app, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	if r.PostForm.Get("grant_type") == "authorization_code" {
		s.exchange(w, r, app)
		return
	}
	// Clients add the scopes of OpenID Connect, which mean nothing for an app.
	scopes := slices.DeleteFunc(strings.Fields(r.PostForm.Get("scope")), func(s string) bool {
		return slices.Contains([]string{"openid", "offline_access", "profile", "email"}, s)
	})
	scope := strings.Join(scopes, " ")
	resource, isDefault := strings.CutSuffix(scope, "/.default")
	if !isDefault || resource == "" || len(scopes) != 1 {
		s.refuse(w, r, http.StatusBadRequest, "invalid_scope", 1002012, fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", scope))
		return
	}
	token, _, ok := s.grant(w, r, app, resource)
	if !ok {
		return
	}
	seconds := int(lifetime/time.Second) - 1
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
	})
}

// token1 is the v1 endpoint: it takes a resource, and its numbers are strings.
func (s *Server) token1(w http.ResponseWriter, r *http.Request) {
	app, ok := s.authenticate(w, r)
	if !ok {
		return
	}
	resource := r.PostForm.Get("resource")
	if resource == "" {
		s.missing(w, r, "resource")
		return
	}
	token, issued, ok := s.grant(w, r, app, resource)
	if !ok {
		return
	}
	seconds := strconv.Itoa(int(lifetime/time.Second) - 1)
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
		"expires_on": strconv.FormatInt(issued.Add(lifetime).Unix(), 10),
		"not_before": strconv.FormatInt(issued.Unix(), 10),
		"resource":   resource, "access_token": token,
	})
}

// authenticate reads the form and finds the app that showed its secret. Where it
// returns false, the answer is given.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (App, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.refuse(w, r, http.StatusBadRequest, "invalid_request", 900144, "The request body cannot be read.")
		return App{}, false
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok { // form-encoded: RFC 6749 section 2.3.1
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	grant := r.PostForm.Get("grant_type")
	switch {
	case grant == "":
		s.missing(w, r, "grant_type")
		return App{}, false
	case grant != "client_credentials" && (grant != "authorization_code" || !strings.HasSuffix(r.URL.Path, "/v2.0/token")):
		s.refuse(w, r, http.StatusBadRequest, "unsupported_grant_type", 70003, fmt.Sprintf("The app requested an unsupported grant type '%s'.", grant))
		return App{}, false
	case id == "":
		s.missing(w, r, "client_id")
		return App{}, false
	}
	i := slices.IndexFunc(s.options.Apps, func(a App) bool { return strings.EqualFold(a.ClientID, id) })
	if i < 0 {
		s.refuse(w, r, http.StatusBadRequest, "unauthorized_client", 700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", id, s.options.TenantID))
		return App{}, false
	}
	app := s.options.Apps[i]
	if secret == "" {
		s.refuse(w, r, http.StatusUnauthorized, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
		return App{}, false
	}
	got, want := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(app.Secret))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		s.refuse(w, r, http.StatusUnauthorized, "invalid_client", 7000215, fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", app.ClientID))
		return App{}, false
	}
	return app, true
}

// grant makes the token of an app for a resource.
func (s *Server) grant(w http.ResponseWriter, r *http.Request, app App, resource string) (string, time.Time, bool) {
	if app.Resources != nil && !slices.Contains(app.Resources, resource) {
		s.refuse(w, r, http.StatusBadRequest, "invalid_grant", 65001, fmt.Sprintf("The user or administrator has not consented to use the application with ID '%s'. Send an interactive authorization request for this user and resource.", app.ClientID))
		return "", time.Time{}, false
	}
	now := s.now()
	return s.Issue(Claims{Audience: resource, AppID: app.ClientID, IssuedAt: now, Expires: now.Add(lifetime)}), now, true
}

func (s *Server) missing(w http.ResponseWriter, r *http.Request, parameter string) {
	s.refuse(w, r, http.StatusBadRequest, "invalid_request", 900144, fmt.Sprintf("The request body must contain the following parameter: '%s'.", parameter))
}

// refuse answers as Entra's endpoints do.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes#handling-error-codes-in-your-application
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code string, aadsts int, text string) {
	s.counts.refused.Add(1)
	at := s.now().UTC().Format("2006-01-02 15:04:05Z")
	trace, correlation := randomID(), r.Header.Get("client-request-id")
	if correlation == "" {
		correlation = randomID()
	}
	writeJSON(w, status, map[string]any{
		"error":             code,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", aadsts, text, trace, correlation, at),
		"error_codes":       []int{aadsts},
		"timestamp":         at,
		"trace_id":          trace,
		"correlation_id":    correlation,
		"error_uri":         fmt.Sprintf("%s/error?code=%d", s.url, aadsts),
	})
}
