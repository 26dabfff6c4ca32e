package twitter

import (
	"errors"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// TestStates: each state of the app, its project and its account has a cause of its
// own, and those that end by themselves say when asking is worth another try, whatever
// the rate limit's headers say.
func TestStates(t *testing.T) {
	for _, c := range []struct {
		state x.Refusal
		want  error
		cause fault.Cause
		wait  time.Duration
	}{
		{x.CreditsDepleted, ErrCredits, fault.XCredits, time.Hour},
		{x.UsageCapExceeded, ErrUsageCap, fault.XUsageCap, min(24*time.Hour, max(time.Hour, time.Until(nextMonth(time.Now()))))},
		{x.NotEnrolled, ErrNotEnrolled, fault.XNotEnrolled, 0},
		{x.NoReadPermission, ErrForbidden, fault.XForbidden, 0},
		{x.SignedInSuspended, ErrSuspended, fault.XSuspended, 0},
		{x.OtherSignIn, ErrForbidden, fault.XForbidden, 0},
	} {
		w := newWorld(t)
		w.x.Refuse(c.state)
		_, timeline := w.client.Timeline(t.Context(), corpus.PressAccount, Query{})
		_, lookup := w.client.Lookup(t.Context(), []string{"20"})
		_, user := w.client.User(t.Context(), corpus.PressAccount)
		token, secret := w.x.Token(corpus.PressAccount)
		try := Try(t.Context(), w.x.Client(), "https://api.x.com", signInApp, Token{token, secret})
		for _, err := range []error{timeline, lookup, user, try} {
			if !errors.Is(err, c.want) || fault.CauseOf(err) != c.cause {
				t.Errorf("%v with cause %s, want %v", err, fault.CauseOf(err), c.want)
			}
			var limit *RateLimitError
			if limited := errors.As(err, &limit); limited != (c.wait > 0) {
				t.Errorf("%v: waits %v, want %v", err, limited, c.wait > 0)
			} else if limited && (time.Until(limit.Reset)-c.wait).Abs() > time.Minute {
				t.Errorf("%v: X is asked again in %s, want %s", err, time.Until(limit.Reset), c.wait)
			}
			if m := fault.Of(err); m.Sentence == "" || m.Advice == "" || !m.NeedsPerson {
				t.Errorf("%v: a person is told %q, and to act: %v", err, m.Words(), m.NeedsPerson)
			}
		}
		if got := w.x.Stats().PostReads; got > 0 {
			t.Errorf("%v: %d posts were read", c.want, got)
		}
	}
}

// TestTry: it says whether X serves the token, and costs nothing.
func TestTry(t *testing.T) {
	w := newWorld(t)
	token, secret := w.x.Token(corpus.PressAccount)
	if err := Try(t.Context(), w.x.Client(), "https://api.x.com", signInApp, Token{token, secret}); err != nil {
		t.Error(err)
	}
	if err := Try(t.Context(), w.x.Client(), "https://api.x.com", signInApp, Token{token, "wrong"}); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("with a wrong token: %v, want unauthorized", err)
	}
	if got := w.x.Stats().PostReads; got != 0 {
		t.Errorf("%d posts were read", got)
	}
}
