package access

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/secrets"

	"github.com/go-jose/go-jose/v4"
)

func TestGoodTokens(t *testing.T) {
	w := newWorld(t)
	for what, claims := range map[string]map[string]any{
		"version 1":                     w.good(1),
		"version 2":                     w.good(2),
		"version 1, client id":          w.good(1, "aud", appID),
		"version 2, URI":                w.good(2, "aud", appURI),
		"several audiences":             w.good(2, "aud", []string{"other", appID}),
		"client id in capitals":         w.good(2, "aud", strings.ToUpper(appID)),
		"tenant in capitals":            w.good(1, "tid", strings.ToUpper(tenant)),
		"ended within the skew":         w.good(1, "exp", w.now().Add(-skew+time.Second).Unix()),
		"begins within the skew":        w.good(1, "nbf", w.now().Add(skew-time.Second).Unix()),
		"without nbf":                   w.good(2, "nbf", nil),
		"both names of the application": w.good(1, "azp", ImportService),
	} {
		w.expect(what, w.signed(claims), 200)
	}
	if discovery, keyReads := w.entra.asked(); discovery != 1 || keyReads != 1 {
		t.Errorf("Entra was asked %d+%d times", discovery, keyReads)
	}
	if got := w.call("bEaReR  " + w.signed(w.good(1))); got != 200 {
		t.Errorf("the scheme's case matters: %d", got)
	}
}

func TestWrongClaims(t *testing.T) {
	for what, change := range map[string][]any{
		"aud":                       {"aud", "https://graph.microsoft.com"},
		"aud, part of it":           {"aud", appURI + "/x"},
		"aud, none":                 {"aud", nil},
		"aud, empty":                {"aud", ""},
		"iss, another tenant":       {"iss", "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/"},
		"iss, no slash":             {"iss", "https://sts.windows.net/" + tenant},
		"iss, none":                 {"iss", nil},
		"iss, elsewhere":            {"iss", "https://login.example/" + tenant + "/v2.0"},
		"tid":                       {"tid", "72f988bf-86f1-41af-91ab-2d7cd011db47"},
		"tid, none":                 {"tid", nil},
		"application":               {"appid", appID, "azp", appID},
		"application, none":         {"appid", nil, "azp", nil},
		"application, contradicted": {"appid", ImportService, "azp", appID},
		"exp":                       {"exp", time.Now().Add(-skew - time.Minute).Unix()},
		"exp, none":                 {"exp", nil},
		"exp, 0":                    {"exp", 0},
		"exp, text":                 {"exp", "tomorrow"},
		"nbf":                       {"nbf", time.Now().Add(skew + time.Minute).Unix()},
	} {
		for _, version := range []int{1, 2} {
			w := newWorldWithKey(t)
			w.expect(what, w.signed(w.good(version, change...)), 401)
			if discovery, keyReads := w.entra.asked(); discovery+keyReads != 0 {
				t.Errorf("%s: Entra was asked for keys", what)
			}
		}
	}
	w := newWorldWithKey(t)
	w.expect("v1 with azp alone", w.signed(w.good(1, "appid", nil, "azp", ImportService)), 401)
	w.expect("v2 with appid alone", w.signed(w.good(2, "azp", nil, "appid", ImportService)), 401)
}

var oneKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// newWorldWithKey saves the time of making a key for each case.
func newWorldWithKey(t *testing.T) *world {
	w := newWorld(t)
	w.key.Key = oneKey()
	w.entra.publish(w.key)
	return w
}

func TestWrongSignatures(t *testing.T) {
	w := newWorld(t)
	other := newKey(t, "key-1")
	good := w.signed(w.good(1))
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	public, err := json.Marshal(w.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"another key under the same kid": sign(t, other.Key, jose.RS256, "key-1", w.good(1)),
		"an unknown kid":                 sign(t, w.key.Key, jose.RS256, "key-9", w.good(1)),
		"no kid":                         sign(t, w.key.Key, jose.RS256, "", w.good(1)),
		"RS384":                          sign(t, w.key.Key, jose.RS384, "key-1", w.good(1)),
		"PS256":                          sign(t, w.key.Key, jose.PS256, "key-1", w.good(1)),
		"HS256 under the public key":     sign(t, public, jose.HS256, "key-1", w.good(1)),
		"alg none":                       "eyJhbGciOiJub25lIiwia2lkIjoia2V5LTEifQ." + payload + ".",
		"no signature":                   head + "." + payload + ".",
		"another payload":                head + "." + strings.Split(w.signed(w.good(1, "sub", "x")), ".")[1] + "." + signature,
		"two parts":                      head + "." + payload,
		"nothing":                        "",
		"no token":                       "s3cret",
		"JSON serialization":             `{"payload":"` + payload + `","protected":"` + head + `","signature":"` + signature + `"}`,
		"too long":                       good + strings.Repeat("A", maxToken),
	} {
		w.expect(what, token, 401)
	}
	w.expect("the good one", good, 200)
}

