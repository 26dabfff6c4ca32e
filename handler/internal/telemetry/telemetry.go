// Package telemetry shows an operator what the connector does: spans, metrics and
// log lines, made with OpenTelemetry and sent to Application Insights (package
// appinsights), by OTLP, or to both.
//
// Settings switch it on, see [New]. Without them New returns nil, and every method
// of a nil *Telemetry does nothing and costs nothing, so callers never ask whether
// telemetry is on.
//
// Reports use the connector's words: an account, a task, a post. They hold no
// secrets: no headers, no bodies, and no queries of URLs, because queries carry
// sign-in tokens and SAS.
//
// On the Flex Consumption plan the process is frozen between invocations, so
// reports are sent before an invocation is answered, see [Telemetry.Flush].
package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"xarchive/handler/internal/logging"
	"xarchive/handler/internal/outbound"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options is what telemetry needs.
type Options struct {
	// Getenv returns a setting. OpenTelemetry's exporters read further OTEL_ settings
	// from the environment of the process themselves.
	Getenv func(string) string
	// Version is the connector's.
	Version string
	// Log takes what goes wrong with telemetry itself. It must not lead back to
	// telemetry.
	Log *slog.Logger
}

// Telemetry takes reports. A nil one does nothing.
type Telemetry struct {
	tracer   trace.Tracer
	metrics  metrics
	lines    *sdklog.LoggerProvider
	traced   budget // of requests
	errors   budget // of requests that fail here, beyond those
	insights bool
	pipes    []pipe
}

// pipe is what leads one kind of telemetry to one destination.
type pipe interface {
	ForceFlush(context.Context) error
	Shutdown(context.Context) error
}

const (
	scope = "xarchive"

	// interval is how often metrics are sent while the process runs.
	interval = time.Minute

	// queue bounds the spans and log lines that wait in a pipe; further ones are
	// dropped.
	queue = 4096

	// flushTime bounds Flush: the host waits for the answer to the invocation.
	flushTime = 5 * time.Second

	// shutdownTime bounds Shutdown: the host kills a process that does not end.
	shutdownTime = 3 * time.Second
)

// New returns telemetry for the destinations that the settings name:
// APPLICATIONINSIGHTS_CONNECTION_STRING, OTEL_EXPORTER_OTLP_ENDPOINT and the
// settings that go with them. If they name none, it returns nil. It sends nothing
// yet.
//
// Its error says which settings are faulty, and how. The returned telemetry works
// even then, with the destinations that are not faulty; it is nil if there are none.
func New(o Options) (*Telemetry, error) {
	settings, faults := readSettings(o.Getenv)
	if settings.azure == nil && len(settings.otlp) == 0 {
		return nil, faults
	}
	web, err := outbound.New(outbound.Options{CAFile: o.Getenv("SSL_CERT_FILE")})
	if err != nil {
		return nil, errors.Join(faults, err)
	}
	from, err := identity(o.Getenv, o.Version)
	faults = errors.Join(faults, err)
	to, err := open(settings, o.Version, web, o.Log)
	faults = errors.Join(faults, err)
	if to.none() {
		return nil, faults
	}
	t, err := start(to, from)
	return t, errors.Join(faults, err)
}

// destinations are where telemetry goes, by kind.
type destinations struct {
	spans   []sdktrace.SpanExporter
	metrics []sdkmetric.Exporter
	logs    []sdklog.Exporter

	insights bool // whether Application Insights is among them
}

func (d destinations) none() bool { return len(d.spans)+len(d.metrics)+len(d.logs) == 0 }

// start gives each destination a queue of its own, so that one which does not
// answer delays no other.
func start(to destinations, from *resource.Resource) (*Telemetry, error) {
	t := &Telemetry{insights: to.insights}
	// The host's choice of what to sample, in traceparent, is ignored: it repeats what
	// a caller from the Internet says, and often says no without meaning it.
	spans := []sdktrace.TracerProviderOption{sdktrace.WithResource(from), sdktrace.WithSampler(sdktrace.AlwaysSample())}
	for _, e := range to.spans {
		p := sdktrace.NewBatchSpanProcessor(e, sdktrace.WithMaxQueueSize(queue))
		spans, t.pipes = append(spans, sdktrace.WithSpanProcessor(p)), append(t.pipes, p)
	}
	metrics := []sdkmetric.Option{sdkmetric.WithResource(from)}
	for _, e := range to.metrics {
		p := sdkmetric.NewPeriodicReader(e, sdkmetric.WithInterval(interval))
		metrics, t.pipes = append(metrics, sdkmetric.WithReader(p)), append(t.pipes, p)
	}
	logs := []sdklog.LoggerProviderOption{sdklog.WithResource(from)}
	for _, e := range to.logs {
		p := sdklog.NewBatchProcessor(e, sdklog.WithMaxQueueSize(queue))
		logs, t.pipes = append(logs, sdklog.WithProcessor(p)), append(t.pipes, p)
	}
	t.tracer = sdktrace.NewTracerProvider(spans...).Tracer(scope)
	t.lines = sdklog.NewLoggerProvider(logs...)
	var err error
	t.metrics, err = newMetrics(sdkmetric.NewMeterProvider(metrics...).Meter(scope))
	return t, err
}

// Logger returns the connector's logger. It writes lines to stdout and stderr as
// package logging does, and sends those of level INFO and above as telemetry, with
// the ids of the trace that they belong to.
//
// The Functions host copies what is written to Application Insights, stderr as errors
// (host.json keeps stdout out of it). So that no line is there twice, all of them go
// to stdout where they are sent to Application Insights anyway, and stderr is left to
// what is said before and after, and by Go itself when the process crashes.
func (t *Telemetry) Logger(stdout, stderr io.Writer, level slog.Level) *slog.Logger {
	if t == nil {
		return logging.New(stdout, stderr, level)
	}
	if t.insights {
		stderr = stdout
	}
	return logging.New(stdout, stderr, level, atLeast{max(level, slog.LevelInfo), otelslog.NewHandler(scope, otelslog.WithLoggerProvider(t.lines))})
}

// atLeast handles lines of a level and above.
type atLeast struct {
	level slog.Level
	slog.Handler
}

func (a atLeast) Enabled(_ context.Context, l slog.Level) bool { return l >= a.level }

func (a atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{a.level, a.Handler.WithAttrs(attrs)}
}

func (a atLeast) WithGroup(name string) slog.Handler {
	return atLeast{a.level, a.Handler.WithGroup(name)}
}

// Flush sends what was reported, within 5 seconds, even if ctx has ended. It
// returns no error, because the connector's work does not depend on telemetry.
func (t *Telemetry) Flush(ctx context.Context) {
	if t == nil {
		return
	}
	t.each(ctx, flushTime, pipe.ForceFlush)
}

// Shutdown sends what was reported, within 3 seconds, even if ctx has ended. Later
// reports are dropped.
func (t *Telemetry) Shutdown(ctx context.Context) {
	if t == nil {
		return
	}
	t.each(ctx, shutdownTime, pipe.Shutdown)
}

// each ends or flushes all pipes at the same time. Their errors are not needed:
// the exporters log what is wrong.
func (t *Telemetry) each(ctx context.Context, limit time.Duration, do func(pipe, context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	var group sync.WaitGroup
	for _, p := range t.pipes {
		group.Go(func() { _ = do(p, ctx) })
	}
	group.Wait()
}
