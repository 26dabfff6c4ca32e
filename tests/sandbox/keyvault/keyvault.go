// Package keyvault stands in for Azure Key Vault's secrets.
//
// The wire format, the routes' parameters and the JSON of answers are those of
// Azure's own fake server (azsecrets/fake), here behind real HTTP over TLS. What a
// fake has not is added: versions, soft delete, paging, the token challenge, and the
// refusals that Key Vault gives, by their codes.
// https://learn.microsoft.com/rest/api/keyvault/secrets
//
// A client needs DisableChallengeResourceVerification: the challenge names
// https://vault.azure.net, and no vault on this machine is in that domain.
package keyvault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Resource is the audience of tokens for Key Vault.
const Resource = "https://vault.azure.net"

// Kind says what answers.
type Kind string

// Fake is Azure's fake server with this package's state behind it.
const Fake Kind = "azsecrets/fake"

// Options says how to run the vault.
type Options struct {
	Port        int             // on 127.0.0.1, TLS; 0 takes a free one
	Certificate tls.Certificate // for localhost and 127.0.0.1

	// Authority is where clients get tokens, https://<host>/<tenant>: the challenge
	// names it.
	Authority string
	// Verify tells whether a token is valid for an audience (Resource). nil takes any.
	Verify func(token, audience string) error

	// Settle is how long a deleted secret takes until it can be recovered, and a
	// recovered one until it can be used. Key Vault takes seconds. 0 is at once.
	Settle time.Duration

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil is slog.Default()
}

// Server is a running vault. Its methods may be called at once.
type Server struct {
	options Options
	url     string
	http    *http.Server
	vault   *vault
	down    atomic.Bool
	forbid  atomic.Bool

	mu       sync.Mutex
	requests map[string]int
}

// Start serves an empty vault. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	if len(o.Certificate.Certificate) == 0 || o.Authority == "" {
		return nil, errors.New("starting Key Vault's stand-in: Options needs a Certificate and an Authority")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return nil, fmt.Errorf("starting Key Vault's stand-in: %w", err)
	}
	s := &Server{
		options:  o,
		url:      "https://127.0.0.1:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port),
		vault:    newVault(o.Now, o.Settle),
		requests: map[string]int{},
	}
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{o.Certificate}, MinVersion: tls.VersionTLS12},
		ErrorLog:  log.New(io.Discard, "", 0), // a client that distrusts the certificate is that client's to report
	}
	go func() { _ = s.http.ServeTLS(l, "", "") }()
	o.Log.InfoContext(ctx, "Key Vault's stand-in serves", "kind", string(s.Kind()), "url", s.url)
	return s, nil
}

// Stop ends serving, open connections included. What the vault held is gone.
func (s *Server) Stop() error { return s.http.Close() }

// Kind says what answers.
func (s *Server) Kind() Kind { return Fake }

// URL is what KEY_VAULT_URL is to be: https://127.0.0.1:<port>. The vault answers at
// localhost as well.
func (s *Server) URL() string { return s.url }

// Set saves a value, as an administrator would; a deleted secret is recovered first.
func (s *Server) Set(ctx context.Context, name, value string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := s.vault.set(name, version{value: value}, true)
	if err != nil {
		return fmt.Errorf("setting secret %s: %w", name, err)
	}
	return nil
}

// SetUntil is Set for a secret that ends.
func (s *Server) SetUntil(ctx context.Context, name, value string, ends time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := s.vault.set(name, version{value: value, expires: &ends}, true); err != nil {
		return fmt.Errorf("setting secret %s: %w", name, err)
	}
	return nil
}

// Get returns the newest value; false if there is none or it is deleted.
func (s *Server) Get(name string) (string, bool) {
	v, err := s.vault.get(name, "")
	return v.value, err == nil
}

// Forbid makes the vault refuse everyone (403), as without a role, until it is
// called with false.
func (s *Server) Forbid(forbid bool) { s.forbid.Store(forbid) }

// Down makes every answer a 503, until it is called with false.
func (s *Server) Down(down bool) { s.down.Store(down) }

// Requests counts the requests since Start that had a good token, by the SDK's names
// of operations (GetSecret, SetSecret, …), "unknown" for none of them; those without
// a token are under "challenge". While the vault is down or forbids, requests count too.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

func (s *Server) count(operation string) {
	if operation == "" {
		operation = "unknown"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[operation]++
}
