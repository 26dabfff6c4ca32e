package recheck

import (
	"slices"
	"time"
)

const day = 24 * time.Hour

// sameDay is when a day's posts are looked at for the first time, from the day's
// beginning: late on their own day, because X bills a post once a UTC day, and has been
// paid for it by then. A look that is missed is not made up for.
const sameDay = 23 * time.Hour

// paidLooks are how many days after a post's own day it is looked at, as far as the
// audit reaches. Each costs a read.
var paidLooks = []int{7, 30, 90, 365, 1095}

// looks are when a day's posts are looked at, from the day's beginning; the last time
// when they are as old as the audit reaches, in days.
func looks(reach int) (after []time.Duration) {
	after = append(after, sameDay)
	for _, d := range paidLooks {
		if d < reach {
			after = append(after, time.Duration(d)*day)
		}
	}
	return append(after, time.Duration(reach)*day)
}

// late is how many days a post's last look may be late: the connector was off, or X.
const late = 7

// dueSince returns the latest of a day's looks that has come by now: when it came, or the
// zero time if none has.
func dueSince(of, now time.Time, reach int) (since time.Time) {
	for _, d := range looks(reach) {
		at := of.Add(d)
		if at.After(now) || d == sameDay && now.Sub(of) >= day {
			continue
		}
		since = at
	}
	return since
}

// dueDays are the days (UTC) whose posts are to be looked at, because a look has come
// since they last were. The youngest comes first.
func dueDays(last map[string]time.Time, now time.Time, reach int) (list []time.Time) {
	today := now.UTC().Truncate(day)
	for back := 0; back <= reach+late; back++ {
		of := today.AddDate(0, 0, -back)
		since := dueSince(of, now, reach)
		if !since.IsZero() && last[of.Format(time.DateOnly)].Before(since) {
			list = append(list, of)
		}
	}
	return list
}

// next is when, after a time, the next look of any day can come: late on each day, and
// at its end.
func next(now time.Time) time.Time {
	today := now.UTC().Truncate(day)
	times := []time.Time{today.Add(sameDay), today.Add(day)}
	return times[slices.IndexFunc(times, func(at time.Time) bool { return at.After(now) })]
}
