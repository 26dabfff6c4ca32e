package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
)

// tryAs calls as one caller behind Azure's front end.
func (w *world) tryAs(hops, authorization string) int {
	w.t.Helper()
	return w.call(authorization, "X-Forwarded-For", hops)
}

func TestFailedAttemptsAreSlowed(t *testing.T) {
	w := newWorld(t)
	wrong, good := basic(tenant, "guess"), basic(tenant, sharedKey)
	for i := range burst {
		// What the caller says of itself does not make it another.
		if status := w.tryAs(fmt.Sprintf("10.0.0.%d, 198.51.100.7:%d", i, 1000+i), wrong); status != 401 {
			t.Fatalf("attempt %d: %d", i, status)
		}
	}
	// Who shares the address of one that guesses is let in all the same.
	if status := w.tryAs("198.51.100.7:9", good); status != 200 {
		t.Errorf("the right secret: %d", status)
	}
	for _, authorization := range []string{wrong, "Bearer x"} {
		if status := w.tryAs("198.51.100.7:1", authorization); status != 429 {
			t.Errorf("slowed: want 429, got %d", status)
		}
		if wait := fault.RetryAfter(w.err); wait < time.Second || wait > refill {
			t.Errorf("the caller is told to wait %s", wait)
		}
		if words := fault.Of(w.err).Words(); !strings.HasPrefix(words, "Too many attempts have failed. Try again in ") {
			t.Errorf("the caller is told %q", words)
		}
	}
	// Another caller is not.
	for _, other := range []string{"198.51.100.8:1", "198.51.100.7, 198.51.100.8", "2001:db8::1", "", "[2001:db8:0:1::2]:443"} {
		if status := w.tryAs(other, good); status != 200 {
			t.Errorf("another caller, %q: %d", other, status)
		}
	}
	// The right secret is no attempt.
	w.pass(refill)
	for range 3 * burst {
		if status := w.tryAs("198.51.100.7:1", good); status != 200 {
			t.Fatalf("the right secret: %d", status)
		}
	}
	if status := w.tryAs("198.51.100.7", wrong); status != 401 {
		t.Errorf("one more guess: %d", status)
	}
	if status := w.tryAs("198.51.100.7", wrong); status != 429 {
		t.Errorf("two more guesses: %d", status)
	}
}

// TestManyGuessesAtOnce: of attempts at the same time only so many are told that they
// were wrong.
func TestManyGuessesAtOnce(t *testing.T) {
	w := newWorld(t)
	var (
		all    sync.WaitGroup
		judged atomic.Int32
	)
	for range 5 * burst {
		all.Go(func() {
			r := httptest.NewRequest("GET", "/", nil)
			r.SetBasicAuth(tenant, "guess")
			if errors.Is(w.access.Call(r), ErrUnauthorized) {
				judged.Add(1)
			}
		})
	}
	all.Wait()
	if n := judged.Load(); n != burst {
		t.Errorf("%d guesses were answered, want %d", n, burst)
	}
}

func TestNoAuthorizationIsNoAttempt(t *testing.T) {
	w := newWorld(t)
	for range 2 * burst {
		if status := w.tryAs("198.51.100.7", ""); status != 401 {
			t.Fatalf("got %d", status)
		}
	}
	if status := w.tryAs("198.51.100.7", basic(tenant, sharedKey)); status != 200 {
		t.Errorf("got %d", status)
	}
}

func TestCaller(t *testing.T) {
	for _, c := range []struct{ forwarded, remote, want string }{
		{"", "203.0.113.9:4711", "203.0.113.9"},
		{"198.51.100.7", "127.0.0.1:1", "198.51.100.7"},
		{"1.1.1.1, 198.51.100.7:53211", "127.0.0.1:1", "198.51.100.7"},
		{"1.1.1.1,198.51.100.7 ", "127.0.0.1:1", "198.51.100.7"},
		{"2001:db8:1:2:3:4:5:6", "127.0.0.1:1", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2::9]:443", "127.0.0.1:1", "2001:db8:1:2::/64"},
		{"::ffff:198.51.100.7", "127.0.0.1:1", "198.51.100.7"},
		{"198.51.100.7, nonsense", "127.0.0.1:1", "unknown"},
		{"198.51.100.7,", "127.0.0.1:1", "127.0.0.1"},
	} {
		r := &http.Request{Header: http.Header{}, RemoteAddr: c.remote}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := Caller(r); got != c.want {
			t.Errorf("%q, %q: want %s, got %s", c.forwarded, c.remote, c.want, got)
		}
	}
	r := &http.Request{Header: http.Header{"X-Forwarded-For": {"1.1.1.1", "198.51.100.7"}}}
	if got := Caller(r); got != "198.51.100.7" {
		t.Errorf("two headers: %s", got)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	th := newThrottle(func() time.Time { return now })
	for range burst {
		th.failed("one who tries on")
	}
	for i := range 5 * generation {
		th.failed(fmt.Sprint("caller ", i))
		if n := len(th.young) + len(th.old); n > 2*generation {
			t.Fatalf("%d callers are kept", n)
		}
		if i%1000 == 0 && th.failed("one who tries on") == 0 {
			t.Fatalf("many callers free one that is slowed, after %d", i)
		}
	}
}
