package state_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
)

// TestOneTask: a task delivered twice is one task, as far as it has come; one
// that has ended is not done again.
func TestOneTask(t *testing.T) {
	onAzurite(t, func(t *testing.T, s *state.Store) {
		ctx := t.Context()
		add := func(what string, task state.Task, added bool, want error) {
			t.Helper()
			if got, err := s.AddTask(ctx, task); got != added || !errors.Is(err, want) {
				t.Fatalf("%s: added %v, %v; expected %v, %v", what, got, err, added, want)
			}
		}
		task := state.Task{JobID: "j", TaskID: "t", AccountID: "7", BlobSASURI: "https://a/c?sig=one"}
		newer := task
		newer.BlobSASURI = "https://a/c?sig=two"
		add("new", task, true, nil)
		add("again", task, false, nil)
		claim, err := s.ClaimTask(ctx, "j", "t")
		must(t, err)
		_, err = s.ClaimTask(ctx, "j", "t")
		is(t, "claiming twice", err, state.ErrClaimed)
		claim.Task.Position, claim.Task.Chunks, claim.Task.Uploads, claim.Task.Attempts, claim.Task.Begun = "x", 1, 5, 9, true
		claim.Task.Verdict = &state.Verdict{Status: 0}
		must(t, claim.Save(ctx))
		add("while it is in work", task, false, nil)
		add("with a newer SAS while it is in work, which must not be lost in silence", newer, false, state.ErrClaimed)
		claim.Release()
		add("as far as it has come", task, false, nil)
		add("with a newer SAS", newer, false, nil)
		claim, err = s.ClaimTask(ctx, "j", "t")
		must(t, err)
		if got := claim.Task; got.BlobSASURI != newer.BlobSASURI || got.Uploads != 0 || got.Position != "" || got.Chunks != 0 || got.Attempts != 0 || !got.Begun {
			t.Errorf("the newer SAS is not taken, or what was uploaded elsewhere counts: %+v", got)
		}
		if claim.Task.Verdict != nil {
			t.Error("a verdict on items in another container stands")
		}
		claim.Task.Verdict = &state.Verdict{Status: 0}
		must(t, claim.End(ctx, now))
		is(t, "the claim of an ended task is", claim.Lost(), nil)
		claim.Release()
		add("after its end", newer, false, nil)
		if open, _, err := s.OpenTasks(ctx); err != nil || len(open) != 0 {
			t.Errorf("open: %+v, %v; expected none", open, err)
		}
		ended, err := s.EndedTask(ctx, "j", "t")
		if err != nil || ended.BlobSASURI != "" || !ended.EndedAt.Equal(now) {
			t.Errorf("ended: %+v, %v; expected no SAS, ended at %v", ended, err, now)
		}
	})
}

// A task that ended as a temporary failure is done again when it is asked for again,
// unless the Import service refused it for good.
func TestTaskIsReopened(t *testing.T) {
	for _, test := range []struct {
		verdict *state.Verdict
		added   bool
	}{
		{&state.Verdict{Status: 1}, true}, {&state.Verdict{Status: 1, Refusal: "no"}, false},
		{&state.Verdict{Status: 0}, false}, {&state.Verdict{Status: 2}, false}, {nil, false},
	} {
		s, server := newStore(t)
		claim := task(t, s, "j", "t")
		claim.Task.Verdict, claim.Task.Uploads = test.verdict, 3
		must(t, claim.End(t.Context(), now))
		claim.Release()
		added, err := s.AddTask(t.Context(), state.Task{JobID: "j", TaskID: "t"})
		if err != nil || added != test.added {
			t.Errorf("%+v: added %v, %v; expected %v", test.verdict, added, err, test.added)
		}
		want := []string{"tasks/ended/j/t.json"}
		if test.added {
			want = []string{"tasks/open/j/t.json"}
			claim, err := s.ClaimTask(t.Context(), "j", "t")
			must(t, err)
			if claim.Task.Uploads != 0 || claim.Task.Verdict != nil || !claim.Task.EndedAt.IsZero() {
				t.Errorf("opened again: %+v; expected a new task", claim.Task)
			}
			claim.Release()
		}
		if got := server.Names("test"); !slices.Equal(got, want) {
			t.Errorf("%+v: blobs %q, expected %q", test.verdict, got, want)
		}
	}
}

