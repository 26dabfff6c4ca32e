package capture_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// TestRevoked: when X refuses the account's token, the job says by itself that the
// account must sign in again; when X takes it, no longer. What the Compliance Center
// asks for stays until somebody signs in.
func TestRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		needed := func(want bool) {
			t.Helper()
			job, err := w.state.Job(t.Context(), "job"+account)
			if err != nil || job.SignInNeeded != want {
				t.Fatalf("sign-in needed: %v, %v, want %v", job.SignInNeeded, err, want)
			}
		}
		w.post(3)
		w.mustTick()
		needed(false)
		w.revoked = true
		for range 2 {
			time.Sleep(5 * time.Minute)
			if err := w.tick(); !errors.Is(err, twitter.ErrToken) || fault.CauseOf(err) != fault.XUnauthorized {
				t.Fatalf("with a token that X refuses: %v", err)
			}
			needed(true)
		}
		if n := w.log.count("must sign in with X again"); n != 1 {
			t.Errorf("it is said %d times, want once", n)
		}
		w.revoked = false
		time.Sleep(5 * time.Minute)
		w.mustTick()
		needed(false)

		w.keys = "others"
		time.Sleep(5 * time.Minute)
		if err := w.tick(); !errors.Is(err, twitter.ErrKeys) || fault.CauseOf(err) != fault.XKeys {
			t.Fatalf("with keys that X refuses: %v", err)
		}
		needed(false) // a sign-in would not help
		w.keys = ""
		err := w.state.UpdateJob(t.Context(), "job"+account, func(j *state.Job) error { j.SignInNeeded = true; return nil })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		w.mustTick()
		needed(true)
	})
}
