package capture_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/corpus"
)

// TestTaskOfNoAccount: a task whose job has turned to another account, which no other job
// archives, is answered from the archive: nobody will ask X.
func TestTaskOfNoAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(2)
		time.Sleep(time.Minute)
		w.mustTick()
		gone := fmt.Sprint(1 << 60)
		task := state.Task{JobID: "job7", TaskID: "t", AccountID: account, Start: time.Now().Add(-time.Hour), End: time.Now(),
			Dirty: []string{w.posted[0].ID, gone}, ReceivedAt: time.Now()}
		if _, err := w.state.AddTask(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		err := w.state.UpdateJob(t.Context(), "job7", func(j *state.Job) error { j.AccountID = "8"; return nil })
		if err != nil {
			t.Fatal(err)
		}
		w.mustTick()
		found, err := w.state.Found(t.Context(), "job7", "t")
		if err != nil {
			t.Fatalf("the task has no answer: %v", err)
		}
		if len(found.Names) != 1 || !strings.HasSuffix(found.Names[0], w.posted[0].ID+".eml") || !strings.Contains(found.Gone[gone], "no job") {
			t.Errorf("found %+v", found)
		}
	})
}

// TestTaskOfEditedPost: a task that asks about a post is told of all of its versions,
// those that are archived already among them.
func TestTaskOfEditedPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, second := w.edited(25 * time.Second)
		foreign := w.x.Post("8", corpus.Post{Text: "of another"})
		time.Sleep(time.Minute)
		w.mustTick()
		w.task("t", second.ID, foreign.ID)
		w.mustTick()
		found, err := w.state.Found(t.Context(), "job7", "t")
		if err != nil || len(found.Names) != 2 || !strings.Contains(found.Gone[foreign.ID], "account 8") {
			t.Errorf("found %+v, %v; want versions %s and %s", found, err, first.ID, second.ID)
		}
		w.wantArchived(first, second)
	})
}

// TestTaskOfMutedPost: a post that X neither sends nor explains is asked for for an hour;
// then the task is told so.
func TestTaskOfMutedPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(1)
		w.mustTick()
		w.x.Mute("1799999999999999999")
		w.task("t", "1799999999999999999")
		for range 20 {
			time.Sleep(4 * time.Minute)
			_ = w.tick() // X's answer is incomplete, and said to be
		}
		found, err := w.state.Found(t.Context(), "job7", "t")
		if err != nil || len(found.Names) != 0 || found.Gone["1799999999999999999"] == "" {
			t.Errorf("found %+v, %v", found, err)
		}
	})
}
