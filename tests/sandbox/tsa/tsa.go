// Package tsa is a time-stamping authority (RFC 3161) for tests: OpenSSL's, behind HTTP.
package tsa

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Server answers requests for time stamps.
type Server struct {
	CA []byte // its root's certificate, PEM

	dir string
	mu  sync.Mutex // openssl counts its serial numbers in a file
}

const settings = `
[tsa]
default_tsa = standard
[standard]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
certs = ca.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = name
[name]
`

// New makes an authority with a root of its own. It skips the test where there is no
// openssl.
func New(t *testing.T) *Server {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	s := &Server{dir: t.TempDir()}
	for name, content := range map[string]string{"openssl.cnf": settings, "serial": "01\n"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"req", "-config", "openssl.cnf", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Test root", "-extensions", "ca"},
		{"req", "-config", "openssl.cnf", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Test authority"},
		{"x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "2", "-days", "20", "-out", "tsa.pem", "-extfile", "openssl.cnf", "-extensions", "leaf"},
	} {
		if out, err := s.openssl(nil, args...); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	var err error
	if s.CA, err = os.ReadFile(filepath.Join(s.dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Server) openssl(in []byte, args ...string) ([]byte, error) {
	c := exec.Command("openssl", args...)
	c.Dir, c.Stdin = s.dir, bytes.NewReader(in)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return said.Bytes(), fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return out.Bytes(), nil
}

// ServeHTTP answers as RFC 3161, section 3.4 has it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "a request for a time stamp is posted as application/timestamp-query", http.StatusBadRequest)
		return
	}
	query, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.WriteFile(filepath.Join(s.dir, "query.tsq"), query, 0o600); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer, err := s.openssl(nil, "ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query.tsq")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(answer)
}
