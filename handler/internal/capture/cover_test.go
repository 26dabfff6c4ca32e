package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
)

// gapsAreOpen checks that no time that is said to be a gap counts as covered.
func (w *world) gapsAreOpen(id string) {
	w.t.Helper()
	a := w.recordOf(id)
	for _, g := range a.Gaps {
		if open := a.Covered.Missing(g.Range); len(open) != 1 || open[0] != g.Range {
			w.t.Errorf("the gap from %s to %s is covered, in part at least: %v", g.From, g.To, a.Covered)
		}
	}
}

// TestGapOfYoungAccount: a first read that does not reach the beginning leaves a gap.
// That all posts that are known are young does not close it.
func TestGapOfYoungAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(330) // in as many seconds; X reaches 320
		w.mustTick()
		if a := w.record(); len(a.Gaps) != 1 {
			t.Fatalf("gaps %v, want one", a.Gaps)
		}
		for range 4 {
			time.Sleep(4 * time.Minute)
			w.post(1)
			w.mustTick()
			w.gapsAreOpen(account)
		}
	})
}

// TestShownLateBehindGonePosts: that the newest known posts were deleted does not
// shorten the time that is read again.
func TestShownLateBehindGonePosts(t *testing.T) {
	for name, old := range map[string]int{"of an old account": 3, "of a young one": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.post(old)
				time.Sleep(time.Hour)
				w.mustTick()
				late := w.x.Post(account, corpus.Post{Text: "late"})
				w.x.ShowLate(late.ID, time.Now().Add(9*time.Minute))
				w.post(2)
				time.Sleep(time.Minute)
				w.mustTick()
				for _, p := range w.posted[old:] {
					w.x.Delete(p.ID)
				}
				for range 4 {
					time.Sleep(4 * time.Minute)
					w.mustTick()
				}
				w.wantArchived(append(w.posted, late)...)
			})
		})
	}
}

// TestShownLateBeforeAnEdit: the earlier version of an edited post is archived and in no
// timeline. It does not make a young account look like one with more posts than are
// known.
func TestShownLateBeforeAnEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		late := w.x.Post(account, corpus.Post{Text: "late"})
		w.x.ShowLate(late.ID, time.Now().Add(9*time.Minute))
		time.Sleep(time.Second)
		first, second := w.edited(20 * time.Second)
		for range 4 {
			time.Sleep(4 * time.Minute)
			w.mustTick()
		}
		w.wantArchived(late, first, second)
	})
}

// TestEditHidesNothing: an edit of a post that is known besides does not stand for
// another known post that X leaves out.
func TestEditHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.x.Post(account, corpus.Post{Text: "first version"})
		time.Sleep(time.Minute)
		w.mustTick()
		time.Sleep(20 * time.Minute)
		w.post(1) // left out below
		id := corpus.NewID(time.Now(), 77)
		w.x.Post(account, corpus.Post{ID: id, Text: "second version", EditHistory: []string{first.ID, id}})
		time.Sleep(time.Minute)
		w.mustTick()
		w.x.LeaveOut(1, w.posted[0].ID)
		time.Sleep(time.Minute)
		w.mustTick()
		if a := w.record(); a.Incomplete.IsZero() {
			t.Errorf("X left a known post out, and the time is covered: %v", a.Covered)
		}
	})
}

