// Package daily is what the timer does once a day for each account's archive: it has the
// manifest time-stamped, and reads the archive again to see that it is as it was
// written; and once a month it writes down what the archive holds of the month before. A
// large archive takes many ticks; each goes on where the one before stopped,
// within bounds of calls, bytes and time, so that new posts never wait for it and no day
// costs more than its bound.
package daily

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/statement"
	"xarchive/handler/internal/telemetry"
	"xarchive/handler/internal/verify"
)

// ErrNotSound: an archive is not as it was written.
var ErrNotSound = fault.New(fault.ArchiveAltered, "the archive is not as it was written")

// Options is what Daily needs.
type Options struct {
	State     *state.Store
	Archive   *archive.Archive
	Manifest  *manifest.Store
	Stamp     func(ctx context.Context, data []byte) ([]byte, error)           // asks for a time stamp; nil: none are made
	Stamped   func(token, data []byte) (at time.Time, trusted bool, err error) // checks one
	Statement func(ctx context.Context, month statement.Month) (statement.Statement, error)
	Now       func() time.Time
	Log       *slog.Logger
	Telemetry *telemetry.Telemetry // nil: none

	Budget verify.Budget // of a tick; 0 is the standard
}

// Daily goes through the accounts. Several instances may run at once; the one that is
// slower to write down what it has done does it in vain.
type Daily struct {
	opt  Options
	mu   sync.Mutex
	rest time.Time // nothing is to be done before
}

const (
	// every is how often a round begins.
	every = 24 * time.Hour
	// most is how long a tick goes on with it.
	most = time.Minute
	// left is what it leaves of a tick's time.
	left = 10 * time.Second
	// settled is how old a message must be to be judged: an instance that was killed
	// may have archived it, and the tick after lists it.
	settled = time.Hour
	// named is how many faults of a kind are written down.
	named = 20
	// grace is how long writing down may take.
	grace = 5 * time.Second
)

// standard bounds a tick: at 288 ticks a day it is some 86,000 messages a day at most,
// and 1.30 US dollars of reads a month.
var standard = verify.Budget{Calls: 300, Bytes: 256 << 20}

// New returns a Daily. Nothing is sent yet.
func New(o Options) *Daily {
	o.Budget = verify.Budget{Calls: cmp.Or(o.Budget.Calls, standard.Calls), Bytes: cmp.Or(o.Budget.Bytes, standard.Bytes)}
	return &Daily{opt: o}
}

// Run goes on with the day's round. Where there is nothing to do it costs nothing, but
// for one read in a process that has just begun.
func (d *Daily) Run(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.opt.Now().UTC()
	if now.Before(d.rest) {
		return nil
	}
	round, etag, err := d.opt.State.Round(ctx)
	if err != nil && !errors.Is(err, state.ErrDamaged) { // a damaged one is replaced
		return fmt.Errorf("reading how far the archives are verified: %w", err)
	}
	if age := now.Sub(round.At); round.Done && 0 <= age && age < every {
		d.rest = round.At.Add(every)
		return nil
	}
	if round.Done || round.At.IsZero() {
		round.At, round.After, round.Done = now, "", false
	}
	ids, err := d.opt.State.AccountIDs(ctx)
	if err != nil {
		return fmt.Errorf("listing the accounts: %w", err)
	}
	work, cancel := context.WithTimeout(ctx, d.share(ctx))
	defer cancel()
	budget := d.opt.Budget
	var errs []error
	for {
		id := next(ids, round.After)
		if round.Done = id == ""; round.Done || work.Err() != nil || budget.Calls <= 0 || budget.Bytes <= 0 {
			break
		}
		done, err := d.account(work, id, &budget)
		if err != nil {
			errs = append(errs, fmt.Errorf("verifying the archive of account %s: %w", id, err))
		}
		if cause := fault.CauseOf(err); cause == fault.Storage || cause == fault.StorageAccess || cause == fault.Interrupted || err == nil && !done {
			break // a later tick goes on
		}
		round.After = id // whatever is wrong with it, the others have their turn
	}
	if month := statement.Before(now); round.Done && len(ids) > 0 && d.opt.Statement != nil && round.Statement != month.String() {
		if err := d.state(work, month); err != nil {
			errs = append(errs, fmt.Errorf("writing the statement of %s: %w", month, err)) // the next round tries it again
		} else {
			round.Statement = month.String()
		}
	}
	save, stop := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer stop()
	if err := d.opt.State.PutRound(save, round, etag); err != nil && !errors.Is(err, state.ErrClaimed) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// state writes the statement of a month into the archive.
func (d *Daily) state(ctx context.Context, month statement.Month) error {
	s, err := d.opt.Statement(ctx, month)
	if err != nil {
		return err
	}
	for _, form := range []struct {
		suffix, kind string
		write        func(io.Writer) error
	}{{".csv", "text/csv; charset=utf-8", s.CSV}, {".html", "text/html; charset=utf-8", s.HTML}} {
		var b bytes.Buffer
		if err := form.write(&b); err != nil {
			return err
		}
		if err := d.opt.Archive.PutFile(ctx, "statements/"+month.String()+form.suffix, form.kind, b.Bytes()); err != nil {
			return err
		}
	}
	d.opt.Log.InfoContext(ctx, "the month's statement is written", "month", month.String(), "accounts", len(s.Accounts))
	return nil
}

// share returns how long this tick goes on.
func (d *Daily) share(ctx context.Context) time.Duration {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return most
	}
	return min(most, time.Until(deadline)-left)
}

