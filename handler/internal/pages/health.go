package pages

import (
	"time"

	"xarchive/handler/internal/health"
	"xarchive/handler/internal/state"
)

// jobHealth is how a job stands, as a page shows it.
type jobHealth struct {
	health.Standing

	Lag       string
	LastRun   string
	RateLeft  int // in percent
	RateReset string
	Chart     chart
	SetUp     string // the job's page
}

// shown makes of how the jobs stand what a page shows.
func (q *request) shown(r health.Report) []jobHealth {
	all := make([]jobHealth, 0, len(r.Jobs))
	for _, s := range r.Jobs {
		h := newHealth(s, r.At)
		h.SetUp = q.setupURL(s.Job.ID)
		all = append(all, h)
	}
	return all
}

// newHealth shows how a job stands.
func newHealth(s health.Standing, now time.Time) jobHealth {
	h := jobHealth{Standing: s, LastRun: lasting(now, s.Account.LastRun), Chart: newChart(s.Account.Daily, now)}
	if !h.Read.Until.IsZero() {
		h.Lag = health.Span(max(0, now.Sub(h.Read.Until)))
	}
	h.rate(now)
	return h
}

// rate says how many requests X still answers.
func (h *jobHealth) rate(now time.Time) {
	rate := &h.Account.Rate
	if rate.Limit <= 0 {
		return
	}
	if rate.Reset.After(now) {
		h.RateReset = "full again in " + health.Span(rate.Reset.Sub(now))
	} else {
		rate.Remaining = rate.Limit // the window has ended since
	}
	h.RateLeft = min(100, max(0, rate.Remaining*100/rate.Limit))
}

// accountName is what a job's account is called on the pages.
func accountName(job state.Job) string { return health.Standing{Job: job}.Name() }
