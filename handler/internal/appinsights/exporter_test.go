package appinsights

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/appinsights/ingestiontest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func TestSpans(t *testing.T) {
	w := newWorld(t)
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(from), sdktrace.WithSyncer(Spans{w.sender}))
	tracer := provider.Tracer("test")
	began := time.Now()
	ctx, request := tracer.Start(t.Context(), "GET /setup/Validate", trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(began),
		trace.WithAttributes(attribute.String("url.path", "/setup/Validate"), attribute.Int("http.response.status_code", 503), attribute.String("job", "j1")))
	_, call := tracer.Start(ctx, "GET api.x.com", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("server.address", "api.x.com"), attribute.String("url.full", "https://api.x.com/2"), attribute.Int("http.response.status_code", 200)))
	call.End()
	_, work := tracer.Start(ctx, "capture", trace.WithAttributes(attribute.String("long", strings.Repeat("é", 9000)), attribute.String("bad", "a\xffb")))
	work.RecordError(errors.New("the disk is full"))
	work.AddEvent("half way")
	work.SetStatus(codes.Error, "storage")
	work.End()
	request.End(trace.WithTimestamp(began.Add(26*time.Hour + 3*time.Minute + 4*time.Second + 5*time.Microsecond)))

	requests, calls := w.Of("RequestData"), w.Of("RemoteDependencyData")
	if len(requests) != 1 || len(calls) != 2 || len(w.Of("ExceptionData")) != 1 || len(w.Of("MessageData")) != 1 {
		t.Fatalf("%+v", w.Items())
	}
	r := requests[0]
	operation, id := request.SpanContext().TraceID().String(), request.SpanContext().SpanID().String()
	if r.Tags["ai.operation.id"] != operation || r.Tags["ai.operation.parentId"] != "" || r.Tags["ai.cloud.role"] != "connector" || r.Tags["ai.cloud.roleInstance"] != "i1" || r.Tags["ai.application.ver"] != "v1" || r.Tags["ai.internal.sdkVersion"] != "test:v1" {
		t.Errorf("%+v", r.Tags)
	}
	if r.Base["id"] != id || r.Base["name"] != "GET /setup/Validate" || r.Base["duration"] != "01.02:03:04.000005" || r.Base["success"] != false ||
		r.Base["responseCode"] != "503" || r.Base["url"] != "/setup/Validate" || r.Property("job") != "j1" {
		t.Errorf("%s", r.Raw)
	}
	for _, c := range calls {
		if c.Tags["ai.operation.id"] != operation || c.Tags["ai.operation.parentId"] != id {
			t.Errorf("%+v", c.Tags)
		}
	}
	if c := calls[0]; c.Base["type"] != "HTTP" || c.Base["target"] != "api.x.com" || c.Base["data"] != "https://api.x.com/2" || c.Base["resultCode"] != "200" || c.Base["success"] != true {
		t.Errorf("%s", c.Raw)
	}
	if c := calls[1]; c.Base["type"] != "InProc" || c.Base["success"] != false || c.Property("error") != "storage" || c.Property("bad") != "a\uFFFDb" {
		t.Errorf("%.300s", c.Raw)
	}
	e := w.Of("ExceptionData")[0]
	if !strings.Contains(e.Raw, "the disk is full") || e.Tags["ai.operation.parentId"] != work.SpanContext().SpanID().String() {
		t.Errorf("%s", e.Raw)
	}
}

