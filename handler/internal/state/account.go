package state

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/manifest"
)

// Account is what the connector knows of an account on X: how far it has read the
// account's posts, which times are covered, and what X did not give yet.
type Account struct {
	V  int    `json:"v"`
	ID string `json:"id"`

	Since time.Time `json:"since,omitzero"` // UTC; when the account was made, as X says

	// Asked is how many posts X was asked for today because tasks ask about them.
	Asked Asked `json:"asked,omitzero"`

	Cursor string `json:"cursor,omitempty"` // id of the newest post archived

	// Recent are posts known to be in the timeline, oldest first: the anchor,
	// below which nothing is read again, and those newer than it. Each run reads
	// the newer ones again, see package capture.
	Recent []Seen `json:"recent,omitempty"`

	// Covered are the times in which every post that X showed is archived. No gap is in
	// them.
	Covered Ranges `json:"covered,omitempty"`
	// Gaps are times of which posts may be missing for good, oldest first.
	Gaps []Gap `json:"gaps,omitempty"`
	// Closed are gaps whose posts something else than the timeline has brought, the newest
	// 100.
	Closed []ClosedGap `json:"closed,omitempty"`

	// Incomplete is since when X's answers lack known posts that X still has. While
	// they do, no time is covered.
	Incomplete time.Time `json:"incomplete,omitzero"` // UTC

	// Slow counts, by post id, the ticks whose end interrupted the archiving of the
	// post, whose media take longer than a tick.
	Slow map[string]int `json:"slow,omitempty"`

	Run     *Run               `json:"run,omitempty"`     // a read that has not been archived to its end
	Waiting map[string]Waiting `json:"waiting,omitempty"` // what X did not give yet, by [Waiting.Key]
	Lost    []Lost             `json:"lost,omitempty"`    // what X did not give in time; the newest 200

	RateReset time.Time `json:"rateReset,omitzero"` // UTC; X is not asked before
	CapRenews time.Time `json:"capRenews,omitzero"` // UTC, a midnight; when the monthly cap that X said is reached begins again, as far as X says
	Rate      Rate      `json:"rate,omitzero"`      // X's answer to the last call

	TriedAt  time.Time     `json:"triedAt,omitzero"` // UTC; when the account last had its turn
	LastRun  time.Time     `json:"lastRun,omitzero"` // UTC; when the account was last brought up to date
	Problem  *Problem      `json:"lastError,omitempty"`
	Skew     time.Duration `json:"clockSkew,omitempty"` // nanoseconds by which X's clock was ahead of ours at the last answer
	SetAside SetAside      `json:"setAside,omitzero"`

	Manifest manifest.Link `json:"manifest,omitzero"` // the newest blob of the account's manifest

	PostsTotal int            `json:"postsTotal"`             // posts archived
	Versions   int            `json:"versions,omitempty"`     // of them, later versions of edited posts, which X does not count
	Unlisted   int            `json:"goneUnlisted,omitempty"` // posts that X was found to have no longer and that no list of gone posts has: they were set aside
	Stated     *Stated        `json:"stated,omitempty"`       // the number of posts that X states, beside what is archived
	Daily      map[string]int `json:"daily,omitempty"`        // posts archived by their own date (UTC, 2006-01-02), the newest 90 days

	// Unreachable are gaps as they were recorded before the format was versioned.
	Unreachable Ranges `json:"unreachable,omitempty"`
}

// Asked is a number of posts on a day.
type Asked struct {
	Day   string `json:"day"` // UTC, 2006-01-02
	Posts int    `json:"posts"`
}

// Seen is a post that X has shown. X gives created_at in whole seconds.
type Seen struct {
	ID  string    `json:"id"`
	At  time.Time `json:"at"`            // UTC; when it was posted
	Sum string    `json:"sum,omitempty"` // of what X gave of it; see post.Post.Digest. "" in records of older versions
}

