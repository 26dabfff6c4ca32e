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
