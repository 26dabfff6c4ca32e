package telemetry

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// HTTP returns a handler that makes a span of each request and passes it to next.
// The spans hold nothing of queries, headers and bodies. They belong to the trace
// of the request's context, see [Telemetry.Join].
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, started := method(r.Method), time.Now()
		begin := func(ctx context.Context) (context.Context, trace.Span) {
			return t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(started),
				trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("url.path", r.URL.Path)))
		}
		ctx, span := r.Context(), trace.Span(nil)
		if t.traced.take(started) {
			ctx, span = begin(ctx)
		}
		seen := &statusWriter{ResponseWriter: w, status: http.StatusInternalServerError} // unless next panics, this changes
		defer func() {
			if span == nil {
				// An alert counts the answers that say the connector failed. A stranger must
				// not be able to hide them by using the budget up.
				if seen.status < 500 || !t.errors.take(started) {
					return
				}
				_, span = begin(ctx)
			}
			defer span.End()
			if seen.status != http.StatusNotFound { // a path that does not exist must not become a name
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

// method returns an HTTP method, or "_OTHER" for one that a stranger made up.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return m
	}
	return "_OTHER"
}

// statusWriter notes the status of a response.
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

// done sets the status to 200 if none was written.
func (w *statusWriter) done() {
	if !w.wrote {
		w.status, w.wrote = http.StatusOK, true
	}
}

// Unwrap lets http.ResponseController reach the writer within.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// budget bounds the requests that become spans in a minute. Anybody can send
// requests and each span costs money, so without a bound strangers would decide
// what the operator pays.
type budget struct {
	mu     sync.Mutex
	minute time.Time
	used   int
}

const tracedAMinute = 120

// take reports whether a request may become a span.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(b.minute) {
		b.minute, b.used = minute, 0
	}
	b.used++
	return b.used <= tracedAMinute
}
