package twitter

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"xarchive/handler/internal/fault"
)

// Rate is what X says of the caller's budget at the endpoint just called. It is
// zero where X says nothing.
// https://docs.x.com/x-api/fundamentals/rate-limits
type Rate struct {
	Limit     int       // calls in a window
	Remaining int       // calls left in this window
	Reset     time.Time // UTC, by this machine's clock; when the next window begins
}

func readRate(h http.Header, now time.Time) Rate {
	limit, err := strconv.Atoi(h.Get("x-rate-limit-limit"))
	remaining, err2 := strconv.Atoi(h.Get("x-rate-limit-remaining"))
	if err != nil || err2 != nil {
		return Rate{}
	}
	return Rate{Limit: limit, Remaining: remaining, Reset: now.Add(untilReset(h, now)).UTC()}
}

// RateLimitError is X's refusal until a time: nothing is answered before Reset.
type RateLimitError struct {
	// Reset is in UTC, by this machine's clock, and at least five seconds after
	// the answer, whatever X says: a caller that waits for it never asks in a loop.
	Reset time.Time

	// Why is ErrCredits or ErrUsageCap; nil for the rate limit. Then Reset is when
	// asking is worth another try: money or a higher cap may come at any time.
	Why error

	// Renews is when the monthly cap begins again, in UTC, as far as X says. It is a
	// midnight; zero where X does not say, and for every other refusal.
	Renews time.Time
}

func (e *RateLimitError) Error() string {
	if e.Why != nil {
		return e.Why.Error() // the same text each time, while it lasts
	}
	return fmt.Sprintf("X's rate limit is used up until %s", e.Reset.UTC().Format(time.RFC3339))
}

func (e *RateLimitError) Unwrap() error { return e.Why }

// FaultCause implements [fault.Caused].
func (e *RateLimitError) FaultCause() fault.Cause {
	if e.Why != nil {
		return fault.CauseOf(e.Why)
	}
	return fault.XRateLimit
}

const (
	// minWait is the least time between a 429 and the next request. X's reset
	// may lie some seconds in the past.
	minWait = 5 * time.Second

	// maxWait bounds it from above: X's longest windows have 24 hours.
	maxWait = 25 * time.Hour

	// creditsWait is how long X is not asked after it said that credits are used up: a
	// person has to act.
	creditsWait = time.Hour

	// capWait is the same for the monthly cap, unless it begins again earlier: a person
	// may raise it, and X bills nothing for an answer that it refuses.
	capWait = 24 * time.Hour

	// capPause is the least of it: on the day on which the cap begins again X is asked
	// every hour, as it names no hour.
	capPause = time.Hour

	// window is X's usual one, for a 429 that names none or makes no sense.
	window = 15 * time.Minute

	// lastSecond is the end of the year 9999 in Unix seconds. Beyond it are
	// numbers in other units.
	lastSecond = 253_402_300_799
)

func newRateLimitError(h http.Header, now time.Time) *RateLimitError {
	return &RateLimitError{Reset: now.Add(max(untilReset(h, now), minWait)).UTC()}
}

// untilReset is the time from an answer to the x-rate-limit-reset (Unix seconds)
// that it names. Both are read off X's clock, the answer's time from its Date, so
// that a wrong clock here changes nothing.
func untilReset(h http.Header, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(h.Get("x-rate-limit-reset"), 10, 64)
	if err != nil || seconds <= 0 || seconds > lastSecond {
		return window
	}
	answered := date(h)
	if answered.IsZero() {
		answered = now
	}
	return min(max(time.Unix(seconds, 0).Sub(answered), 0), maxWait)
}

// date is X's clock as an answer's Date tells it (RFC 9110, 6.6.1): UTC, in whole
// seconds; zero without one.
func date(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
