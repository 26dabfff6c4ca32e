package appinsights

import (
	"context"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Metrics exports metrics. They are deltas: each item holds what was measured
// since the last, as ingestion sums up. A gauge that nobody set since is not
// sent, so an instance that is no longer at work repeats no old value.
type Metrics struct{ *Sender }

var _ sdkmetric.Exporter = Metrics{}

// Temporality is always delta.
func (m Metrics) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.DeltaTemporality
}

// Aggregation is the SDK's own choice, but for histograms: ingestion keeps sum,
// count, least and greatest, and no buckets.
func (m Metrics) Aggregation(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if kind == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationExplicitBucketHistogram{}
	}
	return sdkmetric.DefaultAggregationSelector(kind)
}

// Export never fails: what cannot be sent now waits, see [Sender].
func (m Metrics) Export(ctx context.Context, measured *metricdata.ResourceMetrics) error {
	var items []envelope
	for _, scope := range measured.ScopeMetrics {
		for _, metric := range scope.Metrics {
			items = append(items, m.encoder.metric(metric)...)
		}
	}
	m.send(ctx, items)
	return nil
}

func (e encoder) metric(m metricdata.Metrics) []envelope {
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		return values(e, m.Name, d.DataPoints)
	case metricdata.Sum[float64]:
		return values(e, m.Name, d.DataPoints)
	case metricdata.Gauge[int64]:
		return values(e, m.Name, d.DataPoints)
	case metricdata.Gauge[float64]:
		return values(e, m.Name, d.DataPoints)
	case metricdata.Histogram[int64]:
		return aggregates(e, m.Name, d.DataPoints)
	case metricdata.Histogram[float64]:
		return aggregates(e, m.Name, d.DataPoints)
	}
	return nil // the connector has no others
}

func values[N int64 | float64](e encoder, name string, points []metricdata.DataPoint[N]) []envelope {
	var items []envelope
	for _, p := range points {
		items = append(items, e.point(p.Time, p.Attributes, dataPoint{Name: name, Value: float64(p.Value)})...)
	}
	return items
}

func aggregates[N int64 | float64](e encoder, name string, points []metricdata.HistogramDataPoint[N]) []envelope {
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
		items = append(items, e.point(p.Time, p.Attributes, point)...)
	}
	return items
}

// point is nothing for a value that JSON cannot write.
func (e encoder) point(at time.Time, attributes attribute.Set, p dataPoint) []envelope {
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
		return nil
	}
	p.Name = cut(p.Name, maxName)
	properties := map[string]string{}
	for _, a := range attributes.ToSlice() {
		put(properties, string(a.Key), a.Value.String())
	}
	return []envelope{e.envelope("Metric", "MetricData", at, "", "", metricData{Ver: 2, Metrics: []dataPoint{p}, Properties: properties})}
}
