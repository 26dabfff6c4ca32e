// Package mediaproxy is the way from a program to X's media servers in a sandbox: an
// HTTP forward proxy, for HTTPS_PROXY, that is pbs.twimg.com and video.twimg.com
// itself. It ends their TLS with a certificate of the sandbox's authority and hands
// the requests to a handler.
//
// No connection ever leaves it. What a program tries to reach besides is refused
// (403) and remembered, so that a test can say that nothing was.
package mediaproxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"xarchive/tests/sandbox/certs"
)

// hosts are X's media servers, as a client names them in CONNECT.
var hosts = []string{"pbs.twimg.com:443", "video.twimg.com:443"}

// maxRefused bounds what is remembered of refused requests.
const maxRefused = 1000

// Options says who answers.
type Options struct {
	Port int // on 127.0.0.1; 0 takes a free one

	Authority *certs.Authority
	// Handler answers the requests for media. Host is as the client sent it; URL has
	// path and query only. A long body is best streamed: nothing here gathers it.
	Handler http.Handler
}

// Server is a running proxy. Its methods may be called at once.
type Server struct {
	url   string
	proxy *http.Server // answers CONNECT
	media *http.Server // answers inside
	inner *tunnels

	mu      sync.Mutex
	refused []string
}

// Start serves. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Authority == nil || o.Handler == nil {
		return nil, errors.New("starting the media proxy: Options needs an Authority and a Handler")
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return nil, fmt.Errorf("starting the media proxy: %w", err)
	}
	var names []string
	for _, host := range hosts {
		names = append(names, strings.TrimSuffix(host, ":443"))
	}
	silent := log.New(io.Discard, "", 0) // a client that distrusts the certificate is that client's to report
	s := &Server{
		url:   "http://" + l.Addr().String(),
		inner: &tunnels{conns: make(chan net.Conn), closed: make(chan struct{}), addr: l.Addr()},
	}
	s.proxy = &http.Server{Handler: http.HandlerFunc(s.connect), ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent}
	s.media = &http.Server{
		Handler: s.only(o.Handler), ReadHeaderTimeout: 10 * time.Second, ErrorLog: silent,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{o.Authority.Server(names...)}, MinVersion: tls.VersionTLS12},
	}
	go func() { _ = s.proxy.Serve(l) }()
	go func() { _ = s.media.ServeTLS(s.inner, "", "") }()
	return s, nil
}

// Stop ends serving, open tunnels included.
func (s *Server) Stop() error { return errors.Join(s.proxy.Close(), s.media.Close()) }

// URL is what HTTPS_PROXY is to be: http://127.0.0.1:<port>. NO_PROXY need not name
// loopback addresses: Go never uses a proxy for them.
func (s *Server) URL() string { return s.url }

// Refused lists what was asked for and refused, in order: "CONNECT host:port", or
// method and URL. It keeps the first 1,000.
func (s *Server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

func (s *Server) refuse(w http.ResponseWriter, what string) {
	s.mu.Lock()
	if len(s.refused) < maxRefused {
		s.refused = append(s.refused, what)
	}
	s.mu.Unlock()
	http.Error(w, "the media proxy of the sandbox leads to "+strings.Join(hosts, " and ")+" only", http.StatusForbidden)
}

// connect opens a tunnel: RFC 9110 section 9.3.6.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		s.refuse(w, r.Method+" "+r.URL.String())
		return
	}
	if !slices.Contains(hosts, strings.ToLower(r.Host)) {
		s.refuse(w, "CONNECT "+r.Host)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = conn.SetDeadline(time.Time{}) // what the proxy's server set
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection Established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	s.inner.offer(&tunnel{conn, buffered.Reader})
}

// only lets through requests for the hosts, whatever the tunnel was opened for.
func (s *Server) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(strings.TrimSuffix(r.Host, ":443"))
		if !slices.Contains(hosts, host+":443") {
			s.refuse(w, r.Method+" https://"+r.Host+r.URL.String())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tunnel is a client's connection; the client may have sent some of its TLS
// together with CONNECT.
type tunnel struct {
	net.Conn
	reader *bufio.Reader
}

func (t *tunnel) Read(p []byte) (int, error) { return t.reader.Read(p) }

// tunnels is the listener of the media server.
type tunnels struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
}

func (t *tunnels) offer(c net.Conn) {
	select {
	case t.conns <- c:
	case <-t.closed:
		_ = c.Close()
	}
}

func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

func (t *tunnels) Addr() net.Addr { return t.addr }