// A request for a task that is just ending as a temporary failure is refused, to be
// sent again; it must not pass for taken.
func TestTaskIsAskedForWhileItEnds(t *testing.T) {
	s, server := newStore(t)
	claim := task(t, s, "j", "t")
	claim.Task.Verdict = &state.Verdict{Status: 1}
	must(t, claim.Save(t.Context()))
	again := state.Task{JobID: "j", TaskID: "t", BlobSASURI: claim.Task.BlobSASURI}
	_, err := s.AddTask(t.Context(), again)
	is(t, "while its verdict is told", err, state.ErrClaimed)
	server.Before(func(o blobs.Op) error { // it asks again at every step of the end
		if o.Class == blobs.Write || o.Class == blobs.Delete {
			server.Before(nil)
			_, err := s.AddTask(t.Context(), again)
			is(t, "while it ends", err, state.ErrClaimed)
		}
		return nil
	})
	must(t, claim.End(t.Context(), now))
	claim.Release()
	if added, err := s.AddTask(t.Context(), again); err != nil || !added {
		t.Errorf("after its end: added %v, %v", added, err)
	}
}

// An older version's crash left the task in both folders: it has ended.
func TestEndInterruptedInTheOlderFormat(t *testing.T) {
	s, server := newStore(t)
	raw(t, server, "tasks/open/j/t.json", `{"JobID":"j","TaskID":"t","BlobSASURI":"https://x"}`)
	raw(t, server, "tasks/ended/j/t.json", `{"JobID":"j","TaskID":"t","Verdict":{"Status":0}}`)
	_, err := s.ClaimTask(t.Context(), "j", "t")
	is(t, "claiming", err, state.ErrNotFound)
	if open, _, err := s.OpenTasks(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("open %+v, %v; expected none", open, err)
	}
}

// A task of the older format has no account: its job's is taken.
func TestTaskOfTheOlderFormat(t *testing.T) {
	s, server := newStore(t)
	putJob(t, s, "j", "7")
	for _, job := range []string{"j", "gone"} {
		raw(t, server, "tasks/open/"+job+"/t.json", `{"JobID":"`+job+`","TaskID":"t","LastError":""}`)
	}
	open, _, err := s.OpenTasks(t.Context())
	if err != nil || len(open) != 2 || open[0].AccountID != "" || open[1].AccountID != "7" || open[1].Problem != nil {
		t.Errorf("%+v, %v; expected account 7, none for the deleted job, and no problem", open, err)
	}
	claim, err := s.ClaimTask(t.Context(), "j", "t")
	must(t, err)
	defer claim.Release()
	if claim.Task.AccountID != "7" {
		t.Errorf("claimed: %+v, expected account 7", claim.Task)
	}
}

