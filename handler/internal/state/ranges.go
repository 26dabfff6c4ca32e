package state

import (
	"slices"
	"time"
)

// Range is a stretch of time, From inclusive, To exclusive, both UTC. The zero
// From is the beginning of time.
type Range struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Empty reports whether no instant is in the range.
func (r Range) Empty() bool { return !r.From.Before(r.To) }

// Ranges is a set of instants: ranges in order, none empty, none touching another.
type Ranges []Range

// Add returns the set with a range added.
func (rs Ranges) Add(r Range) Ranges {
	if r.Empty() {
		return rs
	}
	var out Ranges
	for _, x := range rs {
		if x.To.Before(r.From) || r.To.Before(x.From) {
			out = append(out, x)
			continue
		}
		if x.From.Before(r.From) {
			r.From = x.From
		}
		if x.To.After(r.To) {
			r.To = x.To
		}
	}
	out = append(out, r)
	slices.SortFunc(out, func(a, b Range) int { return a.From.Compare(b.From) })
	return out
}

// Without returns the set but for a range.
func (rs Ranges) Without(r Range) Ranges {
	if r.Empty() {
		return rs
	}
	var out Ranges
	for _, x := range rs {
		out = append(out, Ranges{r}.Missing(x)...)
	}
	return out
}

// Missing returns the parts of a range that are not in the set, in order.
func (rs Ranges) Missing(r Range) Ranges {
	var out Ranges
	for _, x := range rs {
		if gap := (Range{r.From, earlier(x.From, r.To)}); !gap.Empty() {
			out = append(out, gap)
		}
		if x.To.After(r.From) {
			r.From = x.To
		}
	}
	if !r.Empty() {
		out = append(out, r)
	}
	return out
}

// Contains reports whether every instant of a range is in the set.
func (rs Ranges) Contains(r Range) bool { return len(rs.Missing(r)) == 0 }

// End returns the end of the last range, and the zero time for the empty set.
func (rs Ranges) End() time.Time {
	if len(rs) == 0 {
		return time.Time{}
	}
	return rs[len(rs)-1].To
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