// Gap is a time of which posts may be missing for good.
type Gap struct {
	Range
	Why     GapReason `json:"why"`
	Noticed time.Time `json:"noticed,omitzero"` // UTC
}

// GapReason says why posts may be missing.
type GapReason string

// BeyondReach: X's timelines reach back 3,200 posts, and nothing proves that the
// run reached what was archived before.
const BeyondReach GapReason = "beyond_reach"

// LeftOut: for a day X left posts out of its answers that it still had.
const LeftOut GapReason = "left_out"

// Rate is X's rate budget for the account's timeline.
type Rate struct {
	Limit     int       `json:"limit"`          // calls in a window
	Remaining int       `json:"remaining"`      // calls left in the window
	Reset     time.Time `json:"reset,omitzero"` // UTC; when the next window begins
}

// Run is one read of the timeline, newest post first, from the present back to
// SinceID. Its raw pages stay in the store until their posts are archived.
type Run struct {
	Key       string    `json:"key"`               // names the run's pages
	SinceID   string    `json:"sinceId,omitempty"` // exclusive; "" reads back as far as X goes
	UntilID   string    `json:"untilId,omitempty"` // exclusive; set when the run reads on below its oldest post
	EndTime   time.Time `json:"endTime,omitzero"`  // UTC, exclusive; only of runs from before the format was versioned
	NextToken string    `json:"nextToken,omitempty"`

	Began    time.Time `json:"began,omitzero"`   // UTC, X's clock; when X gave the first page
	LastPage time.Time `json:"last,omitzero"`    // UTC, X's clock; when X gave the last page so far
	CoverTo  time.Time `json:"coverTo,omitzero"` // UTC; up to where the run covers once it is archived

	Pages        int       `json:"pages"`                  // pages retained so far
	Posts        int       `json:"posts"`                  // posts read so far
	Returned     []string  `json:"returned,omitempty"`     // ids of Recent that the answers have held so far
	NewestID     string    `json:"newestId,omitempty"`     // the newest post read so far
	CursorBefore string    `json:"cursorBefore,omitempty"` // the account's cursor when the run began
	OldestID     string    `json:"oldestId,omitempty"`     // the oldest post read so far
	Oldest       time.Time `json:"oldest,omitzero"`        // UTC; when it was posted
	Complete     bool      `json:"complete"`               // every page is retained; archiving goes from the oldest page to the newest
	From         time.Time `json:"from,omitzero"`          // UTC; once complete: from when on nothing is missing
	Checked      bool      `json:"checked,omitempty"`      // it is decided what the run covers
	Uncovered    bool      `json:"uncovered,omitempty"`    // X's answers lacked known posts: their time is not covered

	Stored int `json:"stored"`          // pages archived, counted from the oldest
	Within int `json:"within,omitzero"` // posts archived of the page that is being archived
}

// Waiting is something of a post that X did not give yet and is asked for again:
// media, an earlier version, or the text.
type Waiting struct {
	PostID   string    `json:"postId"`             // of the archived post that it belongs to
	Name     string    `json:"name"`               // of that post's message in the archive
	Versions []string  `json:"versions,omitempty"` // ids of earlier versions of the post; none for media
	Media    []string  `json:"media,omitempty"`    // keys of the media
	Text     bool      `json:"text,omitempty"`     // X gave a notice in place of a text
	Since    time.Time `json:"since"`              // UTC; first asked for
	Next     time.Time `json:"next,omitzero"`      // UTC; not asked for before
	Tries    int       `json:"tries"`
	Done     int       `json:"done,omitempty"` // second messages that were archived for it
	Why      string    `json:"why"`            // what X said last
}

// Key names what is waited for within its account.
func (w Waiting) Key() string {
	switch {
	case len(w.Versions) > 0:
		return "versions/" + w.PostID
	case w.Text:
		return "text/" + w.PostID
	}
	if w.Name == "" {
		return "media/" + w.PostID
	}
	return "media/" + strings.TrimSuffix(path.Base(w.Name), ".eml")
}

