package access

import (
	"errors"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/secrets"
)

func TestBasic(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		header string
		want   int
	}{
		{basic(tenant, sharedKey), 200},
		{basic(strings.ToUpper(tenant), sharedKey), 200},
		{strings.Replace(basic(tenant, sharedKey), "Basic", "basic", 1), 200},
		{basic(tenant, sharedKey+"x"), 401},
		{basic(tenant, strings.ToUpper(sharedKey)), 401},
		{basic(tenant, ""), 401},
		{basic("", sharedKey), 401},
		{basic("72f988bf-86f1-41af-91ab-2d7cd011db47", sharedKey), 401},
		{"Basic", 401},
		{"Basic !!!", 401},
		{"Basic " + tenant, 401},
		{"Bearer " + sharedKey, 401},
		{"", 401},
		{sharedKey, 401},
	} {
		if status := w.call(c.header); status != c.want {
			t.Errorf("%q: want %d, got %d", c.header, c.want, status)
		}
		if strings.Contains(w.why, sharedKey) {
			t.Errorf("the error holds the secret: %s", w.why)
		}
	}
}

func TestAChangedSecretIsTakenUpAtOnce(t *testing.T) {
	w := newWorld(t)
	old := basic(tenant, sharedKey)
	if w.call(old) != 200 {
		t.Fatal(w.why)
	}
	const changed = "a new shared secret of 32 characters"
	w.vault.Put(secrets.APISecretKey, changed)
	if status := w.call(basic(tenant, changed)); status != 200 {
		t.Errorf("the new secret: %d", status)
	}
	if status := w.call(old); status != 401 {
		t.Errorf("the old secret: %d", status)
	}

	// Wrong secrets do not make the vault be asked more often than every 10 seconds.
	w.pass(refreshEvery)
	before := w.vault.Requests()["GetSecret"]
	for range 10 {
		if status := w.call(basic(tenant, "guess")); status != 401 {
			t.Errorf("a guess: %d", status)
		}
	}
	if n := w.vault.Requests()["GetSecret"] - before; n != 1 {
		t.Errorf("the secret was read %d times", n)
	}
}

func TestNoSecretNoVerdict(t *testing.T) {
	w := newWorld(t)
	w.vault.Forbid(true)
	if status := w.basic(); status != 503 {
		t.Errorf("a vault that refuses: %d", status)
	}
	if status := w.call(""); status != 401 {
		t.Errorf("without authorization: %d", status)
	}
	// With an old value at hand and no vault, a mismatch is no verdict either.
	w.vault.Forbid(false)
	w.pass(5 * time.Second) // as long as the vault's failure is kept
	if w.basic() != 200 {
		t.Fatal(w.why)
	}
	w.vault.Forbid(true)
	w.pass(refreshEvery)
	for range 2 {
		if status := w.call(basic(tenant, "may be the new one")); status != 503 {
			t.Errorf("an old value at hand: %d", status)
		}
	}
	w = newWorld(t)
	w.vault.Put(secrets.APISecretKey, "")
	if status := w.basic(); status != 503 {
		t.Errorf("a secret that is not set: %d", status)
	}
}

// TestShortSecret: a shared secret that could be guessed lets nobody in; the log says so.
// A longer one is taken up at once.
func TestShortSecret(t *testing.T) {
	w := newWorld(t)
	short := sharedKey[:31]
	w.vault.Put(secrets.APISecretKey, short)
	if status := w.call(basic(tenant, short)); status != 503 || !strings.Contains(w.why, "31 characters") || strings.Contains(w.why, short) {
		t.Errorf("a secret of 31 characters: %d, %s", status, w.why)
	}
	if _, err := w.access.MakeSigner(t.Context()); !errors.Is(err, ErrUndecided) {
		t.Errorf("a signer under it: %v", err)
	}
	w.pass(refreshEvery)
	w.vault.Put(secrets.APISecretKey, sharedKey)
	if status := w.call(basic(tenant, sharedKey)); status != 200 {
		t.Errorf("a longer one: %d, %s", status, w.why)
	}
}
