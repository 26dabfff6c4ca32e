package pages

import (
	"cmp"
	"slices"
	"time"

	"xarchive/handler/internal/state"
)

// late is how far the archive may be behind before it is worth a word. The timer
// ticks every few minutes, and X's limits can hold it up for a quarter of an hour.
const late = time.Hour

// jobHealth is how a job is doing, in words.
type jobHealth struct {
	Job     state.Job
	Account state.Account

	Name      string // of its account
	Level     string // "good", "wait" (it sorts itself out) or "bad" (somebody must act)
	Summary   string // a few words
	Advice    string // what happened and what to do; "" when all is well
	Covered   time.Time
	Lag       string
	LastRun   string
	RateLeft  int // in percent
	RateReset string
	Gaps      []state.Gap // times of which posts may be missing for good
	Chart     chart
	SetUp     string // the job's page
	Retry     string // until then X is not asked; "" if it is
}

// jobs returns how all jobs are doing, those in trouble first, and the names of
// records that cannot be read.
func (q *request) jobs() ([]jobHealth, []string, error) {
	ctx := q.r.Context()
	list, damaged, err := q.pages.opt.Records.Jobs(ctx)
	if err != nil {
		return nil, nil, err
	}
	now := q.pages.opt.Now().UTC()
	all := make([]jobHealth, 0, len(list))
	for _, job := range list {
		account, err := q.pages.opt.Records.Account(ctx, job.AccountID)
		if err != nil {
			return nil, nil, err
		}
		h := health(job, account, now)
		h.SetUp = q.setupURL(job.ID)
		all = append(all, h)
	}
	rank := map[string]int{"bad": 0, "wait": 1, "good": 2}
	slices.SortFunc(all, func(x, y jobHealth) int {
		return cmp.Or(cmp.Compare(rank[x.Level], rank[y.Level]), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Job.ID, y.Job.ID))
	})
	return all, names(damaged), nil
}

// health says how a job is doing.
func health(job state.Job, account state.Account, now time.Time) jobHealth {
	h := jobHealth{Job: job, Account: account, Name: accountName(job), LastRun: lasting(now, account.LastRun), Chart: newChart(account.Daily, now)}
	if n := len(account.Covered); n > 0 {
		h.Covered = account.Covered[n-1].To
		h.Lag = span(max(0, now.Sub(h.Covered)))
	}
	for _, gap := range account.Gaps {
		if gap.To.After(job.CreatedAt) { // what was before the job is nobody's fault
			h.Gaps = append(h.Gaps, gap)
		}
	}
	if account.RateReset.After(now) {
		h.Retry = span(account.RateReset.Sub(now))
	}
	h.rate(now)
	h.judge(now)
	return h
}

// rate says how many requests X still answers.
func (h *jobHealth) rate(now time.Time) {
	rate := &h.Account.Rate
	if rate.Limit <= 0 {
		return
	}
	if rate.Reset.After(now) {
		h.RateReset = "full again in " + span(rate.Reset.Sub(now))
	} else {
		rate.Remaining = rate.Limit // the window has ended since
	}
	h.RateLeft = min(100, max(0, rate.Remaining*100/rate.Limit))
}

// judge sums a job up, worst first.
func (h *jobHealth) judge(now time.Time) {
	say := func(level, summary, advice string) { h.Level, h.Summary, h.Advice = level, summary, advice }
	behind := !h.Covered.IsZero() && now.Sub(h.Covered) > late
	switch {
	case h.Job.SignInNeeded:
		say("bad", "Sign-in needed", "The account must sign in with X again. Until then no new posts are read; those since the last run are read afterwards.")
	case h.Account.Problem != nil:
		say("wait", "Last run failed", problemWords(h.Account.Problem))
		if behind || h.Covered.IsZero() {
			h.Level = "bad"
		}
	case h.Covered.IsZero() && now.Sub(h.Job.CreatedAt) > late:
		say("bad", "Not started", "The job was set up "+lasting(now, h.Job.CreatedAt)+" and nothing has been read. See that the timer function (ingest) is enabled in the Azure portal, and look into its log.")
	case h.Covered.IsZero():
		say("wait", "Starting", "The first run begins at the timer's next tick, within minutes.")
	case behind && h.Retry != "":
		say("wait", "Behind by "+h.Lag, "X's rate limit was used up. The connector goes on in "+h.Retry+".")
	case behind:
		say("bad", "Behind by "+h.Lag, "Nothing failed, but the archive is not up to date. See that the timer function (ingest) is enabled in the Azure portal, and look into its log.")
	case len(h.Gaps) > 0:
		say("wait", "Up to date, with a gap", "Nothing shows that X gave all posts of the times listed below: more was posted between two runs than X gives back (3,200 posts), or X left posts out of its answers for a day. What X did not give is not in the archive. If it happens again, have the timer tick more often (INGEST_SCHEDULE).")
	default:
		say("good", "Up to date", "")
	}
}

// accountName is what a job's account is called on the pages: by its name and its
// handle, as far as they are known.
func accountName(job state.Job) string {
	switch {
	case job.Handle == "":
		return cmp.Or(job.AccountName, job.AccountID)
	case job.AccountName == "":
		return "@" + job.Handle
	}
	return job.AccountName + " (@" + job.Handle + ")"
}
