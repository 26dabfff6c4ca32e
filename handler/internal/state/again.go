package state

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// writes is how often a record is written that others change meanwhile.
	writes = 30

	// longest is the longest wait before one of them.
	longest = 250 * time.Millisecond
)

// Again reports whether a record whose n-th write another instance got ahead of (n from
// 1) is to be read and written once more. Before it says so it waits, at random and
// longer from write to write, so that instances that meet once do not keep meeting. It
// reports false after the 30th write, and when ctx is done.
func Again(ctx context.Context, n int) bool {
	if n >= writes {
		return false
	}
	timer := time.NewTimer(rand.N(min(longest, time.Millisecond<<min(n, 20))))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