// TestKilledBehindTheEnd: a run that was at its end, found that it was not, and was
// killed just after it retained one more page, goes on.
func TestKilledBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(3)
		time.Sleep(time.Hour)
		w.mustTick()
		w.post(330) // X reaches 320
		time.Sleep(time.Minute)
		w.x.OnCall(func(n int, _ string) {
			pages := slices.DeleteFunc(w.blobs.Names("state"), func(name string) bool { return !strings.HasPrefix(name, "pages/") })
			if len(pages) == 32 { // every page that X reaches is retained
				for _, p := range w.posted[300:325] {
					w.x.Delete(p.ID) // so that X reaches further back
				}
			}
		})
		dead := false
		w.blobs.Before(func(op blobs.Op) error {
			if dead {
				return &blobs.Drop{Final: true}
			}
			dead = op.Name == "PutBlob" && strings.HasSuffix(op.Blob, "/00032.json")
			return nil
		})
		if _ = w.tick(); !dead {
			t.Fatal("the process was not killed at page 32")
		}
		w.blobs.Before(nil)
		w.x.OnCall(nil)
		for range 3 {
			time.Sleep(time.Minute)
			w.mustTick()
		}
		w.wantArchived(w.posted...)
		if a := w.record(); a.Run != nil || len(a.Gaps) > 0 {
			t.Errorf("run %+v, gaps %v", a.Run, a.Gaps)
		}
	})
}

// TestPageLost: a retained page that somebody removed does not hold the account up for
// good: what was not archived is read again.
func TestPageLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(40)
		fail := 25
		w.blobs.Before(func(op blobs.Op) error {
			if op.Container == "archive" && op.Name == "PutBlob" {
				if fail--; fail < 0 {
					return &blobs.Drop{Final: true}
				}
			}
			return nil
		})
		if err := w.tick(); err == nil {
			t.Fatal("storage failed, and the tick did not")
		}
		w.blobs.Before(nil)
		for _, name := range w.blobs.Names("state") {
			if strings.HasSuffix(name, "/00000.json") {
				if err := w.storage.Container("state").Remove(t.Context(), name, noCondition); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 3 {
			time.Sleep(time.Minute)
			_ = w.tick() // the loss is reported
		}
		w.wantArchived(w.posted...)
		if a := w.record(); a.Run != nil || a.Problem != nil || a.Covered.End().Before(time.Now().Add(-time.Minute)) {
			t.Errorf("run %+v, problem %+v, covered %v", a.Run, a.Problem, a.Covered)
		}
		if w.log.count("level=ERROR", "page") == 0 {
			t.Error("the log does not say that a page was lost")
		}
	})
}

// TestDeliveredMeanwhile: a task that begins while late posts are being archived either
// finds a post in the archive, or the post is noted for the next task.
func TestDeliveredMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.page = 100
		w.post(2)
		var late []corpus.Post
		for range 40 {
			time.Sleep(time.Second)
			p := w.x.Post(account, corpus.Post{Text: "late"})
			w.x.ShowLate(p.ID, time.Now().Add(5*time.Minute))
			late = append(late, p)
		}
		w.post(2)
		time.Sleep(time.Minute)
		w.mustTick()
		time.Sleep(6 * time.Minute)
		asked, delivering := false, false
		var listed []string
		w.blobs.Before(func(op blobs.Op) error {
			switch {
			case strings.HasPrefix(op.Blob, "delivered/"):
				asked = true
			case asked && !delivering && op.Container == "archive" && op.Name == "PutBlob":
				delivering = true
				w.delivered()
				listed = w.archived()
			}
			return nil
		})
		w.mustTick()
		w.blobs.Before(nil)
		if !delivering {
			t.Fatal("no task began")
		}
		noted := w.late()
		for _, p := range late {
			if !slices.Contains(listed, p.ID) && !slices.Contains(noted, p.ID) {
				t.Errorf("post %s is neither delivered nor noted for the next task", p.ID)
			}
		}
	})
}

// TestLateIntoAGap: a task does not wait for a gap. What is archived into one after a
// task began is noted, too.
func TestLateIntoAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(10)
		time.Sleep(time.Minute)
		w.mustTick()
		w.x.LeaveOut(1000, w.posted[8].ID, w.posted[9].ID)
		for range 24 {
			time.Sleep(time.Hour)
			w.mustTick()
		}
		w.post(1)
		time.Sleep(time.Hour)
		w.blobs.Before(func(op blobs.Op) error {
			if op.Container == "archive" && op.Name == "PutBlob" {
				return &blobs.Drop{Final: true}
			}
			return nil
		})
		if err := w.tick(); err == nil {
			t.Fatal("storage failed, and the tick did not")
		}
		w.blobs.Before(nil)
		if a := w.record(); len(a.Gaps) != 1 {
			t.Fatalf("gaps %v, want one", a.Gaps)
		}
		w.delivered()
		w.mustTick()
		w.wantArchived(w.posted...)
		if got := w.late(); !slices.Equal(got, []string{w.posted[10].ID}) {
			t.Errorf("noted for the next task: %v, want %s", got, w.posted[10].ID)
		}
	})
}

