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

// Sweep removes, once a day, what nobody needs any more: ended tasks after 90
// days, sign-ins that have expired, and what was kept for tasks and accounts that
// are gone. It returns how many blobs it removed; ran is false if a sweep was
// made within the last day.
func (s *Store) Sweep(ctx context.Context, now time.Time) (removed int, ran bool, err error) {
	var last Sweep
	info, err := s.read(ctx, sweepName, &last)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, false, err
	}
	if err == nil && now.Sub(last.At) < sweepEvery {
		return 0, false, nil
	}
	// Whoever writes this first sweeps; the others see that it is done.
	_, err = s.write(ctx, sweepName, Sweep{Version, now.UTC()}, blob.Condition{ETag: info.ETag, Absent: info.ETag == ""})
	if errors.Is(err, ErrClaimed) || errors.Is(err, ErrExists) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	gone := func(folder string) func(ctx context.Context, name string) (bool, error) {
		return func(ctx context.Context, name string) (bool, error) { return s.taskGone(ctx, folder, name) }
	}
	for _, kind := range []struct {
		folder string
		age    time.Duration
		needed func(ctx context.Context, name string) (gone bool, err error)
	}{
		{endedTasks, endedKept, nil},
		{signIns, 24 * time.Hour, nil}, // they live for minutes
		{"tasks/items/", orphanAge, gone("tasks/items/")},
		{"tasks/found/", orphanAge, gone("tasks/found/")},
		{pages, orphanAge, s.pageGone},
		{"late/", orphanAge, s.jobGone("late/")},
		{"delivered/", orphanAge, s.jobGone("delivered/")},
	} {
		for info, err := range s.blobs.List(ctx, kind.folder, false) {
			if err != nil {
				return removed, true, err
			}
			if now.Sub(info.Modified) < kind.age {
				continue
			}
			if kind.needed != nil {
				if gone, err := kind.needed(ctx, info.Name); err != nil || !gone {
					if err != nil {
						return removed, true, err
					}
					continue
				}
			}
			if err := s.remove(ctx, info.Name, blob.Condition{ETag: info.ETag}); err != nil && !errors.Is(err, ErrClaimed) {
				return removed, true, err
			}
			removed++
		}
	}
	return removed, true, nil
}

// taskGone reports whether the task that a blob below folder was kept for is no
// longer open.
func (s *Store) taskGone(ctx context.Context, folder, name string) (bool, error) {
	job, rest, _ := strings.Cut(strings.TrimPrefix(name, folder), "/")
	task, _, _ := strings.Cut(strings.TrimSuffix(rest, ".json"), "/")
	return s.absent(ctx, taskName(openTasks, job, task))
}

// jobGone reports whether the job that a blob was kept for is gone.
func (s *Store) jobGone(folder string) func(ctx context.Context, name string) (bool, error) {
	return func(ctx context.Context, name string) (bool, error) {
		job, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(name, folder), ".json"), "/")
		return s.absent(ctx, jobName(job))
	}
}

// pageGone reports whether no run of the account needs a retained answer.
func (s *Store) pageGone(ctx context.Context, name string) (bool, error) {
	parts := strings.Split(strings.TrimPrefix(name, pages), "/")
	if len(parts) < 3 {
		return true, nil
	}
	a, err := s.Account(ctx, parts[0])
	if err != nil {
		return false, err
	}
	return a.Run == nil || a.Run.Key != parts[1], nil
}

func (s *Store) absent(ctx context.Context, name string) (bool, error) {
	_, _, err := s.blobs.Read(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}
