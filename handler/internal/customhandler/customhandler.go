// Package customhandler speaks the Azure Functions custom handler protocol: the
// Functions host starts this program, waits until it answers HTTP on the port it
// was given, and sends it what triggers its functions.
//
// There are two kinds of request. What reaches an HTTP function is forwarded
// as it came from the Internet, and is handed to the HTTP handler. A timer's tick
// is an invocation: `POST /<FunctionName>` with a JSON envelope, made by the
// host itself. Both arrive on one port, both with the host's own headers, so
// this package's first duty is never to take one for the other.
//
// https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers
package customhandler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"xarchive/handler/internal/logging"
	"xarchive/handler/internal/telemetry"
	"xarchive/handler/internal/web"
)

// Options is what a Server needs.
type Options struct {
	Port int          // on loopback
	HTTP http.Handler // serves every request that is not the host's own
	Log  *slog.Logger

	// Telemetry joins requests with the host's traces, and is flushed before an
	// invocation is answered.
	Telemetry *telemetry.Telemetry

	// Strangers is the log of what is refused to anybody; nil: Log.
	Strangers *slog.Logger
}

// Server answers the Functions host.
type Server struct {
	port  int
	http  http.Handler
	log   *slog.Logger
	telem *telemetry.Telemetry

	strangers *slog.Logger

	timers map[string]timer // by function name
	ending context.Context  // ends when Serve is to end; set by serve
}

type timer struct {
	binding string
	run     func(context.Context, Invocation) (Result, error)
	busy    *atomic.Bool // whether it runs
}

// Invocation is one call of a function by the host.
type Invocation struct {
	ID        string // the host's, as in its own logs; may be empty
	IsPastDue bool   // the tick comes late
}

// Result is what a successful invocation tells the host.
type Result struct {
	Logs []string // lines for the invocation's log
}

// New returns a server. Timers are added before Serve.
func New(o Options) *Server {
	return &Server{port: o.Port, http: o.HTTP, log: o.Log, telem: o.Telemetry, strangers: cmp.Or(o.Strangers, o.Log), timers: map[string]timer{}, ending: context.Background()}
}

// Timer registers the timer function of that name, whose function.json gives its
// trigger the name binding. run's context carries the invocation's id and name
// into log lines and ends when the server is to end or the host hangs up. An
// error or a panic of run fails the invocation: it is logged here, the host
// learns only that it failed.
//
// run never runs twice at once in this process. The host may call it while it
// runs, because a call through the admin API does not wait for the schedule's; such
// an invocation does nothing and succeeds.
func (s *Server) Timer(function, binding string, run func(context.Context, Invocation) (Result, error)) {
	s.timers[function] = timer{binding, run, &atomic.Bool{}}
}

const (
	// grace is how long Serve waits for what is running when it is to end.
	grace = 15 * time.Second

	// readTime is how long a request may take to arrive whole, its body included,
	// whoever sends it. The longest that is asked for is 1 MiB, by way of the host.
	readTime = 30 * time.Second
	// maxHeader bounds a request's header, in bytes; the host takes 32 KiB.
	maxHeader = 64 << 10

	// maxEnvelope bounds an invocation's body, in bytes; a timer's has some hundred.
	maxEnvelope = 1 << 20
)

// Serve listens on 127.0.0.1 and answers until ctx ends. Then it takes no more
// requests, ends the contexts of running invocations, and waits a bounded time
// for everything that runs. Its error is nil after such an end.
func (s *Server) Serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
	if err != nil {
		return fmt.Errorf("listening for the Functions host: %w", err)
	}
	return s.serve(ctx, listener)
}

func (s *Server) serve(ctx context.Context, listener net.Listener) error {
	s.ending = ctx
	server := &http.Server{
		Handler:        s,
		ReadTimeout:    readTime,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(s.strangers.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	s.log.InfoContext(ctx, "listening for the Functions host", "address", listener.Addr().String())
	select {
	case err := <-failed:
		return fmt.Errorf("answering the Functions host: %w", err)
	case <-ctx.Done():
	}
	s.log.InfoContext(ctx, "ending", "grace", grace.String())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("ending: not everything ended within %s: %w", grace, err), server.Close())
	}
	return nil
}

// ServeHTTP runs invocations and passes everything else to the HTTP handler, also the
// `GET /` by which the host finds out that the connector listens: any answer to that
// will do.
//
// Every answer waits until the request's body has been read, see draining.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := &draining{ResponseWriter: w, body: r.Body}
	defer body.drain() // an answer without a body is written after this
	w = body
	if web.Secure(r) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	r = r.WithContext(s.telem.Join(logging.With(r.Context(), "invocation", invocationID(r)), r.Header))
	defer s.recoverPanic(w, r)
	if name, isFunction := s.functionNamed(r.URL.Path); isFunction {
		if reason := refusal(r, name); reason != "" {
			s.strangers.WarnContext(r.Context(), "a request for a function's name is not the host's invocation of it", "reason", reason)
			fail(w, http.StatusNotFound, "There is nothing here.")
			return
		}
		s.invoke(w, r, name)
		return
	}
	s.http.ServeHTTP(w, r)
}

// functionNamed returns the function that a path names in any spelling: any case, with
// needless slashes, encoded. Such a path never reaches the HTTP handler.
func (s *Server) functionNamed(path string) (string, bool) {
	for name := range s.timers {
		if strings.EqualFold(strings.Trim(path, "/"), name) {
			return name, true
		}
	}
	return "", false
}

func (s *Server) recoverPanic(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p) // net/http's own way to cut a connection
	}
	s.log.ErrorContext(r.Context(), "panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
	fail(w, http.StatusInternalServerError, "The connector failed; its log says why.")
}
