package state

import (
	"context"
	"errors"
	"sync"
	"time"

	"xarchive/handler/internal/blob"
)

// Tick says when the timer last ticked. Without a tick nothing is read from X, and
// nothing else says so: a timer whose schedule is faulty is simply off, while every
// page answers.
type Tick struct {
	V  int       `json:"v"`
	At time.Time `json:"at"` // UTC, when it began
}

func (w *Tick) belongs(string) bool { return !w.At.IsZero() }
func (w *Tick) upgrade()            {}

const tickName = "tick.json"

// tickEvery is how old the record must be before a tick of the same process replaces
// it: a read and a write at each tick would be a third of what a tick costs that finds
// nothing to do.
const tickEvery = 10 * time.Minute

// ticks is what this process knows of its own ticks.
type ticks struct {
	sync.Mutex
	last     time.Time // when the last one began, UTC
	recorded time.Time // the last one that was recorded
}

// LastTick returns when the last tick began, UTC; the zero time if there was none.
// Another process's ticks are known to within ten minutes.
func (s *Store) LastTick(ctx context.Context) (time.Time, error) {
	var last Tick
	_, err := s.read(ctx, tickName, &last)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil {
		return time.Time{}, err
	}
	s.ticks.Lock()
	defer s.ticks.Unlock()
	if s.ticks.last.After(last.At) {
		return s.ticks.last, nil
	}
	return last.At, nil
}

// Ticked says that a tick begins now. The record is replaced when it is ten minutes
// old. Of several processes at the same time one is enough.
func (s *Store) Ticked(ctx context.Context, now time.Time) error {
	now = now.UTC()
	s.ticks.Lock()
	defer s.ticks.Unlock()
	s.ticks.last = now
	if age := now.Sub(s.ticks.recorded); 0 <= age && age < tickEvery {
		return nil
	}
	var last Tick
	info, err := s.read(ctx, tickName, &last)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged) {
		return err
	}
	when := blob.Condition{ETag: info.ETag, Absent: errors.Is(err, ErrNotFound)}
	_, err = s.write(ctx, tickName, Tick{Version, now}, when)
	if err != nil && !errors.Is(err, ErrClaimed) && !errors.Is(err, ErrExists) {
		return err
	}
	s.ticks.recorded = now
	return nil
}
