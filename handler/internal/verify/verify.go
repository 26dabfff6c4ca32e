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
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"

	"golang.org/x/sync/errgroup"
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

// chain reads on along the manifest's chain.
func (s *step) chain(ctx context.Context) error {
	p := s.pass
	for _, part := range s.parts {
		if part.N <= p.Last.N {
			continue
		}
		if s.spent() {
			return nil
		}
		s.calls++
		before, begun := p.Report, p.Line > 0
		b, err := s.Manifests.Blob(ctx, s.Account, part.N)
		switch {
		case errors.Is(err, manifest.ErrBroken):
			s.note(&p.Report.Broken, err.Error())
			p.Last, p.Line = manifest.Link{N: part.N}, 0
			continue
		case err != nil:
			return err
		}
		if !begun {
			for _, err := range []error{b.Follows(p.Last), b.Link.Is(s.Account, s.Newest)} {
				if err != nil {
					s.note(&p.Report.Broken, err.Error())
				}
			}
			if b.Head.V >= manifest.NotesSince && p.Notes.IsZero() {
				p.Notes = part.Stored
			}
			if err := s.stamp(ctx, part, b); err != nil {
				p.Report = before
				return err
			}
			for _, line := range b.Lines {
				if p.Since.IsZero() || part.N == s.parts[0].N && line.Captured.Before(p.Since) {
					p.Since = line.Captured
				}
			}
		}
		if err := s.lines(ctx, b); err != nil || p.Line < len(b.Lines) {
			if p.Line == 0 { // it begins again with this blob
				p.Report = before
			}
			return err
		}
		p.Last, p.Line = b.Link, 0
	}
	if err := p.Last.Ends(s.Account, s.Newest); err != nil {
		s.note(&p.Report.Broken, err.Error())
	}
	p.Chain = true
	return nil
}

// stamp checks the time stamp of a blob of the chain.
func (s *step) stamp(ctx context.Context, part manifest.Part, b manifest.Blob) error {
	if !part.Stamped || s.Stamped == nil {
		return nil
	}
	s.calls++
	token, err := s.Manifests.Stamp(ctx, s.Account, part.N)
	if err != nil {
		return err
	}
	at, trusted, err := s.Stamped(token, b.Data)
	if err != nil {
		s.note(&s.pass.Report.Broken, fmt.Sprintf("the time stamp of blob %d of the manifest: %v", part.N, err))
		return nil
	}
	s.pass.Report.Stamps++
	if !trusted {
		s.pass.Report.Untrusted++
	}
	if at.After(s.pass.Report.StampedTo) {
		s.pass.Report.StampedTo = at
	}
	return nil
}

// lines reads what the lines of a blob of the chain name, some at a time.
func (s *step) lines(ctx context.Context, b manifest.Blob) error {
	for s.pass.Line < len(b.Lines) && !s.spent() {
		some := b.Lines[s.pass.Line:min(s.pass.Line+4*atOnce, len(b.Lines))]
		var checks []check
		count := 0
		for _, line := range some {
			if line.Posted.Before(s.From) || line.Posted.After(s.To) {
				continue
			}
			count++
			if line.SHA256 != "" { // what was given up has no bytes
				checks = append(checks, check{name: line.Path, listed: line.SHA256, note: line.IsNote()})
			}
			for _, raw := range line.Raw {
				if !s.raw[raw.Path] {
					s.raw[raw.Path] = true
					checks = append(checks, check{name: raw.Path, raw: true})
				}
			}
		}
		if err := s.read(ctx, checks); err != nil {
			for _, c := range checks {
				delete(s.raw, c.name)
			}
			return err
		}
		s.pass.Report.Lines += count
		s.pass.Line += len(some)
		s.tell()
	}
	return nil
}

// check is something that is read to its end.
type check struct {
	name, listed string
	raw, note    bool
	n            int64
	err          error
}