// TestManyPostsWhileIncomplete: an account that posts hundreds of posts while X's answers
// are incomplete has all of them read again when they are complete.
func TestManyPostsWhileIncomplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, 100, 3200)
		w.post(10)
		time.Sleep(time.Minute)
		w.mustTick()
		hidden := w.x.Post(account, corpus.Post{Text: "left out, too"})
		w.x.LeaveOut(1<<20, w.posted[9].ID, hidden.ID)
		for range 7 {
			for range 100 {
				time.Sleep(30 * time.Second)
				w.post(1)
			}
			w.mustTick()
		}
		w.x.LeaveOut(0, w.posted[9].ID, hidden.ID)
		for range 2 {
			time.Sleep(time.Minute)
			w.mustTick()
		}
		w.wantArchived(append(w.posted, hidden)...)
		if a := w.record(); !a.Incomplete.IsZero() || len(a.Gaps) > 0 || len(a.Recent) > 100 {
			t.Errorf("incomplete since %v, gaps %v, %d posts are remembered", a.Incomplete, a.Gaps, len(a.Recent))
		}
	})
}

// TestBill: a week of an account with ten posts a day, asked every five minutes: each post
// is billed once, but for those of a day's last two minutes.
func TestBill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		twice := 0
		for i := range 7 * 24 * 12 {
			if i%24 == 0 {
				w.post(1)
			}
			time.Sleep(5 * time.Minute)
			if left := time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)); left < 2*time.Minute {
				w.post(1)
				twice++
			}
			w.mustTick()
		}
		w.wantArchived(w.posted...)
		if got := w.x.Stats().BilledReads; got > len(w.posted)+twice {
			t.Errorf("%d post reads are billed for %d posts, %d of them of a day's last two minutes", got, len(w.posted), twice)
		}
		if a := w.record(); len(a.Gaps) > 0 || len(a.Covered) != 1 {
			t.Errorf("gaps %v, covered %v", a.Gaps, a.Covered)
		}
	})
}

// TestAsideCounted: a post that was set aside just before the process was killed is
// counted, so that a later version tries it again.
func TestAsideCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(1)
		w.x.Post(account, corpus.Post{ID: "418223901", Raw: []byte(`{"id":"418223901","text":"just setting up","author_id":"7","edit_history_tweet_ids":["418223901"]}`)})
		dead := false
		w.blobs.Before(func(op blobs.Op) error {
			if dead {
				return &blobs.Drop{Final: true}
			}
			dead = op.Name == "PutBlob" && strings.HasPrefix(op.Blob, "set-aside/posts/")
			return nil
		})
		_ = w.tick()
		w.blobs.Before(nil)
		if !dead {
			t.Fatal("nothing was set aside")
		}
		time.Sleep(time.Minute)
		w.mustTick()
		if a := w.record(); a.SetAside.Posts != 1 {
			t.Errorf("%d posts are counted as set aside, want 1", a.SetAside.Posts)
		}
	})
}

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

