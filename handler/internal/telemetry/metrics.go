package telemetry

import (
	"context"
	"errors"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the connector's. Names and attributes are in docs/operations.md;
// whoever renames one breaks somebody's alert.
type metrics struct {
	posts    metric.Int64Counter
	lag      metric.Float64Gauge
	xBudget  metric.Int64Gauge
	tasks    metric.Float64Histogram
	failures metric.Int64Counter
}

func newMetrics(meter metric.Meter) (m metrics, err error) {
	var errs [5]error
	m.posts, errs[0] = meter.Int64Counter("xarchive.posts.archived", metric.WithUnit("{post}"),
		metric.WithDescription("Posts newly in the archive."))
	m.lag, errs[1] = meter.Float64Gauge("xarchive.lag", metric.WithUnit("s"),
		metric.WithDescription("Time from the end of what is archived of an account without a gap, until now."))
	m.xBudget, errs[2] = meter.Int64Gauge("xarchive.x.budget", metric.WithUnit("{call}"),
		metric.WithDescription("Calls of X left in the present window, as X's last answer says."))
	m.tasks, errs[3] = meter.Float64Histogram("xarchive.task.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from a task's arrival until the Import service has taken its outcome."))
	m.failures, errs[4] = meter.Int64Counter("xarchive.failures", metric.WithUnit("{failure}"),
		metric.WithDescription("Work that failed and is tried again later."))
	return m, errors.Join(errs[:]...)
}

// PostArchived: a post is newly in the archive.
func (t *Telemetry) PostArchived(ctx context.Context, accountID string, kind post.Kind) {
	if t == nil {
		return
	}
	t.metrics.posts.Add(ctx, 1, metric.WithAttributes(attribute.String("account", accountID), attribute.String("kind", string(kind))))
}

// Lag: of an account everything is archived up to covered. The zero time, nothing
// yet, is not reported.
func (t *Telemetry) Lag(ctx context.Context, accountID string, covered, now time.Time) {
	if t == nil || covered.IsZero() {
		return
	}
	t.metrics.lag.Record(ctx, now.Sub(covered).Seconds(), metric.WithAttributes(attribute.String("account", accountID)))
}

// XBudget: X has said how many calls an account has left. An answer without such
// figures is not reported.
func (t *Telemetry) XBudget(ctx context.Context, accountID string, rate state.Rate) {
	if t == nil || rate.Limit == 0 {
		return
	}
	t.metrics.xBudget.Record(ctx, int64(rate.Remaining), metric.WithAttributes(attribute.String("account", accountID)))
}

// TaskEnded: the Import service has taken a task's outcome; status is the event
// API's.
func (t *Telemetry) TaskEnded(ctx context.Context, received, ended time.Time, status int) {
	if t == nil {
		return
	}
	outcome := map[int]string{0: "success", 1: "temporary_failure", 2: "permanent_failure"}[status]
	t.metrics.tasks.Record(ctx, ended.Sub(received).Seconds(), metric.WithAttributes(attribute.String("outcome", outcome)))
}

// failed counts work that failed, by what failed and why.
func (t *Telemetry) failed(ctx context.Context, what string, err error) {
	t.metrics.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("work", what), attribute.String("cause", Cause(err))))
}
