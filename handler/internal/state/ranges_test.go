package state

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// TestRangesAgainstInstants compares the set with the plainest model there is:
// one flag an instant.
func TestRangesAgainstInstants(t *testing.T) {
	const instants = 60
	at := func(i int) time.Time { return time.Unix(int64(i), 0).UTC() }
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var set Ranges
		var model [instants]bool
		for range rng.IntN(12) {
			from, to := rng.IntN(instants), rng.IntN(instants)
			set = set.Add(Range{at(from), at(to)})
			for i := from; i < to; i++ {
				model[i] = true
			}
		}
		for i, want := range model {
			if got := set.Contains(Range{at(i), at(i + 1)}); got != want {
				t.Fatalf("seed %d: instant %d: in the set %v, in the model %v: %v", seed, i, got, want, set)
			}
		}
		for i, r := range set {
			if r.Empty() || i > 0 && !set[i-1].To.Before(r.From) {
				t.Fatalf("seed %d: not in order, empty or touching: %v", seed, set)
			}
		}
		from, to := rng.IntN(instants), rng.IntN(instants)
		missing := map[int]bool{}
		for _, gap := range set.Missing(Range{at(from), at(to)}) {
			for i := gap.From.Unix(); i < gap.To.Unix(); i++ {
				missing[int(i)] = true
			}
		}
		for i := range instants {
			if want := i >= from && i < to && !model[i]; missing[i] != want {
				t.Fatalf("seed %d: instant %d of [%d,%d): missing %v, in the model %v: %v", seed, i, from, to, missing[i], want, set)
			}
		}
	}
}

func TestRangesFromTheBeginning(t *testing.T) {
	day := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	set := Ranges{}.Add(Range{To: day})
	if !set.Contains(Range{From: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), To: day}) {
		t.Error("the zero time does not stand for the beginning")
	}
	if set.Contains(Range{From: day.Add(-time.Hour), To: day.Add(time.Nanosecond)}) {
		t.Error("the end is part of the range")
	}
	if set.End() != day || (Ranges{}).End() != (time.Time{}) {
		t.Error("wrong end")
	}
}

func TestWithout(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0).UTC() }
	set := Ranges{{From: at(0), To: at(10)}, {From: at(20), To: at(30)}}
	for _, c := range []struct {
		r    Range
		want Ranges
	}{
		{Range{From: at(10), To: at(20)}, set},
		{Range{From: at(5), To: at(5)}, set},
		{Range{From: at(5), To: at(25)}, Ranges{{From: at(0), To: at(5)}, {From: at(25), To: at(30)}}},
		{Range{From: at(22), To: at(24)}, Ranges{{From: at(0), To: at(10)}, {From: at(20), To: at(22)}, {From: at(24), To: at(30)}}},
		{Range{To: at(40)}, nil},
	} {
		if got := set.Without(c.r); !reflect.DeepEqual(got, c.want) {
			t.Errorf("without %v: %v, want %v", c.r, got, c.want)
		}
	}
}
