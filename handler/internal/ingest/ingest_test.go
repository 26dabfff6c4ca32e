package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/ingest"
	"xarchive/handler/internal/recheck"
)

type captured capture.Report

func (c captured) Run(context.Context) (capture.Report, error) { return capture.Report(c), nil }

// delivers counts its runs.
type delivers struct {
	report deliver.Report
	runs   int
}

func (d *delivers) Run(context.Context) (deliver.Report, error) {
	d.runs++
	return d.report, nil
}

func (d *delivers) TellChanges(context.Context) error { return nil }

type noAudit struct{}

func (noAudit) Run(context.Context) (recheck.Report, error) { return recheck.Report{}, nil }

type noHistory struct{}

func (noHistory) Run(context.Context) (int, error) { return 0, nil }

type noSweep struct{}

func (noSweep) Sweep(context.Context, time.Time) (int, bool, error) { return 0, false, nil }

// days counts its runs, and fails.
type days int

func (n *days) Run(context.Context) error {
	*n++
	return errors.New("the archive was altered")
}

// ticks counts what is recorded, and fails.
type ticks int

func (n *ticks) Ticked(context.Context, time.Time) error {
	*n++
	return errors.New("storage is down")
}

// TestSecondLook: tasks are looked at again once capture is through, unless there was
// nothing to do on either side.
func TestSecondLook(t *testing.T) {
	for _, c := range []struct {
		what        string
		posts, open int
		runs        int
	}{
		{"nothing to do", 0, 0, 1},
		{"new posts", 3, 0, 2}, // while they were read, a task may have been added
		{"an open task", 0, 1, 2},
	} {
		d := &delivers{report: deliver.Report{Open: c.open}}
		var recorded ticks
		var daily days
		i := &ingest.Ingest{Capture: captured{Posts: c.posts}, Deliver: d, Audit: noAudit{}, History: noHistory{}, Mentions: noHistory{}, Activity: noHistory{}, Sweep: noSweep{}, Daily: &daily, Ticks: &recorded, Now: time.Now, Log: slog.New(slog.DiscardHandler), Limit: time.Minute}
		if err := i.Tick(t.Context()); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if daily != 1 {
			t.Errorf("%s: the daily work was done %d times, want once; what it finds is no failure of the tick", c.what, daily)
		}
		if recorded != 1 {
			t.Errorf("%s: the tick was recorded %d times, want once; that it fails is no failure of the tick", c.what, recorded)
		}
		if d.runs != c.runs {
			t.Errorf("%s: tasks were looked at %d times, expected %d", c.what, d.runs, c.runs)
		}
	}
}

// TestEnds: that secrets end is reported once an hour, and is no failure of the tick.
func TestEnds(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	reports := 0
	var recorded ticks
	i := &ingest.Ingest{Capture: captured{}, Deliver: &delivers{}, Audit: noAudit{}, History: noHistory{}, Mentions: noHistory{}, Activity: noHistory{}, Sweep: noSweep{}, Ticks: &recorded, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler), Limit: time.Minute, ReportEnds: func(context.Context) error {
			reports++
			return errors.New("the vault is down")
		}}
	for _, c := range []struct {
		later   time.Duration
		reports int
	}{{0, 1}, {5 * time.Minute, 1}, {54 * time.Minute, 1}, {time.Minute, 2}} {
		now = now.Add(c.later)
		if err := i.Tick(t.Context()); err != nil {
			t.Error(err)
		}
		if reports != c.reports {
			t.Errorf("at %s: %d reports, want %d", now.Format(time.TimeOnly), reports, c.reports)
		}
	}
}

// TestTickSaysWhatWaits: accounts for which X is not asked are no failure, and are said
// with the reason.
func TestTickSaysWhatWaits(t *testing.T) {
	var log strings.Builder
	var recorded ticks
	i := &ingest.Ingest{Capture: captured{Accounts: 4, Waiting: map[fault.Cause]int{fault.XRateLimit: 1, fault.XCredits: 2}}, Deliver: &delivers{}, Audit: noAudit{}, History: noHistory{}, Mentions: noHistory{}, Activity: noHistory{}, Sweep: noSweep{}, Ticks: &recorded,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil)), Limit: time.Minute}
	if err := i.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := `accounts=4 accountsSkipped=0 accountsClaimed=0 accountsWaiting=3 waitingFor="x_credits x_rate_limit"`; !strings.Contains(log.String(), want) {
		t.Errorf("want %s in\n%s", want, &log)
	}
}
