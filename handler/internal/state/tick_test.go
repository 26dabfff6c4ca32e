package state_test

import (
	"errors"
	"testing"
	"time"

	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/state"
)

func TestTick(t *testing.T) {
	s, server := newStore(t)
	ctx := t.Context()
	want := func(at time.Time) {
		t.Helper()
		if got, err := s.LastTick(ctx); err != nil || !got.Equal(at) {
			t.Errorf("the last tick was at %s, %v; want %s", got, err, at)
		}
	}
	want(time.Time{})
	for n := range 3 {
		at := now.Add(time.Duration(n) * time.Hour)
		must(t, s.Ticked(ctx, at))
		want(at)
	}
	raw(t, server, "tick.json", "{")
	if _, err := s.LastTick(ctx); !errors.Is(err, state.ErrDamaged) {
		t.Errorf("want ErrDamaged, got %v", err)
	}
	must(t, s.Ticked(ctx, now)) // the next tick mends it
	want(now)
	raw(t, server, "tick.json", `{"v":2,"at":"2026-01-01T00:00:00Z"}`)
	if err := s.Ticked(ctx, now.Add(time.Hour)); !errors.Is(err, state.ErrNewer) {
		t.Errorf("want ErrNewer, got %v", err)
	}
}

// The record costs a read and a write in ten minutes, not at each tick.
func TestTickIsRecordedEveryTenMinutes(t *testing.T) {
	c, _ := blobtest.Server(t)
	s, other := state.New(c), state.New(c) // two processes
	ctx := t.Context()
	for minutes, recorded := range []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 10} {
		at := now.Add(time.Duration(minutes) * time.Minute)
		must(t, s.Ticked(ctx, at))
		if got, err := s.LastTick(ctx); err != nil || !got.Equal(at) {
			t.Errorf("minute %d: the last tick was at %s, %v", minutes, got, err)
		}
		want := now.Add(time.Duration(recorded) * time.Minute)
		if got, err := other.LastTick(ctx); err != nil || !got.Equal(want) {
			t.Errorf("minute %d: another process sees %s, %v; want %s", minutes, got, err, want)
		}
	}
}
