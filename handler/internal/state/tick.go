package state

import (
	"context"
	"errors"
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

// LastTick returns when the last tick began, UTC; the zero time if there was none.
func (s *Store) LastTick(ctx context.Context) (time.Time, error) {
	var last Tick
	_, err := s.read(ctx, tickName, &last)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return last.At, err
}

// Ticked records that a tick begins now. Of several at the same time one is enough.
func (s *Store) Ticked(ctx context.Context, now time.Time) error {
	var last Tick
	info, err := s.read(ctx, tickName, &last)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged) {
		return err
	}
	when := blob.Condition{ETag: info.ETag, Absent: errors.Is(err, ErrNotFound)}
	_, err = s.write(ctx, tickName, Tick{Version, now.UTC()}, when)
	if errors.Is(err, ErrClaimed) || errors.Is(err, ErrExists) {
		return nil
	}
	return err
}
