package pages

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"xarchive/handler/internal/state"
)

// late is how far the archive may be behind before it is worth a word. The timer
// ticks every few minutes, and X's limits can hold it up for a quarter of an hour.
const late = time.Hour

// jobHealth is how a job is doing, in words.
type jobHealth struct {
	state.Job
	Account  state.Account
	Activity Activity

	Level     string // "good", "wait" (it sorts itself out) or "bad" (somebody must act)
	Summary   string // a few words
	Advice    string // what happened and what to do; "" when all is well
	Covered   time.Time
	Lag       string
	LastRun   string
	RateLeft  int // in percent
	RateReset string
	Gaps      []state.Range // times X no longer reaches; what was not captured is lost
	Chart     chart
	SetUp     string // the job's page
	Retry     string // until then X is not asked; "" if it is
}

// jobs tells how all jobs are doing, those in trouble first.
func (v *visit) jobs(ctx context.Context) ([]jobHealth, error) {
	list, err := v.Records.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	now := v.Now().UTC()
	all := make([]jobHealth, 0, len(list))
	for _, job := range list {
		account, err := v.Records.Account(ctx, job.AccountID)
		if err != nil {
			return nil, err
		}
		h := judge(job, account, now)
		if v.Activity != nil {
			h.Activity = v.Activity(account)
		}
		if rate := h.Activity.Rate; rate.Limit > 0 {
			if !rate.Reset.After(now) {
				rate.Remaining = rate.Limit // the window has ended since
			}
			h.Activity.Rate = rate
			h.RateLeft = min(100, max(0, rate.Remaining*100/rate.Limit))
			if rate.Reset.After(now) {
				h.RateReset = "full again in " + span(rate.Reset.Sub(now))
			}
		}
		h.Chart, h.SetUp = newChart(h.Activity.Daily, now), v.setupURL(job.ID)
		all = append(all, h)
	}
	rank := map[string]int{"bad": 0, "wait": 1, "good": 2}
	slices.SortFunc(all, func(x, y jobHealth) int {
		return cmp.Or(cmp.Compare(rank[x.Level], rank[y.Level]), cmp.Compare(x.AccountName, y.AccountName), cmp.Compare(x.ID, y.ID))
	})
	return all, nil
}

// judge says how a job is doing, worst first.
func judge(job state.Job, account state.Account, now time.Time) jobHealth {
	h := jobHealth{Job: job, Account: account, Level: "good", Summary: "Up to date", LastRun: lasting(now, account.LastRun)}
	if n := len(account.Covered); n > 0 {
		h.Covered = account.Covered[n-1].To
		h.Lag = span(max(0, now.Sub(h.Covered)))
	}
	for _, gap := range account.Unreachable {
		if gap.To.After(job.CreatedAt) { // what was before the job is nobody's fault
			h.Gaps = append(h.Gaps, gap)
		}
	}
	if account.RateReset.After(now) {
		h.Retry = span(account.RateReset.Sub(now))
	}
	behind := !h.Covered.IsZero() && now.Sub(h.Covered) > late
	switch {
	case job.SignInNeeded:
		h.Level, h.Summary, h.Advice = "bad", "Sign-in needed", "The account must sign in with X again. Until then no new posts are read; those since the last run are read afterwards."
	case account.LastError != "":
		h.Level, h.Summary, h.Advice = "wait", "Last run failed", inWords(account.LastError)
		if behind || h.Covered.IsZero() {
			h.Level = "bad"
		}
	case h.Covered.IsZero() && now.Sub(job.CreatedAt) > late:
		h.Level, h.Summary, h.Advice = "bad", "Not started", "The job was set up "+lasting(now, job.CreatedAt)+" and nothing has been read. See that the timer function (ingest) is enabled in the Azure portal, and look into its log."
	case h.Covered.IsZero():
		h.Level, h.Summary, h.Advice = "wait", "Starting", "The first run begins at the timer's next tick, within minutes."
	case behind:
		h.Level, h.Summary, h.Advice = "bad", "Behind by "+h.Lag, "Nothing failed, but the archive is not up to date. See that the timer function (ingest) is enabled in the Azure portal, and look into its log."
		if h.Retry != "" {
			h.Level, h.Advice = "wait", "X's rate limit was used up. The connector goes on in "+h.Retry+"."
		}
	case len(h.Gaps) > 0:
		h.Level, h.Summary, h.Advice = "wait", "Up to date, with a gap", "Between two runs more was posted than X gives back (3,200 posts). What X no longer gave is not in the archive; the times are listed below. Have the timer tick more often (INGEST_SCHEDULE)."
	}
	return h
}

// name is what an account is called on the pages.
func (h jobHealth) Name() string { return cmp.Or(h.AccountName, h.AccountID) }

// taskLine is a task in the list of recent ones.
type taskLine struct {
	state.Task
	Level, Summary, Detail string
}

// tasks are the tasks that changed last.
func (v *visit) tasks(ctx context.Context, n int) ([]taskLine, error) {
	list, err := v.Records.RecentTasks(ctx, n)
	if err != nil {
		return nil, err
	}
	now := v.Now().UTC()
	lines := make([]taskLine, 0, len(list))
	for _, t := range list {
		lines = append(lines, newTaskLine(t, now))
	}
	return lines, nil
}

func newTaskLine(t state.Task, now time.Time) taskLine {
	line := taskLine{Task: t, Level: "wait", Summary: "Waiting", Detail: "It is delivered once the archive covers its window."}
	switch {
	case !t.EndedAt.IsZero() && t.Verdict != nil:
		line.Summary, line.Detail, line.Level = taskState(t.Verdict.Status), plural(len(t.Verdict.Items), "item"), "good"
		if t.Verdict.Status != 0 {
			line.Level = "bad"
			line.Detail += ". " + t.Verdict.Reason
		}
	case !t.EndedAt.IsZero():
		line.Summary, line.Detail = "Ended", ""
	case t.Verdict != nil:
		line.Summary, line.Detail = "Reporting", "All items are uploaded; the Import service has yet to be told."
	case t.LastError != "":
		line.Summary, line.Detail = fmt.Sprintf("Trying again, %s failed", plural(t.Attempts, "attempt")), inWords(t.LastError)
		if t.NotBefore.After(now) {
			line.Detail += " Next attempt in " + span(t.NotBefore.Sub(now)) + "."
		}
	case len(t.Uploaded) > 0:
		line.Summary, line.Detail = "Uploading", plural(len(t.Uploaded), "item")+" so far"
	}
	return line
}
