package access

import (
	"testing"
	"time"

	"xarchive/handler/internal/secrets"
)

func (w *world) signer() *Signer {
	w.t.Helper()
	s, err := w.access.Signer(w.t.Context())
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
	value := s.NewSession()
	in := s.Session(value)
	if in == nil || in.ID == "" {
		t.Fatal("a new session is none")
	}
	if other := s.Session(s.NewSession()); other.ID == in.ID || s.FormOfSession(other) == s.FormOfSession(in) {
		t.Error("two sessions are one")
	}
	if s.FormOfSession(in) == s.FormOfVisitor(in.ID) {
		t.Error("a visitor's form is a session's")
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
	value = s.NewSession()
	w.vault.Put(secrets.APISecretKey, "another")
	w.pass(5 * time.Minute)
	if w.signer().Session(value) != nil {
		t.Error("a session outlives the shared secret")
	}
}
