package telemetry

import (
	"net"
	"net/http"
	"regexp"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Outbound returns a client like hc that makes a span of each request, named by
// method, host and the fixed parts of the path. The server that is called learns
// nothing of the trace.
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
	defer span.End() // when the response begins
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

// reason says why there was no response, without the URL that Go's errors hold.
func reason(err error) string {
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return "timeout"
	}
	return "no answer"
}

// varying matches the parts of a path that name one thing among many: ids, files.
var varying = regexp.MustCompile(`/[^/]*[0-9]{3}[^/]*|/[^/]*\.[^/]*|/[^/]{40,}`)

// template returns a path with "*" for its varying parts.
func template(path string) string {
	if path == "" || path == "/" {
		return ""
	}
	return varying.ReplaceAllString(path, "/*")
}
