package state_test

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

func TestMain(m *testing.M) { os.Exit(blobtest.Run(m)) }

// newStore is a store of the test's own, and the server that it is on.
func newStore(t *testing.T) (*state.Store, *blobs.Server) {
	t.Helper()
	c, s := blobtest.Server(t)
	return state.New(c), s
}

// onAzurite runs a test in memory and on Azurite.
func onAzurite(t *testing.T, test func(t *testing.T, s *state.Store)) {
	t.Run("memory", func(t *testing.T) { s, _ := newStore(t); test(t, s) })
	t.Run("Azurite", func(t *testing.T) { test(t, state.New(blobtest.Azurite(t))) })
}

func is(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, expected %v", what, got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// putJob makes a job, or turns it to an account.
func putJob(t *testing.T, s *state.Store, id, account string) {
	t.Helper()
	must(t, s.UpdateJob(t.Context(), id, func(j *state.Job) error { j.AccountID = account; return nil }))
}

// raw writes a blob as it is.
func raw(t *testing.T, s *blobs.Server, name, content string) {
	t.Helper()
	_, err := blobtest.On(s).Container(blobtest.Name).Write(t.Context(), name, []byte(content), anything)
	must(t, err)
}

// task adds a task and claims it.
func task(t *testing.T, s *state.Store, job, id string) *state.TaskClaim {
	t.Helper()
	_, err := s.AddTask(t.Context(), state.Task{JobID: job, TaskID: id, BlobSASURI: "https://a/c?sig=one"})
	must(t, err)
	c, err := s.ClaimTask(t.Context(), job, id)
	must(t, err)
	return c
}

// refuse has the service refuse the n-th call, counted from now, and all after it.
func refuse(s *blobs.Server, n int) {
	var calls atomic.Int64
	s.Before(func(blobs.Op) error {
		if calls.Add(1) > int64(n) {
			return &blobs.Answer{Status: 403, Code: "AuthorizationFailure"}
		}
		return nil
	})
}

var anything blob.Condition