// Lost is something of a post that X did not give within the time it was waited
// for.
type Lost struct {
	Waiting
	At time.Time `json:"at"` // UTC; given up
}

const lostKept = 200

// AddLost notes that something of a post is given up.
func (a *Account) AddLost(w Waiting, at time.Time) {
	a.Lost = append(a.Lost, Lost{w, at.UTC()})
	a.Lost = a.Lost[max(0, len(a.Lost)-lostKept):]
}

// SetAside counts an account's posts that could not be made into messages. They
// are kept under set-aside/posts/<accountId>/.
type SetAside struct {
	Posts   int    `json:"posts"`
	Version string `json:"version"` // of the connector that last tried to archive all of them; "" if that is not certain
}

// Stated is how many posts X said that the account has, once a day, beside what was
// archived then.
type Stated struct {
	At       time.Time `json:"at"`       // UTC, X's clock
	Posts    int       `json:"posts"`    // X's number
	Archived int       `json:"archived"` // posts archived or set aside, each edited one once
	Gone     int       `json:"gone,omitempty"`
	Missing  int       `json:"missing,omitempty"` // how many more X states than are archived and not gone; less than 0: fewer
	Since    time.Time `json:"since,omitzero"`    // UTC; since when it has been more each day, and no gap explains it
	Said     int       `json:"said,omitempty"`    // how many missing ones were reported
	Credits  *float64  `json:"credits,omitempty"` // the app's balance then in US dollars; nil where X does not tell
}

// Unexplained reports whether X has stated more than is archived for a day, and no gap
// explains it. One day's number alone proves nothing: X counts with some delay.
func (s *Stated) Unexplained() bool {
	return s != nil && !s.Since.IsZero() && s.At.Sub(s.Since) >= 12*time.Hour
}

// dailyKept is how many days Daily goes back.
const dailyKept = 90

// CountPost adds an archived post to the account's figures.
func (a *Account) CountPost(created time.Time) {
	a.PostsTotal++
	if a.Daily == nil {
		a.Daily = map[string]int{}
	}
	a.Daily[created.UTC().Format(time.DateOnly)]++
	if len(a.Daily) > dailyKept {
		delete(a.Daily, slices.Min(slices.Collect(maps.Keys(a.Daily))))
	}
}

// AddGap records a time of which posts may be missing, and which is not covered for that.
// It reports whether that is new: a run that is interrupted before it is checked
// finds its gap again.
func (a *Account) AddGap(g Gap) bool { return addGap(&a.Gaps, &a.Covered, g) }

func addGap(gaps *[]Gap, covered *Ranges, g Gap) bool {
	if slices.ContainsFunc(*gaps, func(x Gap) bool { return x.Why == g.Why && Ranges{x.Range}.Contains(g.Range) }) {
		return false
	}
	*gaps = append(*gaps, g)
	*covered = covered.Without(g.Range)
	slices.SortFunc(*gaps, func(x, y Gap) int { return cmp.Or(x.From.Compare(y.From), x.To.Compare(y.To)) })
	return true
}

// Decided returns the end of the time of which it is known whether it is covered: the
// end of the covered time, or of a gap that follows it.
func (a *Account) Decided() time.Time { return decided(a.Covered, a.Gaps) }

func decided(covered Ranges, gaps []Gap) time.Time {
	end := covered.End()
	for _, g := range gaps { // in order
		if !g.From.After(end) && g.To.After(end) {
			end = g.To
		}
	}
	return end
}

// Settled returns up to when whatever was archived is in the account's manifest for
// certain, by is a time that is long enough ago: what a run has archived since it began
// may not be listed yet, however long it was interrupted.
func (a *Account) Settled(by time.Time) time.Time {
	if a.Run == nil {
		return by
	}
	if began := a.Run.Began.Add(-settling); began.Before(by) {
		return began
	}
	return by
}

// settling is by how much X's clock, by which a run begins, may differ from that of the
// storage service.
const settling = 5 * time.Minute

