package state_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// TestAccountClaimIsExclusive: of many that claim an account at once, one gets it; what
// others have read before is no longer good for saving.
func TestAccountClaimIsExclusive(t *testing.T) {
	onAzurite(t, func(t *testing.T, s *state.Store) {
		ctx := t.Context()
		records := make([]*state.AccountRecord, 8)
		claimed := make([]bool, len(records))
		for i := range records {
			var err error
			records[i], err = s.LoadAccount(ctx, "7")
			must(t, err)
		}
		var wg sync.WaitGroup
		for i, r := range records {
			wg.Go(func() {
				_, err := r.Claim(ctx)
				if err != nil && !errors.Is(err, state.ErrClaimed) {
					t.Error(err)
				}
				claimed[i] = err == nil
			})
		}
		wg.Wait()
		won := slices.Index(claimed, true)
		if won < 0 || slices.Contains(claimed[won+1:], true) {
			t.Fatalf("claimed %v, expected one", claimed)
		}
		r := records[won]
		r.Account.Cursor = "5"
		must(t, r.Save(ctx))
		must(t, r.Save(ctx)) // as often as it likes
		other, err := s.LoadAccount(ctx, "7")
		must(t, err)
		if !other.Claimed() || other.Account.Cursor != "5" {
			t.Errorf("read by another: claimed %v, %+v", other.Claimed(), other.Account)
		}
		is(t, "saving what another has claimed", other.Save(ctx), state.ErrClaimed)
		_, err = other.Claim(ctx)
		is(t, "claiming what another has claimed", err, state.ErrClaimed)
		is(t, "lost", r.Lost(), nil)
		r.Release()
		r.Release()
		must(t, other.Save(ctx)) // it has not been changed since
		is(t, "saving an older version", r.Save(ctx), state.ErrClaimed)
		_, err = r.Claim(ctx)
		is(t, "claiming an older version", err, state.ErrClaimed)
	})
}

// One write saves an account that is not claimed, and reading costs one call.
func TestAccountCalls(t *testing.T) {
	s, server := newStore(t)
	r, err := s.LoadAccount(t.Context(), "7")
	must(t, err)
	must(t, r.Save(t.Context()))
	server.ResetCalls()
	r, err = s.LoadAccount(t.Context(), "7")
	must(t, err)
	must(t, r.Save(t.Context()))
	if calls := server.Calls(); calls.All() != 2 || calls.Read != 1 || calls.Write != 1 {
		t.Errorf("calls %v, expected one read and one write", calls.ByName)
	}
}

// A save whose answer is lost is a success, and one that failed although it took
// effect does not spoil a claim.
func TestAccountSaveWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server := newStore(t)
		r, err := s.LoadAccount(t.Context(), "7")
		must(t, err)
		for range 2 {
			lost := false
			server.Before(func(o blobs.Op) error {
				if o.Name != "PutBlob" || lost {
					return nil
				}
				lost = true
				return &blobs.Drop{After: true}
			})
			r.Account.PostsTotal++
			must(t, r.Save(t.Context()))
		}
		server.Before(nil)
		_, err = r.Claim(t.Context())
		must(t, err)
		server.Before(func(o blobs.Op) error { return &blobs.Drop{After: true, Final: true} })
		if err := r.Save(t.Context()); fault.CauseOf(err) != fault.Storage {
			t.Errorf("%v, expected cause %s", err, fault.Storage)
		}
		server.Before(nil)
		must(t, r.Save(t.Context()))
		r.Release()
	})
}

