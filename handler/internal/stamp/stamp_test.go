package stamp_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"xarchive/handler/internal/stamp"
	"xarchive/tests/sandbox/tsa"
)

// TestStamp: an authority made of `openssl ts` stamps bytes; the stamp is right for them
// and for no others, leads to the authority's root and to no other one, and OpenSSL
// itself verifies it.
func TestStamp(t *testing.T) {
	a := tsa.New(t)
	server := httptest.NewServer(a)
	defer server.Close()
	data := []byte("a day's manifest\n")
	token, err := stamp.Authority{URL: server.URL, HTTP: http.DefaultClient}.Stamp(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := stamp.Roots(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	got, err := stamp.Check(token, data, roots)
	if err != nil || !got.Root || time.Since(got.At).Abs() > time.Hour || got.By == "" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := stamp.Check(token, data, nil); err != nil || got.Root {
		t.Errorf("the system trusts a root that was made a moment ago: %+v, %v", got, err)
	}
	if _, err := stamp.Check(token, []byte("another day's\n"), roots); !errors.Is(err, stamp.ErrWrong) {
		t.Errorf("other bytes: %v", err)
	}
	for i := 0; i < len(token); i += 7 {
		flipped := bytes.Clone(token)
		flipped[i] ^= 1
		if s, err := stamp.Check(flipped, data, roots); err == nil && s.Root && !s.At.Equal(got.At) {
			t.Errorf("byte %d flipped: it states %s, want %s", i, s.At, got.At)
		}
	}

	dir := t.TempDir()
	for name, content := range map[string][]byte{"data": data, "token.tsr": token, "ca.pem": a.CA} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := exec.CommandContext(t.Context(), "openssl", "ts", "-verify", "-in", "token.tsr", "-data", "data", "-CAfile", "ca.pem")
	verify.Dir = dir
	if out, err := verify.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Verification: OK")) {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

// TestRefused: whatever an authority answers that is no stamp of these bytes is refused.
func TestRefused(t *testing.T) {
	a := tsa.New(t)
	replay := []byte(nil)
	for what, answer := range map[string]http.HandlerFunc{
		"a page":        func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"an error":      func(w http.ResponseWriter, r *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) },
		"an old answer": func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(replay) },
	} {
		first := httptest.NewServer(a)
		var err error
		if replay, err = (stamp.Authority{URL: first.URL, HTTP: http.DefaultClient}).Stamp(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		first.Close()
		server := httptest.NewServer(answer)
		if _, err := (stamp.Authority{URL: server.URL, HTTP: http.DefaultClient}).Stamp(t.Context(), []byte("x")); !errors.Is(err, stamp.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
		server.Close()
	}
}
