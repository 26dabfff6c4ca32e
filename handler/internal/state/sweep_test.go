package state_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// What nobody needs goes when it is old enough, all else stays.
func TestSweep(t *testing.T) {
	clock := now
	server := blobs.New(blobs.Options{Now: func() time.Time { return clock }})
	s := state.New(blobtest.On(server).Container(blobtest.Name))
	ctx := t.Context()
	putJob(t, s, "j", "7")
	must(t, s.TakeAccount(ctx, "7", "j", clock))
	must(t, s.TakeAccount(ctx, "8", "gone", clock))
	for _, job := range []string{"j", "gone"} {
		must(t, s.AddLate(ctx, job, state.Late{AccountID: "7", Key: "1"}))
		must(t, s.AddDelivered(ctx, job, "7", state.Range{From: now, To: now.Add(1)}))
	}
	claim := task(t, s, "j", "ended")
	must(t, claim.End(ctx, now))
	claim.Release()
	task(t, s, "j", "open").Release()
	for _, id := range []string{"open", "ended"} {
		for n := range 2 {
			raw(t, server, fmt.Sprintf("tasks/items/j/%s/%06d.json", id, n), `{"v":1,"items":[]}`)
		}
		must(t, s.PutFound(ctx, "j", id, state.Found{}))
	}
	r, err := s.LoadAccount(ctx, "7")
	must(t, err)
	r.Account.Run = &state.Run{Key: "now"}
	must(t, r.Save(ctx))
	for _, account := range []string{"7", "9", "damaged", "newer"} {
		for n := range 2 {
			must(t, s.PutPage(ctx, account, "now", n, state.Retained{JSON: []byte("{}")}))
			must(t, s.PutPage(ctx, account, "before", n, state.Retained{JSON: []byte("{}")}))
		}
	}
	raw(t, server, "accounts/damaged.json", "{")
	raw(t, server, "accounts/newer.json", `{"v":2,"id":"newer"}`)
	must(t, s.PutSignIn(ctx, state.SignIn{Token: "x", ExpiresAt: now.Add(time.Hour)}))
	_, err = s.PutAside(ctx, state.AsidePost{AccountID: "7", PostID: "1"})
	must(t, err)
	before := server.Names("test")

	sweep := func(at time.Time, want int, ran bool, gone ...string) {
		t.Helper()
		clock = at
		server.ResetCalls()
		removed, did, err := s.Sweep(ctx, at)
		if err != nil || did != ran || removed != want {
			t.Errorf("after %s: removed %d, ran %v, %v; expected %d, %v", at.Sub(now), removed, did, err, want, ran)
		}
		left := server.Names("test")
		for _, name := range before {
			is := slices.ContainsFunc(gone, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
			if slices.Contains(left, name) == is {
				t.Errorf("after %s: %s there: %v, expected %v", at.Sub(now), name, is, !is)
			}
		}
	}
	sweep(now.Add(time.Hour), 0, true)
	sweep(now.Add(24*time.Hour), 0, false)
	if calls := server.Calls(); calls.All() != 0 {
		t.Errorf("calls %v of a sweep that is not due and was made by this process; expected none", calls.ByName)
	}
	other := state.New(blobtest.On(server).Container(blobtest.Name))
	if _, _, err := other.Sweep(ctx, clock); err != nil {
		t.Fatal(err)
	}
	server.ResetCalls()
	if _, ran, err := other.Sweep(ctx, clock); ran || err != nil || server.Calls().All() != 0 {
		t.Errorf("another process sweeps: %v, %v, calls %v; expected it to ask once whether a sweep is due", ran, err, server.Calls().ByName)
	}
	// The owner whose job is gone has no job after ten minutes, but age counts, too.
	week := []string{"signins/", "tasks/items/j/ended/", "tasks/found/j/ended", "pages/7/before/", "pages/9/", "late/gone/", "delivered/gone", "owners/8"}
	sweep(now.Add(48*time.Hour), 1, true, "signins/")
	sweep(now.Add(8*24*time.Hour), 2+1+2+4+1+1+1, true, week...)
	sweep(now.Add(89*24*time.Hour), 0, true, week...)
	sweep(now.Add(91*24*time.Hour), 1, true, append(week, "tasks/ended/")...)
	// A clock that was far ahead does not stop sweeps for good.
	sweep(now.Add(24*time.Hour), 0, true, append(week, "tasks/ended/")...)
}

// What is written while it is being swept stays.
func TestSweepLeavesWhatIsWrittenMeanwhile(t *testing.T) {
	s, server := newStore(t)
	ctx := t.Context()
	must(t, s.PutFound(ctx, "j", "t", state.Found{}))
	server.Before(func(o blobs.Op) error {
		if o.Class == blobs.Delete {
			server.Before(nil)
			must(t, s.PutFound(ctx, "j", "t", state.Found{Names: []string{"new"}}))
		}
		return nil
	})
	if removed, ran, err := s.Sweep(ctx, time.Now().Add(30*24*time.Hour)); err != nil || !ran || removed != 0 {
		t.Errorf("removed %d, ran %v, %v; expected nothing to be removed", removed, ran, err)
	}
	if f, err := s.Found(ctx, "j", "t"); err != nil || len(f.Names) != 1 {
		t.Errorf("%+v, %v; expected what was written meanwhile", f, err)
	}
}

// Of instances that sweep at once, one does; and a sweep's requests for a task or a run
// are one, however much is left of it.
func TestSweepOnce(t *testing.T) {
	s, server := newStore(t)
	for n := range 20 {
		raw(t, server, fmt.Sprintf("tasks/items/j/t/%06d.json", n), `{"v":1,"items":[]}`)
	}
	later := time.Now().Add(30 * 24 * time.Hour)
	server.ResetCalls()
	var wg sync.WaitGroup
	var ran, removed atomic.Int32
	for range 4 {
		wg.Go(func() {
			n, did, err := s.Sweep(t.Context(), later)
			if err != nil {
				t.Error(err)
			}
			removed.Add(int32(n))
			if did {
				ran.Add(1)
			}
		})
	}
	wg.Wait()
	if ran.Load() != 1 || removed.Load() != 20 {
		t.Errorf("%d sweeps removed %d, expected one and 20", ran.Load(), removed.Load())
	}
	if calls := server.Calls(); calls.Delete != 20 || calls.Read > 4+4 {
		t.Errorf("calls %v; expected 20 removals and few reads", calls.ByName)
	}
}
