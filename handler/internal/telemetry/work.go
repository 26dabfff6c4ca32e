package telemetry

import (
	"context"
	"net/http"

	"xarchive/handler/internal/fault"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Span is a piece of work in progress. The zero Span reports nothing.
type Span struct {
	t    *Telemetry
	span trace.Span
	work string
}

// End ends the work. An error marks it as failed, is counted by its cause (package
// fault), and is recorded as an exception.
func (s Span) End(err error) {
	if s.t == nil {
		return
	}
	if err != nil {
		cause := fault.CauseOf(err)
		s.span.RecordError(err)
		s.span.SetStatus(codes.Error, string(cause))
		s.t.failed(trace.ContextWithSpan(context.Background(), s.span), s.work, cause)
	}
	s.span.End()
}

func (t *Telemetry) begin(ctx context.Context, work string, attributes ...attribute.KeyValue) (context.Context, Span) {
	ctx, span := t.tracer.Start(ctx, work, trace.WithAttributes(attributes...))
	return ctx, Span{t, span, work}
}

// Capture begins a span for the capture of an account. The context it returns
// belongs to the span, which the caller must end.
func (t *Telemetry) Capture(ctx context.Context, jobID, accountID string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "capture", attribute.String("job", jobID), attribute.String("account", accountID))
}

// Task begins a span for an attempt at a task. The context it returns belongs to
// the span, which the caller must end.
func (t *Telemetry) Task(ctx context.Context, jobID, taskID string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "task", attribute.String("job", jobID), attribute.String("task", taskID))
}

// Activity begins a span for telling X which events to send. The context it returns belongs
// to the span, which the caller must end.
func (t *Telemetry) Activity(ctx context.Context) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "activity")
}

// Verify begins a span for the verification of an account's archive in a tick. The context
// it returns belongs to the span, which the caller must end.
func (t *Telemetry) Verify(ctx context.Context, accountID string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.begin(ctx, "verify", attribute.String("account", accountID))
}

// Join returns a context whose spans and log lines belong to the trace that the
// Functions host names in a request's traceparent. A missing or malformed header
// changes nothing.
// https://www.w3.org/TR/trace-context/
func (t *Telemetry) Join(ctx context.Context, h http.Header) context.Context {
	if t == nil {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h))
}

// Tick wraps run, the tick of the timer function of that name, in a span.
func (t *Telemetry) Tick(function string, run func(context.Context) error) func(context.Context) error {
	if t == nil {
		return run
	}
	return func(ctx context.Context) error {
		ctx, span := t.tracer.Start(ctx, function, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		err := run(ctx)
		if err != nil { // the work within has recorded it already
			span.SetStatus(codes.Error, string(fault.CauseOf(err)))
		}
		return err
	}
}
