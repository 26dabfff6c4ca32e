package verify

import (
	"context"
	"errors"
	"fmt"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"

	"golang.org/x/sync/errgroup"
)

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
