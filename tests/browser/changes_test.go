package browser

import (
	"testing"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
)

// TestChanges: who changed what is on a page, which a person reaches from every other.
func TestChanges(t *testing.T) {
	t.Parallel()
	s := worldWith(t, nil)
	if err := s.Connect(t.Context(), "job-press", corpus.PressAccount); err != nil {
		t.Fatal(err)
	}
	p := newTab(t, s)
	p.open("/Configure")
	p.signIn(sandbox.APISecretKey)
	p.press("Changes")
	p.sees("Account signed in with X", "Job saved", "job-press", "by a call", "Signed in to these pages", "on these pages")
	p.look("changes")
}
