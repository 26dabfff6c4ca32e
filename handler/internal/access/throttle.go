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

	"golang.org/x/time/rate"
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

// throttle slows callers whose attempts fail. Each caller has an allowance of failures
// of its own, of which time gives one back every refill. A caller without allowance is
// told to wait whatever it tried in vain. What it tries is judged all the same: callers
// behind one address share an allowance, and one with the right secret must not be kept
// out by what others try. So the throttle does not keep anybody from guessing on; that
// the secret cannot be guessed is what its length is for.
//
// Memory is bounded: two generations of callers. When the younger is full the
// older is dropped, which forgives callers that have not tried for long.
type throttle struct {
	now func() time.Time

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

const (
	burst      = 20              // failed attempts in a row that are not slowed
	refill     = 6 * time.Second // for one more attempt
	generation = 4096            // callers
)

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, young: map[string]*rate.Limiter{}}
}

// failed counts a failed attempt of a caller. Without allowance it says how long there
// is to wait.
func (t *throttle) failed(caller string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	allowance, now := t.find(caller), t.now()
	if allowance.AllowN(now, 1) {
		return 0
	}
	return untilOne(allowance, now)
}

// spent says how long a caller has to wait that has no allowance left; 0 if it has. It is
// for tries that cost somebody else something.
func (t *throttle) spent(caller string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	allowance, now := t.find(caller), t.now()
	if allowance.TokensAt(now) >= 1 {
		return 0
	}
	return untilOne(allowance, now)
}

func untilOne(allowance *rate.Limiter, now time.Time) time.Duration {
	return max(time.Duration((1-allowance.TokensAt(now))*float64(refill)), time.Second)
}

func (t *throttle) find(caller string) *rate.Limiter {
	if a, ok := t.young[caller]; ok {
		return a
	}
	a, ok := t.old[caller]
	if !ok {
		a = rate.NewLimiter(rate.Every(refill), burst)
	}
	if len(t.young) >= generation {
		t.old, t.young = t.young, map[string]*rate.Limiter{}
	}
	t.young[caller] = a
	return a
}

// Caller tells callers apart: by the last hop of X-Forwarded-For, which Azure's
// front end adds. What stands before it is the caller's own word and counts for
// nothing. Of an IPv6 address it is the /64, which one subscriber has whole. Where
// there is no front end it is the connection's address.
func Caller(r *http.Request) string {
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
