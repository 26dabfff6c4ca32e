package x

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Sign-in is OAuth 1.0a's three-legged flow (RFC 5849, section 2).
// https://docs.x.com/resources/fundamentals/authentication/oauth-1-0a/obtaining-user-access-tokens

// signIn is a sign-in under way, by its request token.
type signIn struct {
	secret, callback string
	form             string // proves that the form came from our page
	began            time.Time
	account          string // who signed in; "" so far
	verifier         string
}

// signInLife is how long a request token can be used.
const signInLife = 15 * time.Minute

// access is an account's access token.
type access struct{ account, secret string }

// requestToken answers POST /oauth/request_token.
func (s *Server) requestToken(a *answer, r *http.Request) {
	signed, err := s.verify(r, func(token string) (string, bool) { return "", token == "" })
	if err != nil {
		s.refuseOAuth(a, err)
		return
	}
	callback := signed.params["oauth_callback"]
	if !s.registered(callback) {
		a.status = http.StatusForbidden
		a.header.Set("Content-Type", "application/xml;charset=utf-8")
		a.body = []byte(`<?xml version='1.0' encoding='UTF-8'?><errors><error code="415">Callback URL not approved for this client application. Approved callback URLs can be adjusted in your application settings</error></errors>`)
		return
	}
	token, begun := rand.Text(), &signIn{secret: rand.Text(), callback: callback, form: rand.Text(), began: s.now()}
	s.mu.Lock()
	s.requests[token] = begun
	s.mu.Unlock()
	a.form(url.Values{"oauth_token": {token}, "oauth_token_secret": {begun.secret}, "oauth_callback_confirmed": {"true"}})
}

// accessToken answers POST /oauth/access_token: a request token that someone has
// signed in with is exchanged, once.
func (s *Server) accessToken(a *answer, r *http.Request) {
	signed, err := s.verify(r, func(token string) (string, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		begun := s.requests[token]
		if begun == nil || s.now().Sub(begun.began) > signInLife {
			return "", false
		}
		return begun.secret, true
	})
	if err != nil {
		s.refuseOAuth(a, err)
		return
	}
	verifier := signed.params["oauth_verifier"]
	if verifier == "" {
		verifier = r.PostFormValue("oauth_verifier") // RFC 5849 has it in the header; X takes both
	}
	s.mu.Lock()
	begun := s.requests[signed.token]
	if begun == nil || begun.account == "" || !hmac.Equal([]byte(verifier), []byte(begun.verifier)) {
		s.mu.Unlock()
		a.status, a.body = http.StatusUnauthorized, []byte("Error processing your OAuth request: Invalid oauth_verifier parameter")
		a.header.Set("Content-Type", "text/html; charset=utf-8")
		return
	}
	delete(s.requests, signed.token)
	s.mu.Unlock()
	token, secret := s.Token(begun.account)
	a.form(url.Values{"oauth_token": {token}, "oauth_token_secret": {secret}, "user_id": {begun.account}, "screen_name": {s.handle(begun.account)}})
}

func (a *answer) form(v url.Values) {
	a.status, a.body = http.StatusOK, []byte(v.Encode())
	a.header.Set("Content-Type", "text/html;charset=utf-8") // X says so, though it is a form
}

// refuseOAuth answers as the OAuth endpoints do.
// https://docs.x.com/x-api/fundamentals/response-codes-and-errors
func (s *Server) refuseOAuth(a *answer, err error) {
	code, message := 32, "Could not authenticate you."
	switch {
	case errors.Is(err, errSkew):
		code, message = 135, "Timestamp out of bounds."
	case errors.Is(err, errToken):
		code, message = 89, "Invalid or expired token."
	}
	s.opt.Log.Debug("X refuses a sign-in step", "code", code, "reason", err)
	a.raw(http.StatusUnauthorized, fmt.Appendf(nil, `{"errors":[{"code":%d,"message":%q}]}`, code, message))
}

