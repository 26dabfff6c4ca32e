package access

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/secrets/secretstest"
)

func (w *world) signer() *Signer {
	w.t.Helper()
	s, err := w.access.MakeSigner(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TestSessions: a session is good until it ends or the shared secret is changed,
// and its cookie is good for nothing else.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	s := w.signer()
	value := s.NewSession(Person{Role: Administrator})
	in := s.Session(value)
	if in == nil || in.ID == "" {
		t.Fatal("a new session is none")
	}
	if other := s.Session(s.NewSession(Person{Role: Administrator})); other.ID == in.ID || s.FormOfSession(other) == s.FormOfSession(in) {
		t.Error("two sessions are one")
	}
	var content struct{}
	if !s.Verify("a", s.Sign("a", 1), new(int)) || s.Verify("b", s.Sign("a", content), &content) || s.Verify("a", value, &content) {
		t.Error("what is signed is not of its purpose")
	}
	for _, forged := range []string{"", ".", "x", value + "x", value[1:], s.Sign("another purpose", in)} {
		if s.Session(forged) != nil {
			t.Errorf("%q is a session", forged)
		}
	}
	w.pass(SessionLife - time.Second)
	if s.Session(value) == nil {
		t.Error("a session ends early")
	}
	w.pass(time.Second)
	if s.Session(value) != nil {
		t.Error("a session does not end")
	}
	value = s.NewSession(Person{Role: Administrator})
	w.vault.Put(secrets.APISecretKey, "another shared secret of 32 characters")
	w.pass(5 * time.Minute)
	if w.signer().Session(value) != nil {
		t.Error("a session outlives the shared secret")
	}
}

// instance is another instance of the connector.
func (w *world) instance() *Access {
	return New(Options{TenantID: tenant, Secrets: w.vault.Store(w.now, slog.New(slog.DiscardHandler)), Now: w.now})
}

// TestOneKeyForAllInstances: instances that make the key at the same moment come to use
// the same one, also an instance that has just seen that there is none.
func TestOneKeyForAllInstances(t *testing.T) {
	for range 5 {
		w := newWorld(t)
		instances := []*Access{w.instance(), w.instance(), w.instance()}
		late := w.instance()
		if s, err := late.Signer(t.Context(), "x.y"); err != nil || s.Session("x.y") != nil {
			t.Fatalf("before there is a key: %v", err)
		}
		var all sync.WaitGroup
		for _, a := range instances {
			all.Go(func() {
				if _, err := a.MakeSigner(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.pass(refreshEvery)
		for i, a := range instances {
			s, err := a.MakeSigner(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			cookie := s.NewSession(Person{Role: Administrator})
			for j, b := range append(instances, late) {
				s, err := b.Signer(t.Context(), cookie)
				if err != nil || s.Session(cookie) == nil {
					t.Errorf("instance %d does not know what instance %d has signed: %v", j, i, err)
				}
			}
		}
	}
}

// TestKeyIsRandom: who has a cookie and the shared secret cannot make another.
func TestKeyIsRandom(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	if cookie := w.signer().NewSession(Person{Role: Administrator}); other.signer().Session(cookie) != nil {
		t.Error("connectors with the same shared secret sign alike")
	}
	if n := len(w.vault.Value(secrets.PagesKey)); n < 52 { // 26 characters of base32 have 128 bits
		t.Errorf("the key has %d characters", n)
	}
	before := w.vault.Requests()["GetSecret"]
	for range 50 {
		if _, err := w.access.Signer(t.Context(), "a.forgery"); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.vault.Requests()["GetSecret"] - before; n > 2 {
		t.Errorf("forged cookies made the vault be asked %d times", n)
	}
}

// TestKeyWithoutAVault: what an instance without a vault signs, it knows again.
func TestKeyWithoutAVault(t *testing.T) {
	store := secretstest.Environment(t, map[string]string{"API_SECRET_KEY": sharedKey})
	a := New(Options{TenantID: tenant, Secrets: store, Now: time.Now})
	s, err := a.MakeSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cookie := s.NewSession(Person{Role: Administrator})
	if s, err = a.Signer(t.Context(), cookie); err != nil || s.Session(cookie) == nil {
		t.Errorf("its own session is none: %v", err)
	}
}
