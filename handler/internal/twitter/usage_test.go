package twitter

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// nextMonth is when the UTC month after a time begins.
func nextMonth(at time.Time) time.Time {
	at = at.UTC()
	return time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// TestCapped: X is asked again when the monthly cap begins again, once a day until
// then, and never in a loop.
func TestCapped(t *testing.T) {
	for _, c := range []struct {
		at, renews string // renews "": X does not say
		wait       time.Duration
	}{
		{"2026-11-27T10:00:00Z", "2026-12-01T00:00:00Z", 24 * time.Hour},
		{"2026-11-30T10:00:00Z", "2026-12-01T00:00:00Z", 14 * time.Hour},
		{"2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z", time.Hour},
		{"2026-12-01T00:00:10Z", "2026-12-01T00:00:00Z", time.Hour},
		{"2026-12-01T00:00:10Z", "", 24 * time.Hour},
	} {
		at, _ := time.Parse(time.RFC3339, c.at)
		renews, _ := time.Parse(time.RFC3339, c.renews)
		if got := capped(at, renews); got.Reset.Sub(at) != c.wait || !got.Renews.Equal(renews) {
			t.Errorf("%s, renews %s: asked again after %s, want %s", c.at, c.renews, got.Reset.Sub(at), c.wait)
		}
	}
	for at, want := range map[string]string{"2026-11-27T10:00:00Z": "2026-12-01T00:00:00Z", "2026-12-31T23:00:00Z": "2027-01-01T00:00:00Z"} {
		at, _ := time.Parse(time.RFC3339, at)
		if got := (problem{Period: "Monthly"}).renewal(at).Format(time.RFC3339); got != want {
			t.Errorf("a calendar's month begins again at %s, want %s", got, want)
		}
		if got := (problem{Period: "Daily"}).renewal(at); !got.IsZero() {
			t.Errorf("another period begins again at %s, want that nobody says", got)
		}
	}
}

// TestRenewal: the day is the one that X's account of the app's usage names; where X does
// not name one, it is what the refusal says. Asking reads nothing.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	w.x.CapBegins(9)
	w.x.Refuse(x.UsageCapExceeded)
	_, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{})
	var limit *RateLimitError
	if !errors.As(err, &limit) {
		t.Fatalf("%v, want a refusal", err)
	}
	if today := time.Now().UTC().Truncate(24 * time.Hour); !limit.Renews.Equal(nextMonth(today)) {
		t.Errorf("the refusal alone: %s, want the next month", limit.Renews)
	}
	got := w.client.Renewal(t.Context(), limit)
	if left := time.Until(got.Renews); left > 9*24*time.Hour || left < 8*24*time.Hour-time.Minute {
		t.Errorf("X says 9 days, and the cap begins again in %s", left)
	}
	for _, f := range []x.Fault{{Status: 503}, {Status: 403}, {Status: 200, Body: `{"data":{}}`}, {Status: 200, Body: `{"data":{"cap_reset_day":400}}`}} {
		w.x.Fail(func(r *http.Request) x.Fault {
			if r.URL.Path == "/2/usage/tweets" {
				return f
			}
			return x.Fault{}
		})
		if got := w.client.Renewal(t.Context(), limit); got != limit {
			t.Errorf("%+v: %+v, want the refusal as it was", f, got)
		}
	}
	if other := (&RateLimitError{Why: ErrCredits}); w.client.Renewal(t.Context(), other) != other {
		t.Error("another refusal was changed")
	}
	if s := w.x.Stats(); s.PostReads > 0 || s.ByPath["GET /2/usage/tweets"] != 5 {
		t.Errorf("%d posts were read, %d requests for the usage", s.PostReads, s.ByPath["GET /2/usage/tweets"])
	}
}
