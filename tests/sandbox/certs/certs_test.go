package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xarchive/tests/sandbox/certs"
)

func TestServer(t *testing.T) {
	a, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.Loopback()}}
	server.StartTLS()
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")

	for _, host := range []string{"localhost", "127.0.0.1"} {
		answer, err := a.Client().Get("https://" + host + ":" + port)
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		answer.Body.Close()
	}
	other, err := certs.Start(t.Context(), certs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := other.Client().Get(server.URL); !errors.As(err, &unknown) {
		t.Errorf("another authority's client: %v", err)
	}
	if err := other.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(other.Path()); !os.IsNotExist(err) {
		t.Errorf("Stop left %s: %v", other.Path(), err)
	}
}

// TestPath: the file alone must be enough to trust a server, and only for the
// hosts its certificate names.
func TestPath(t *testing.T) {
	a, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Fatalf("ca.pem holds more or other than one certificate: %q", text)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("ca.pem cannot be read")
	}
	leaf := a.Server("pbs.twimg.com", "video.twimg.com").Leaf
	for host, want := range map[string]bool{"pbs.twimg.com": true, "video.twimg.com": true, "api.x.com": false} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestKeep: the next authority of a folder is the same, with a key that only the user
// may read; a damaged one is made anew.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	start := func() (authority string) {
		t.Helper()
		a, err := certs.Start(t.Context(), certs.Options{Dir: dir, Keep: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Loopback().Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: "localhost"}); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(a.Path())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := start()
	if start() != first {
		t.Error("the second is another")
	}
	key := filepath.Join(dir, "ca.key")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := os.WriteFile(key, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if start() == first {
		t.Error("a certificate without its key is used")
	}
}
