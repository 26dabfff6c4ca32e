// Package entra stands in for Microsoft Entra ID, and for the managed identity
// endpoint that Azure App Service and Azure Functions give an app.
//
// Over TLS it serves one tenant as login.microsoftonline.com does: discovery of
// both versions, signing keys, tokens for apps that show their secret
// (client credentials), and a page on which people sign in to an app (authorization code
// with PKCE; package openid has a real provider for tests of that). Refusals carry the AADSTS codes and the JSON of the real one:
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
//
// Over plain HTTP it serves GET /msi/token, which in Azure is reachable from the app
// alone: https://learn.microsoft.com/azure/app-service/overview-managed-identity
//
// Tests make tokens of any kind with [Server.Issue], and stand-ins for services that
// take tokens check them with [Server.Verify].
package entra

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// App is an application registered in the tenant.
type App struct {
	ClientID string
	Secret   string
	// Resources are those an administrator has consented to for this app. It gets
	// tokens for no other. nil means every resource.
	Resources []string
}

// Options says what Entra knows.
type Options struct {
	Port         int // on 127.0.0.1, TLS; 0 takes a free one
	IdentityPort int // on 127.0.0.1, plain HTTP; 0 takes a free one

	Certificate tls.Certificate // for localhost and 127.0.0.1
	TenantID    string
	Apps        []App
	People      []Person

	// ManagedIdentity is the client id of the app's managed identity, system-assigned
	// and, asked for by client_id, user-assigned. "" is a random one.
	ManagedIdentity string

	// IdentityHeader is what the managed identity endpoint wants as X-IDENTITY-HEADER;
	// "" is a random one.
	IdentityHeader string

	Now func() time.Time // nil is time.Now
}

// Requests counts what was asked for, answered or not.
type Requests struct {
	Discovery, Keys, Token, Identity int64
	Refused                          int64 // of all these: answered with an error
}

// Server is a running stand-in. Its methods may be called at once.
type Server struct {
	options Options
	now     func() time.Time
	header  string // X-IDENTITY-HEADER
	url     string
	msi     string
	servers []*http.Server
	keys    *keys
	foreign *key // published nowhere
	down    atomic.Bool

	mu        sync.Mutex
	redirects []string
	codes     map[string]code

	counts struct{ discovery, keys, token, identity, refused atomic.Int64 }
}

