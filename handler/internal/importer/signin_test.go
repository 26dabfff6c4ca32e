package importer_test

import (
	"errors"
	"iter"
	"strings"
	"testing"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"
)

// TestKeysChanged: a secret that Entra refuses, or a token that the service refuses,
// is asked for again, once.
func TestKeysChanged(t *testing.T) {
	events, _, v, _ := world(t)
	v.kept = "old"
	if err := events.Complete(t.Context(), "j", completion); err != nil {
		t.Errorf("with the secret changed in the vault: %v", err)
	}
	for _, items := range []iter.Seq2[importer.ItemMetadata, error]{completion.Items, many(large, nil)} {
		events, s, v, _ := world(t)
		s.statuses = []int{401}
		if err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: items}); err != nil || v.forgotten != 1 {
			t.Errorf("after a 401: %v, forgotten %d times, want once", err, v.forgotten)
		}
		if len(s.bodies) != 2 || s.bodies[0] != s.bodies[1] {
			t.Errorf("%d requests, want the same event twice", len(s.bodies))
		}
	}
	events, s, _, _ := world(t)
	s.statuses = []int{401, 401, 401}
	if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrUnauthorized) || !errors.Is(err, importer.ErrNotTaken) ||
		fault.CauseOf(err) != fault.EntraSignIn || len(s.bodies) != 2 {
		t.Errorf("after 401s without end: %v, %d requests, want ErrUnauthorized after 2", err, len(s.bodies))
	}
	events, _, v, _ = world(t)
	v.now = "wrong"
	err := events.Complete(t.Context(), "j", completion)
	if !errors.Is(err, importer.ErrSignIn) || !strings.Contains(err.Error(), "AADSTS7000215") || strings.ContainsAny(err.Error(), "\n\r") ||
		strings.Contains(err.Error(), "wrong") || v.forgotten != 1 {
		t.Errorf("with a wrong secret: %v, forgotten %d times, want ErrSignIn after once", err, v.forgotten)
	}
}

// TestEntraDown: nobody need act when Entra is only down.
func TestEntraDown(t *testing.T) {
	t.Parallel()
	events, s, v, signIn := world(t)
	signIn.Down(true)
	if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrNotTaken) || errors.Is(err, importer.ErrSignIn) ||
		fault.CauseOf(err) != fault.Import || v.forgotten != 0 {
		t.Errorf("%v, want a plain ErrNotTaken", err)
	}
	signIn.Down(false)
	if err := events.Complete(t.Context(), "j", completion); err != nil || len(s.bodies) != 1 {
		t.Errorf("afterwards: %v, %d requests, want success with 1", err, len(s.bodies))
	}
}
