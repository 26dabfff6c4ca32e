package pages

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"xarchive/handler/internal/health"
	"xarchive/handler/internal/state"

	"golang.org/x/sync/errgroup"
)

// judgedTasks is how many of the newest tasks the verdict on deliveries looks at.
const judgedTasks = 200

// jobHealth is how a job stands, as a page shows it.
type jobHealth struct {
	Job     state.Job
	Account state.Account

	Name      string         // of its account
	Read      health.Verdict // what is read from X
	Deliver   health.Verdict // what is delivered to Microsoft 365
	Level     health.Level   // the graver one of the two
	Summary   string         // a few words
	Lag       string
	LastRun   string
	RateLeft  int // in percent
	RateReset string
	Chart     chart
	SetUp     string // the job's page
}

// Findings returns the findings of both verdicts, the gravest first.
func (h jobHealth) Findings() []health.Finding {
	all := append(slices.Clone(h.Read.Findings), h.Deliver.Findings...)
	slices.SortStableFunc(all, func(a, b health.Finding) int { return health.Worse(a.Level, b.Level) })
	return all
}

// accountsAtOnce is how many accounts are read at the same time.
const accountsAtOnce = 16

// jobs returns how all jobs stand, those in trouble first, and the names of records
// that cannot be read.
func (q *request) jobs() ([]jobHealth, []string, error) {
	ctx := q.r.Context()
	list, damaged, err := q.pages.opt.Records.Jobs(ctx)
	if err != nil {
		return nil, nil, err
	}
	tasks, more, err := q.pages.opt.Records.RecentTasks(ctx, judgedTasks)
	if err != nil {
		return nil, nil, err
	}
	accounts, unread, err := q.accounts(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	now := q.pages.opt.Now().UTC()
	all := make([]jobHealth, 0, len(list))
	for i, job := range list {
		h := newHealth(job, accounts[i], tasks, now)
		h.SetUp = q.setupURL(job.ID)
		all = append(all, h)
	}
	slices.SortFunc(all, func(x, y jobHealth) int {
		return cmp.Or(health.Worse(x.Level, y.Level), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Job.ID, y.Job.ID))
	})
	return all, names(slices.Concat(damaged, more, unread)), nil
}

// accounts reads the jobs' accounts, several at once. One whose record cannot be read
// is among the damaged, and its account says so.
func (q *request) accounts(ctx context.Context, list []state.Job) (accounts []state.Account, damaged []state.Damaged, err error) {
	accounts = make([]state.Account, len(list))
	unread := make([]state.Damaged, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(accountsAtOnce)
	for i, job := range list {
		group.Go(func() (err error) {
			accounts[i], err = q.pages.opt.Records.Account(ctx, job.AccountID)
			if errors.As(err, &unread[i]) {
				accounts[i] = state.Account{ID: job.AccountID, Problem: state.NewProblem(err, q.pages.opt.Now())}
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return accounts, slices.DeleteFunc(unread, func(d state.Damaged) bool { return d.Err == nil }), nil
}

// newHealth says how a job stands.
func newHealth(job state.Job, account state.Account, tasks []state.Task, now time.Time) jobHealth {
	h := jobHealth{Job: job, Account: account, Name: accountName(job), LastRun: lasting(now, account.LastRun), Chart: newChart(account.Daily, now),
		Read: health.Read(job, account, now), Deliver: health.Deliver(job, tasks, now)}
	if !h.Read.Until.IsZero() {
		h.Lag = health.Span(max(0, now.Sub(h.Read.Until)))
	}
	h.Level, h.Summary = health.Well, "All is well"
	if all := h.Findings(); len(all) > 0 {
		h.Level, h.Summary = all[0].Level, all[0].Title
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
