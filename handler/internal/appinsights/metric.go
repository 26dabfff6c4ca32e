package appinsights

import (
	"context"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Metrics exports metrics as deltas, because Application Insights adds them up:
// each item holds what was measured since the last export. A gauge that was not
// set since then is not sent, so an idle process does not repeat an old value.
type Metrics struct{ *Sender }

var _ sdkmetric.Exporter = Metrics{}

// Temporality returns delta for every kind of instrument.
func (m Metrics) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.DeltaTemporality
}

// Aggregation returns the SDK's default, except that histograms have no buckets:
// Application Insights keeps their sum, count, minimum and maximum only.
func (m Metrics) Aggregation(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if kind == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationExplicitBucketHistogram{}
	}
	return sdkmetric.DefaultAggregationSelector(kind)
}

// Export always returns nil: what cannot be sent now is kept, see [Sender].
func (m Metrics) Export(ctx context.Context, measured *metricdata.ResourceMetrics) error {
	var items []envelope
	for _, scope := range measured.ScopeMetrics {
		for _, metric := range scope.Metrics {
			items = append(items, m.encoder.metric(measured.Resource, metric)...)
		}
	}
	m.send(ctx, items)
	return nil
}

func (e encoder) metric(from *resource.Resource, m metricdata.Metrics) []envelope {
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		return values(e, from, m.Name, d.DataPoints)
	case metricdata.Sum[float64]:
		return values(e, from, m.Name, d.DataPoints)
	case metricdata.Gauge[int64]:
		return values(e, from, m.Name, d.DataPoints)
	case metricdata.Gauge[float64]:
		return values(e, from, m.Name, d.DataPoints)
	case metricdata.Histogram[int64]:
		return aggregates(e, from, m.Name, d.DataPoints)
	case metricdata.Histogram[float64]:
		return aggregates(e, from, m.Name, d.DataPoints)
	}
	return nil // exponential histograms and summaries are not supported
}

func values[N int64 | float64](e encoder, from *resource.Resource, name string, points []metricdata.DataPoint[N]) []envelope {
	var items []envelope
	for _, p := range points {
		items = append(items, e.point(from, p.Time, p.Attributes, dataPoint{Name: name, Value: float64(p.Value)})...)
	}
	return items
}

func aggregates[N int64 | float64](e encoder, from *resource.Resource, name string, points []metricdata.HistogramDataPoint[N]) []envelope {
	var items []envelope
	for _, p := range points {
		if p.Count == 0 {
			continue
		}
		count := int(min(p.Count, math.MaxInt32))
		point := dataPoint{Name: name, Kind: "Aggregation", Value: float64(p.Sum), Count: &count}
		if least, ok := p.Min.Value(); ok {
			v := float64(least)
			point.Min = &v
		}
		if greatest, ok := p.Max.Value(); ok {
			v := float64(greatest)
			point.Max = &v
		}
		items = append(items, e.point(from, p.Time, p.Attributes, point)...)
	}
	return items
}

// point returns no item for a value that JSON has no form for.
func (e encoder) point(from *resource.Resource, at time.Time, attributes attribute.Set, p dataPoint) []envelope {
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
		return nil
	}
	p.Name = cut(p.Name, maxName)
	properties := map[string]string{}
	for _, a := range attributes.ToSlice() {
		put(properties, string(a.Key), a.Value.String())
	}
	return []envelope{e.envelope(from, "Metric", "MetricData", at, "", "", metricData{Ver: 2, Metrics: []dataPoint{p}, Properties: properties})}
}
