package appinsights

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

// Logs exports log records as messages. Records of errors become messages too, so
// that one query over messages finds every line.
type Logs struct{ *Sender }

var _ sdklog.Exporter = Logs{}

// Export always returns nil: what cannot be sent now is kept, see [Sender].
func (l Logs) Export(ctx context.Context, records []sdklog.Record) error {
	items := make([]envelope, len(records))
	for i := range records {
		items[i] = l.encoder.record(&records[i])
	}
	l.send(ctx, items)
	return nil
}

func (e encoder) record(r *sdklog.Record) envelope {
	properties := map[string]string{}
	r.WalkAttributes(func(a attribute.KeyValue) bool {
		put(properties, string(a.Key), a.Value.String())
		return true
	})
	at := r.Timestamp()
	if at.IsZero() {
		at = r.ObservedTimestamp()
	}
	operation, span := "", ""
	if r.TraceID().IsValid() {
		operation = r.TraceID().String()
	}
	if r.SpanID().IsValid() {
		span = r.SpanID().String()
	}
	return e.message(r.Resource(), at, operation, span, r.Body().String(), severity(r.Severity()), properties)
}

// severity maps OpenTelemetry's 24 levels to the five of Application Insights.
func severity(s log.Severity) string {
	switch {
	case s >= log.SeverityFatal:
		return "Critical"
	case s >= log.SeverityError:
		return "Error"
	case s >= log.SeverityWarn:
		return "Warning"
	case s >= log.SeverityInfo:
		return "Information"
	}
	return "Verbose"
}
