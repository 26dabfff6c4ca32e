package telemetry

import (
	"context"
	"errors"
	"time"

	"xarchive/handler/internal/fault"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the connector's. docs/telemetry.md has their names and attributes;
// operators build alerts on them, so they must not change.
type metrics struct {
	posts     metric.Int64Counter
	setAside  metric.Int64Counter
	missing   metric.Int64Gauge
	gaps      metric.Int64Counter
	lag       metric.Float64Gauge
	xBudget   metric.Int64Gauge
	xReads    metric.Int64Counter
	xCost     metric.Float64Counter
	xLeft     metric.Float64Gauge
	clockSkew metric.Float64Gauge
	tasks     metric.Float64Histogram
	skipped   metric.Int64Counter
	failures  metric.Int64Counter
	unasked   metric.Float64Gauge
	secret    metric.Float64Gauge
}

func newMetrics(meter metric.Meter) (metrics, error) {
	var m metrics
	var errs [15]error
	m.posts, errs[0] = meter.Int64Counter("xarchive.posts.archived", metric.WithUnit("{post}"),
		metric.WithDescription("Posts newly in the archive."))
	m.setAside, errs[1] = meter.Int64Counter("xarchive.set_aside", metric.WithUnit("{post}"),
		metric.WithDescription("Posts that could not be made into messages and were set aside."))
	m.gaps, errs[2] = meter.Int64Counter("xarchive.gaps", metric.WithUnit("{gap}"),
		metric.WithDescription("Times of which posts may be missing: beyond X's reach, or left out of its answers."))
	m.lag, errs[3] = meter.Float64Gauge("xarchive.lag", metric.WithUnit("s"),
		metric.WithDescription("Time from the end of an account's covered time until now."))
	m.xBudget, errs[4] = meter.Int64Gauge("xarchive.x.budget", metric.WithUnit("{call}"),
		metric.WithDescription("Calls of X left in the present window, by X's last answer."))
	m.clockSkew, errs[5] = meter.Float64Gauge("xarchive.clock_skew", metric.WithUnit("s"),
		metric.WithDescription("How far this machine's clock is ahead of X's; negative if it is behind."))
	m.tasks, errs[6] = meter.Float64Histogram("xarchive.task.duration", metric.WithUnit("s"),
		metric.WithDescription("Time from a task's arrival until the Import service has taken its outcome."))
	m.skipped, errs[7] = meter.Int64Counter("xarchive.skipped", metric.WithUnit("{item}"),
		metric.WithDescription("Accounts and tasks that a tick had no time for."))
	m.failures, errs[8] = meter.Int64Counter("xarchive.failures", metric.WithUnit("{failure}"),
		metric.WithDescription("Work that failed."))
	m.unasked, errs[9] = meter.Float64Gauge("xarchive.unasked", metric.WithUnit("s"),
		metric.WithDescription("Time since the Compliance Center last asked for anything for a job."))
	m.secret, errs[10] = meter.Float64Gauge("xarchive.secret.left", metric.WithUnit("s"),
		metric.WithDescription("Time until a secret ends."))
	m.xReads, errs[11] = meter.Int64Counter("xarchive.x.reads", metric.WithUnit("{read}"),
		metric.WithDescription("What X bills: posts and accounts read, each once a UTC day."))
	m.xCost, errs[12] = meter.Float64Counter("xarchive.x.cost", metric.WithUnit("{USD}"),
		metric.WithDescription("What those reads cost by X's price list."))
	m.xLeft, errs[13] = meter.Float64Gauge("xarchive.x.reads_left", metric.WithUnit("1"),
		metric.WithDescription("Share of the month's limit on reads that is left; negative beyond it."))
	m.missing, errs[14] = meter.Int64Gauge("xarchive.missing", metric.WithUnit("{post}"),
		metric.WithDescription("How many more posts X states for the account than are archived."))
	return m, errors.Join(errs[:]...)
}

func account(id string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("account", id))
}

// PostArchived counts a post that is newly in the archive. kind is the post's:
// Tweet, Retweet, Reply or Quote.
func (t *Telemetry) PostArchived(ctx context.Context, accountID, kind string) {
	if t == nil {
		return
	}
	t.metrics.posts.Add(ctx, 1, account(accountID), metric.WithAttributes(attribute.String("kind", kind)))
}

