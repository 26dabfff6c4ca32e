package customhandler

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/logging"
)

// pipes is a listener whose connections are in this process, so that a bubble's clock is
// theirs.
type pipes struct {
	conns chan net.Conn
	ended chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.ended); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowBody: a request whose body comes byte by byte, or not at all, is not waited
// for longer than readTime, whoever sends it. One that is long in being answered, is.
func TestSlowBody(t *testing.T) {
	for name, send := range map[string]func(net.Conn){
		"a byte a second": func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		},
		"silence": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logBuffer
				s := New(Options{Log: logging.New(&log, &log, slog.LevelInfo), HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						time.Sleep(10 * time.Minute)
						if r.Context().Err() != nil {
							t.Error("a request that is being answered was given up")
						}
					}
					_ = r.ParseForm()
				})})
				l := pipes{make(chan net.Conn), make(chan struct{})}
				ctx, end := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- s.serve(ctx, l) }()

				theirs, ours := net.Pipe()
				l.conns <- ours
				began := time.Now()
				go func() {
					_, _ = io.WriteString(theirs, "POST /Configure HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n")
					send(theirs)
				}()
				_, _ = io.Copy(io.Discard, theirs)
				theirs.Close()
				if held := time.Since(began); held > readTime+drainTime+time.Minute {
					t.Errorf("the connection was held for %s", held)
				}

				other, ours := net.Pipe()
				l.conns <- ours
				go func() { _, _ = io.WriteString(other, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
				if answer, err := http.ReadResponse(bufio.NewReader(other), nil); err != nil || answer.StatusCode != 200 {
					t.Errorf("a long answer: %v", err)
				}
				other.Close()
				end()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestLargeHeader: a header of more than maxHeader is refused.
func TestLargeHeader(t *testing.T) {
	r := start(t, never(t))
	if status, _ := r.send(t, "GET", "/setup/Validate", "", "X-Long", strings.Repeat("x", maxHeader/2)); status != 200 {
		t.Errorf("half as long: %d", status)
	}
	if status, _ := r.send(t, "GET", "/setup/Validate", "", "X-Long", strings.Repeat("x", 2*maxHeader)); status != 431 {
		t.Errorf("twice as long: %d", status)
	}
}

// TestTLSOnly: every answer to who came by TLS says that it is to come so again, those of
// this package, too.
func TestTLSOnly(t *testing.T) {
	r := start(t, never(t))
	for _, path := range []string{"/ingest", "/setup/Validate"} {
		for proto, want := range map[string]string{"https": "max-age=31536000", "": ""} {
			req, err := http.NewRequest("GET", "http://"+r.address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if proto != "" {
				req.Header.Set("X-Forwarded-Proto", proto)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Strict-Transport-Security"); got != want {
				t.Errorf("%s by %q: %q, want %q", path, proto, got, want)
			}
		}
	}
}
