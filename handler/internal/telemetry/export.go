package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"xarchive/handler/internal/outbound"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Retries of one request of an OTLP exporter. OpenTelemetry's own first pause, 5
// seconds, would take all the time that Flush has.
const (
	firstPause   = 300 * time.Millisecond
	longestPause = 3 * time.Second
	retryTime    = 30 * time.Second
	requestTime  = 10 * time.Second
)

// open adds the target's exporter, one of OpenTelemetry's own, to the destinations.
func (t target) open(to *destinations, web *http.Client, log *slog.Logger) error {
	ctx := context.Background()
	client := *outbound.AllowHosts(web, t.url)
	client.Timeout = requestTime
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w := &watch{base: client.Transport, to: t.url, log: log}
	client.Transport = w
	switch t.signal {
	case "traces":
		e, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(t.url), otlptracehttp.WithHeaders(t.headers), otlptracehttp.WithHTTPClient(&client),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: firstPause, MaxInterval: longestPause, MaxElapsedTime: retryTime}))
		if err != nil {
			return err
		}
		to.spans = append(to.spans, watchedSpans{e, w})
	case "metrics":
		e, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(t.url), otlpmetrichttp.WithHeaders(t.headers), otlpmetrichttp.WithHTTPClient(&client),
			otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: firstPause, MaxInterval: longestPause, MaxElapsedTime: retryTime}))
		if err != nil {
			return err
		}
		to.metrics = append(to.metrics, watchedMetrics{e, w})
	case "logs":
		e, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(t.url), otlploghttp.WithHeaders(t.headers), otlploghttp.WithHTTPClient(&client),
			otlploghttp.WithRetry(otlploghttp.RetryConfig{Enabled: true, InitialInterval: firstPause, MaxInterval: longestPause, MaxElapsedTime: retryTime}))
		if err != nil {
			return err
		}
		to.logs = append(to.logs, watchedLogs{e, w})
	}
	return nil
}

// watch logs that a target's problem began, changed or ended. The exporters' own
// errors would be printed each time by OpenTelemetry, with the collector's whole
// answer in them.
type watch struct {
	base   http.RoundTripper
	to     string // URL
	log    *slog.Logger
	status atomic.Int64 // of the last answer

	mu      sync.Mutex
	problem string // the last one logged; "" if there is none
}

func (w *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(r)
	if err == nil {
		w.status.Store(int64(resp.StatusCode))
	}
	return resp, err
}

// exported notes how an export ended.
func (w *watch) exported(ctx context.Context, err error) {
	problem := w.reason(err)
	w.mu.Lock()
	before := w.problem
	w.problem = problem
	w.mu.Unlock()
	switch {
	case problem == before:
	case problem == "":
		w.log.InfoContext(ctx, "telemetry is sent again", "to", w.to)
	default:
		w.log.WarnContext(ctx, "telemetry cannot be sent", "to", w.to, "reason", problem)
	}
}

func (w *watch) reason(err error) string {
	var unreachable *url.Error
	status := w.status.Load()
	switch {
	case err == nil:
		return ""
	case errors.As(err, &unreachable):
		return "the collector cannot be reached: " + unreachable.Err.Error()
	case status < 200 || status > 299:
		return fmt.Sprintf("the collector returns status %d", status)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "the time for sending is over"
	}
	return "the collector takes only a part, or its answer cannot be read"
}

type watchedSpans struct {
	sdktrace.SpanExporter
	watch *watch
}

func (e watchedSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.watch.exported(ctx, e.SpanExporter.ExportSpans(ctx, spans))
	return nil
}

type watchedMetrics struct {
	sdkmetric.Exporter
	watch *watch
}

func (e watchedMetrics) Export(ctx context.Context, measured *metricdata.ResourceMetrics) error {
	e.watch.exported(ctx, e.Exporter.Export(ctx, measured))
	return nil
}

type watchedLogs struct {
	sdklog.Exporter
	watch *watch
}

func (e watchedLogs) Export(ctx context.Context, records []sdklog.Record) error {
	e.watch.exported(ctx, e.Exporter.Export(ctx, records))
	return nil
}
