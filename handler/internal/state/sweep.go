package state

import (
	"context"
	"errors"
	"strings"
	"time"

	"xarchive/handler/internal/blob"
)

// Sweep says when leftovers were last removed.
type Sweep struct {
	V  int       `json:"v"`
	At time.Time `json:"at"` // UTC
}

func (w *Sweep) belongs(string) bool { return !w.At.IsZero() }
func (w *Sweep) upgrade()            {}

// recent reports whether the sweep was made within the last day, by whichever clock.
func (w *Sweep) recent(now time.Time) bool { return now.Sub(w.At).Abs() < sweepEvery }

const (
	sweepName = "sweep.json"

	// sweepEvery is how often leftovers are looked for.
	sweepEvery = 24 * time.Hour
	// endedKept is how long an ended task is kept for people to look at.
	endedKept = 90 * 24 * time.Hour
	// orphanAge is how old a leftover must be: what is younger may belong to work
	// that is only beginning.
	orphanAge = 7 * 24 * time.Hour
)

// leftover is a kind of blob that may be left behind.
type leftover struct {
	folder string
	age    time.Duration
	// of returns what a blob was kept for, and unneeded reports whether nothing
	// needs that any more; nil: age alone decides.
	of       func(rest string) string
	unneeded func(ctx context.Context, of string) (bool, error)
}

func (s *Store) leftovers(now time.Time) []leftover {
	first := func(rest string) string { part, _, _ := strings.Cut(rest, "/"); return part }
	firstTwo := func(rest string) string {
		part := strings.SplitN(rest, "/", 3)
		return strings.Join(part[:min(2, len(part))], "/")
	}
	taskGone := func(ctx context.Context, of string) (bool, error) { return s.absent(ctx, openTasks+of+".json") }
	jobGone := func(ctx context.Context, of string) (bool, error) { return s.absent(ctx, jobName(of)) }
	ownerGone := func(ctx context.Context, of string) (bool, error) {
		owner, err := s.Owner(ctx, of, now)
		return owner == "", err
	}
	return []leftover{
		{endedTasks, endedKept, nil, nil},
		{signIns, 24 * time.Hour, nil, nil},   // they live for minutes
		{signedOut, 24 * time.Hour, nil, nil}, // sessions live for half an hour
		{activitySeen, orphanAge, nil, nil},   // an older event is refused
		{"tasks/items/", orphanAge, firstTwo, taskGone},
		{"tasks/found/", orphanAge, firstTwo, taskGone},
		{pages, orphanAge, firstTwo, s.pagesGone},
		{"late/", orphanAge, first, jobGone},
		{"delivered/", orphanAge, first, jobGone},
		{changesFolder, orphanAge, first, jobGone},
		{"owners/", orphanAge, first, ownerGone},
	}
}

// Sweep removes, once a day, what nobody needs any more: ended tasks after 90
// days, sign-ins that have expired, and what was kept for tasks, runs and jobs that
// are gone. It returns how many blobs it removed; ran is false if a sweep was
// made within the last day. After an error the rest waits for the next day.
func (s *Store) Sweep(ctx context.Context, now time.Time) (removed int, ran bool, err error) {
	if last := s.lastSweep.Load(); last != nil && last.recent(now) {
		return 0, false, nil // no need to read it at every tick
	}
	var last Sweep
	info, err := s.read(ctx, sweepName, &last)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, false, err
	}
	if err == nil && last.recent(now) {
		s.lastSweep.Store(&last)
		return 0, false, nil
	}
	// Before the record is there, see unrecordedOwner.
	if err := s.recordOwners(ctx); err != nil {
		return 0, false, err
	}
	// Whoever writes this first sweeps; the others see that it is done.
	mine := Sweep{Version, now.UTC()}
	_, err = s.write(ctx, sweepName, mine, blob.Condition{ETag: info.ETag, Absent: info.ETag == ""})
	if errors.Is(err, ErrClaimed) || errors.Is(err, ErrExists) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	s.lastSweep.Store(&mine)
	for _, kind := range s.leftovers(now) {
		n, err := s.sweepKind(ctx, kind, now)
		removed += n
		if err != nil {
			return removed, true, err
		}
	}
	return removed, true, nil
}

func (s *Store) sweepKind(ctx context.Context, kind leftover, now time.Time) (removed int, err error) {
	asked, unneeded := "", false // the blobs of one task or run follow each other
	for info, err := range s.blobs.List(ctx, kind.folder, false) {
		if err != nil {
			return removed, err
		}
		if now.Sub(info.Modified) < kind.age {
			continue
		}
		if kind.of != nil {
			of := kind.of(strings.TrimSuffix(strings.TrimPrefix(info.Name, kind.folder), ".json"))
			if of != asked {
				asked = of
				if unneeded, err = kind.unneeded(ctx, of); errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewer) {
					unneeded, err = false, nil // who can tell
				}
				if err != nil {
					return removed, err
				}
			}
			if !unneeded {
				continue
			}
		}
		err = s.remove(ctx, info.Name, blob.Condition{ETag: info.ETag})
		if errors.Is(err, ErrClaimed) {
			continue // it has just been written
		}
		if err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// pagesGone reports whether no run needs the answers kept as account/key.
func (s *Store) pagesGone(ctx context.Context, of string) (bool, error) {
	account, key, ok := strings.Cut(of, "/")
	if !ok {
		return false, nil
	}
	a, err := s.Account(ctx, account)
	if err != nil {
		return false, err
	}
	return a.Run == nil || a.Run.Key != key, nil
}

func (s *Store) absent(ctx context.Context, name string) (bool, error) {
	_, _, err := s.blobs.Read(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}
