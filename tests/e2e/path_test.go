package e2e

import (
	"slices"
	"testing"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/importservice"
)

// TestWholePath is the main job with the built-in corpus: two accounts sign in,
// the Compliance Center asks for everything, the timer ticks.
func TestWholePath(t *testing.T) {
	r := start(t, options{})
	accounts := r.Corpus.Accounts()
	if len(accounts) != 2 {
		t.Fatalf("the built-in corpus has %d accounts, 2 are wanted", len(accounts))
	}
	var jobs []string
	posts := 0
	for i, account := range accounts {
		job := []string{"job-a", "job-b"}[i]
		r.connect(job, account)
		jobs = append(jobs, job)
		posts += len(r.allPosts(account))
	}
	if posts < 250 {
		t.Fatalf("the built-in corpus has %d posts, at least 250 are wanted", posts)
	}
	for _, job := range jobs {
		r.request(importservice.Task{JobID: job, TaskID: "all", Start: beginning, End: r.newest()})
	}
	r.tick()

	t.Run("every post is archived once", func(t *testing.T) {
		for _, account := range accounts {
			r.wantArchived(account, r.allPosts(account))
		}
	})
	t.Run("every post is delivered", func(t *testing.T) {
		for i, job := range jobs {
			r.wantDelivered(job, "all", importservice.Success, r.allPosts(accounts[i]))
		}
	})
	t.Run("no post is read twice", func(t *testing.T) {
		timeline := 0
		for _, account := range accounts {
			timeline += len(r.Corpus.Posts(account))
		}
		if got := r.X.Stats().PostReads; got != timeline {
			t.Errorf("X billed %d post reads for %d posts", got, timeline)
		}
	})
	t.Run("an idle tick costs one request an account", func(t *testing.T) {
		r.waitSettled()
		before := r.X.Stats()
		r.tick()
		after := r.X.Stats()
		if got := after.PostReads - before.PostReads; got != 0 {
			t.Errorf("an idle tick read %d posts", got)
		}
		if got := after.Requests - before.Requests; got > len(accounts) {
			t.Errorf("an idle tick made %d requests", got)
		}
	})
	t.Run("the same task again adds nothing", func(t *testing.T) {
		events, blobs := len(r.Import.Events()), r.importedBlobs()
		r.request(importservice.Task{JobID: jobs[0], TaskID: "all", Start: beginning, End: r.newest()})
		r.tick()
		if got := len(r.Import.Events()); got != events {
			t.Errorf("%d more events", got-events)
		}
		if got := r.importedBlobs(); got != blobs {
			t.Errorf("%d more items", got-blobs)
		}
	})
	t.Run("another task over the window reads nothing from X", func(t *testing.T) {
		before := r.X.Stats()
		r.request(importservice.Task{JobID: jobs[0], TaskID: "again", Start: beginning, End: r.newest()})
		r.X.Down(true)
		defer r.X.Down(false)
		r.tryTick()
		r.wantDelivered(jobs[0], "again", importservice.Success, r.allPosts(accounts[0]))
		if got := r.X.Stats().PostReads - before.PostReads; got != 0 {
			t.Errorf("read %d posts", got)
		}
	})
	t.Run("a part of the window", func(t *testing.T) {
		all := r.allPosts(accounts[0])
		slices.SortFunc(all, func(a, b *post.Post) int { return a.CreatedAt.Compare(b.CreatedAt) })
		some := all[40:90]
		r.request(importservice.Task{JobID: jobs[0], TaskID: "part", Start: some[0].CreatedAt, End: some[len(some)-1].CreatedAt})
		r.tick()
		r.wantDelivered(jobs[0], "part", importservice.Success, within(all, some[0].CreatedAt, some[len(some)-1].CreatedAt))
	})
	t.Run("a new post", func(t *testing.T) {
		p := r.newPost(accounts[0], "Said a minute ago", time.Now().Add(-time.Minute))
		before := r.X.Stats()
		r.waitSettled()
		r.tick()
		if got := r.X.Stats().PostReads - before.PostReads; got != 1 {
			t.Errorf("read %d posts for one", got)
		}
		r.wantArchived(accounts[0], append(r.allPostsBut(accounts[0], p.ID), p))
	})
	r.wantClean()
}

func within(posts []*post.Post, from, to time.Time) []*post.Post {
	return slices.DeleteFunc(slices.Clone(posts), func(p *post.Post) bool {
		return p.CreatedAt.Before(from) || p.CreatedAt.After(to)
	})
}
