package connector

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"xarchive/handler/internal/twitter"
)

const xKey = "the app's key"

// fakeX is X's sign-in. Each request token has one verifier, known to the browser
// that signs in as an account.
type fakeX struct {
	*httptest.Server
	mu        sync.Mutex
	issued    int
	callbacks map[string]string          // by request token
	verifiers map[string]string          // by request token
	accounts  map[string]twitter.Account // by request token
	users     map[string]string          // /2/users/me's answer, by access token
	exchanges int
	down      bool
}

func newFakeX(t *testing.T) *fakeX {
	x := &fakeX{callbacks: map[string]string{}, verifiers: map[string]string{}, accounts: map[string]twitter.Account{}, users: map[string]string{}}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		defer x.mu.Unlock()
		p := map[string]string{}
		for pair := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "OAuth "), ", ") {
			name, value, _ := strings.Cut(pair, "=")
			p[name], _ = url.PathUnescape(strings.Trim(value, `"`))
		}
		if p["oauth_consumer_key"] != xKey || p["oauth_signature"] == "" {
			t.Errorf("%s is not signed by the app: %v", r.URL.Path, p)
		}
		if x.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		refuse := func(status int, body string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		switch r.Method + " " + r.URL.Path {
		case "POST /oauth/request_token":
			if p["oauth_callback"] != page {
				refuse(403, `<errors><error code="415">Callback URL not approved for this client application.</error></errors>`)
				return
			}
			x.issued++
			token := "request-" + string(rune('a'+x.issued-1))
			x.callbacks[token] = p["oauth_callback"]
			_, _ = io.WriteString(w, url.Values{"oauth_token": {token}, "oauth_token_secret": {"hush " + token}, "oauth_callback_confirmed": {"true"}}.Encode())
		case "POST /oauth/access_token":
			x.exchanges++
			token := p["oauth_token"]
			if x.verifiers[token] == "" || x.verifiers[token] != p["oauth_verifier"] {
				refuse(401, "Error processing your OAuth request: Invalid oauth_verifier parameter")
				return
			}
			a := x.accounts[token]
			delete(x.verifiers, token)
			_, _ = io.WriteString(w, url.Values{"oauth_token": {a.Token.Token}, "oauth_token_secret": {a.Token.Secret}, "user_id": {a.UserID}, "screen_name": {a.ScreenName}}.Encode())
		case "GET /2/users/me":
			me, ok := x.users[p["oauth_token"]]
			if !ok {
				refuse(401, `{"title":"Unauthorized","status":401,"detail":"Unauthorized"}`)
				return
			}
			_, _ = io.WriteString(w, me)
		default:
			t.Errorf("X was asked for %s %s", r.Method, r.URL)
		}
	}))
	t.Cleanup(x.Close)
	return x
}

// signIn is a person signing in at X as an account; it returns the verifier.
func (x *fakeX) signIn(requestToken, userID string) (verifier string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	access := userID + "-access"
	x.accounts[requestToken] = twitter.Account{Token: twitter.Token{Token: access, Secret: "hush " + access}, UserID: userID, ScreenName: "user" + userID}
	x.users[access] = `{"data":{"id":"` + userID + `","name":"User ` + userID + `","username":"user` + userID + `"}}`
	x.verifiers[requestToken] = "verifier-of-" + requestToken
	return x.verifiers[requestToken]
}
