// Package reads counts what is read of X, account by account and month by month, and
// says what may still be read.
//
// Every answer of X is counted before it is used ([Meter.Counter], which package twitter
// calls), answers that turn out to be of no use included, because X bills what it
// sends. The same post or account is billed once a UTC day, by X's clock. What is counted
// is in the state container, in an account's Reads.
//
// Whoever reads something else than new posts asks first ([Meter.Ask]) and reads under
// [twitter.For], so that a limit on the month's reads keeps what new posts need.
package reads

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// Store keeps what was read; *state.Store.
type Store interface {
	LoadReads(ctx context.Context, accountID string) (*state.ReadsRecord, error)
	AllReads(ctx context.Context) ([]state.Reads, []state.Damaged, error)
	PutDamaged(ctx context.Context, d state.Damaged) (added bool, err error)
}

// Report is told of reads and of the limit; *telemetry.Telemetry.
type Report interface {
	XReads(ctx context.Context, accountID, purpose string, reads int, dollars float64)
	XReadsLeft(ctx context.Context, share float64)
}

// Options is what a Meter needs.
type Options struct {
	Store  Store
	Limit  int // posts that may be read in a UTC month (X_READS_PER_MONTH); 0: no limit
	Report Report
	Now    func() time.Time
	Log    *slog.Logger
}

// Meter counts reads. Several instances may count the same account's.
type Meter struct {
	opt Options

	mu       sync.Mutex
	accounts map[string]*account

	totals struct {
		sync.Mutex
		reads  map[string]state.Reads // of all accounts; other instances' as of at
		at     time.Time
		asked  int  // granted by Ask and not read yet
		warned bool // in month
		month  string
	}
}

// account is an account's record, as this process last read or wrote it.
type account struct {
	sync.Mutex
	record *state.ReadsRecord
}

const (
	// warnAt is the share of the limit from which on people are warned.
	warnAt = 0.8

	// totalsFor is how long other instances' reads are taken for what they were.
	totalsFor = 10 * time.Minute
)

// New returns a Meter. Nothing is sent yet.
func New(o Options) *Meter { return &Meter{opt: o, accounts: map[string]*account{}} }

// Counter counts what is read for an account. With "" the reads must be of users, and
// count for the user that was read.
func (m *Meter) Counter(accountID string) twitter.Counter {
	return func(ctx context.Context, r twitter.Reads) error {
		id := accountID
		if id == "" && len(r.IDs) > 0 {
			id = r.IDs[0]
		}
		return m.count(ctx, id, r)
	}
}

func (m *Meter) count(ctx context.Context, accountID string, r twitter.Reads) error {
	m.mu.Lock()
	a := m.accounts[accountID]
	if a == nil {
		a = &account{}
		m.accounts[accountID] = a
	}
	m.mu.Unlock()

	a.Lock()
	defer a.Unlock()
	for n := 1; ; n++ {
		err := a.load(ctx, m, accountID)
		if errors.Is(err, state.ErrNewer) {
			m.opt.Log.WarnContext(ctx, "what is read of X is not counted: a newer version of the connector wrote the record", "account", accountID)
			return nil // posts do not wait for it
		}
		if err != nil {
			return err
		}
		next := *a.record
		counts := 0
		if r.Purpose == twitter.Counts {
			counts = 1
		}
		billed := next.Reads.Add(string(r.Purpose), r.Purpose == twitter.Users, r.IDs, counts, r.At)
		if billed == 0 {
			return nil
		}
		warn, err := m.warn(ctx, next.Reads)
		if err != nil {
			return err
		}
		if warn {
			next.Reads.Warned = month(m.opt.Now())
		}
		err = next.Save(ctx)
		switch {
		case err == nil:
		case errors.Is(err, state.ErrClaimed) && state.Again(ctx, n):
			a.record = nil // another instance has counted, too
			m.notWarned(warn)
			continue
		default:
			a.record = nil
			m.notWarned(warn)
			return err
		}
		a.record = &next
		m.took(ctx, next.Reads, warn)
		m.opt.Report.XReads(ctx, accountID, string(r.Purpose), billed, Price(string(r.Purpose))*float64(billed))
		return nil
	}
}

