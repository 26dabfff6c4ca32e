package x

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dghubble/oauth1"
)

func debugLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func signedThrough(t *testing.T, hc *http.Client, token, tokenSecret, address string) page {
	t.Helper()
	ctx := context.WithValue(context.Background(), oauth1.HTTPClient, hc)
	resp, err := oauth1.NewConfig(key, secret).Client(ctx, oauth1.NewToken(token, tokenSecret)).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, resp)
}

func (w *world) config(callback string) *oauth1.Config {
	return &oauth1.Config{ConsumerKey: key, ConsumerSecret: secret, CallbackURL: callback, Endpoint: oauth1.Endpoint{
		RequestTokenURL: w.url + "/oauth/request_token", AuthorizeURL: w.url + "/oauth/authenticate", AccessTokenURL: w.url + "/oauth/access_token",
	}}
}

// signIn goes through the whole sign-in, with the oauth1 library for the app.
func (w *world) signIn(account string) (token, tokenSecret string) {
	w.t.Helper()
	config := w.config(callback)
	request, requestSecret, err := config.RequestToken()
	if err != nil {
		w.t.Fatal(err)
	}
	back, err := SignIn(context.Background(), http.DefaultClient, w.url+"/oauth/authenticate?oauth_token="+request, account)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.HasPrefix(back, callback+"?") {
		w.t.Fatalf("X sends the browser to %s", back)
	}
	got, verifier, err := oauth1.ParseAuthorizationCallback(httptest.NewRequest("GET", back, nil))
	if err != nil || got != request {
		w.t.Fatalf("token %s, %v", got, err)
	}
	token, tokenSecret, err = config.AccessToken(request, requestSecret, verifier)
	if err != nil {
		w.t.Fatal(err)
	}
	return token, tokenSecret
}

func TestSignIn(t *testing.T) {
	w := newWorld(t, nil)
	for _, account := range w.corpus.Accounts() {
		token, tokenSecret := w.signIn(account)
		if p := signedThrough(t, http.DefaultClient, token, tokenSecret, w.url+"/2/users/me"); str(p.Data, "id") != account {
			t.Errorf("the token of %s: %d %s", account, p.status, p.raw)
		}
		if again, _ := w.signIn(account); again != token {
			t.Error("a second sign-in gives another token")
		}
	}
}

func TestDeny(t *testing.T) {
	w := newWorld(t, nil)
	request, _, err := w.config(callback).RequestToken()
	if err != nil {
		t.Fatal(err)
	}
	page := w.url + "/oauth/authorize?oauth_token=" + request
	back, err := Deny(context.Background(), http.DefaultClient, page)
	if err != nil || back != callback+"?denied="+url.QueryEscape(request) {
		t.Errorf("%s %v", back, err)
	}
	if _, err := SignIn(context.Background(), http.DefaultClient, page, press); err == nil {
		t.Error("a denied request token signs in")
	}
}

// tokenStep posts to an OAuth endpoint, signed with a token.
func (w *world) tokenStep(path, token, tokenSecret string, params map[string]string, at time.Time) page {
	w.t.Helper()
	oauth := []param{
		{"oauth_consumer_key", key}, {"oauth_nonce", at.String() + token + path}, {"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", itoa(at)}, {"oauth_version", "1.0"},
	}
	if token != "" {
		oauth = append(oauth, param{"oauth_token", token})
	}
	for n, v := range params {
		oauth = append(oauth, param{n, v})
	}
	oauth = append(oauth, param{"oauth_signature", signature("POST", w.url+path, oauth, secret, tokenSecret)})
	var parts []string
	for _, p := range oauth {
		parts = append(parts, percent(p.name)+`="`+percent(p.value)+`"`)
	}
	req, err := http.NewRequest("POST", w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "OAuth "+strings.Join(parts, ","))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return read(w.t, resp)
}

func TestSignInRefusals(t *testing.T) {
	w := newWorld(t, nil)
	now := w.clock.now()
	ask := func(cb string, at time.Time) page {
		return w.tokenStep("/oauth/request_token", "", "", map[string]string{"oauth_callback": cb}, at)
	}
	check := func(name string, p page, status int, says string) {
		t.Helper()
		if p.status != status || !strings.Contains(p.raw, says) {
			t.Errorf("%s: %d %s, want %d %s", name, p.status, p.raw, status, says)
		}
	}
	check("callback with a slash more", ask(callback+"/", now.Add(time.Second)), 403, `<error code="415">Callback URL not approved for this client application.`)
	check("slow clock", ask(callback, now.Add(-time.Hour)), 401, `{"errors":[{"code":135,`)
	good := ask(callback, now)
	check("good", good, 200, "oauth_callback_confirmed=true")
	check("nonce again", ask(callback, now), 401, `{"errors":[{"code":32,"message":"Could not authenticate you."}]}`)
	v, err := url.ParseQuery(good.raw)
	if err != nil {
		t.Fatal(err)
	}
	token, tokenSecret := v.Get("oauth_token"), v.Get("oauth_token_secret")
	exchange := func(secret, verifier string) page {
		w.clock.add(time.Second)
		return w.tokenStep("/oauth/access_token", token, secret, map[string]string{"oauth_verifier": verifier}, w.clock.now())
	}
	check("nobody signed in", exchange(tokenSecret, "x"), 401, "Invalid oauth_verifier")
	back, err := SignIn(context.Background(), http.DefaultClient, w.url+"/oauth/authenticate?oauth_token="+token, press)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	check("wrong verifier", exchange(tokenSecret, "x"), 401, "Invalid oauth_verifier")
	check("wrong secret", exchange("x", u.Query().Get("oauth_verifier")), 401, `"code":32`)
	check("right", exchange(tokenSecret, u.Query().Get("oauth_verifier")), 200, "user_id="+press)
	check("twice", exchange(tokenSecret, u.Query().Get("oauth_verifier")), 401, `{"errors":[{"code":89,"message":"Invalid or expired token."}]}`)

	late, err := url.ParseQuery(ask(callback, w.clock.now()).raw)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.add(16 * time.Minute)
	if _, err := SignIn(context.Background(), http.DefaultClient, w.url+"/oauth/authenticate?oauth_token="+late.Get("oauth_token"), press); err == nil {
		t.Error("an old request token still signs in")
	}
}

func itoa(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// The page works by hand: labels, no script; and only from its own form.
func TestSignInPage(t *testing.T) {
	w := newWorld(t, nil)
	request, _, err := w.config(callback).RequestToken()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(w.url + "/oauth/authenticate?oauth_token=" + request)
	if err != nil {
		t.Fatal(err)
	}
	p := read(t, resp)
	for _, part := range []string{"Authorize app", "Cancel", "@ContosoEnergy", "@ContosoHelp", "<label>", `lang="en"`, "app.example"} {
		if !strings.Contains(p.raw, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	if strings.Contains(p.raw, "<script") || !strings.Contains(p.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page may run scripts")
	}
	for name, form := range map[string]url.Values{
		"forged form":     {"oauth_token": {request}, "account": {press}, "decision": {"authorize"}, "authenticity_token": {"x"}},
		"unknown request": {"oauth_token": {"x"}, "account": {press}, "decision": {"authorize"}},
	} {
		resp, err := http.PostForm(w.url+"/oauth/authenticate", form)
		if err != nil {
			t.Fatal(err)
		}
		if p := read(t, resp); p.status != 403 {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	if _, err := SignIn(context.Background(), http.DefaultClient, w.url+"/oauth/authenticate?oauth_token="+request, "12345"); err == nil {
		t.Error("an account that is not on the page signs in")
	}
}
