package twitter

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

var (
	signInApp     = App{Key: "app key", Secret: "app&secret"} // what OAuth must encode
	signInRequest = Token{Token: "req/1", Secret: "req secret"}
	signInAccess  = Token{Token: "77-access", Secret: "access secret"}
)

const signInCallback = "https://contoso.azurewebsites.net/Views/TwitterOAuth"

// oauthParams checks a request's signature as RFC 5849, section 3.4 defines it
// and returns the protocol parameters of its Authorization header.
func oauthParams(r *http.Request, tokenSecret string) (map[string]string, error) {
	header, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth ")
	if !ok {
		return nil, fmt.Errorf("Authorization is %q", r.Header.Get("Authorization"))
	}
	params := map[string]string{}
	for pair := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		value, err := url.PathUnescape(strings.Trim(value, `"`))
		if err != nil {
			return nil, err
		}
		params[name] = value
	}
	encode := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	var pairs []string
	for name, value := range params {
		if name != "oauth_signature" && name != "realm" {
			pairs = append(pairs, encode(name)+"="+encode(value))
		}
	}
	for name, values := range r.URL.Query() {
		for _, value := range values {
			pairs = append(pairs, encode(name)+"="+encode(value))
		}
	}
	sort.Strings(pairs)
	base := r.Method + "&" + encode("http://"+r.Host+r.URL.Path) + "&" + encode(strings.Join(pairs, "&"))
	mac := hmac.New(sha1.New, []byte(encode(signInApp.Secret)+"&"+encode(tokenSecret)))
	mac.Write([]byte(base))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); params["oauth_signature"] != want {
		return nil, fmt.Errorf("signature %q, want %q for %s", params["oauth_signature"], want, base)
	}
	return params, nil
}

func TestSignIn(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.x.Register(signInCallback)
	request, err := RequestToken(ctx, w.http, w.url, signInApp, signInCallback)
	if err != nil || request.Token == "" || request.Secret == "" {
		t.Fatalf("request token %+v, %v", request, err)
	}
	back, err := x.SignIn(ctx, w.http, AuthenticateURL(w.url, request), corpus.PressAccount)
	if err != nil {
		t.Fatalf("signing in at X: %v", err)
	}
	address, err := url.Parse(back)
	if err != nil || !strings.HasPrefix(back, signInCallback+"?") || address.Query().Get("oauth_token") != request.Token {
		t.Fatalf("X sends the browser back to %s, %v", back, err)
	}
	account, err := AccessToken(ctx, w.http, w.url, signInApp, request, address.Query().Get("oauth_verifier"))
	token, secret := w.x.Token(corpus.PressAccount)
	if want := (Account{Token{token, secret}, corpus.PressAccount, "ContosoEnergy"}); err != nil || account != want {
		t.Fatalf("account %+v, %v, want %+v", account, err, want)
	}
	me, err := Me(ctx, w.http, w.url, signInApp, account.Token, nil)
	if want := (User{ID: corpus.PressAccount, Name: "Contoso Energy ⚡", Username: "ContosoEnergy"}); err != nil || me != want {
		t.Fatalf("me %+v, %v, want %+v", me, err, want)
	}
}

func TestAuthenticateURL(t *testing.T) {
	if got, want := AuthenticateURL("https://api.x.com", signInRequest), "https://api.x.com/oauth/authenticate?oauth_token=req%2F1"; got != want {
		t.Errorf("want the browser sent to %s, got %s", want, got)
	}
}

func TestSignInRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		kind   error
		begin  string // in what RequestToken's error says
		end    string // in what AccessToken's error says
	}{
		{"wrong keys", 401, `{"errors":[{"code":32,"message":"Could not authenticate you."}]}`, ErrUnauthorized, "twitter-api-key", "twitter-api-key"},
		{"callback, XML", 403, `<?xml version='1.0' encoding='UTF-8'?><errors><error code="415">Callback URL not approved for this client application.</error></errors>`,
			ErrForbidden, signInCallback, "code 415: Callback URL not approved"},
		{"callback, JSON", 403, `{"errors":[{"code": 415,"message":"Callback URL not approved for this client application."}]}`, ErrForbidden, signInCallback, "code 415"},
		{"clock", 401, `{"errors":[{"code":135,"message":"Timestamp out of bounds."}]}`, ErrUnauthorized, "clock", "clock"},
		{"suspended app", 403, `{"errors":[{"code":416,"message":"Invalid / suspended application"}]}`, ErrForbidden, "suspended", "suspended"},
		{"expired token", 401, `{"errors":[{"code":89,"message":"Invalid or expired token."}]}`, ErrUnauthorized, "expired", "begin it again"},
		{"verifier", 401, "Error processing your OAuth request: Invalid oauth_verifier parameter", ErrUnauthorized, "portal", "begin it again"},
		{"overload", 503, "over capacity", ErrUnavailable, "503", "503"},
		{"no token", 200, "oauth_callback_confirmed=true", ErrUnavailable, "no token", "no token"},
		{"too long", 200, strings.Repeat("x", maxAnswer+1), ErrUnavailable, "longer", "longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.answers(c.status, c.body)
			_, begin := RequestToken(t.Context(), w.http, w.url, signInApp, signInCallback)
			_, end := AccessToken(t.Context(), w.http, w.url, signInApp, signInRequest, "v")
			for _, got := range []struct {
				err  error
				want string
			}{{begin, c.begin}, {end, c.end}} {
				if !errors.Is(got.err, c.kind) || !strings.Contains(got.err.Error(), got.want) {
					t.Errorf("want %v with %q, got %v", c.kind, got.want, got.err)
				}
				if strings.Contains(got.err.Error(), signInApp.Secret) || strings.Contains(got.err.Error(), signInRequest.Secret) {
					t.Errorf("the error holds a secret: %v", got.err)
				}
			}
		})
	}
}

// TestSignInOfNobody: an answer whose account id is none, be it with line ends or a path, gives
// no account: blobs are named by it.
func TestSignInOfNobody(t *testing.T) {
	for _, id := range []string{"", "7\r\nX-Evil: 1", "../../7", "7/8", "+7", "0", "seven"} {
		w := newWorld(t)
		w.answers(http.StatusOK, url.Values{"oauth_token": {"t"}, "oauth_token_secret": {"s"}, "user_id": {id}, "screen_name": {"x"}}.Encode())
		if account, err := AccessToken(t.Context(), w.http, w.url, signInApp, signInRequest, "v"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%q: %+v, %v", id, account, err)
		}
		body, _ := json.Marshal(map[string]any{"data": map[string]string{"id": id, "name": "x", "username": "x"}})
		w.answers(http.StatusOK, string(body))
		if me, err := Me(t.Context(), w.http, w.url, signInApp, Token{"t", "s"}, nil); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%q: %+v, %v", id, me, err)
		}
	}
}

func TestSignInRateLimit(t *testing.T) {
	w := newWorld(t)
	w.answers(http.StatusTooManyRequests, "")
	_, err := RequestToken(t.Context(), w.http, w.url, signInApp, signInCallback)
	var limit *RateLimitError
	if !errors.As(err, &limit) {
		t.Errorf("want a rate limit, got %v", err)
	}
}

func TestSignInEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.x.Fail(func(*http.Request) x.Fault {
		cancel()
		return x.Fault{Delay: time.Hour}
	})
	if _, err := RequestToken(ctx, w.http, w.url, signInApp, signInCallback); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's end, got %v", err)
	}
}