// load reads the account's record. One that is damaged is kept aside and begun again:
// posts do not wait for it.
func (a *account) load(ctx context.Context, m *Meter, id string) error {
	if a.record != nil {
		return nil
	}
	record, err := m.opt.Store.LoadReads(ctx, id)
	var damaged state.Damaged
	if errors.As(err, &damaged) && fault.CauseOf(err) == fault.StateDamaged {
		added, asideErr := m.opt.Store.PutDamaged(ctx, damaged)
		if added {
			m.opt.Log.ErrorContext(ctx, "the record of what was read of X cannot be read; its bytes are kept under set-aside, and counting begins again", "account", id, "record", damaged.Name, "error", err.Error())
		}
		err = asideErr
	}
	if err != nil {
		return err
	}
	a.record = record
	return nil
}

// month names a UTC month as the records do.
func month(at time.Time) string { return at.UTC().Format("2006-01") }

// Ask says how many of want posts may be read now for something else than new posts:
// all of them without a limit, else as many as the month's limit leaves when it keeps
// what new posts will need at the rate of the last week. Call done when they are read, or
// are not going to be: until then they count as read.
func (m *Meter) Ask(ctx context.Context, want int) (granted int, done func(), err error) {
	if m.opt.Limit == 0 {
		return want, func() {}, nil
	}
	t := &m.totals
	t.Lock()
	defer t.Unlock()
	if err := m.refresh(ctx); err != nil {
		return 0, nil, err
	}
	s := Sum(all(t.reads), m.opt.Now())
	granted = max(0, min(want, m.opt.Limit-s.Posts-t.asked-int(math.Ceil(s.NewToCome))))
	t.asked += granted
	n := granted
	return granted, sync.OnceFunc(func() {
		t.Lock()
		defer t.Unlock()
		t.asked -= n
	}), nil
}

// refresh reads what all accounts have read. m.totals is locked.
func (m *Meter) refresh(ctx context.Context) error {
	t := &m.totals
	now := m.opt.Now()
	if t.reads != nil && t.month == month(now) && now.Sub(t.at) < totalsFor {
		return nil
	}
	list, damaged, err := m.opt.Store.AllReads(ctx)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		m.opt.Log.WarnContext(ctx, "a record of what was read of X cannot be read; the sum is without it", "record", d.Name, "error", d.Err.Error())
	}
	t.reads, t.at, t.month, t.warned = map[string]state.Reads{}, now, month(now), false
	for _, r := range list {
		t.reads[r.ID] = r
		t.warned = t.warned || r.Warned == t.month
	}
	return nil
}

// warn reports whether a record brings the month's reads so near the limit that it is
// to be said, which it is once a month.
func (m *Meter) warn(ctx context.Context, next state.Reads) (bool, error) {
	if m.opt.Limit == 0 {
		return false, nil
	}
	t := &m.totals
	t.Lock()
	defer t.Unlock()
	if err := m.refresh(ctx); err != nil {
		return false, err
	}
	if t.warned {
		return false, nil
	}
	before := t.reads[next.ID]
	t.reads[next.ID] = next
	s := Sum(all(t.reads), m.opt.Now())
	t.reads[next.ID] = before
	t.warned = Near(s.Posts, m.opt.Limit)
	return t.warned, nil
}

// notWarned takes back that people were warned: it could not be written down.
func (m *Meter) notWarned(warn bool) {
	if warn {
		m.totals.Lock()
		defer m.totals.Unlock()
		m.totals.warned = false
	}
}

// took takes note of a record that was written.
func (m *Meter) took(ctx context.Context, r state.Reads, warned bool) {
	if m.opt.Limit == 0 {
		return
	}
	t := &m.totals
	t.Lock()
	defer t.Unlock()
	t.reads[r.ID] = r
	s := Sum(all(t.reads), m.opt.Now())
	m.opt.Report.XReadsLeft(ctx, float64(m.opt.Limit-s.Posts)/float64(m.opt.Limit))
	if warned {
		m.opt.Log.WarnContext(ctx, "the month's limit on reads (X_READS_PER_MONTH) is near; new posts are read all the same, nothing else beyond it", "read", s.Posts, "limit", m.opt.Limit, "toMonthsEnd", s.ToMonthsEnd)
	}
}

// Near reports whether so many reads are so near the limit that people are to be warned.
func Near(reads, limit int) bool { return limit > 0 && float64(reads) >= warnAt*float64(limit) }

func all(m map[string]state.Reads) (out []state.Reads) {
	for _, r := range m {
		out = append(out, r)
	}
	return out
}