// SetAside counts a post of an account that could not be made into a message.
func (t *Telemetry) SetAside(ctx context.Context, accountID string) {
	if t == nil {
		return
	}
	t.metrics.setAside.Add(ctx, 1, account(accountID))
}

// Missing reports how many more posts X states for an account than are archived.
func (t *Telemetry) Missing(ctx context.Context, accountID string, posts int) {
	if t == nil {
		return
	}
	t.metrics.missing.Record(ctx, int64(posts), account(accountID))
}

// Gap counts a time of which posts of an account may be missing.
func (t *Telemetry) Gap(ctx context.Context, accountID string) {
	if t == nil {
		return
	}
	t.metrics.gaps.Add(ctx, 1, account(accountID))
}

// Lag reports since when an account is behind: up to when its time is covered, or, as
// long as nothing is, when its job was made. The zero time is not reported.
func (t *Telemetry) Lag(ctx context.Context, accountID string, since, now time.Time) {
	if t == nil || since.IsZero() {
		return
	}
	t.metrics.lag.Record(ctx, now.Sub(since).Seconds(), account(accountID))
}

// Unasked reports since when the Compliance Center has asked for nothing for a job:
// when it last did, or, as long as it never has, when the job was made. The zero time
// is not reported.
func (t *Telemetry) Unasked(ctx context.Context, jobID string, since, now time.Time) {
	if t == nil || since.IsZero() {
		return
	}
	t.metrics.unasked.Record(ctx, now.Sub(since).Seconds(), metric.WithAttributes(attribute.String("job", jobID)))
}

// SecretEnds reports when a secret ends. The zero time, for one that does not end or
// of which that is not known, is not reported.
func (t *Telemetry) SecretEnds(ctx context.Context, name string, ends, now time.Time) {
	if t == nil || ends.IsZero() {
		return
	}
	t.metrics.secret.Record(ctx, ends.Sub(now).Seconds(), metric.WithAttributes(attribute.String("secret", name)))
}

// XBudget reports how many of X's limit of calls an account has left. A limit of
// 0, which means that X gave no figures, is not reported.
func (t *Telemetry) XBudget(ctx context.Context, accountID string, limit, remaining int) {
	if t == nil || limit == 0 {
		return
	}
	t.metrics.xBudget.Record(ctx, int64(remaining), account(accountID))
}

// XReads counts what X bills for reads of an account's, by what they were for.
func (t *Telemetry) XReads(ctx context.Context, accountID, purpose string, reads int, dollars float64) {
	if t == nil {
		return
	}
	of := metric.WithAttributes(attribute.String("purpose", purpose))
	t.metrics.xReads.Add(ctx, int64(reads), account(accountID), of)
	t.metrics.xCost.Add(ctx, dollars, account(accountID), of)
}

// XReadsLeft reports the share of the month's limit on reads that is left.
func (t *Telemetry) XReadsLeft(ctx context.Context, share float64) {
	if t == nil {
		return
	}
	t.metrics.xLeft.Record(ctx, share)
}

// ClockSkew reports how far this machine's clock is ahead of X's. It is negative
// if the clock is behind.
func (t *Telemetry) ClockSkew(ctx context.Context, d time.Duration) {
	if t == nil {
		return
	}
	t.metrics.clockSkew.Record(ctx, d.Seconds())
}

// TaskEnded reports that the Import service has taken a task's outcome. status is
// that of the event API: 0, 1 or 2.
func (t *Telemetry) TaskEnded(ctx context.Context, received, ended time.Time, status int) {
	if t == nil {
		return
	}
	outcome := map[int]string{0: "success", 1: "temporary_failure", 2: "permanent_failure"}[status]
	t.metrics.tasks.Record(ctx, ended.Sub(received).Seconds(), metric.WithAttributes(attribute.String("outcome", outcome)))
}

// Skipped counts n accounts or tasks, as what says, that a tick had no time for.
func (t *Telemetry) Skipped(ctx context.Context, what string, n int) {
	if t == nil || n <= 0 {
		return
	}
	t.metrics.skipped.Add(ctx, int64(n), metric.WithAttributes(attribute.String("what", what)))
}

// failed counts work that failed, by what failed and why.
func (t *Telemetry) failed(ctx context.Context, work string, cause fault.Cause) {
	t.metrics.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("work", work), attribute.String("cause", string(cause))))
}