// TestAlteredMessage: a message of the archive that was altered, or is none of ours, is
// reported and holds no other post up.
func TestAlteredMessage(t *testing.T) {
	for name, metadata := range map[string]map[string]string{
		"altered": {"postid": "1", "created": "2026-06-10T12:00:01.000Z", "kind": "Tweet", "sha256": strings.Repeat("0", 64)},
		"foreign": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "a")
				time.Sleep(time.Second)
				p := w.x.Post(account, corpus.Post{Text: "with a photo", MediaKeys: []string{"3_a"}})
				w.putMessage("7/2026/06/10/"+p.ID+".eml", metadata)
				w.post(2)
				for range 2 {
					time.Sleep(time.Minute)
					_ = w.tick()
				}
				w.wantArchived(append(w.posted, p)...)
				if a := w.record(); a.Run != nil || a.Covered.End().Before(time.Now().Add(-time.Minute)) {
					t.Errorf("covered to %s, run %+v", a.Covered.End(), a.Run)
				}
				if w.log.count("level=ERROR", p.ID) == 0 {
					t.Error("the log does not say so")
				}
			})
		})
	}
}

// TestPanicOverAPost: a post over which capture panics is set aside, and holds no other
// up.
func TestPanicOverAPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.photos("a")
		w.posted = nil
		w.post(2)
		w.panics = "/a.png"
		time.Sleep(time.Minute)
		w.mustTick()
		w.wantArchived(w.posted...)
		if a := w.record(); a.SetAside.Posts != 1 || w.log.count("level=ERROR", "panic") != 1 {
			t.Errorf("set aside %+v", a.SetAside)
		}
		w.panics, w.version = "", "v2"
		w.mustTick()
		if a := w.record(); a.SetAside.Posts != 0 || len(w.archived()) != 3 {
			t.Errorf("after a later version's try: set aside %+v, archived %v", a.SetAside, w.archived())
		}
	})
}

// change changes the account's record, as another version may have left it.
func (w *world) change(f func(*state.Account)) {
	w.t.Helper()
	r, err := w.state.LoadAccount(w.t.Context(), account)
	if err != nil {
		w.t.Fatal(err)
	}
	f(&r.Account)
	if err := r.Save(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// TestCoveredAhead: that an older version covered time which is still to come does not end
// the overlap.
func TestCoveredAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(3)
		time.Sleep(time.Hour)
		w.mustTick()
		w.change(func(a *state.Account) { a.Covered = state.Ranges{{To: time.Now().Add(24 * time.Hour)}} })
		late := w.x.Post(account, corpus.Post{Text: "late"})
		w.x.ShowLate(late.ID, time.Now().Add(9*time.Minute))
		w.post(1)
		for range 4 {
			time.Sleep(4 * time.Minute)
			w.mustTick()
		}
		w.wantArchived(append(w.posted, late)...)
	})
}

// TestRunOfAnOlderVersion: a first read that an older version left behind, nearly at its
// end, is proved by nothing: that version noted neither its newest post nor when X
// gave its pages.
func TestRunOfAnOlderVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(340) // X reaches 320
		w.stopAt(31)
		if err := w.tick(); err == nil {
			t.Fatal("X was down, and the tick did not fail")
		}
		w.stopAt(0)
		w.x.Down(false)
		w.change(func(a *state.Account) {
			a.V = 0
			r := a.Run
			r.EndTime, r.CoverTo = r.Began, r.Began
			r.NewestID, r.LastPage, r.CursorBefore = "", time.Time{}, ""
		})
		for range 2 {
			time.Sleep(time.Minute)
			_ = w.tick() // X no longer takes the page token
		}
		w.mustTick()
		w.nothingIsMissing()
		if a := w.record(); len(a.Gaps) != 1 {
			t.Errorf("gaps %v, want one", a.Gaps)
		}
	})
}

// TestAllSetAside: an account of which no post can be archived is not read from its
// beginning in each tick.
func TestAllSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.panics = "/a.png"
		for range 30 {
			w.photos("a")
		}
		w.mustTick()
		time.Sleep(20 * time.Minute)
		w.photos("a")
		w.mustTick()
		before := w.x.Stats().PostReads
		time.Sleep(4 * time.Minute)
		w.mustTick()
		if n := w.x.Stats().PostReads - before; n > 1 {
			t.Errorf("%d posts are read again", n)
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
