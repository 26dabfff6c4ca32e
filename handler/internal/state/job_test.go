package state_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

func TestJobs(t *testing.T) {
	onAzurite(t, func(t *testing.T, s *state.Store) {
		ctx := t.Context()
		_, err := s.Job(ctx, "j1")
		is(t, "unknown job", err, state.ErrNotFound)
		putJob(t, s, "j1", "7")
		putJob(t, s, "j2", "8")
		must(t, s.TakeAccount(ctx, "7", "j1", now))
		for _, job := range []string{"j1", "j2"} {
			_, err := s.AddTask(ctx, state.Task{JobID: job, TaskID: "t"})
			must(t, err)
		}
		must(t, s.DeleteJob(ctx, "j1"))
		is(t, "deleting twice", s.DeleteJob(ctx, "j1"), state.ErrNotFound)
		if tasks, _, err := s.OpenTasks(ctx); err != nil || len(tasks) != 1 || tasks[0].JobID != "j2" {
			t.Errorf("open tasks %+v, %v; expected that of j2", tasks, err)
		}
		if jobs, _, err := s.Jobs(ctx); err != nil || len(jobs) != 1 || jobs[0].ID != "j2" || jobs[0].V != state.Version {
			t.Errorf("jobs %+v, %v; expected j2", jobs, err)
		}
		if owner, err := s.Owner(ctx, "7", now); err != nil || owner != "" {
			t.Errorf("owner %q, %v; expected the account to be free", owner, err)
		}
	})
}

// A task in work is left to whoever works on it when its job is deleted.
func TestDeleteJobWithATaskInWork(t *testing.T) {
	s, _ := newStore(t)
	putJob(t, s, "j", "7")
	claim := task(t, s, "j", "t")
	must(t, s.DeleteJob(t.Context(), "j"))
	must(t, claim.Save(t.Context()))
	must(t, claim.Drop(t.Context()))
	claim.Release()
	if list, _, err := s.OpenTasks(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("open: %+v, %v; expected none", list, err)
	}
}

// Of many that change a job at once, none undoes another's change.
func TestUpdateJobRaces(t *testing.T) {
	s, _ := newStore(t)
	var wg sync.WaitGroup
	var done atomic.Int32
	for range 8 {
		wg.Go(func() {
			for {
				err := s.UpdateJob(t.Context(), "j", func(j *state.Job) error { j.Handle += "x"; return nil })
				if err == nil {
					done.Add(1)
					return
				}
				if !errors.Is(err, state.ErrClaimed) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if j, err := s.Job(t.Context(), "j"); err != nil || len(j.Handle) != int(done.Load()) || j.ID != "j" {
		t.Errorf("job %+v, %v; expected %d changes", j, err, done.Load())
	}
}

// A change can refuse; it is told whether there is a job, also when it is deleted
// meanwhile; a job of the older format is one.
func TestUpdateJobIsTold(t *testing.T) {
	s, server := newStore(t)
	gone := errors.New("no such job")
	change := func(j *state.Job) error {
		if j.V == 0 {
			return gone
		}
		j.SignInNeeded = true
		return nil
	}
	is(t, "no job", s.UpdateJob(t.Context(), "j", change), gone)
	if got := server.Names("test"); len(got) != 0 {
		t.Errorf("written: %q", got)
	}
	raw(t, server, "jobs/j.json", `{"ID":"j","TenantID":"t","AccountID":"7"}`)
	must(t, s.UpdateJob(t.Context(), "j", change))
	if j, err := s.Job(t.Context(), "j"); err != nil || !j.SignInNeeded || j.TenantID != "t" || j.V != state.Version {
		t.Errorf("%+v, %v", j, err)
	}
	server.Before(func(o blobs.Op) error {
		if o.Name == "PutBlob" {
			server.Before(nil)
			must(t, s.DeleteJob(t.Context(), "j"))
		}
		return nil
	})
	is(t, "deleted meanwhile", s.UpdateJob(t.Context(), "j", change), gone)
}

// Of jobs that take an account at the same moment, one gets it.
func TestTakeAccountRaces(t *testing.T) {
	onAzurite(t, func(t *testing.T, s *state.Store) {
		for round := range 5 {
			account := fmt.Sprint(round)
			var wg sync.WaitGroup
			var won atomic.Int32
			for i := range 4 {
				wg.Go(func() {
					err := s.TakeAccount(t.Context(), account, fmt.Sprint("j", i), now)
					if err == nil {
						won.Add(1)
					} else if !errors.Is(err, state.ErrTaken) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Errorf("%d jobs got the account, expected one", won.Load())
			}
		}
	})
}

// A job being set up holds its account for ten minutes; then its own record decides.
func TestOwnerGrace(t *testing.T) {
	s, _ := newStore(t)
	ctx := t.Context()
	owner := func(at time.Time, want string) {
		t.Helper()
		if got, err := s.Owner(ctx, "7", at); err != nil || got != want {
			t.Errorf("owner %q, %v; expected %q", got, err, want)
		}
	}
	owner(now, "")
	must(t, s.TakeAccount(ctx, "7", "a", now))
	must(t, s.TakeAccount(ctx, "7", "a", now)) // harmless
	is(t, "by another", s.TakeAccount(ctx, "7", "b", now.Add(9*time.Minute)), state.ErrTaken)
	owner(now.Add(9*time.Minute), "a")
	owner(now.Add(11*time.Minute), "")
	must(t, s.TakeAccount(ctx, "7", "b", now.Add(11*time.Minute)))
	is(t, "by the first, late", s.TakeAccount(ctx, "7", "a", now.Add(12*time.Minute)), state.ErrTaken)
	putJob(t, s, "b", "7")
	owner(now.Add(time.Hour), "b")
	putJob(t, s, "b", "8") // it turns to another account
	must(t, s.ReleaseOwner(ctx, "7", "a"))
	owner(now.Add(11*time.Minute), "b")
	must(t, s.ReleaseOwner(ctx, "7", "b"))
	must(t, s.ReleaseOwner(ctx, "7", "b"))
	must(t, s.ReleaseOwner(ctx, "", "b"))
	owner(now.Add(11*time.Minute), "")
}

// Jobs of the older format own their accounts: until the first sweep by being
// looked for, afterwards by record.
func TestOwnersOfTheOlderFormat(t *testing.T) {
	s, server := newStore(t)
	ctx := t.Context()
	raw(t, server, "jobs/old.json", `{"ID":"old","AccountID":"7","CreatedAt":"2025-01-01T00:00:00Z"}`)
	if got, err := s.Owner(ctx, "7", now); err != nil || got != "old" {
		t.Errorf("owner %q, %v; expected the old job", got, err)
	}
	is(t, "by another", s.TakeAccount(ctx, "7", "new", now), state.ErrTaken)
	_, _, err := s.Sweep(ctx, now)
	must(t, err)
	is(t, "by another after the sweep", s.TakeAccount(ctx, "7", "new", now), state.ErrTaken)
	must(t, s.TakeAccount(ctx, "7", "old", now))
	server.ResetCalls()
	must(t, s.TakeAccount(ctx, "9", "new", now))
	if calls := server.Calls(); calls.List != 0 {
		t.Errorf("taking a free account lists %d times after the first sweep", calls.List)
	}
}
