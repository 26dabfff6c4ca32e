package twitter

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"testing"
)

var (
	signInApp     = App{Key: "app key", Secret: "app&secret"}
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

// signInX is X's side of a sign-in; it takes one verifier.
func signInX(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	answer := func(pattern, tokenSecret, want string, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			p, err := oauthParams(r, tokenSecret)
			got := strings.Join([]string{p["oauth_consumer_key"], p["oauth_token"], p["oauth_callback"], p["oauth_verifier"]}, "|")
			if err != nil || got != want {
				t.Errorf("%s: %v; parameters %q, want %q", pattern, err, got, want)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, body)
		})
	}
	answer("POST /oauth/request_token", "", "app key||"+signInCallback+"|",
		"oauth_token=req%2F1&oauth_token_secret=req%20secret&oauth_callback_confirmed=true")
	answer("POST /oauth/access_token", signInRequest.Secret, "app key|req/1||the verifier",
		"oauth_token=77-access&oauth_token_secret=access%20secret&user_id=77&screen_name=contoso\n")
	answer("GET /2/users/me", signInAccess.Secret, "app key|77-access||",
		`{"data":{"id":"77","name":"Contoso Ltd","username":"contoso"}}`)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestSignIn(t *testing.T) {
	x, ctx := signInX(t), context.Background()

	request, err := RequestToken(ctx, x.Client(), x.URL, signInApp, signInCallback)
	if err != nil || request != signInRequest {
		t.Fatalf("request token %+v, %v", request, err)
	}
	if got, want := AuthenticateURL(x.URL, request), x.URL+"/oauth/authenticate?oauth_token=req%2F1"; got != want {
		t.Errorf("want the browser sent to %s, got %s", want, got)
	}
	account, err := AccessToken(ctx, x.Client(), x.URL, signInApp, request, "the verifier")
	if want := (Account{signInAccess, "77", "contoso"}); err != nil || account != want {
		t.Fatalf("account %+v, %v", account, err)
	}
	me, err := Me(ctx, x.Client(), x.URL, signInApp, account.Token)
	if want := (User{ID: "77", Name: "Contoso Ltd", Username: "contoso"}); err != nil || me != want {
		t.Fatalf("me %+v, %v", me, err)
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
			x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer x.Close()
			_, begin := RequestToken(context.Background(), x.Client(), x.URL, signInApp, signInCallback)
			_, end := AccessToken(context.Background(), x.Client(), x.URL, signInApp, signInRequest, "v")
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

func TestSignInRateLimit(t *testing.T) {
	x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) }))
	defer x.Close()
	_, err := RequestToken(context.Background(), x.Client(), x.URL, signInApp, signInCallback)
	var limit *RateLimitError
	if !errors.As(err, &limit) {
		t.Errorf("want a rate limit, got %v", err)
	}
}

func TestSignInEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{})
	x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer x.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	if _, err := RequestToken(ctx, x.Client(), x.URL, signInApp, signInCallback); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's end, got %v", err)
	}
}
