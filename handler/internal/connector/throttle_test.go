package connector

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

func wrong(secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(tenant, secret)
	return r.Header.Get("Authorization")
}

// tryAs calls as one caller behind Azure's front end.
func (w *world) tryAs(hops, authorization string) (status int, h http.Header) {
	w.t.Helper()
	status, _, h = w.call("GET", "/setup/Validate", "", "Authorization", authorization, "X-Forwarded-For", hops)
	return status, h
}

func TestFailedAttemptsAreSlowed(t *testing.T) {
	w := newWorld(t)
	good := wrong(secret)
	for i := range burst {
		// What the caller says of itself does not make it another.
		if status, _ := w.tryAs(fmt.Sprintf("10.0.0.%d, 198.51.100.7:%d", i, 1000+i), wrong("guess")); status != 401 {
			t.Fatalf("attempt %d: %d", i, status)
		}
	}
	for _, authorization := range []string{wrong("guess"), good, "Bearer x"} {
		want := 429
		if authorization == "Bearer x" {
			want = 401 // no Bearer is set up: nothing is tried
		}
		status, h := w.tryAs("198.51.100.7:1", authorization)
		if status != want {
			t.Errorf("slowed: want %d, got %d", want, status)
		}
		if seconds, err := strconv.Atoi(h.Get("Retry-After")); want == 429 && (err != nil || seconds < 1 || seconds > int(refill/time.Second)) {
			t.Errorf("Retry-After %q", h.Get("Retry-After"))
		}
	}
	// Another caller is not.
	for _, other := range []string{"198.51.100.8:1", "198.51.100.7, 198.51.100.8", "2001:db8::1", "", "[2001:db8:0:1::2]:443"} {
		if status, _ := w.tryAs(other, good); status != 200 {
			t.Errorf("another caller, %q: %d", other, status)
		}
	}
	// The right secret is let in after the wait, and is no attempt.
	w.now = w.now.Add(refill)
	for range 3 * burst {
		if status, _ := w.tryAs("198.51.100.7:1", good); status != 200 {
			t.Fatalf("the right secret: %d", status)
		}
	}
	if status, _ := w.tryAs("198.51.100.7", wrong("guess")); status != 401 {
		t.Errorf("one more guess: %d", status)
	}
	if status, _ := w.tryAs("198.51.100.7", wrong("guess")); status != 429 {
		t.Errorf("two more guesses: %d", status)
	}
}

func TestNoAuthorizationIsNoAttempt(t *testing.T) {
	w := newWorld(t)
	for range 2 * burst {
		if status, _ := w.tryAs("198.51.100.7", ""); status != 401 {
			t.Fatalf("got %d", status)
		}
	}
	if status, _ := w.tryAs("198.51.100.7", wrong(secret)); status != 200 {
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
		if got := caller(r); got != c.want {
			t.Errorf("%q, %q: want %s, got %s", c.forwarded, c.remote, c.want, got)
		}
	}
	r := &http.Request{Header: http.Header{"X-Forwarded-For": {"1.1.1.1", "198.51.100.7"}}}
	if got := caller(r); got != "198.51.100.7" {
		t.Errorf("two headers: %s", got)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	th := newThrottle(func() time.Time { return now })
	for range burst {
		th.take("one who tries on")
	}
	for i := range 5 * generation {
		th.take(fmt.Sprint("caller ", i))
		if n := len(th.young) + len(th.old); n > 2*generation {
			t.Fatalf("%d callers are kept", n)
		}
		if i%1000 == 0 && th.take("one who tries on") == 0 {
			t.Fatalf("many callers free one that is slowed, after %d", i)
		}
	}
}