// The tasks that changed last come first, open and ended together, without what is
// secret.
func TestRecentTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server := newStore(t)
		for _, id := range []string{"a", "b", "c"} {
			claim := task(t, s, "j", id)
			claim.Task.Partials = []state.Partial{{Key: "k", Staged: blob.Staged{Prefix: "p"}}}
			must(t, claim.Save(t.Context()))
			claim.Release()
			time.Sleep(2 * time.Second)
		}
		claim, err := s.ClaimTask(t.Context(), "j", "a")
		must(t, err)
		must(t, claim.End(t.Context(), now))
		claim.Release()
		raw(t, server, "tasks/open/j/z.json", "{")
		tasks, more, damaged, err := s.RecentTasks(t.Context(), 0, 3)
		if err != nil || !more || len(tasks) != 2 || tasks[0].TaskID+tasks[1].TaskID != "ac" || tasks[0].EndedAt.IsZero() || len(damaged) != 1 {
			t.Errorf("%+v, damaged %+v, %v; expected a (ended) and c, and one damaged", tasks, damaged, err)
		}
		text, err := json.Marshal(tasks)
		must(t, err)
		if strings.Contains(string(text), "sig=") || strings.Contains(string(text), "prefix") {
			t.Errorf("secrets: %s", text)
		}
		server.ResetCalls()
		_, _, _, err = s.RecentTasks(t.Context(), 0, 1)
		if calls := server.Calls(); err != nil || calls.List != 2 || calls.Read != 1 {
			t.Errorf("calls %v, %v; expected two listings and one read", calls.ByName, err)
		}
		older, more, _, err := s.RecentTasks(t.Context(), 3, 3)
		if err != nil || more || len(older) != 1 || older[0].TaskID != "b" {
			t.Errorf("the next page has %+v, more %v, %v; expected b", older, more, err)
		}
	})
}

// TestNewestTasks: each job's newest tasks are read, however many newer ones others
// have, and no more than those.
func TestNewestTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, server := newStore(t)
		task(t, s, "quiet", "old").Release()
		time.Sleep(time.Second)
		for n := range 300 {
			task(t, s, "busy", fmt.Sprint(n)).Release()
			time.Sleep(time.Second)
		}
		task(t, s, "gone", "t").Release()
		server.ResetCalls()
		tasks, _, err := s.NewestTasks(t.Context(), []string{"quiet", "busy"})
		must(t, err)
		calls := server.Calls()
		if len(tasks) != 101 || tasks[0].TaskID != "299" || tasks[99].TaskID != "200" || tasks[100].TaskID != "old" {
			t.Errorf("%d tasks; expected the newest hundred and one", len(tasks))
		}
		if calls.Read != 101 {
			t.Errorf("%d reads", calls.Read)
		}
		if tasks, _, err = s.NewestTasks(t.Context(), []string{"quiet"}); err != nil || len(tasks) != 1 || tasks[0].BlobSASURI != "" {
			t.Errorf("%+v, %v; expected one task without its SAS", tasks, err)
		}
	})
}

// TestOpenTasksAreBounded: a job can have so many open tasks and no more. One that is
// open may be asked for again, and another job has its own.
func TestOpenTasksAreBounded(t *testing.T) {
	s, server := newStore(t)
	add := func(job, id string) error {
		_, err := s.AddTask(t.Context(), state.Task{JobID: job, TaskID: id, Dirty: []string{"1", "2"}, ReceivedAt: now})
		return err
	}
	for i := range state.MaxOpen {
		raw(t, server, fmt.Sprintf("tasks/open/j/%d.json", i), fmt.Sprintf(`{"v":1,"jobId":"j","taskId":"%d","dirty":["1","2"]}`, i))
	}
	is(t, "one more", add("j", "one more"), state.ErrTooMany)
	is(t, "one that is there", add("j", "7"), nil)
	is(t, "another job's", add("j2", "one more"), nil)
	list, _, err := s.OpenTasks(t.Context())
	must(t, err)
	if len(list) != state.MaxOpen+1 || list[0].Dirty != nil || list[0].Asks != 2 {
		t.Errorf("%d tasks, the first %+v", len(list), list[0])
	}
	whole, err := s.OpenTask(t.Context(), "j", "7")
	must(t, err)
	if !slices.Equal(whole.Dirty, []string{"1", "2"}) {
		t.Errorf("a task alone: %+v", whole)
	}
	claim, err := s.ClaimTask(t.Context(), "j", "7")
	must(t, err)
	must(t, claim.End(t.Context(), now))
	claim.Release()
	is(t, "one more, after one has ended", add("j", "one more"), nil)
}
