package appinsights

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Spans exports spans: those of kind server and consumer as requests, all others
// as dependencies. Recorded errors become exceptions, other events messages.
type Spans struct{ *Sender }

var _ sdktrace.SpanExporter = Spans{}

// ExportSpans always returns nil: what cannot be sent now is kept, see [Sender].
func (s Spans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	var items []envelope
	for _, span := range spans {
		items = append(items, s.encoder.span(span)...)
	}
	s.send(ctx, items)
	return nil
}

// Attributes of OpenTelemetry's conventions that items have members of their own for.
// https://opentelemetry.io/docs/specs/semconv/http/http-spans/
const (
	httpStatus = attribute.Key("http.response.status_code")
	urlPath    = attribute.Key("url.path")
	urlFull    = attribute.Key("url.full")
	serverName = attribute.Key("server.address")
)

func (e encoder) span(span sdktrace.ReadOnlySpan) []envelope {
	own, from := span.SpanContext(), span.Resource()
	operation, id := own.TraceID().String(), own.SpanID().String()
	parent := ""
	if span.Parent().SpanID().IsValid() {
		parent = span.Parent().SpanID().String()
	}
	known, properties := map[attribute.Key]string{}, map[string]string{}
	for _, a := range span.Attributes() {
		switch a.Key {
		case httpStatus, urlPath, urlFull, serverName:
			known[a.Key] = a.Value.String()
		default:
			put(properties, string(a.Key), a.Value.String())
		}
	}
	failed := span.Status().Code == codes.Error
	if failed && span.Status().Description != "" {
		put(properties, "error", span.Status().Description)
	}
	code := known[httpStatus]
	if n, err := strconv.Atoi(code); err == nil {
		failed = failed || n >= 400
	} else if code = "0"; failed {
		code = "1"
	}
	took, name := duration(span.EndTime().Sub(span.StartTime())), cut(span.Name(), maxName)

	var item envelope
	if kind := span.SpanKind(); kind == trace.SpanKindServer || kind == trace.SpanKindConsumer {
		item = e.envelope(from, "Request", "RequestData", span.StartTime(), operation, parent, requestData{
			Ver: 2, ID: id, Name: name, Duration: took, Success: !failed, ResponseCode: code,
			URL: cut(known[urlPath], maxURL), Properties: properties})
		item.Tags["ai.operation.name"] = name
	} else {
		what := "InProc"
		if kind == trace.SpanKindClient {
			what = "HTTP"
		}
		item = e.envelope(from, "RemoteDependency", "RemoteDependencyData", span.StartTime(), operation, parent, remoteDependencyData{
			Ver: 2, ID: id, Name: name, Duration: took, Success: !failed, ResultCode: code,
			Type: what, Target: cut(known[serverName], maxName), Data: cut(known[urlFull], maxProperty), Properties: properties})
	}
	items := []envelope{item}
	for _, event := range span.Events() {
		items = append(items, e.event(from, event, operation, id))
	}
	return items
}

// event returns an exception for an error that the span recorded, a message for
// any other event.
func (e encoder) event(from *resource.Resource, event sdktrace.Event, operation, span string) envelope {
	details := exceptionDetails{TypeName: "error"}
	properties := map[string]string{}
	for _, a := range event.Attributes {
		switch text := a.Value.String(); a.Key {
		case "exception.type":
			details.TypeName = cut(text, maxName)
		case "exception.message":
			details.Message = cut(text, maxMessage)
		case "exception.stacktrace":
			details.Stack, details.HasFullStack = cut(text, maxMessage), true
		default:
			put(properties, string(a.Key), text)
		}
	}
	if event.Name == "exception" {
		return e.envelope(from, "Exception", "ExceptionData", event.Time, operation, span, exceptionData{
			Ver: 2, Exceptions: []exceptionDetails{details}, SeverityLevel: "Error", Properties: properties})
	}
	return e.message(from, event.Time, operation, span, event.Name, "Information", properties)
}

func (e encoder) message(from *resource.Resource, at time.Time, operation, span, text, severity string, properties map[string]string) envelope {
	return e.envelope(from, "Message", "MessageData", at, operation, span, messageData{
		Ver: 2, Message: cut(text, maxMessage), SeverityLevel: severity, Properties: properties})
}
