package e2e

import (
	"slices"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// TestShownLate: X shows a post 45 seconds after it was posted, when its time is
// archived and delivered already. It is archived, and the next task delivers it,
// whatever window that asks for.
func TestShownLate(t *testing.T) {
	t.Parallel()
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 1)})
	w.connect(job, account)
	now := time.Now()
	known := w.post(account, now.Add(-50*time.Second))
	late := w.post(account, now.Add(-45*time.Second))
	w.X.ShowLateAfter(late.ID, 1)
	newer := w.post(account, now.Add(-44*time.Second))
	w.request(importservice.Task{JobID: job, TaskID: task, Start: beginning, End: now.Add(-40 * time.Second)})
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantDelivered(job, task, importservice.Success, []corpus.Post{known, newer})

	w.until("the late post is archived", func() bool { return len(w.messages(account)) == 3 })
	w.wantKeys(account, known, late, newer)
	w.request(importservice.Task{JobID: job, TaskID: "next", Start: now.Add(-39 * time.Second), End: now.Add(-38 * time.Second)})
	w.until("the next task ends", func() bool { return w.ended(job, "next") })
	w.wantDelivered(job, "next", importservice.Success, []corpus.Post{late})
	w.wantClean()
}

// TestLeftOut: three of six posts are missing in one of X's answers and back in the
// next. They are archived, though newer ones are known by then.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 1)})
	w.connect(job, account)
	now := time.Now()
	known := w.post(account, now.Add(-time.Hour))
	w.tick()
	var posts []corpus.Post
	for i := range 6 {
		posts = append(posts, w.post(account, now.Add(time.Duration(i-60)*time.Second)))
	}
	w.X.LeaveOut(1, posts[1].ID, posts[2].ID, posts[4].ID)
	w.tick()
	w.wantKeys(account, known, posts[0], posts[3], posts[5])
	w.until("the posts that were left out are archived", func() bool { return len(w.messages(account)) == 7 })
	w.wantArchived(account, append(slices.Clone(posts), known))
	w.request(importservice.Task{JobID: job, TaskID: task, Start: beginning, End: now.Add(-40 * time.Second)})
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantDelivered(job, task, importservice.Success, append(slices.Clone(posts), known))
	w.wantClean()
}
