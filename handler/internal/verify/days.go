package verify

import (
	"context"
	"errors"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/manifest"
)

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
