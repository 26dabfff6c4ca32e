package x

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The example of RFC 5849, section 1.2: fetching a photo, and the token request
// before it.
func TestSignatureRFC(t *testing.T) {
	got := signature("GET", "http://photos.example.net/photos", []param{
		{"file", "vacation.jpg"}, {"size", "original"},
		{"oauth_consumer_key", "dpf43f3p2l4k3l03"}, {"oauth_token", "nnch734d00sl2jdk"}, {"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", "137131202"}, {"oauth_nonce", "chapoH"},
	}, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00")
	if want := "MdpQcU8iPSUjWoN/UDMsK2sui9I="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	got = signature("POST", "https://photos.example.net/token", []param{
		{"oauth_consumer_key", "dpf43f3p2l4k3l03"}, {"oauth_token", "hh5s93j4hdidpola"}, {"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", "137131201"}, {"oauth_nonce", "walatlh"}, {"oauth_verifier", "hfdp7dh39dks9884"},
	}, "kd94hf93k423kf44", "hdhd0244k9j7ao03")
	if want := "gKgrFCywp7rO0OXSjdot/IHF7IU="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The base string of RFC 5849, section 3.4.1.1: a form, names that come twice,
// values that are empty.
func TestBaseStringRFC(t *testing.T) {
	req, err := http.NewRequest("POST", "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", strings.NewReader("c2&a3=2+q"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	params, err := requestParams(req)
	if err != nil {
		t.Fatal(err)
	}
	header, err := authorization([]string{`OAuth realm="Example", oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7", oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="djosJKDKJSD8743243%2Fjdk33klY%3D"`})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range header {
		if p.name != "realm" && p.name != "oauth_signature" {
			params = append(params, p)
		}
	}
	want := "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got := baseString(req.Method, baseURL(req), params); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// X's own example.
// https://docs.x.com/resources/fundamentals/authentication/oauth-1-0a/creating-a-signature
func TestSignatureX(t *testing.T) {
	got := signature("POST", "https://api.twitter.com/1.1/statuses/update.json", []param{
		{"include_entities", "true"}, {"status", "Hello Ladies + Gentlemen, a signed OAuth request!"},
		{"oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"}, {"oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"},
		{"oauth_signature_method", "HMAC-SHA1"}, {"oauth_timestamp", "1318622958"},
		{"oauth_token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"}, {"oauth_version", "1.0"},
	}, "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE")
	if want := "hCtSmYh+iHYCEqBWrE7C7hYmtUk="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// signedGet sends a GET whose OAuth parameters a test may spoil before and after
// they are signed.
func (w *world) signedGet(path string, before, after func(map[string]string)) page {
	w.t.Helper()
	token, tokenSecret := w.Token(press)
	oauth := map[string]string{
		"oauth_consumer_key": key, "oauth_nonce": fmt.Sprint("n", w.Stats().Requests), "oauth_signature_method": "HMAC-SHA1",
		"oauth_timestamp": strconv.FormatInt(w.clock.now().Unix(), 10), "oauth_token": token, "oauth_version": "1.0",
	}
	if before != nil {
		before(oauth)
	}
	u, err := url.Parse(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	var params []param
	for name, value := range oauth {
		params = append(params, param{name, value})
	}
	for name, values := range u.Query() {
		for _, value := range values {
			params = append(params, param{name, value})
		}
	}
	oauth["oauth_signature"] = signature("GET", "http://"+u.Host+u.EscapedPath(), params, secret, tokenSecret)
	if after != nil {
		after(oauth)
	}
	var parts []string
	for name, value := range oauth {
		parts = append(parts, fmt.Sprintf(`%s="%s"`, percent(name), percent(value)))
	}
	req, err := http.NewRequest("GET", u.String(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "OAuth "+strings.Join(parts, ", "))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return read(w.t, resp)
}

func TestSignatureIsVerified(t *testing.T) {
	w := newWorld(t, nil)
	me := "/2/users/me?user.fields=description"
	if p := w.signedGet(me, nil, nil); p.status != 200 {
		t.Fatalf("the true request: %d %s", p.status, p.raw)
	}
	set := func(name, value string) func(map[string]string) {
		return func(o map[string]string) { o[name] = value }
	}
	stamp := func(d time.Duration) func(map[string]string) {
		return set("oauth_timestamp", strconv.FormatInt(w.clock.now().Add(d).Unix(), 10))
	}
	for name, spoil := range map[string]struct{ before, after func(map[string]string) }{
		"other consumer key":   {set("oauth_consumer_key", "other"), nil},
		"other method":         {set("oauth_signature_method", "PLAINTEXT"), nil},
		"other version":        {set("oauth_version", "2.0"), nil},
		"unknown token":        {set("oauth_token", "7-unknown"), nil},
		"no token":             {func(o map[string]string) { delete(o, "oauth_token") }, nil},
		"wrong signature":      {nil, set("oauth_signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")},
		"changed nonce":        {nil, set("oauth_nonce", "else")},
		"clock 6 minutes slow": {stamp(-6 * time.Minute), nil},
		"clock 6 minutes fast": {stamp(6 * time.Minute), nil},
		"no time":              {set("oauth_timestamp", "noon"), nil},
	} {
		p := w.signedGet(me, spoil.before, spoil.after)
		if want := `{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}`; p.status != 401 || p.raw != want {
			t.Errorf("%s: %d %s", name, p.status, p.raw)
		}
	}
	for _, d := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		if p := w.signedGet(me, stamp(d), nil); p.status != 200 {
			t.Errorf("clock off by %v: %d", d, p.status)
		}
	}
	nonce := set("oauth_nonce", "once")
	if first, second := w.signedGet(me, nonce, nil), w.signedGet(me, nonce, nil); first.status != 200 || second.status != 401 {
		t.Errorf("a nonce used twice: %d, then %d", first.status, second.status)
	}
	for name, header := range map[string]string{"none": "", "Bearer": "Bearer abc", "broken": "OAuth oauth_nonce", "twice": `OAuth a="1", a="1"`} {
		req, _ := http.NewRequest("GET", w.url+"/2/users/me", nil)
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if p := read(t, resp); p.status != 401 {
			t.Errorf("Authorization %s: %d", name, p.status)
		}
	}
}

// A query that was changed on its way no longer fits its signature.
func TestQueryIsSigned(t *testing.T) {
	w := newWorld(t, nil)
	proxy := &http.Client{Transport: changing{}}
	token, tokenSecret := w.Token(press)
	p := signedThrough(t, proxy, token, tokenSecret, w.url+"/2/users/"+press+"/tweets?max_results=5")
	if p.status != 401 {
		t.Errorf("%d %s", p.status, p.raw)
	}
}

// changing asks for more than was signed.
type changing struct{}

func (changing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.RawQuery = "max_results=100"
	return http.DefaultTransport.RoundTrip(r)
}

func TestTokenIsOneUsers(t *testing.T) {
	w := newWorld(t, nil)
	for _, account := range w.corpus.Accounts() {
		if p := w.get(account, "/2/users/me"); str(p.Data, "id") != account {
			t.Errorf("%s is told to be %s", account, p.raw)
		}
	}
	client := w.as(press)
	w.Revoke(press)
	resp, err := client.Get(w.url + "/2/users/me")
	if err != nil {
		t.Fatal(err)
	}
	if p := read(t, resp); p.status != 401 {
		t.Errorf("a revoked token: %d", p.status)
	}
	if p := w.get(press, "/2/users/me"); p.status != 200 {
		t.Errorf("a new token: %d", p.status)
	}
}

// Nothing secret is in the log.
func TestLogHoldsNoSecret(t *testing.T) {
	var log strings.Builder
	w := newWorld(t, nil, func(o *Options) { o.Log = debugLog(&log) })
	token, tokenSecret := w.Token(press)
	w.get(press, "/2/users/me")
	w.signIn(press)
	w.signedGet("/2/users/me", nil, func(o map[string]string) { o["oauth_signature"] = "forged" })
	if !strings.Contains(log.String(), "GET /2/users/me") {
		t.Fatal("nothing is logged")
	}
	for _, s := range []string{token, tokenSecret, key, secret, "forged", "oauth_verifier"} {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log holds %q", s)
		}
	}
}