// Missing returns the gaps' times as a set.
func (a *Account) Missing() Ranges {
	var out Ranges
	for _, g := range a.Gaps {
		out = out.Add(g.Range)
	}
	return out
}

func (a *Account) belongs(name string) bool { return name == accountName(a.ID) }

// upgrade: in the older format gaps had no reason, the last error was a text that
// could be empty, and a run covered up to the end that it had asked X for.
func (a *Account) upgrade() {
	covered := a.Covered // such gaps were beside it, as far as they were any
	for _, r := range a.Unreachable {
		a.AddGap(Gap{Range: r, Why: BeyondReach})
	}
	a.Covered = covered
	a.Unreachable = nil
	a.Problem = a.Problem.orNil()
	if a.Run != nil && a.Run.CoverTo.IsZero() {
		a.Run.CoverTo, a.Run.Began = a.Run.EndTime, a.Run.EndTime
	}
}

func accountName(id string) string { return "accounts/" + id + ".json" }

// Account reads an account; one never seen is empty but for its id.
func (s *Store) Account(ctx context.Context, id string) (Account, error) {
	c, err := s.LoadAccount(ctx, id)
	if err != nil {
		return Account{ID: id}, err
	}
	return c.Account, nil
}

// AccountRecord is an account as one instance has read it. It may be saved as long
// as no other instance has changed or claimed it, and claimed for longer work.
type AccountRecord struct {
	Account Account

	store  *Store
	etag   string // "" if there is no record yet
	leased bool   // by another instance, when it was read
	lease  *blob.Lease
}

// LoadAccount reads an account, to work on it; one never seen is empty but for its
// id.
//
// A record that cannot be read is a *[Damaged].
func (s *Store) LoadAccount(ctx context.Context, id string) (*AccountRecord, error) {
	r := &AccountRecord{store: s}
	info, err := s.read(ctx, accountName(id), &r.Account)
	if errors.Is(err, ErrNotFound) {
		r.Account, err = Account{ID: id}, nil
	}
	if err != nil {
		return nil, err
	}
	r.etag, r.leased = info.ETag, info.Leased
	return r, nil
}

// Claimed reports whether another instance was at work on the account when it was
// read.
func (r *AccountRecord) Claimed() bool { return r.leased }

// Claim takes the account's lease. It returns a context that ends, with cause
// ErrLost, when the lease is lost. It returns ErrClaimed if another instance has the
// account, or has changed it since it was read. [AccountRecord.Release] gives
// the lease back.
func (r *AccountRecord) Claim(ctx context.Context) (context.Context, error) {
	if r.etag == "" { // a lease needs a blob
		if err := r.Save(ctx); err != nil {
			return nil, err
		}
	}
	l, err := r.store.blobs.Lease(ctx, accountName(r.Account.ID), r.etag)
	if err != nil {
		return nil, claimed(err)
	}
	r.lease = l
	return l.Context(), nil
}

// Save writes the account as it is now. It returns ErrClaimed if another instance
// has changed or claimed the account meanwhile, ErrLost if the claim is lost.
func (r *AccountRecord) Save(ctx context.Context) error {
	r.Account.V = Version
	when := blob.Condition{ETag: r.etag, Absent: r.etag == ""}
	if r.lease != nil {
		// Nobody else can write under our lease. Without the ETag, a save that took
		// effect though it failed does not make all later ones fail.
		when = blob.Condition{Lease: r.lease.ID}
	}
	etag, err := r.store.write(ctx, accountName(r.Account.ID), r.Account, when)
	if errors.Is(err, ErrExists) {
		return ErrClaimed
	}
	if err == nil {
		r.etag = etag
	}
	return err
}

// Lost returns ErrLost if the claim was lost.
func (r *AccountRecord) Lost() error {
	if r.lease == nil {
		return nil
	}
	return r.lease.Lost()
}

// Release gives the claim back, if there is one.
func (r *AccountRecord) Release() {
	if r.lease != nil {
		r.lease.Release()
		r.lease = nil
	}
}
