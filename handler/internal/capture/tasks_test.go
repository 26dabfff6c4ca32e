package capture_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/post"
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

// TestTaskOfMadeUpPosts: X is not asked for what cannot be a post of the account, which it
// would bill; and for no more posts a day than a bound, the rest of which the next day
// brings.
func TestTaskOfMadeUpPosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(2)
		w.mustTick()
		asked := func() int { return w.x.Stats().ByPath["GET /2/tweets"] }
		before := asked()
		impossible := []string{"0", "12345", "99999999999999999999", post.IDAt(time.Now().Add(time.Hour)), post.IDAt(time.Date(2020, 2, 28, 0, 0, 0, 0, time.UTC))}
		w.task("made-up", append(impossible, w.posted[0].ID, w.posted[1].ID)...)
		w.mustTick()
		found, err := w.state.Found(t.Context(), "job7", "made-up")
		if err != nil || len(found.Names) != 2 || len(found.Gone) != len(impossible) {
			t.Errorf("found %+v, %v", found, err)
		}
		if n := asked() - before; n != 1 {
			t.Errorf("X was asked %d times, want once", n)
		}

		before = asked()
		for n := range 3 {
			var ids []string
			for i := range 4900 {
				at := time.Date(2021, 1, 1+n, 0, 0, i, 0, time.UTC)
				ids = append(ids, post.IDAt(at))
			}
			time.Sleep(time.Second)
			w.task(fmt.Sprint("t", n), ids...)
		}
		answered := func() (n int) {
			for i := range 3 {
				if _, err := w.state.Found(t.Context(), "job7", fmt.Sprint("t", i)); err == nil {
					n++
				}
			}
			return n
		}
		for range 3 {
			w.post(1)
			w.mustTick()
		}
		w.wantArchived(w.posted...)
		if n, tasks := asked()-before, answered(); n != 99 || tasks != 2 {
			t.Errorf("X was asked for %d times 100 posts, %d tasks are answered; want 99 and 2", n, tasks)
		}
		time.Sleep(24 * time.Hour)
		w.mustTick()
		if n, tasks := asked()-before, answered(); n != 147 || tasks != 3 {
			t.Errorf("X was asked for %d times 100 posts, %d tasks are answered; want 147 and 3", n, tasks)
		}
		w.noPages()
	})
}
