// Package verify re-reads an account's archive and compares it with itself and
// with its manifest: every message with the SHA-256 that was noted when it was
// archived, every raw answer of X with its name, every line of the manifest with a
// message or a note, every message and every note with a line, every time stamp with what
// it stamps.
//
// A [Pass] goes through the archive once, in as many steps as it takes: first along the
// manifest's chain, reading what its lines name; then through the days of the archive,
// looking for messages that no line names. It can be written down after each step.
// Memory does not grow with the archive.
package verify

import (
	"context"
	"iter"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/manifest"
)

// Archive is what is verified; *archive.Archive.
type Archive interface {
	Days(ctx context.Context, accountID string, start, end time.Time) iter.Seq2[time.Time, error]
	Day(ctx context.Context, accountID string, day time.Time) iter.Seq2[archive.Entry, error]
	CheckNote(ctx context.Context, name, listed string) (int64, error)
	Check(ctx context.Context, name, listed string) (int64, error)
	CheckRaw(ctx context.Context, name string) (int64, error)
}

// Manifests lists what was archived; *manifest.Store.
type Manifests interface {
	Parts(ctx context.Context, account string) ([]manifest.Part, error)
	Blob(ctx context.Context, account string, n int) (manifest.Blob, error)
	Stamp(ctx context.Context, account string, n int) ([]byte, error)
}

// Faults are faults of one kind, each named as a sentence with the blob's name.
type Faults struct {
	Count int      `json:"count,omitempty"`
	Named []string `json:"named,omitempty"` // the first of them
}

// Report is what was found so far.
type Report struct {
	Messages int   `json:"messages"` // messages that were read
	Bytes    int64 `json:"bytes"`    // that were read, of messages and raw answers
	Lines    int   `json:"lines"`    // lines of the manifest
	Raw      int   `json:"raw"`      // raw answers of X that were read
	Unlisted int   `json:"unlisted"` // messages that no line lists; from before there was a manifest
	Pending  int   `json:"pending"`  // messages and notes that no line lists yet, because they are too new

	Notes         int `json:"notes,omitempty"`         // notes beside messages that were read
	UnlistedNotes int `json:"unlistedNotes,omitempty"` // of them, those that no line lists: from before the manifest listed notes

	Stamps    int       `json:"stamps"`              // time stamps that were checked
	Untrusted int       `json:"untrusted,omitempty"` // of them, those whose signers lead to no root that is trusted here
	StampedTo time.Time `json:"stampedTo,omitzero"`  // the newest time that they state

	Altered Faults `json:"altered,omitzero"` // the bytes are not those that were archived, or not those of the manifest
	Missing Faults `json:"missing,omitzero"` // the manifest lists it, and it is not there
	Foreign Faults `json:"foreign,omitzero"` // it is among the messages and is not one of ours
	Extra   Faults `json:"extra,omitzero"`   // archived since there is a manifest, and not in it
	Broken  Faults `json:"broken,omitzero"`  // links of the manifest's chain, and time stamps
}

// Faults returns all faults by what is wrong, in the order of their gravity.
func (r Report) Faults() []struct {
	What string
	Faults
} {
	return []struct {
		What string
		Faults
	}{{"altered", r.Altered}, {"missing", r.Missing}, {"added", r.Extra}, {"not the connector's", r.Foreign}, {"broken in the manifest", r.Broken}}
}

// Sound reports whether no fault was found.
func (r Report) Sound() bool {
	return r.Altered.Count+r.Missing.Count+r.Foreign.Count+r.Extra.Count+r.Broken.Count == 0
}

// Pass is one way through an account's archive, and how far it is.
type Pass struct {
	Began time.Time `json:"began"` // UTC

	Last  manifest.Link `json:"last,omitzero"`  // the blob of the chain that was read last, to its end
	Line  int           `json:"line,omitempty"` // lines of the blob after it that are done
	Since time.Time     `json:"since,omitzero"` // when the manifest begins
	Notes time.Time     `json:"notes,omitzero"` // UTC, storage's clock: since when it lists notes; zero if it does not
	Chain bool          `json:"chain"`          // the chain is read to its end
	Day   time.Time     `json:"day,omitzero"`   // the day of the archive that was looked through last
	Done  bool          `json:"done"`

	Report Report `json:"report"`
}

// Options says what is verified.
type Options struct {
	Archive   Archive
	Manifests Manifests
	Account   string
	From, To  time.Time     // of the posts, both inclusive; the zero From is the beginning
	Newest    manifest.Link // that is written down in the account's record
	// Settled is up to when whatever was archived must be in the manifest. A message
	// that was stored later and is not is no fault yet.
	Settled time.Time
	// Stamped checks a time stamp of bytes: the time that it states, and whether its
	// signer leads to a root that is trusted; nil: time stamps are not checked.
	Stamped func(token, data []byte) (at time.Time, trusted bool, err error)
	// Named is how many faults of a kind are named.
	Named int
	// Progress is called from time to time with what was found so far; may be nil.
	Progress func(Report)
}

// Budget bounds a step. A zero bound is none. It is passed by no more than a few
// messages.
type Budget struct {
	Calls int // of the storage service
	Bytes int64
}

// atOnce is how many messages are read at the same time.
const atOnce = 8

// step is one step of a pass.
type step struct {
	Options
	pass   *Pass
	calls  int
	budget Budget
	start  int64 // bytes read before this step
	parts  []manifest.Part
	raw    map[string]bool             // answers that were read in this step
	listed map[int]map[string]struct{} // paths that a blob of the chain lists
}

// Step goes on with a pass, as far as the budget and the context's time go. What an
// error or the end of time interrupts is done again by the next step. Its error says
// that the archive could not be read; what is wrong with the archive is in the report. It
// returns what it has used, also beside an error.
func Step(ctx context.Context, o Options, p *Pass, b Budget) (used Budget, err error) {
	s := &step{Options: o, pass: p, budget: b, start: p.Report.Bytes, raw: map[string]bool{}, listed: map[int]map[string]struct{}{}}
	err = s.run(ctx)
	return Budget{Calls: s.calls, Bytes: max(0, p.Report.Bytes-s.start)}, err
}

func (s *step) run(ctx context.Context) error {
	var err error
	s.calls++
	if s.parts, err = s.Manifests.Parts(ctx, s.Account); err != nil {
		return err
	}
	if !s.pass.Chain {
		if err := s.chain(ctx); err != nil || !s.pass.Chain {
			return err
		}
	}
	return s.days(ctx)
}

// spent reports whether the budget is used up.
func (s *step) spent() bool {
	return s.budget.Calls > 0 && s.calls >= s.budget.Calls || s.budget.Bytes > 0 && s.pass.Report.Bytes-s.start >= s.budget.Bytes
}

func (s *step) tell() {
	if s.Progress != nil {
		s.Progress(s.pass.Report)
	}
}

func (s *step) note(f *Faults, text string) {
	f.Count++
	if len(f.Named) < s.Named {
		f.Named = append(f.Named, text)
	}
}

// Account verifies an account in one go.
func Account(ctx context.Context, o Options) (Report, error) {
	var p Pass
	_, err := Step(ctx, o, &p, Budget{})
	for _, f := range []Faults{p.Report.Altered, p.Report.Missing, p.Report.Foreign, p.Report.Extra, p.Report.Broken} {
		slices.Sort(f.Named)
	}
	return p.Report, err
}
