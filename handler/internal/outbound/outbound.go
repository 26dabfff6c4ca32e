// Package outbound makes the HTTP clients with which the connector reaches X, Azure
// and the Import service. It decides which certificates they trust, how long they
// wait, and, for a client that must reach a few hosts only, which hosts.
package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// ErrHostNotAllowed: a request, or a redirect, went to a host that the client is
// not for. Nothing was sent.
var ErrHostNotAllowed = errors.New("the connector does not talk to this host")

// Options is what a client needs to know.
type Options struct {
	// CAFile is a PEM file of certificates trusted besides the system's; "" for none.
	CAFile string
}

// idlePerHost is how many connections to a host are kept for the next request: as
// many as there are posts being archived (16), items being uploaded (16) and records
// being read (16) at the same time. With fewer, most requests to the storage
// account would begin with a TLS handshake.
const idlePerHost = 48

// New returns a client that uses the proxy of HTTPS_PROXY and NO_PROXY. Connecting,
// and waiting for an answer to begin, are limited in time; reading an answer is not,
// because videos take long. Its error says what is wrong with CAFile.
func New(o Options) (*http.Client, error) {
	roots, err := roots(o.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   idlePerHost,
		ForceAttemptHTTP2:     true,
	}}, nil
}

// roots are the system's certificates and those of a file; nil means the
// system's alone.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of SSL_CERT_FILE: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("SSL_CERT_FILE: %s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// AllowHosts returns a client like hc that reaches only the hosts of some URLs,
// with their scheme and port. Anything else is ErrHostNotAllowed.
func AllowHosts(hc *http.Client, bases ...string) *http.Client {
	allowed := allowList{base: hc.Transport, origins: map[string]bool{}}
	for _, base := range bases {
		if u, err := url.Parse(base); err == nil {
			allowed.origins[origin(u)] = true
		}
	}
	if allowed.base == nil {
		allowed.base = http.DefaultTransport
	}
	only := *hc
	only.Transport = allowed
	return &only
}

type allowList struct {
	base    http.RoundTripper
	origins map[string]bool
}

func (a allowList) RoundTrip(r *http.Request) (*http.Response, error) {
	if !a.origins[origin(r.URL)] {
		return nil, fmt.Errorf("%w: %s", ErrHostNotAllowed, origin(r.URL))
	}
	return a.base.RoundTrip(r)
}

// origin is a URL's scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