// read reads several blobs at once, and takes what is found into the report if all of
// them could be read.
func (s *step) read(ctx context.Context, checks []check) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range checks {
		c := &checks[i]
		group.Go(func() error {
			switch {
			case c.raw:
				c.n, c.err = s.Archive.CheckRaw(ctx, c.name)
			case c.note:
				c.n, c.err = s.Archive.CheckNote(ctx, c.name, c.listed)
			default:
				c.n, c.err = s.Archive.Check(ctx, c.name, c.listed)
			}
			if c.err != nil && fault.CauseOf(c.err) != fault.ArchiveAltered && !errors.Is(c.err, archive.ErrNotFound) && !errors.Is(c.err, archive.ErrForeign) {
				return c.err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r := &s.pass.Report
	for _, c := range checks {
		s.calls++
		r.Bytes += c.n
		switch {
		case errors.Is(c.err, archive.ErrNotFound):
			s.note(&r.Missing, c.name+" is listed in the manifest and is not there")
			continue
		case errors.Is(c.err, archive.ErrForeign):
			s.note(&r.Altered, c.name+" does not have the metadata that it was archived with")
		case c.err != nil:
			s.note(&r.Altered, c.err.Error())
		}
		switch {
		case c.raw:
			r.Raw++
		case c.note:
			r.Notes++
		default:
			r.Messages++
		}
	}
	return nil
}

// days looks through the days of the archive for messages that no line names.
func (s *step) days(ctx context.Context) error {
	p := s.pass
	from := s.From
	if !p.Day.IsZero() {
		from = p.Day.AddDate(0, 0, 1)
	}
	s.calls += 4 // about so many listings
	var err error
	if s.parts, err = s.Manifests.Parts(ctx, s.Account); err != nil { // the chain may have grown
		return err
	}
	for day, err := range s.Archive.Days(ctx, s.Account, from, s.To) {
		if err != nil {
			return err
		}
		if s.spent() {
			return nil
		}
		s.calls++
		before := p.Report
		if err := s.day(ctx, day); err != nil {
			p.Report = before
			return err
		}
		p.Day = day
		s.tell()
	}
	p.Done = true
	return nil
}

// day looks through a day of the archive.
func (s *step) day(ctx context.Context, day time.Time) error {
	start, end := day, day.AddDate(0, 0, 1).Add(-1)
	if start.Before(s.From) {
		start = s.From
	}
	if end.After(s.To) {
		end = s.To
	}
	var found Report
	var unlisted []archive.Entry
	for e, err := range s.Archive.Day(ctx, s.Account, day) {
		switch {
		case errors.Is(err, archive.ErrForeign):
			s.note(&found.Foreign, err.Error())
		case err != nil:
			return err
		case e.Note == "" && (e.Created.Before(start) || e.Created.After(end)):
		default:
			listed, err := s.isListed(ctx, day.Format(time.DateOnly), e.Name)
			if err != nil {
				return err
			}
			if !listed {
				unlisted = append(unlisted, e)
			}
		}
	}
	var checks []check
	for _, e := range unlisted {
		since := s.pass.Since
		if e.Note != "" {
			since = s.pass.Notes
		}
		switch {
		case since.IsZero() || e.Stored.Before(since):
			if e.Note == "" {
				found.Unlisted++
			} else {
				found.UnlistedNotes++
			}
			checks = append(checks, check{name: e.Name, listed: e.SHA256, note: e.Note != ""})
		case e.Stored.After(s.Settled):
			found.Pending++
		default:
			s.note(&found.Extra, e.Name+" is not in the manifest, and was stored after the manifest began")
		}
	}
	for some := range slices.Chunk(checks, 4*atOnce) {
		if err := s.read(ctx, some); err != nil {
			return err
		}
	}
	r := &s.pass.Report
	r.Unlisted, r.Pending, r.UnlistedNotes = r.Unlisted+found.Unlisted, r.Pending+found.Pending, r.UnlistedNotes+found.UnlistedNotes
	s.join(&r.Extra, found.Extra)
	s.join(&r.Foreign, found.Foreign)
	return nil
}

func (s *step) join(f *Faults, more Faults) {
	f.Count += more.Count
	f.Named = append(f.Named, more.Named[:min(len(more.Named), max(0, s.Named-len(f.Named)))]...)
}

// isListed reports whether a line of the manifest names a message, or a note, of a day.
func (s *step) isListed(ctx context.Context, day, path string) (bool, error) {
	for i := range s.parts {
		part := &s.parts[i]
		if !part.MayList(day) {
			continue
		}
		paths, err := s.paths(ctx, part)
		if err != nil {
			return false, err
		}
		if _, ok := paths[path]; ok {
			return true, nil
		}
	}
	return false, nil
}

// keptBlobs is of how many blobs of the chain the paths are held in memory.
const keptBlobs = 1000

// paths returns what a blob of the chain lists. A blob that cannot be read lists nothing:
// that it is broken is said.
func (s *step) paths(ctx context.Context, part *manifest.Part) (map[string]struct{}, error) {
	if paths, ok := s.listed[part.N]; ok {
		return paths, nil
	}
	s.calls++
	b, err := s.Manifests.Blob(ctx, s.Account, part.N)
	if err != nil && !errors.Is(err, manifest.ErrBroken) {
		return nil, err
	}
	paths := make(map[string]struct{}, len(b.Lines))
	for _, line := range b.Lines {
		if line.SHA256 != "" {
			paths[line.Path] = struct{}{}
		}
	}
	if len(s.listed) >= keptBlobs {
		clear(s.listed)
	}
	s.listed[part.N] = paths
	return paths, nil
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