// next returns the account after the one that was done last; "" if there is none.
func next(ids []string, after string) string {
	for _, id := range ids {
		if id > after {
			return id
		}
	}
	return ""
}

// account goes on with an account's archive, and takes off the budget what it costs. done:
// it came to its end.
func (d *Daily) account(ctx context.Context, id string, budget *verify.Budget) (done bool, err error) {
	ctx, span := d.opt.Telemetry.Verify(ctx, id)
	defer func() { span.End(err) }()
	record, err := d.opt.State.Account(ctx, id)
	if err != nil {
		return false, err
	}
	known, err := d.opt.State.Verification(ctx, id)
	if err != nil && !errors.Is(err, state.ErrDamaged) { // a damaged one is replaced
		return false, err
	}
	now := d.opt.Now().UTC()
	if known.Pass == nil {
		known.Pass = &verify.Pass{Began: now}
		d.stamp(ctx, record)
	}
	pass := known.Pass
	spent, failed := verify.Step(ctx, verify.Options{Archive: d.opt.Archive, Manifests: d.opt.Manifest, Account: id, To: forever,
		Newest: record.Manifest, Settled: record.Settled(pass.Began.Add(-settled)), Stamped: d.opt.Stamped, Named: named}, pass, *budget)
	budget.Calls, budget.Bytes = budget.Calls-spent.Calls-4, budget.Bytes-spent.Bytes
	if pass.Done {
		known.Last, known.Ended, known.Pass = pass, d.opt.Now().UTC(), nil
		if pass.Report.Sound() {
			known.Sound = pass.Began
		}
	}
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	switch err := d.opt.State.PutVerification(save, known); {
	case errors.Is(err, state.ErrClaimed):
		return false, nil // another instance does the same
	case err != nil:
		return false, errors.Join(failed, err)
	case ctx.Err() != nil:
		return false, nil // time is over
	case failed != nil:
		return false, failed
	case pass.Done:
		return true, d.tell(ctx, id, pass.Report)
	}
	return false, nil
}

// forever is later than any post.
var forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// tell says what a pass found.
func (d *Daily) tell(ctx context.Context, id string, r verify.Report) error {
	figures := []any{"account", id, "messages", r.Messages, "rawAnswers", r.Raw, "lines", r.Lines, "bytes", r.Bytes, "unlisted", r.Unlisted}
	if r.Sound() {
		d.opt.Log.InfoContext(ctx, "the archive is verified", figures...)
		return nil
	}
	words := Words(r)
	d.opt.Log.ErrorContext(ctx, "the archive is not as it was written", append(figures, "faults", words, "cause", string(fault.ArchiveAltered))...)
	return fmt.Errorf("%w: %s", ErrNotSound, words)
}

// Words says what is wrong with an archive: "1 altered (…), 2 missing (…)".
func Words(r verify.Report) string {
	var list []string
	for _, f := range r.Faults() {
		if f.Count > 0 {
			list = append(list, fmt.Sprintf("%d %s (%s)", f.Count, f.What, strings.Join(f.Named[:min(len(f.Named), 3)], "; ")))
		}
	}
	return strings.Join(list, ", ")
}

// stamp has the newest blob of an account's manifest time-stamped, which holds the hashes
// of all before it. That it fails is no fault of the archive: the next day's stamp
// covers the same.
func (d *Daily) stamp(ctx context.Context, a state.Account) {
	if d.opt.Stamp == nil || a.Manifest.N == 0 {
		return
	}
	err := func() error {
		b, err := d.opt.Manifest.Blob(ctx, a.ID, a.Manifest.N)
		if err != nil {
			return err
		}
		if _, err := d.opt.Manifest.Stamp(ctx, a.ID, a.Manifest.N); err == nil || !errors.Is(err, state.ErrNotFound) {
			return err // it has one
		}
		token, err := d.opt.Stamp(ctx, b.Data)
		if err != nil {
			return err
		}
		return d.opt.Manifest.PutStamp(ctx, a.ID, a.Manifest.N, token)
	}()
	if err != nil {
		d.opt.Log.WarnContext(ctx, "the manifest could not be time-stamped; the next day's stamp covers it, too", "account", a.ID, "blob", a.Manifest.N, "error", err.Error(), "cause", string(cmp.Or(fault.CauseOf(err), fault.Other)))
	}
}