func TestKeyRotation(t *testing.T) {
	w := newWorld(t)
	w.expect("the first key", w.signed(w.good(1)), 200)
	old := w.key
	w.key = newKey(t, "key-2")
	w.entra.publish(old, w.key)
	// Entra was asked just now, and is asked again a few seconds later.
	w.expect("a new key, at once", w.signed(w.good(1)), 401)
	w.pass(keysEvery)
	w.expectSoon("a new key", w.signed(w.good(1)), 200)
	w.entra.publish(w.key)
	w.expect("the old key, as long as it is kept", sign(t, old.Key, jose.RS256, "key-1", w.good(1)), 200)
	w.pass(fresh)
	w.expect("the new key a day later", w.signed(w.good(1)), 200)
	w.expect("the old key a day later", sign(t, old.Key, jose.RS256, "key-1", w.good(1)), 401)
}

// TestNewKeyWhileOthersGuess: callers with key ids that are made up do not keep a new key out,
// and many with the new one make Entra be asked once.
func TestNewKeyWhileOthersGuess(t *testing.T) {
	w := newWorld(t)
	w.expect("the first key", w.signed(w.good(1)), 200)
	for i := range 3 {
		w.pass(keysEvery)
		w.expect("made up", sign(t, w.key.Key, jose.RS256, "made-up-"+string(rune('a'+i)), w.good(1)), 401)
	}
	old := w.key
	w.key = newKey(t, "key-2")
	w.entra.publish(old, w.key)
	w.pass(keysEvery)
	_, before := w.entra.asked()
	token := w.signed(w.good(1))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			if err := w.access.Call(r); err != nil && !errors.Is(err, ErrUnauthorized) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.expect("the new key", token, 200)
	if _, after := w.entra.asked(); after != before+1 {
		t.Errorf("Entra was asked for its keys %d times", after-before)
	}
}

func TestUnknownKeysDoNotHammerEntra(t *testing.T) {
	w := newWorld(t)
	w.expect("good", w.signed(w.good(1)), 200)
	w.pass(keysEvery)
	for i := range 15 {
		w.expect("unknown", sign(t, w.key.Key, jose.RS256, "made-up-"+string(rune('a'+i)), w.good(1)), 401)
	}
	if discovery, keyReads := w.entra.asked(); discovery != 1 || keyReads != 2 {
		t.Errorf("Entra was asked %d+%d times", discovery, keyReads)
	}
}

func TestEntraDown(t *testing.T) {
	w := newWorld(t)
	w.entra.do(func() { w.entra.down = true })
	for range 30 {
		w.expect("no keys at hand", w.signed(w.good(1)), 503)
	}
	if discovery, keyReads := w.entra.asked(); discovery != 1 || keyReads != 0 {
		t.Errorf("Entra was asked %d+%d times", discovery, keyReads)
	}
	// What is wrong without any key is wrong, and Basic does not care.
	w.expect("wrong tenant", w.signed(w.good(1, "tid", "x")), 401)
	if got := w.basic(); got != 200 {
		t.Errorf("Basic: %d", got)
	}
	w.entra.do(func() { w.entra.down = false })
	w.pass(askEvery)
	w.expect("up again", w.signed(w.good(1)), 200)

	w.entra.do(func() { w.entra.down = true })
	w.pass(askEvery)
	w.expect("keys at hand", w.signed(w.good(1)), 200)
	w.expect("a key that may be new", sign(t, newKey(t, "key-2").Key, jose.RS256, "key-2", w.good(1)), 503)
	w.pass(fresh)
	w.expect("keys of yesterday", w.signed(w.good(1)), 200)
	w.pass(stale)
	w.expect("keys too old", w.signed(w.good(1)), 503)
	w.entra.Close()
	w.pass(askEvery)
	w.expect("no connection", w.signed(w.good(1)), 503)
	if got := w.basic(); got != 200 {
		t.Errorf("Basic: %d", got)
	}
}

func TestKeysComeFromEntraItself(t *testing.T) {
	w := newWorld(t)
	w.entra.do(func() { w.entra.elsewhere = true })
	w.expect("keys elsewhere", w.signed(w.good(1)), 503)
	if _, keyReads := w.entra.asked(); keyReads != 0 {
		t.Error("keys were read")
	}
}

func TestAudienceNotKnown(t *testing.T) {
	w := newWorld(t)
	w.vault.Put(secrets.AADApplicationURI, "")
	w.pass(5 * time.Minute) // as long as a value is kept
	w.expect("by client id", w.signed(w.good(2)), 200)
	w.expect("URI not set", w.signed(w.good(1)), 401)
	w.expect("empty audience, URI not set", w.signed(w.good(1, "aud", "")), 401)
	w.vault.Put(secrets.AADApplicationID, "")
	w.pass(5 * time.Minute)
	w.expect("neither set", w.signed(w.good(2)), 401)
	w.pass(time.Minute)
	w.vault.Refuse("GET", secrets.AADApplicationURI)
	w.expect("vault down", w.signed(w.good(2)), 503)
}

func TestErrorsHoldNoToken(t *testing.T) {
	w := newWorld(t)
	token := w.signed(w.good(1, "aud", "other"))
	if got := w.call("Bearer " + token); got != 401 {
		t.Errorf("got %d", got)
	}
	if !strings.Contains(w.why, "another application (aud)") {
		t.Errorf("the error does not say why: %s", w.why)
	}
	for part := range strings.SplitSeq(token, ".") {
		if strings.Contains(w.why, part) {
			t.Errorf("the error holds the token: %s", w.why)
		}
	}
}
