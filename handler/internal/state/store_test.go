package state_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/state"
)

func job(id, account string) state.Job {
	return state.Job{ID: id, TenantID: "t", AccountID: account, CreatedAt: time.Now().UTC()}
}

func TestJobs(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	if _, err := s.Job(ctx, "j1"); !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("unknown job: %v", err)
	}
	for _, j := range []state.Job{job("j1", "7"), job("j2", "8")} {
		if err := s.PutJob(ctx, j); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.AddTask(ctx, state.Task{JobID: "j1", TaskID: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddTask(ctx, state.Task{JobID: "j2", TaskID: "b"}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteJob(ctx, "j1"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteJob(ctx, "j1"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("deleting twice: %v", err)
	}
	tasks, err := s.OpenTasks(ctx)
	if err != nil || len(tasks) != 1 || tasks[0].TaskID != "b" {
		t.Errorf("open tasks %+v, %v", tasks, err)
	}
	jobs, err := s.Jobs(ctx)
	if err != nil || len(jobs) != 1 || jobs[0].ID != "j2" {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
}

// TestOneTask: a task delivered twice is one task, as far as it has come; one
// that has ended is not done again.
func TestOneTask(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	task := state.Task{JobID: "j", TaskID: "t", BlobSASURI: "https://a/c?sig=one"}
	if added, err := s.AddTask(ctx, task); err != nil || !added {
		t.Fatal(added, err)
	}
	if added, err := s.AddTask(ctx, task); err != nil || added {
		t.Fatal(added, err)
	}
	claim, err := s.ClaimTask(ctx, "j", "t")
	if err != nil {
		t.Fatal(err)
	}
	claim.Uploaded = []string{"1.json"}
	if err := claim.Save(ctx); err != nil {
		t.Fatal(err)
	}
	newer := task
	newer.BlobSASURI = "https://a/c?sig=two"
	if added, err := s.AddTask(ctx, task); err != nil || added {
		t.Fatalf("while it is in work: %v %v", added, err)
	}
	if added, err := s.AddTask(ctx, newer); !errors.Is(err, state.ErrClaimed) || added {
		t.Fatalf("with a newer SAS while it is in work, which must not be lost in silence: %v %v", added, err)
	}
	claim.Release()
	if added, err := s.AddTask(ctx, newer); err != nil || added {
		t.Fatal(added, err)
	}
	claim, err = s.ClaimTask(ctx, "j", "t")
	if err != nil {
		t.Fatal(err)
	}
	if claim.BlobSASURI != newer.BlobSASURI || len(claim.Uploaded) != 0 {
		t.Errorf("the newer SAS is not taken, or what was uploaded elsewhere counts: %+v", claim.Task)
	}
	if err := claim.End(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	claim.Release()
	if added, err := s.AddTask(ctx, task); err != nil || added {
		t.Fatalf("after its end: %v %v", added, err)
	}
	if open, _ := s.OpenTasks(ctx); len(open) != 0 {
		t.Errorf("open: %+v", open)
	}
	ended, err := s.EndedTask(ctx, "j", "t")
	if err != nil || ended.BlobSASURI != "" || ended.EndedAt.IsZero() {
		t.Errorf("ended: %+v, %v", ended, err)
	}
}

// TestEndInterrupted: a crash between the two steps of End does not make the
// task run again.
func TestEndInterrupted(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	if _, err := s.AddTask(ctx, state.Task{JobID: "j", TaskID: "t"}); err != nil {
		t.Fatal(err)
	}
	claim, err := s.ClaimTask(ctx, "j", "t")
	if err != nil {
		t.Fatal(err)
	}
	claim.Release() // the lease is gone, so the second step of End fails
	if err := claim.End(ctx, time.Now()); err == nil {
		t.Fatal("ended without a lease")
	}
	if _, err := s.ClaimTask(ctx, "j", "t"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("claimed again: %v", err)
	}
	if open, _ := s.OpenTasks(ctx); len(open) != 0 {
		t.Errorf("open: %+v", open)
	}
}

// TestClaimIsExclusive: of many that claim an account at once, one gets it.
func TestClaimIsExclusive(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	var wg sync.WaitGroup
	claims := make([]*state.AccountClaim, 8)
	for i := range claims {
		wg.Go(func() {
			c, err := s.ClaimAccount(ctx, "7")
			if err != nil && !errors.Is(err, state.ErrClaimed) {
				t.Error(err)
			}
			claims[i] = c
		})
	}
	wg.Wait()
	var won *state.AccountClaim
	for _, c := range claims {
		if c != nil && won != nil {
			t.Fatal("claimed twice")
		}
		if c != nil {
			won = c
		}
	}
	won.Cursor = "5"
	if err := won.Save(ctx); err != nil {
		t.Fatal(err)
	}
	won.Release()
	if err := won.Save(ctx); err == nil {
		t.Error("saved after the claim was given back")
	}
	again, err := s.ClaimAccount(ctx, "7")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if again.Cursor != "5" {
		t.Errorf("cursor %q", again.Cursor)
	}
	if a, err := s.Account(ctx, "7"); err != nil || a.Cursor != "5" {
		t.Errorf("read without a claim: %+v, %v", a, err)
	}
}

// TestReleaseAfterCancel: an instance that is told to stop gives its claims back.
func TestReleaseAfterCancel(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := s.ClaimAccount(ctx, "7")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-c.Context().Done()
	c.Release()
	c, err = s.ClaimAccount(t.Context(), "7")
	if err != nil {
		t.Fatalf("not given back: %v", err)
	}
	c.Release()
}

func TestPages(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	raw := []byte(`{"data":[] , "meta":{}}`)
	if err := s.PutPage(ctx, "7", "run", 3, raw); err != nil {
		t.Fatal(err)
	}
	if err := s.PutPage(ctx, "7", "run2", 3, raw); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Page(ctx, "7", "run", 3); err != nil || string(got) != string(raw) {
		t.Errorf("%s, %v", got, err)
	}
	if err := s.PutPage(ctx, "7", "run", 3, []byte("another")); !errors.Is(err, state.ErrLost) {
		t.Errorf("keeping a page twice: %v", err)
	}
	if err := s.RemovePages(ctx, "7", "run"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Page(ctx, "7", "run", 3); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("removed page: %v", err)
	}
	if _, err := s.Page(ctx, "7", "run2", 3); err != nil {
		t.Errorf("another run's page: %v", err)
	}
}

func TestSignIns(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	now := time.Now().UTC()
	for _, in := range []state.SignIn{
		{Token: "live", RedirectURL: "r", CreatedAt: now, ExpiresAt: now.Add(time.Hour)},
		{Token: "old", RedirectURL: "r", CreatedAt: now.Add(-time.Hour), ExpiresAt: now.Add(-time.Minute)},
	} {
		if err := s.PutSignIn(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	if live, err := s.SignIns(ctx); err != nil || len(live) != 1 || live[0].Token != "live" {
		t.Errorf("%+v, %v", live, err)
	}
	if err := s.DeleteSignIn(ctx, "old"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the expired one is still there: %v", err)
	}
	if err := s.DeleteSignIn(ctx, "live"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteSignIn(ctx, "live"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("taken twice: %v", err)
	}
}