// Start serves. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.TenantID == "" || len(o.Certificate.Certificate) == 0 {
		return nil, errors.New("starting Entra's stand-in: Options needs a TenantID and a Certificate")
	}
	s := &Server{options: o, now: o.Now, header: o.IdentityHeader, codes: map[string]code{}}
	if s.header == "" {
		s.header = randomID()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if o.ManagedIdentity == "" {
		s.options.ManagedIdentity = randomID()
	}
	var err error
	if s.keys, err = newKeys(); err != nil {
		return nil, fmt.Errorf("starting Entra's stand-in: %w", err)
	}
	if s.foreign, err = newKey(); err != nil {
		return nil, fmt.Errorf("starting Entra's stand-in: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{o.Certificate}, MinVersion: tls.VersionTLS12}
	port, err := s.serve(ctx, o.Port, config, s.login())
	if err != nil {
		return nil, err
	}
	s.url = "https://127.0.0.1:" + port
	if port, err = s.serve(ctx, o.IdentityPort, nil, s.identity()); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.msi = "http://127.0.0.1:" + port + "/msi/token"
	return s, nil
}

func (s *Server) serve(ctx context.Context, port int, config *tls.Config, handler http.Handler) (string, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", fmt.Errorf("starting Entra's stand-in: %w", err)
	}
	server := &http.Server{
		Handler: s.available(handler), TLSConfig: config, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // a client that distrusts the certificate is that client's to report
	}
	s.servers = append(s.servers, server)
	if config == nil {
		go func() { _ = server.Serve(l) }()
	} else {
		go func() { _ = server.ServeTLS(l, "", "") }()
	}
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// Stop ends serving, open connections included.
func (s *Server) Stop() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}

// URL is what AAD_AUTHORITY_URL is to be: https://127.0.0.1:<port>.
func (s *Server) URL() string { return s.url }

// Authority is the tenant's: URL, a slash and the tenant's id.
func (s *Server) Authority() string { return s.url + "/" + s.options.TenantID }

// IdentityEndpoint and IdentityHeader are the environment variables
// IDENTITY_ENDPOINT and IDENTITY_HEADER of an app with a managed identity.
func (s *Server) IdentityEndpoint() string { return s.msi }

// IdentityHeader is described at IdentityEndpoint.
func (s *Server) IdentityHeader() string { return s.header }

// Down makes every answer a 503, until it is called with false.
func (s *Server) Down(down bool) { s.down.Store(down) }

// Requests is how much was asked for since Start.
func (s *Server) Requests() Requests {
	c := &s.counts
	return Requests{c.discovery.Load(), c.keys.Load(), c.token.Load(), c.identity.Load(), c.refused.Load()}
}

func (s *Server) available(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			s.counts.refused.Add(1)
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "<html><body>The service is unavailable.</body></html>")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// login serves what is below https://login.microsoftonline.com.
func (s *Server) login() http.Handler {
	mux := http.NewServeMux()
	count := func(n *atomic.Int64, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { n.Add(1); next(w, r) }
	}
	c := &s.counts
	mux.HandleFunc("GET /{tenant}/.well-known/openid-configuration", count(&c.discovery, s.tenant(s.discovery1)))
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", count(&c.discovery, s.tenant(s.discovery2)))
	mux.HandleFunc("GET /common/discovery/instance", count(&c.discovery, s.instance))
	mux.HandleFunc("GET /common/discovery/keys", count(&c.keys, s.jwks))
	mux.HandleFunc("GET /{tenant}/discovery/keys", count(&c.keys, s.tenant(s.jwks)))
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", count(&c.keys, s.tenant(s.jwks)))
	mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", s.tenant(s.authorize))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/authorize", s.tenant(s.authorize))
	mux.HandleFunc("POST /{tenant}/oauth2/token", count(&c.token, s.tenant(s.token1)))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", count(&c.token, s.tenant(s.token2)))
	return mux
}

// tenant lets through what is asked of this tenant.
func (s *Server) tenant(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("tenant"); !strings.EqualFold(name, s.options.TenantID) {
			s.refuse(w, r, http.StatusBadRequest, "invalid_tenant", 90002, fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", name))
			return
		}
		next(w, r)
	}
}

// discovery1 is the document of the v1 endpoints. Its issuer is another host than
// the one that serves it, in Entra too.
func (s *Server) discovery1(w http.ResponseWriter, _ *http.Request) {
	s.discovery(w, issuer1(s.options.TenantID), s.Authority()+"/oauth2", s.url+"/common/discovery/keys")
}

func (s *Server) discovery2(w http.ResponseWriter, _ *http.Request) {
	s.discovery(w, s.issuer2(s.options.TenantID), s.Authority()+"/oauth2/v2.0", s.Authority()+"/discovery/v2.0/keys")
}

// https://openid.net/specs/openid-connect-discovery-1_0.html
func (s *Server) discovery(w http.ResponseWriter, issuer, oauth, keys string) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                oauth + "/authorize",
		"token_endpoint":                        oauth + "/token",
		"jwks_uri":                              keys,
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"claims_supported":                      []string{"sub", "iss", "aud", "exp", "iat", "nbf", "tid", "ver", "oid", "appid", "azp"},
	})
}

// instance answers the question that a client with instance discovery asks: is
// this a host of Entra's?
func (s *Server) instance(w http.ResponseWriter, _ *http.Request) {
	host := strings.TrimPrefix(s.url, "https://")
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": s.Authority() + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []any{map[string]any{
			"preferred_network": host, "preferred_cache": host, "aliases": []string{host},
		}},
	})
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.keys.published())
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

// randomID is a random UUID, RFC 9562 version 4.
func randomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
