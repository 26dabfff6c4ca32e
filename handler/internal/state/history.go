package state

import (
	"context"
	"errors"
	"sync"
	"time"

	"xarchive/handler/internal/blob"
)

// History is a read of an account's posts from X's whole archive, by search: what a
// timeline's reach has left behind. It is asked for by a person, costs money, and goes
// on over many ticks.
type History struct {
	V         int       `json:"v"`
	AccountID string    `json:"accountId"`
	JobID     string    `json:"jobId"`
	Asked     time.Time `json:"asked"`          // UTC
	From      time.Time `json:"from,omitzero"`  // UTC, inclusive; zero: when the account was made
	To        time.Time `json:"to,omitzero"`    // UTC, exclusive; zero: when it was asked for
	MaxReads  int       `json:"maxReads"`       // posts that may be read; 0: it is only estimated
	Made      time.Time `json:"made,omitzero"`  // UTC; when the account was made
	Ended     time.Time `json:"ended,omitzero"` // UTC; no month is left, or no reads
	Stopped   string    `json:"stopped,omitempty"`

	Months []HistoryMonth `json:"months"` // the newest first
	Reads  int            `json:"reads"`  // posts that X has sent
	Counts int            `json:"counts"` // requests for counts

	Stated  int       `json:"stated,omitempty"` // posts that X says the account has, reposts among them
	Until   time.Time `json:"until,omitzero"`   // UTC; X is not asked before
	Last    time.Time `json:"last,omitzero"`    // UTC; when it last went on
	Problem *Problem  `json:"lastError,omitempty"`

	etag string
}

// HistoryMonth is a month, or the part of it that was asked for.
type HistoryMonth struct {
	Range
	Counted int       `json:"counted"` // posts that X counts; -1 until it was asked
	Found   int       `json:"found"`   // posts that X has given
	New     int       `json:"new"`     // of them, those that were not archived
	Oldest  time.Time `json:"oldest,omitzero"`
	Edge    []string  `json:"edge,omitempty"` // ids of the posts of the second Oldest that X has given
	Done    bool      `json:"done"`           // X has no more
}

// Complete reports whether X gave as many posts as it counts.
func (m HistoryMonth) Complete() bool { return m.Done && m.Counted >= 0 && m.Found >= m.Counted }

// Estimated returns how many posts X counts, and whether it has counted every month.
func (h *History) Estimated() (posts int, whole bool) {
	whole = len(h.Months) > 0
	for _, m := range h.Months {
		posts, whole = posts+max(0, m.Counted), whole && m.Counted >= 0
	}
	return posts, whole
}

const historiesFolder = "histories/"

func historyName(accountID string) string { return historiesFolder + accountID + ".json" }

func (h *History) belongs(name string) bool { return name == historyName(h.AccountID) }
func (h *History) upgrade()                 {}

// History returns an account's. It returns ErrNotFound if none was asked for.
func (s *Store) History(ctx context.Context, accountID string) (History, error) {
	var h History
	info, err := s.read(ctx, historyName(accountID), &h)
	h.etag = info.ETag
	return h, err
}

// Histories returns those that have not ended.
func (s *Store) Histories(ctx context.Context) (open []History, damaged []Damaged, err error) {
	names, err := s.names(ctx, historiesFolder)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		var h History
		info, err := s.read(ctx, name, &h)
		var unreadable Damaged
		switch {
		case errors.Is(err, ErrNotFound):
		case errors.As(err, &unreadable):
			damaged = append(damaged, unreadable)
		case err != nil:
			return nil, nil, err
		case h.Ended.IsZero():
			h.etag = info.ETag
			open = append(open, h)
		}
	}
	return open, damaged, nil
}

// SaveHistory writes a history. It returns ErrClaimed if somebody has written it since it
// was read.
func (s *Store) SaveHistory(ctx context.Context, h *History) error {
	h.V = Version
	etag, err := s.write(ctx, historyName(h.AccountID), h, blob.Condition{ETag: h.etag, Absent: h.etag == ""})
	if errors.Is(err, ErrExists) {
		return ErrClaimed
	}
	if err == nil {
		h.etag = etag
		s.histories.note(true)
	}
	return err
}

// watched is what this process knows of records that others may make at any time.
type watched struct {
	sync.Mutex
	some   bool      // there are some
	listed time.Time // when they were last listed
}

func (w *watched) note(some bool) {
	w.Lock()
	defer w.Unlock()
	w.some = some
}

