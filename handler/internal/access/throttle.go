package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/fault"
)

// slowed is the answer to a caller that has no attempt left.
type slowed struct{ wait time.Duration }

func (s slowed) Error() string { return "too many attempts have failed" }

// FaultCause returns [fault.TooManyAttempts].
func (s slowed) FaultCause() fault.Cause { return fault.TooManyAttempts }

// FaultSentence says how long to wait.
func (s slowed) FaultSentence() string {
	return fmt.Sprintf("Too many attempts have failed. Try again in %d seconds.", int((s.wait+time.Second-1)/time.Second))
}

// RetryAfter returns how long the caller has to wait.
func (s slowed) RetryAfter() time.Duration { return s.wait }

// throttle slows callers whose attempts fail. Each caller has an allowance of
// attempts of its own; a failed one uses one up, a successful one gives it back,
// and time gives one back every refill. Without allowance an attempt is not even
// looked at: if a right secret were let in, slowing would not slow guessing. A
// caller with the right secret is let in as soon as it has allowance again, at the
// latest after refill, and no caller's failures count for another.
//
// An attempt is taken before it is judged and given back afterwards, so that many
// attempts at once do not get past the limit. That is why it is not made of
// golang.org/x/time/rate, whose reservations cannot be given back later.
//
// Memory is bounded: two generations of callers. When the younger is full the
// older is dropped, which forgives callers that have not tried for long.
type throttle struct {
	now func() time.Time

	mu         sync.Mutex
	young, old map[string]*allowance
}

type allowance struct {
	left float64   // attempts
	at   time.Time // when left was right
}

const (
	burst      = 20              // failed attempts in a row that are not slowed
	refill     = 6 * time.Second // for one more attempt
	generation = 4096            // callers
)

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, young: map[string]*allowance{}}
}

// take uses up an attempt of a caller. Without one it says how long there is to wait.
func (t *throttle) take(caller string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, now := t.find(caller), t.now()
	if passed := now.Sub(a.at); passed > 0 {
		a.left = min(burst, a.left+float64(passed)/float64(refill))
	}
	a.at = now
	if a.left < 1 {
		return max(time.Duration((1-a.left)*float64(refill)), time.Second)
	}
	a.left--
	return 0
}

// giveBack returns an attempt that did not fail.
func (t *throttle) giveBack(caller string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.find(caller)
	a.left = min(burst, a.left+1)
}

func (t *throttle) find(caller string) *allowance {
	if a, ok := t.young[caller]; ok {
		return a
	}
	a, ok := t.old[caller]
	if !ok {
		a = &allowance{left: burst, at: t.now()}
	}
	if len(t.young) >= generation {
		t.old, t.young = t.young, map[string]*allowance{}
	}
	t.young[caller] = a
	return a
}

// caller tells callers apart: by the last hop of X-Forwarded-For, which Azure's
// front end adds. What stands before it is the caller's own word and counts for
// nothing. Of an IPv6 address it is the /64, which one subscriber has whole. Where
// there is no front end it is the connection's address.
func caller(r *http.Request) string {
	hops := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	last := strings.TrimSpace(hops[strings.LastIndex(hops, ",")+1:])
	if last == "" {
		last = r.RemoteAddr
	}
	if host, _, err := net.SplitHostPort(last); err == nil {
		last = host
	}
	ip, err := netip.ParseAddr(strings.Trim(last, "[]"))
	if err != nil {
		return "unknown"
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		prefix, _ := ip.Prefix(64) // 64 is within every IPv6 address
		return prefix.String()
	}
	return ip.String()
}
