package telemetry

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Span is a piece of work under way. The zero Span reports nothing.
type Span struct {
	t    *Telemetry
	span trace.Span
	ctx  context.Context
	what string
}

// End ends the work. An error makes it a failed one, is counted by its cause,
// and is kept as an exception.
func (s Span) End(err error) {
	if s.t == nil {
		return
	}
	if err != nil {
		s.span.RecordError(err)
		s.span.SetStatus(codes.Error, Cause(err))
		s.t.failed(s.ctx, s.what, err)
	}
	s.span.End()
}

func (t *Telemetry) start(ctx context.Context, what string, attributes ...attribute.KeyValue) (context.Context, Span) {
	ctx, span := t.tracer.Start(ctx, what, trace.WithAttributes(attributes...))
	return ctx, Span{t, span, ctx, what}
}

// Capture begins the capture of an account.
func (t *Telemetry) Capture(ctx context.Context, jobID, accountID string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.start(ctx, "capture", attribute.String("job", jobID), attribute.String("account", accountID))
}

// Task begins an attempt at a task.
func (t *Telemetry) Task(ctx context.Context, jobID, taskID string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.start(ctx, "task", attribute.String("job", jobID), attribute.String("task", taskID))
}

// Join returns a context whose spans and log lines belong to the trace that the
// Functions host names in a request's traceparent. A header that is missing or
// malformed changes nothing.
// https://www.w3.org/TR/trace-context/
func (t *Telemetry) Join(ctx context.Context, h http.Header) context.Context {
	if t == nil {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h))
}

// Tick returns run as the tick of the timer function of that name.
func (t *Telemetry) Tick(function string, run func(context.Context) error) func(context.Context) error {
	if t == nil {
		return run
	}
	return func(ctx context.Context) error {
		ctx, span := t.tracer.Start(ctx, function, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		err := run(ctx)
		if err != nil { // what failed within has said so itself
			span.SetStatus(codes.Error, Cause(err))
		}
		return err
	}
}

// HTTP returns next, each call of which is a span. Queries, headers and bodies are
// not looked at. It counts on Join.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !t.traced.take(time.Now()) {
			next.ServeHTTP(w, r)
			return
		}
		method := method(r.Method)
		ctx, span := t.tracer.Start(r.Context(), method, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("url.path", r.URL.Path)))
		defer span.End()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusInternalServerError} // of a panic
		defer func() {
			if seen.status != http.StatusNotFound { // strangers' paths are not names
				span.SetName(method + " " + r.URL.Path)
			}
			span.SetAttributes(attribute.Int("http.response.status_code", seen.status))
			if seen.status >= 500 {
				span.SetStatus(codes.Error, "")
			}
		}()
		next.ServeHTTP(seen, r.WithContext(ctx))
		seen.done()
	})
}

// method is an HTTP method as a word of a small vocabulary.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return m
	}
	return "_OTHER"
}

// statusWriter sees an answer's status.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote && status >= 200 {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.done()
	return w.ResponseWriter.Write(b)
}

// done: without a status it is 200.
func (w *statusWriter) done() {
	if !w.wrote {
		w.status, w.wrote = http.StatusOK, true
	}
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// budget lets so many requests a minute be spans. Anybody can send requests, and
// each span costs: no stranger decides what the operator pays. Failures are
// counted and logged all the same.
type budget struct {
	mu     sync.Mutex
	minute time.Time
	used   int
}

const tracedAMinute = 120

func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(b.minute) {
		b.minute, b.used = minute, 0
	}
	b.used++
	return b.used <= tracedAMinute
}

// Outbound returns a client like hc, each call of which is a span, named by method,
// host and the path's fixed parts. The trace is not passed on to whom is called.
func (t *Telemetry) Outbound(hc *http.Client) *http.Client {
	if t == nil {
		return hc
	}
	traced := *hc
	if traced.Transport == nil {
		traced.Transport = http.DefaultTransport
	}
	traced.Transport = transport{t, traced.Transport}
	return &traced
}

type transport struct {
	t    *Telemetry
	base http.RoundTripper
}

func (o transport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Hostname()
	path := template(r.URL.Path)
	_, span := o.t.tracer.Start(r.Context(), r.Method+" "+host+path, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("server.address", host),
			attribute.String("url.full", r.URL.Scheme+"://"+r.URL.Host+path)))
	defer span.End() // when the answer begins
	resp, err := o.base.RoundTrip(r)
	if err != nil {
		span.SetStatus(codes.Error, reason(err))
		return resp, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if left := resp.Header.Get("x-rate-limit-remaining"); left != "" {
		span.SetAttributes(attribute.String("x-rate-limit-remaining", left))
	}
	if resp.StatusCode >= 400 {
		span.SetStatus(codes.Error, "")
	}
	return resp, nil
}

// reason words why there was no answer, without the URL that Go's errors hold.
func reason(err error) string {
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return "timeout"
	}
	return "no answer"
}

// varying are the parts of a path that name one thing among many: ids, files.
var varying = regexp.MustCompile(`/[^/]*[0-9]{3}[^/]*|/[^/]*\.[^/]*|/[^/]{40,}`)

// template is a path with its varying parts left out.
func template(path string) string {
	if path == "" || path == "/" {
		return ""
	}
	return varying.ReplaceAllString(path, "/*")
}
