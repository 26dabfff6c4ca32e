package pages

import (
	"time"
)

// TimerHealth says in words how the timer is doing that last ticked then; the zero
// time means never. bad reports that somebody must act: without a tick nothing is
// read from X, and the host says nothing of it.
func TimerHealth(last, now time.Time) (words string, bad bool) {
	const advice = "See that INGEST_SCHEDULE is a valid schedule and that the timer function (ingest) is enabled in the Azure portal."
	switch {
	case last.IsZero():
		return "The timer has not ticked yet; nothing is read from X before it does. It ticks within minutes of the deployment. If it does not: " + advice, false
	case now.Sub(last) > late:
		return "The timer last ticked " + lasting(now, last) + ". Nothing is read from X until it ticks again. " + advice, true
	}
	return "The timer last ticked " + lasting(now, last) + ".", false
}