// due reports whether there may be records: this process knows of some, or has not listed
// them for so long.
func (w *watched) due(now time.Time, every time.Duration) bool {
	w.Lock()
	defer w.Unlock()
	age := now.Sub(w.listed)
	return w.some || age < 0 || age >= every
}

// found says what a listing found.
func (w *watched) found(now time.Time, some bool) {
	w.Lock()
	defer w.Unlock()
	w.listed, w.some = now, some
}

// historiesEvery is how often histories are listed where this process knows of none.
const historiesEvery = 10 * time.Minute

// HistoriesDue reports whether there may be open histories: this process knows of some,
// or has not looked for ten minutes.
func (s *Store) HistoriesDue(now time.Time) bool {
	return s.histories.due(now, historiesEvery)
}

// HistoriesListed says how many histories are open.
func (s *Store) HistoriesListed(now time.Time, open int) {
	s.histories.found(now, open > 0)
}

// ClosedGap is a gap whose posts were brought by something else than the timeline.
type ClosedGap struct {
	Gap
	At    time.Time `json:"at"`    // UTC; closed
	By    string    `json:"by"`    // "search"
	Posts int       `json:"posts"` // that X gave for it, and counts
}

// closedKept is how many closed gaps are kept.
const closedKept = 100

// CloseGaps takes gaps out that lie within a time of which every post is archived, and
// returns them.
func (a *Account) CloseGaps(within Ranges, begins time.Time, at time.Time, by string, posts int) (closed []ClosedGap) {
	var left []Gap
	for _, g := range a.Gaps {
		r := g.Range
		if r.From.Before(begins) {
			r.From = begins // before it there was no account
		}
		if !r.Empty() && !within.Contains(r) {
			left = append(left, g)
			continue
		}
		closed = append(closed, ClosedGap{Gap: g, At: at.UTC(), By: by, Posts: posts})
	}
	a.Gaps = left
	for _, c := range closed {
		covered := Ranges{}.Add(c.Range)
		for _, g := range left {
			covered = covered.Without(g.Range)
		}
		for _, r := range covered {
			a.Covered = a.Covered.Add(r)
		}
	}
	a.Closed = append(a.Closed, closed...)
	a.Closed = a.Closed[max(0, len(a.Closed)-closedKept):]
	return closed
}

// historySettles is how old a post must be to be searched for.
const historySettles = time.Minute

// Begin makes the record one of a history that was just asked for.
func (h *History) Begin(job Job, from, to, now time.Time) {
	if to.IsZero() || to.After(now.Add(-historySettles)) {
		to = now.Add(-historySettles)
	}
	*h = History{AccountID: job.AccountID, JobID: job.ID, Asked: now.UTC(), To: to.UTC().Truncate(time.Second), etag: h.etag}
	if !from.IsZero() {
		h.From = from.UTC().Truncate(time.Second)
	}
}

// Same reports whether a history is of that time; the zero times mean as much as there is.
func (h *History) Same(from, to time.Time) bool {
	return h.From.Equal(from.UTC().Truncate(time.Second)) && (to.IsZero() || h.To.Equal(to.UTC().Truncate(time.Second)))
}

// Ask makes the record one of what a person asks for: with maxReads 0 only an estimate, else
// that many posts may be read. What is under way goes on with the new limit, unless
// another job or time is asked for.
func (h *History) Ask(job Job, from, to time.Time, maxReads int, now time.Time) {
	if h.Asked.IsZero() || h.JobID != job.ID || !h.Same(from, to) || !h.Ended.IsZero() && h.Stopped == "" {
		h.Begin(job, from, to, now)
	}
	h.Read(maxReads)
}

// Read says how many posts may be read, and has a history go on that has stopped.
func (h *History) Read(maxReads int) {
	h.MaxReads, h.Stopped, h.Ended, h.Until = maxReads, "", time.Time{}, time.Time{}
}

// Stop ends a history for a person's reason. What was read stays.
func (h *History) Stop(why string, now time.Time) {
	h.Ended, h.Stopped, h.Problem = now.UTC(), why, nil
}

// ChangeHistory has a person change an account's history, an empty one if there is none.
// Whoever works on it just now finds it changed when it next writes, and stops; an error
// of change is returned, and nothing is written.
func (s *Store) ChangeHistory(ctx context.Context, accountID string, change func(*History) error) error {
	err := update(ctx, s, historyName(accountID), func(h *History) error {
		if err := change(h); err != nil {
			return err
		}
		h.V, h.AccountID = Version, accountID
		return nil
	})
	if err == nil {
		s.histories.note(true)
	}
	return err
}