// Token is an account's access token, as a sign-in would give it: the same one
// until it is revoked.
func (s *Server) Token(account string) (token, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, t := range s.tokens {
		if t.account == account {
			return token, t.secret
		}
	}
	token, secret = account+"-"+rand.Text(), rand.Text()
	s.tokens[token] = &access{account, secret}
	return token, secret
}

// Revoke makes an account's access token invalid, as its owner can on X.
func (s *Server) Revoke(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, t := range s.tokens {
		if t.account == account {
			delete(s.tokens, token)
		}
	}
}

// Regenerate gives the app another API key, as a person can in X's console. The one
// before is refused at once; tokens stay.
func (s *Server) Regenerate(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.ConsumerKey = key
}

func (s *Server) consumerKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opt.ConsumerKey
}

func (s *Server) accessSecret(token string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[token]
	if !ok {
		return "", false
	}
	return t.secret, true
}

// user is a user's object; for an account that the corpus does not describe, one
// made up, since whoever signs in is known to X.
func (s *Server) user(id string) json.RawMessage {
	if raw, ok := s.opt.Corpus.User(id); ok {
		return raw
	}
	return marshal(map[string]string{"id": id, "name": "Account " + id, "username": "account" + id})
}

func (s *Server) handle(account string) string {
	var u struct{ Username string }
	_ = json.Unmarshal(s.user(account), &u) // without a handle there is still an id
	return cmp.Or(u.Username, "account"+account)
}

// showSignIn answers GET /oauth/authenticate with the page.
func (s *Server) showSignIn(a *answer, r *http.Request) {
	token := r.URL.Query().Get("oauth_token")
	s.mu.Lock()
	begun := s.usable(token)
	s.mu.Unlock()
	if begun == nil {
		a.html(http.StatusForbidden, pageExpired, nil)
		return
	}
	view := signInView{App: s.opt.AppName, Token: token, Form: begun.form, Action: r.URL.Path, Host: hostOf(begun.callback)}
	for i, id := range s.opt.Corpus.Accounts() {
		var u struct{ Name, Username string }
		_ = json.Unmarshal(s.user(id), &u) // what is missing is shown empty
		view.Accounts = append(view.Accounts, signInAccount{id, cmp.Or(u.Name, u.Username), u.Username, i == 0})
	}
	a.html(http.StatusOK, pageSignIn, view)
}

// usable is a sign-in that still waits for its person. s.mu must be held.
func (s *Server) usable(token string) *signIn {
	begun := s.requests[token]
	if begun == nil || begun.account != "" || s.now().Sub(begun.began) > signInLife {
		return nil
	}
	return begun
}

// submitSignIn answers the page's form: back to the app, with a verifier or a no.
func (s *Server) submitSignIn(a *answer, r *http.Request) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	token, account := r.PostFormValue("oauth_token"), r.PostFormValue("account")
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.usable(token)
	if begun == nil || !hmac.Equal([]byte(begun.form), []byte(r.PostFormValue("authenticity_token"))) {
		a.html(http.StatusForbidden, pageExpired, nil)
		return
	}
	back := url.Values{}
	switch {
	case r.PostFormValue("decision") == "cancel":
		delete(s.requests, token)
		back.Set("denied", token)
	case r.PostFormValue("decision") == "authorize" && slices.Contains(s.opt.Corpus.Accounts(), account):
		begun.account, begun.verifier = account, rand.Text()
		back.Set("oauth_token", token)
		back.Set("oauth_verifier", begun.verifier)
	default:
		a.problem(http.StatusBadRequest, "Bad Request", "Choose one of the accounts, then authorize or cancel.")
		return
	}
	sep := "?"
	if strings.Contains(begun.callback, "?") {
		sep = "&"
	}
	a.status = http.StatusFound
	a.header.Set("Location", begun.callback+sep+back.Encode())
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
