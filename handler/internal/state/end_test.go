package state_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// End, and the request that opens the task again, interrupted at each of their steps: the
// task is never lost, never done twice, and nothing of it stays behind.
func TestEndInterrupted(t *testing.T) {
	for status := range 2 {
		for step := range 12 {
			s, server := newStore(t)
			ctx := t.Context()
			claim := task(t, s, "j", "t")
			must(t, claim.PutItems(ctx, 0, []state.Item{{ID: "1"}}))
			must(t, s.PutFound(ctx, "j", "t", state.Found{}))
			claim.Task.Verdict = &state.Verdict{Status: status}
			must(t, claim.Save(ctx))
			refuse(server, step)
			err := claim.End(ctx, now)
			server.Before(nil)
			claim.Release()
			what := fmt.Sprintf("status %d, %d steps, %v", status, step, err)
			if step == 0 {
				if c, err := s.ClaimTask(ctx, "j", "t"); err != nil || !c.Task.EndedAt.IsZero() {
					t.Errorf("%s: nothing was to happen: %v", what, err)
				} else {
					c.Release()
				}
				continue
			}
			added, addErr := s.AddTask(ctx, state.Task{JobID: "j", TaskID: "t", BlobSASURI: "https://a/c?sig=one"})
			if addErr != nil || added != (status == 1) {
				t.Errorf("%s: asked again: added %v, %v", what, added, addErr)
			}
			c, claimErr := s.ClaimTask(ctx, "j", "t")
			if status == 1 {
				if claimErr != nil || c.Task.Verdict != nil {
					t.Errorf("%s: reopened: %v", what, claimErr)
					continue
				}
				c.Task.Verdict = &state.Verdict{Status: 0}
				must(t, c.End(ctx, now))
				c.Release()
			} else {
				is(t, what+": claimed again", claimErr, state.ErrNotFound)
			}
			names := slices.DeleteFunc(server.Names("test"), func(name string) bool { return name == "tasks/ended/j/t.json" })
			if err == nil && len(names) > 0 {
				t.Errorf("%s: left behind %q", what, names)
			}
			if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "tasks/open/") }) {
				t.Errorf("%s: still open", what)
			}
			if err == nil {
				break
			}
		}
	}
}

// A request that reopens a task, interrupted at each of its steps and sent again: the
// task is open once, and not among the ended ones.
func TestReopenInterrupted(t *testing.T) {
	for step := range 10 {
		s, server := newStore(t)
		claim := task(t, s, "j", "t")
		again := state.Task{JobID: "j", TaskID: "t", BlobSASURI: claim.Task.BlobSASURI}
		claim.Task.Verdict = &state.Verdict{Status: 1}
		must(t, claim.End(t.Context(), now))
		claim.Release()
		refuse(server, step)
		_, err := s.AddTask(t.Context(), again)
		if got := server.Names("test"); len(got) == 0 {
			t.Errorf("%d steps, %v: the task is in neither folder", step, err)
		}
		server.Before(nil)
		if _, err := s.AddTask(t.Context(), again); err != nil {
			t.Errorf("%d steps, asked again: %v", step, err)
		}
		if got := server.Names("test"); !slices.Equal(got, []string{"tasks/open/j/t.json"}) {
			t.Errorf("%d steps, asked again: blobs %q; expected the open task alone", step, got)
		}
		if err == nil {
			break
		}
	}
}

// An instance whose claim is lost ends nothing and removes nothing of the next one's.
func TestEndWithALostClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, end := range []func(*state.TaskClaim) error{
			func(c *state.TaskClaim) error { return c.End(t.Context(), now) },
			func(c *state.TaskClaim) error { return c.Drop(t.Context()) },
			func(c *state.TaskClaim) error { return c.Save(t.Context()) },
		} {
			s, server := newStore(t)
			lost := task(t, s, "j", "t")
			server.Before(func(o blobs.Op) error {
				if o.Name == "RenewLease" {
					return &blobs.Drop{Final: true}
				}
				return nil
			})
			<-lost.Context().Done()
			server.Before(nil)
			next, err := s.ClaimTask(t.Context(), "j", "t")
			must(t, err)
			must(t, next.PutItems(t.Context(), 0, []state.Item{{ID: "1"}}))
			next.Task.Chunks = 1
			must(t, next.Save(t.Context()))
			is(t, "lost", lost.Lost(), state.ErrLost)
			is(t, "ending", end(lost), state.ErrLost)
			lost.Release()
			for _, err := range s.Items(t.Context(), "j", "t", 0, 1) {
				is(t, "the next one's items", err, nil)
			}
			must(t, next.Save(t.Context()))
			if _, err := s.EndedTask(t.Context(), "j", "t"); !errors.Is(err, state.ErrNotFound) {
				t.Errorf("ended: %v", err)
			}
			next.Release()
		}
	})
}

// A save after a failed End does not end the task.
func TestFailedEndIsNoEnd(t *testing.T) {
	s, server := newStore(t)
	claim := task(t, s, "j", "t")
	refuse(server, 0)
	if err := claim.End(t.Context(), now); err == nil {
		t.Fatal("ended although the service refuses")
	}
	server.Before(nil)
	must(t, claim.Save(t.Context()))
	claim.Release()
	c, err := s.ClaimTask(t.Context(), "j", "t")
	if err != nil {
		t.Fatalf("claiming: %v; expected the task to be open", err)
	}
	c.Release()
}
