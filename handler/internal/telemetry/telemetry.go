// Package telemetry lets an operator see the connector at work: spans, metrics and
// log lines, made with OpenTelemetry and sent to Application Insights (package
// appinsights).
//
// It is on where APPLICATIONINSIGHTS_CONNECTION_STRING is set. Where it is not,
// [New] returns nil, and a nil *Telemetry is of full use: its methods do nothing,
// at once, and no part of OpenTelemetry is made. So nobody who reports
// something asks whether there is telemetry.
//
// What is reported is in the words of the connector: an account, a task, a post.
// Secrets are nowhere in it: no headers, no bodies, no queries of URLs (sign-in
// tokens and SAS are in queries).
//
// On the Flex Consumption plan the process stands still between invocations, so
// what is gathered is sent before an invocation is answered, see [Telemetry.Flush].
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"xarchive/handler/internal/logging"
	"xarchive/handler/internal/outbound"
	"xarchive/handler/internal/telemetry/appinsights"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Settings, as the Functions host reads them, too. The connector's own telemetry
// goes where the host's goes.
const (
	ConnectionSetting     = "APPLICATIONINSIGHTS_CONNECTION_STRING"
	AuthenticationSetting = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
)

// Options is what telemetry needs.
type Options struct {
	Getenv func(string) string
	// Log takes what goes wrong with telemetry itself; it is not sent.
	Log *slog.Logger
}

// Telemetry takes reports. A nil one does nothing.
type Telemetry struct {
	tracer  trace.Tracer
	metrics metrics
	traced  budget // of requests

	spans  *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	logs   *sdklog.LoggerProvider
	sender *appinsights.Sender
}

const (
	scope = "xarchive"

	// interval is how often metrics are sent while the process is at work.
	interval = time.Minute

	// queue bounds the spans and log lines that wait to be sent; more are dropped.
	queue = 4096

	// flushTime bounds Flush: the host waits for the invocation's answer.
	flushTime = 5 * time.Second

	// ShutdownTime bounds Shutdown.
	ShutdownTime = 3 * time.Second
)

// New returns telemetry that is sent; nil, without an error, where no connection
// string is set. Nothing is sent yet. Its error says which setting is wrong, and how.
func New(o Options) (*Telemetry, error) {
	text := o.Getenv(ConnectionSetting)
	if text == "" {
		return nil, nil
	}
	connection, err := appinsights.ParseConnection(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ConnectionSetting, err)
	}
	web, err := outbound.New(outbound.Options{CAFile: o.Getenv("SSL_CERT_FILE")})
	if err != nil {
		return nil, err
	}
	credential, err := credential(o.Getenv(AuthenticationSetting), web)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", AuthenticationSetting, err)
	}
	return start(appinsights.New(appinsights.Options{
		Connection: connection, Credential: credential, HTTP: outbound.AllowHosts(web, connection.Endpoint),
		Source: source(o.Getenv), Now: time.Now, Log: o.Log,
	}))
}

// credential is the app's managed identity, or nil where none is asked for.
func credential(text string, web *http.Client) (azcore.TokenCredential, error) {
	how, err := appinsights.ParseAuthentication(text)
	if err != nil || !how.Entra {
		return nil, err
	}
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: web}}
	if how.ClientID != "" {
		options.ID = azidentity.ClientID(how.ClientID)
	}
	return azidentity.NewManagedIdentityCredential(options)
}

// source names this instance as the Functions host names itself, so that both
// are one on the application map.
func source(getenv func(string) string) appinsights.Source {
	s := appinsights.Source{Role: getenv("WEBSITE_SITE_NAME"), Instance: getenv("WEBSITE_INSTANCE_ID")}
	if s.Role == "" {
		s.Role = scope
	}
	if s.Instance == "" {
		s.Instance, _ = os.Hostname() // without one the items say no instance
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		s.Version = build.Main.Version
	}
	return s
}

func start(sender *appinsights.Sender) (*Telemetry, error) {
	nothing := resource.Empty() // appinsights' tags say who sends
	t := &Telemetry{
		sender: sender,
		spans: sdktrace.NewTracerProvider(
			sdktrace.WithResource(nothing),
			// The host's own choice, in traceparent, is not followed: it passes on
			// what a caller from the Internet says, and often says no without meaning it.
			sdktrace.WithSampler(sdktrace.AlwaysSample()),
			sdktrace.WithBatcher(appinsights.Spans{Sender: sender}, sdktrace.WithMaxQueueSize(queue)),
		),
		meters: sdkmetric.NewMeterProvider(
			sdkmetric.WithResource(nothing),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(appinsights.Metrics{Sender: sender}, sdkmetric.WithInterval(interval))),
		),
		logs: sdklog.NewLoggerProvider(
			sdklog.WithResource(nothing),
			sdklog.WithProcessor(sdklog.NewBatchProcessor(appinsights.Logs{Sender: sender}, sdklog.WithMaxQueueSize(queue))),
		),
	}
	t.tracer = t.spans.Tracer(scope)
	var err error
	t.metrics, err = newMetrics(t.meters.Meter(scope))
	return t, err
}

// Logger returns the connector's logger: lines on w, as package logging writes
// them, and those of level info and above to Application Insights, with the ids of
// the trace that they belong to.
func (t *Telemetry) Logger(w io.Writer, level slog.Level) *slog.Logger {
	if t == nil {
		return logging.New(w, level)
	}
	return logging.New(w, level, atLeast{max(level, slog.LevelInfo), otelslog.NewHandler(scope, otelslog.WithLoggerProvider(t.logs))})
}

// atLeast is a handler of lines of a level and above.
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

// Flush sends what is gathered, within 5 seconds, even where ctx has ended. What
// cannot be sent waits for the next time; no error, the connector's work is done.
func (t *Telemetry) Flush(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	t.all(ctx, t.spans.ForceFlush, t.meters.ForceFlush, t.logs.ForceFlush)
}

// Shutdown sends what is gathered, within 3 seconds, and ends. Reports that come
// later are lost.
func (t *Telemetry) Shutdown(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownTime)
	defer cancel()
	t.all(ctx, t.spans.Shutdown, t.meters.Shutdown, t.logs.Shutdown)
}

// all runs the providers' ends side by side. That one ran out of time is no
// news: the sender has said what is wrong.
func (t *Telemetry) all(ctx context.Context, ends ...func(context.Context) error) {
	var group sync.WaitGroup
	for _, end := range ends {
		group.Go(func() { _ = end(ctx) })
	}
	group.Wait()
}

// Check tells, for a person, whether telemetry is set up: where it goes, or that it
// is off. Nothing is sent.
func Check(getenv func(string) string) (says string, err error) {
	text := getenv(ConnectionSetting)
	if text == "" {
		return "Off: " + ConnectionSetting + " is not set.", nil
	}
	connection, err1 := appinsights.ParseConnection(text)
	if err1 != nil {
		err1 = fmt.Errorf("%s: %w", ConnectionSetting, err1)
	}
	how, err2 := appinsights.ParseAuthentication(getenv(AuthenticationSetting))
	if err2 != nil {
		err2 = fmt.Errorf("%s: %w", AuthenticationSetting, err2)
	}
	says = "Goes to " + connection.Endpoint + ", with the instrumentation key."
	if how.Entra {
		says = "Goes to " + connection.Endpoint + ", under the app's identity."
	}
	return says, errors.Join(err1, err2)
}
