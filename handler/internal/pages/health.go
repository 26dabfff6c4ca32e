package pages

import (
	"net/url"
	"time"

	"xarchive/handler/internal/access"
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
	Gone      goneList // on the status page only
	SetUp     string   // the job's set-up
	Page      string   // the account's page

	csrf      string
	person    access.Person
	mayChange bool
}

// shownFinding is a finding with what a page needs to have somebody act on it.
type shownFinding struct {
	health.Finding
	JobID, SetUp, CSRF string
	Person             access.Person // who would acknowledge it
	MayChange          bool
}

// Shown returns the findings, the gravest first.
func (h jobHealth) Shown() []shownFinding {
	var list []shownFinding
	for _, f := range h.Findings() {
		list = append(list, shownFinding{f, h.Job.ID, h.SetUp, h.csrf, h.person, h.mayChange})
	}
	return list
}

// shown makes of how the jobs stand what a page shows.
func (q *request) shown(r health.Report) []jobHealth {
	all := make([]jobHealth, 0, len(r.Jobs))
	for _, s := range r.Jobs {
		all = append(all, q.shownJob(s, r.At))
	}
	return all
}

func (q *request) shownJob(s health.Standing, now time.Time) jobHealth {
	h := newHealth(s, now)
	h.SetUp, h.Page, h.csrf = q.setupURL(s.Job.ID), accountURL(s.Job.ID), q.csrf
	h.person, h.mayChange = q.session.Person, q.mayChange()
	return h
}

// accountURL is the page of a job's account.
func accountURL(jobID string) string { return "/Status/Account?" + url.Values{"job": {jobID}}.Encode() }

// newHealth shows how a job stands.
func newHealth(s health.Standing, now time.Time) jobHealth {
	h := jobHealth{Standing: s, LastRun: lasting(now, s.Account.LastRun), Chart: newChart(s.Account.Daily, now)}
	if !h.Read.Until.IsZero() {
		h.Lag = health.Span(max(0, now.Sub(h.Read.Until)))
	}
	h.rate(now)
	return h
}

// GoneFromX is how many archived posts X no longer has: those that were found, and as
// many more as it states fewer.
func (h jobHealth) GoneFromX() int { return h.Account.Stated.Gone + max(0, -h.Account.Stated.Missing) }

// MentionsFrom is from when on what mentions the account is archived, as far as X gave it.
func (h jobHealth) MentionsFrom() string {
	switch covered := h.Mentioned.Covered; {
	case len(covered) == 0:
		return "–"
	case covered[0].From.IsZero():
		return "the beginning"
	default:
		return moment(covered[0].From)
	}
}

// MissingPosts is how many posts X states that are not archived.
func (h jobHealth) MissingPosts() int { return max(0, h.Account.Stated.Missing) }

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
