// Package openid runs a real OpenID provider in place of Microsoft Entra: npm's oidc-provider,
// which the OpenID Foundation has certified, with an issuer, claims and people as Entra's. It
// has a tenant, one app, and one page on which people say who they are.
// https://github.com/panva/node-oidc-provider
//
// It is pinned by tests/package-lock.json and installed into tests/node_modules by `make
// test`. TLS ends in this package, which can also be [Server.Down], and change what ID
// tokens say ([Server.Change]): the provider itself makes no wrong ones.
package openid

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"xarchive/tests/sandbox/azurite"
	"xarchive/tests/sandbox/process"

	"github.com/go-jose/go-jose/v4"
)

// Person is somebody of the tenant.
type Person struct {
	User     string   `json:"user"` // user principal name
	Name     string   `json:"name"`
	ObjectID string   `json:"objectId"`
	Roles    []string `json:"roles,omitempty"` // of the app
}

// The people of a tenant, where tests need no others.
var (
	Ada   = Person{"ada@contoso.example", "Ada Admin", "a0000000-0000-4000-8000-000000000001", []string{"Administrator", "Other"}}
	Rita  = Person{"rita@contoso.example", "Rita Records", "a0000000-0000-4000-8000-000000000002", []string{"Reader"}}
	Norma = Person{"norma@contoso.example", "Norma Nobody", "a0000000-0000-4000-8000-000000000003", nil}
)

// Options says what the provider knows.
type Options struct {
	Certificate  tls.Certificate // for localhost
	TenantID     string
	ClientID     string
	ClientSecret string
	RedirectURIs []string
	People       []Person
}

// Server is a running provider. Its methods may be called at once.
type Server struct {
	url    string
	tenant string
	child  *process.Child
	front  *http.Server
	key    *rsa.PrivateKey

	mu     sync.Mutex
	down   bool
	change func(claims map[string]any)
	tokens int // times that a code was to be exchanged
}

const kid = "of the tenant"

// Start runs the provider and returns when it answers. ctx bounds the start only.
func Start(ctx context.Context, o Options) (s *Server, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the OpenID provider: %w", err)
	}
	s = &Server{url: fmt.Sprintf("https://127.0.0.1:%d", listener.Addr().(*net.TCPAddr).Port), tenant: o.TenantID}
	inner, err := s.run(ctx, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the OpenID provider: %w", err), listener.Close())
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(inner)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ModifyResponse: s.rewrite, ErrorLog: log.New(io.Discard, "", 0),
	}
	s.front = &http.Server{Handler: s.available(proxy), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{o.Certificate}, MinVersion: tls.VersionTLS12}}
	go func() { _ = s.front.ServeTLS(listener, "", "") }() // ends at Close
	return s, nil
}

var listens = regexp.MustCompile(`listens on (127\.0\.0\.1:[0-9]+)`)

// run starts Node.js and returns where the provider listens.
func (s *Server) run(ctx context.Context, o Options) (*url.URL, error) {
	root, err := azurite.Repository()
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("it needs Node.js 20 or newer (https://nodejs.org)")
	}
	if _, err := os.Stat(filepath.Join(root, "tests", "node_modules", "oidc-provider")); err != nil {
		return nil, fmt.Errorf("it is not installed in tests/node_modules: run `make test` once in %s, which installs it", root)
	}
	if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	told, err := json.Marshal(map[string]any{
		"origin": s.url, "path": "/" + o.TenantID + "/v2.0", "tenant": o.TenantID, "clientId": o.ClientID, "clientSecret": o.ClientSecret,
		"redirectUris": o.RedirectURIs, "people": o.People, "key": jose.JSONWebKey{Key: s.key, KeyID: kid, Algorithm: "RS256", Use: "sig"}})
	if err != nil {
		return nil, err
	}
	script := filepath.Join(root, "tests", "sandbox", "openid", "provider.mjs")
	s.child, err = process.Start(ctx, process.Command{Name: "the OpenID provider", Path: node, Args: []string{script}, Env: append(os.Environ(), "NODE_OPTIONS=", "OPENID="+string(told))})
	if err != nil {
		return nil, err
	}
	var at string
	err = s.child.WaitReady(ctx, func(context.Context) error {
		said := listens.FindStringSubmatch(s.child.Output())
		if said == nil {
			return errors.New("it does not listen yet")
		}
		at = said[1]
		return nil
	})
	return &url.URL{Scheme: "http", Host: at}, err
}

// Stop ends the provider.
func (s *Server) Stop() error { return errors.Join(s.front.Close(), s.child.Stop()) }

// URL is what AAD_AUTHORITY_URL is to be.
func (s *Server) URL() string { return s.url }

// Down makes every answer a 503, until it is called with false.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Change has ID tokens say something else, signed as they were; nil ends that.
func (s *Server) Change(change func(claims map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = change
}

// Exchanges is how often a code was to be exchanged for a token.
func (s *Server) Exchanges() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

func (s *Server) available(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		down := s.down
		if strings.HasSuffix(r.URL.Path, "/token") {
			s.tokens++
		}
		s.mu.Unlock()
		if down {
			http.Error(w, "The service is unavailable.", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// rewrite changes the ID token in an answer, if that is wanted.
func (s *Server) rewrite(r *http.Response) error {
	s.mu.Lock()
	change := s.change
	s.mu.Unlock()
	if change == nil || !strings.HasSuffix(r.Request.URL.Path, "/token") || r.StatusCode != http.StatusOK {
		return nil
	}
	var answer map[string]any
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return err
	}
	text, _ := answer["id_token"].(string)
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	var claims map[string]any
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &claims); err != nil {
		return err
	}
	change(claims)
	if answer["id_token"], err = s.sign(claims); err != nil {
		return err
	}
	body, err := json.Marshal(answer)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return err
}

func (s *Server) sign(claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: s.key, KeyID: kid}}, nil)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// SignIn is somebody in front of the provider's page, come by an address of the connector's:
// it returns where the provider sends the browser back to. "" for user cancels. hc must
// trust the provider's certificate.
func (s *Server) SignIn(ctx context.Context, hc *http.Client, address, user string) (back string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Transport: hc.Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	method, body := http.MethodGet, ""
	for range 10 {
		req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := browser.Do(req)
		if err != nil {
			return "", fmt.Errorf("signing in at the OpenID provider: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
		_ = answer.Body.Close()
		if err != nil {
			return "", err
		}
		next, err := answer.Location()
		switch {
		case err == nil && !strings.HasPrefix(next.String(), s.url+"/"):
			return next.String(), nil
		case err == nil:
			method, body, address = http.MethodGet, "", next.String()
		case answer.StatusCode == http.StatusOK && method == http.MethodGet: // its page
			method, body = http.MethodPost, url.Values{"user": {user}}.Encode()
		default:
			return "", fmt.Errorf("the OpenID provider answers %d: %.1000s", answer.StatusCode, text)
		}
	}
	return "", errors.New("the OpenID provider leads in circles")
}