func TestLogs(t *testing.T) {
	w := newWorld(t)
	logger := sdklog.NewLoggerProvider(sdklog.WithResource(from), sdklog.WithProcessor(sdklog.NewSimpleProcessor(Logs{w.sender}))).Logger("test")
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "work")
	for severity, want := range map[log.Severity]string{
		log.SeverityDebug: "Verbose", log.SeverityInfo: "Information", log.SeverityWarn: "Warning", log.SeverityError: "Error", log.SeverityFatal: "Critical",
	} {
		var record log.Record
		record.SetBody(attribute.StringValue("message of " + want))
		record.SetSeverity(severity)
		record.SetTimestamp(time.Now())
		record.AddAttributes(attribute.Bool("captureFailed", false), attribute.Int("posts", 3))
		logger.Emit(ctx, record)
		items := w.Of("MessageData")
		m := items[len(items)-1]
		if m.Base["message"] != "message of "+want || m.Base["severityLevel"] != want || m.Property("captureFailed") != "false" || m.Property("posts") != "3" {
			t.Errorf("%s", m.Raw)
		}
		if m.Tags["ai.operation.id"] != span.SpanContext().TraceID().String() || m.Tags["ai.operation.parentId"] != span.SpanContext().SpanID().String() {
			t.Errorf("%+v", m.Tags)
		}
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithResource(from), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(Metrics{w.sender}, sdkmetric.WithInterval(time.Hour))))
	defer provider.Shutdown(t.Context())
	meter := provider.Meter("test")
	counter, _ := meter.Int64Counter("count")
	gauge, _ := meter.Float64Gauge("gauge")
	histogram, _ := meter.Float64Histogram("histogram")
	counter.Add(t.Context(), 2, metric.WithAttributes(attribute.String("kind", "Tweet")))
	counter.Add(t.Context(), 3, metric.WithAttributes(attribute.String("kind", "Reply")))
	gauge.Record(t.Context(), 7)
	gauge.Record(t.Context(), 8.5)
	histogram.Record(t.Context(), 1)
	histogram.Record(t.Context(), 5)
	flush := func() map[string]map[string]any {
		t.Helper()
		before := len(w.Items())
		if err := provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		points := map[string]map[string]any{}
		for _, i := range w.Items()[before:] {
			points[i.Metric()["name"].(string)+i.Property("kind")] = i.Metric()
		}
		return points
	}
	first := flush()
	if len(first) != 4 || first["countTweet"]["value"] != 2.0 || first["countReply"]["value"] != 3.0 || first["gauge"]["value"] != 8.5 {
		t.Errorf("%v", first)
	}
	if h := first["histogram"]; h["value"] != 6.0 || h["count"] != 2.0 || h["min"] != 1.0 || h["max"] != 5.0 || h["kind"] != "Aggregation" {
		t.Errorf("%v", h)
	}
	// Nothing was measured since: nothing is sent, and old gauges are not repeated.
	if again := flush(); len(again) != 0 {
		t.Errorf("%v", again)
	}
	counter.Add(t.Context(), 4, metric.WithAttributes(attribute.String("kind", "Tweet")))
	gauge.Record(t.Context(), math.Inf(1)) // JSON has no such number
	if third := flush(); len(third) != 1 || third["countTweet"]["value"] != 4.0 {
		t.Errorf("not a delta: %v", third)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "00.00:00:00.000000", 1500 * time.Millisecond: "00.00:00:01.500000", 999 * time.Nanosecond: "00.00:00:00.000000",
		2000 * 24 * time.Hour: "999.23:59:59.999999",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// from is the resource that says who sends.
var from = resource.NewSchemaless(attribute.String("service.name", "connector"), attribute.String("service.instance.id", "i1"), attribute.String("service.version", "v1"))

// world is a sender with its server.
type world struct {
	*ingestiontest.Server
	sender *Sender
	log    *strings.Builder
	now    time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{Server: ingestiontest.Start(t), log: &strings.Builder{}, now: time.Now()}
	connection, err := ParseConnection(w.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	w.sender = newSender(Options{Connection: connection, HTTP: w.Client(), Product: "test", Version: "v1",
		Now: func() time.Time { return w.now }, Log: newLog(w.log)}, time.Millisecond)
	return w
}

// always answers every batch the same.
func (w *world) always(a ingestiontest.Answer) {
	w.SetAnswer(func(int) ingestiontest.Answer { return a })
}

var ok = ingestiontest.Answer{Status: http.StatusOK}
