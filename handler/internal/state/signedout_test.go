package state_test

import (
	"testing"
	"time"

	"xarchive/handler/internal/state"
)

// TestSignOut: a session that was ended is ended for every instance, once and for all; its
// record is swept when no such session can be good any more.
func TestSignOut(t *testing.T) {
	onAzurite(t, func(t *testing.T, s *state.Store) {
		ended := func(session string) bool {
			t.Helper()
			is, err := s.SignedOut(t.Context(), session)
			must(t, err)
			return is
		}
		if ended("one") {
			t.Error("ended before it was")
		}
		for range 2 {
			must(t, s.SignOut(t.Context(), "one", time.Now()))
		}
		if !ended("one") || ended("another") {
			t.Error("one session was ended, and no other")
		}
		_, _, err := s.Sweep(t.Context(), time.Now())
		must(t, err)
		if !ended("one") {
			t.Error("swept while the session may be good")
		}
		_, _, err = s.Sweep(t.Context(), time.Now().Add(25*time.Hour))
		must(t, err)
		if ended("one") {
			t.Error("never swept")
		}
	})
}