// A claim that is lost ends its context with ErrLost; nothing is written under it.
func TestAccountClaimIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server := newStore(t)
		r, err := s.LoadAccount(t.Context(), "7")
		must(t, err)
		ctx, err := r.Claim(t.Context())
		must(t, err)
		server.Before(func(o blobs.Op) error {
			if o.Name == "RenewLease" {
				return &blobs.Answer{Status: 409, Code: "LeaseIsBrokenAndCannotBeRenewed"}
			}
			return nil
		})
		<-ctx.Done()
		is(t, "cause", context.Cause(ctx), state.ErrLost)
		is(t, "lost", r.Lost(), state.ErrLost)
		time.Sleep(time.Minute)
		next, err := s.LoadAccount(t.Context(), "7")
		must(t, err)
		next.Account.Cursor = "next"
		_, err = next.Claim(t.Context())
		must(t, err)
		must(t, next.Save(t.Context()))
		is(t, "saving", r.Save(t.Context()), state.ErrLost)
		is(t, "saving under the lost context", r.Save(ctx), state.ErrLost)
		r.Release()
		if a, err := s.Account(t.Context(), "7"); err != nil || a.Cursor != "next" {
			t.Errorf("%+v, %v; expected the next holder's", a, err)
		}
		next.Release()
	})
}

// An instance that is told to stop gives its claims back.
func TestReleaseAfterCancel(t *testing.T) {
	s, _ := newStore(t)
	r, err := s.LoadAccount(t.Context(), "7")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	claimed, err := r.Claim(ctx)
	must(t, err)
	cancel()
	<-claimed.Done()
	r.Release()
	r, err = s.LoadAccount(t.Context(), "7")
	must(t, err)
	_, err = r.Claim(t.Context())
	is(t, "claiming what was given back", err, nil)
	r.Release()
}

func TestAccountFigures(t *testing.T) {
	var a state.Account
	for i := range 100 {
		a.CountPost(now.AddDate(0, 0, -i))
		a.CountPost(now.AddDate(0, 0, -i))
	}
	if len(a.Daily) != 90 || a.PostsTotal != 200 || a.Daily["2026-11-26"] != 2 || a.Daily["2026-08-29"] != 2 {
		t.Errorf("%d days, %d posts: %v; expected the newest 90 days", len(a.Daily), a.PostsTotal, a.Daily)
	}
	for i := range 250 {
		a.AddLost(state.Waiting{PostID: fmt.Sprint(i)}, now)
	}
	if len(a.Lost) != 200 || a.Lost[199].PostID != "249" {
		t.Errorf("%d lost, the last %+v; expected the newest 200", len(a.Lost), a.Lost[len(a.Lost)-1])
	}
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	a.AddGap(state.Gap{Range: state.Range{From: day(5), To: day(7)}, Why: state.BeyondReach, Noticed: now})
	a.AddGap(state.Gap{Range: state.Range{From: day(1), To: day(6)}, Why: state.BeyondReach, Noticed: now})
	if a.Gaps[0].From != day(1) || len(a.Missing()) != 1 || a.Missing()[0] != (state.Range{From: day(1), To: day(7)}) {
		t.Errorf("gaps %+v, missing %+v; expected them in order, and one range", a.Gaps, a.Missing())
	}
	for want, w := range map[string]state.Waiting{
		"versions/1": {PostID: "1", Versions: []string{"2"}}, "text/1": {PostID: "1", Text: true}, "media/1": {PostID: "1", Name: "7/2026/11/26/1.eml"},
		"media/2": {PostID: "2"}, "media/1.version": {PostID: "1", Name: "7/2026/11/26/1.version.eml"},
	} {
		if got := w.Key(); got != want {
			t.Errorf("key %s, want %s", got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	p := state.NewProblem(fmt.Errorf("reading: %w", state.ErrClaimed), now)
	if p.Cause != fault.Claimed || p.Text != "reading: claimed by another instance" || !p.At.Equal(now) {
		t.Errorf("%+v", p)
	}
	later := state.NewProblem(fmt.Errorf("reading: %w", state.ErrClaimed), now.Add(time.Hour))
	other := state.NewProblem(state.ErrLost, now)
	if state.NewProblem(nil, now) != nil || !p.Same(later) || p.Same(other) || p.Same(nil) || !(*state.Problem)(nil).Same(nil) {
		t.Error("problems compare by cause and text")
	}
}
