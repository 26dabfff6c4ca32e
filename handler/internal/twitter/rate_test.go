package twitter

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/tests/sandbox/corpus"
)

var errReason = errors.New("the test's reason")

func contextWithReason(t *testing.T) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, func() { cancel(errReason) }
}

// TestRateLimitReset: how long after a 429 nothing is asked, whatever this
// machine's clock shows.
func TestRateLimitReset(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) // this machine's
	unix := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	for _, c := range []struct {
		name  string
		atX   time.Time // X's Date; zero: it sends none
		reset string
		want  time.Duration // from now
	}{
		{name: "in time", atX: now, reset: unix(now.Add(7 * time.Minute)), want: 7 * time.Minute},
		{name: "two seconds past", atX: now, reset: unix(now.Add(-2 * time.Second)), want: minWait},
		{name: "an hour past", atX: now, reset: unix(now.Add(-time.Hour)), want: minWait},
		{name: "just now", atX: now, reset: unix(now), want: minWait},
		{name: "this clock is ahead", atX: now.Add(-5 * time.Minute), reset: unix(now.Add(2 * time.Minute)), want: 7 * time.Minute},
		{name: "this clock is ahead, the reset in its past", atX: now.Add(-5 * time.Minute), reset: unix(now.Add(-2 * time.Minute)), want: 3 * time.Minute},
		{name: "this clock is behind", atX: now.Add(5 * time.Minute), reset: unix(now.Add(12 * time.Minute)), want: 7 * time.Minute},
		{name: "this clock is a day behind", atX: now.AddDate(0, 0, 1), reset: unix(now.AddDate(0, 0, 1).Add(time.Minute)), want: time.Minute},
		{name: "no Date", reset: unix(now.Add(7 * time.Minute)), want: 7 * time.Minute},
		{name: "no Date, past", reset: unix(now.Add(-7 * time.Minute)), want: minWait},
		{name: "a month away", atX: now, reset: unix(now.AddDate(0, 1, 0)), want: maxWait},
		{name: "in milliseconds", atX: now, reset: strconv.FormatInt(now.UnixMilli(), 10), want: window},
		{name: "out of range", atX: now, reset: "9223372036854775807", want: window},
		{name: "none", atX: now, want: window},
		{name: "no number", atX: now, reset: "soon", want: window},
		{name: "zero", atX: now, reset: "0", want: window},
		{name: "negative", atX: now, reset: "-1", want: window},
	} {
		h := http.Header{}
		if !c.atX.IsZero() {
			h.Set("Date", c.atX.Format(http.TimeFormat))
		}
		if c.reset != "" {
			h.Set("x-rate-limit-reset", c.reset)
		}
		err := newRateLimitError(h, now)
		if got := err.Reset.Sub(now); got != c.want || err.Reset.Location() != time.UTC {
			t.Errorf("%s: nothing is asked for %s, want %s", c.name, got, c.want)
		}
	}
}

// TestRateLimitOfX: the stand-in's limits, as its headers tell them.
func TestRateLimitOfX(t *testing.T) {
	w := newWorld(t)
	reset := time.Now().Add(10 * time.Minute)
	w.x.LimitRate(1, reset)
	a, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{Size: 5})
	if err != nil || a.Rate.Limit != 900 || a.Rate.Remaining != 0 || a.Rate.Reset.Sub(reset).Abs() > time.Minute {
		t.Errorf("rate %+v, %v, want nothing left until %s", a.Rate, err, reset)
	}
	_, err = w.client.Timeline(t.Context(), corpus.PressAccount, Query{Size: 5})
	var limit *RateLimitError
	if !errors.As(err, &limit) || limit.Reset.Sub(reset).Abs() > time.Minute || fault.CauseOf(err) != fault.XRateLimit {
		t.Errorf("%v, want a rate limit until %s", err, reset)
	}
	if got := readRate(http.Header{"X-Rate-Limit-Limit": {"many"}}, time.Now()); got != (Rate{}) {
		t.Errorf("rate %+v of headers that say nothing", got)
	}
}

// TestClock: a 401 whose Date is far from this machine's clock is the clock's fault.
func TestClock(t *testing.T) {
	for _, c := range []struct {
		skew time.Duration // of X's clock
		want error
		says string
	}{
		{0, ErrUnauthorized, ""},
		{4 * time.Minute, ErrUnauthorized, ""},
		{-4 * time.Minute, ErrUnauthorized, ""},
		{2 * time.Hour, ErrClock, "behind X's"},
		{-48 * time.Hour, ErrClock, "ahead of X's"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(c.skew).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusUnauthorized)
		}))
		client := NewClient(srv.Client(), srv.URL, signInApp, signInAccess)
		_, call := client.Lookup(t.Context(), []string{"20"})
		_, signIn := RequestToken(t.Context(), srv.Client(), srv.URL, signInApp, signInCallback)
		for _, err := range []error{call, signIn} {
			clock := errors.Is(c.want, ErrClock)
			if !errors.Is(err, c.want) || errors.Is(err, ErrUnauthorized) == clock || !strings.Contains(err.Error(), c.says) || (fault.CauseOf(err) == fault.Clock) != clock {
				t.Errorf("X's clock differs by %s: %v, want %v", c.skew, err, c.want)
			}
		}
		srv.Close()
	}
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	if err := clockError(now.Add(-7*time.Minute), now); err == nil || !strings.Contains(err.Error(), "7m0s ahead of X's") {
		t.Errorf("%v, want the difference named", err)
	}
	if err := clockError(time.Time{}, now); err != nil {
		t.Errorf("X does not say what time it is: %v", err)
	}
}

func TestSignInErrorCause(t *testing.T) {
	if got := fault.CauseOf(&SignInError{Kind: ErrUnauthorized, Code: 32}); got != fault.XSignIn {
		t.Errorf("refused keys: %s", got)
	}
	if got := fault.CauseOf(&SignInError{Kind: ErrUnauthorized, Code: codeClock}); got != fault.Clock {
		t.Errorf("a timestamp out of bounds: %s", got)
	}
}
