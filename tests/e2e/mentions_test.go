package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/x"
)

// mentioned are posts as they are archived for the account that they mention.
func mentioned(posts ...corpus.Post) []corpus.Post {
	posts = slices.Clone(posts)
	for i := range posts {
		posts[i].Kind = "Mention"
	}
	return posts
}

// TestMentions: what others write that mentions an account, a reply among it, is archived
// with it as theirs, once, and delivered: over its window, late if X shows it late, and when
// the Compliance Center asks about it. A post of the account that mentions itself
// is its own. All of it is counted as X bills it.
func TestMentions(t *testing.T) {
	t.Parallel()
	account, other := firstAccount, "7770002"
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 2), Env: map[string]string{"INGEST_MENTIONS": "true"}})
	w.connect(job, account)
	now := time.Now()
	says := func(author string, at time.Time, text string, refs ...corpus.Ref) corpus.Post {
		return w.X.Post(author, corpus.Post{Text: text, CreatedAt: at, Refs: refs})
	}
	own := []corpus.Post{w.post(account, now.Add(-3*time.Hour)), says(account, now.Add(-2*time.Hour), "We are @contoso"+account)}
	others := mentioned(says(other, now.Add(-150*time.Minute), "@contoso"+account+" is it true?", corpus.Ref{Type: "replied_to", ID: own[0].ID}),
		says(other, now.Add(-90*time.Minute), "Ask @contoso"+account))
	w.post(other, now.Add(-80*time.Minute)) // about nobody
	late := mentioned(says(other, now.Add(-70*time.Second), "Has @contoso"+account+" said anything?"))
	w.X.ShowLateAfter(late[0].ID, 1)
	w.tick()
	w.wantKeys(account, slices.Concat(own, others)...)
	w.wantArchived(account, slices.Concat(own, others))

	w.request(importservice.Task{JobID: job, TaskID: task, Start: beginning, End: now.Add(-40 * time.Second)})
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.until("the late mention is archived", func() bool { return len(w.messages(account)) == 5 })
	w.wantArchived(account, slices.Concat(own, others, late))
	// Which of the two tasks has the one that X showed late depends on when it was archived.
	w.request(importservice.Task{JobID: job, TaskID: "next", Start: now.Add(-39 * time.Second), End: now.Add(-38 * time.Second), Dirty: []string{others[0].ID}})
	w.until("the next task ends", func() bool { return w.ended(job, "next") })
	first := slices.Concat(own, others)
	next := mentioned(others[0])
	if slices.ContainsFunc(w.Import.Events(), func(e importservice.Event) bool { return e.TaskID == task && len(e.Items) == 5 }) {
		first = append(first, late...)
	} else {
		next = append(next, late...)
	}
	w.wantDelivered(job, task, importservice.Success, first)
	w.wantDelivered(job, "next", importservice.Success, next)
	for range 3 { // nothing comes twice
		w.tick()
	}
	w.wantKeys(account, slices.Concat(own, others, late)...)
	if exit, says := w.command("verify", "--account", account); exit != 0 {
		t.Errorf("an archive with mentions does not verify: %d %s", exit, says)
	}
	w.wantClean()
}

// TestMentionsFail: X refuses an account's mentions; its own posts are archived and delivered,
// and the log says what waits.
func TestMentionsFail(t *testing.T) {
	t.Parallel()
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 2), Env: map[string]string{"INGEST_MENTIONS": "true"}})
	w.connect(job, account)
	now := time.Now()
	own := w.post(account, now.Add(-time.Hour))
	w.X.Post("7770002", corpus.Post{Text: "@contoso" + account, CreatedAt: now.Add(-time.Hour)})
	w.X.Fail(func(r *http.Request) x.Fault {
		if strings.HasSuffix(r.URL.Path, "/mentions") {
			return x.Fault{Status: 503}
		}
		return x.Fault{}
	})
	w.request(importservice.Task{JobID: job, TaskID: task, Start: beginning, End: now.Add(-40 * time.Second)})
	w.tick()
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantDelivered(job, task, importservice.Success, []corpus.Post{own})
	w.wantLog("level=WARN", "an account's mentions wait; its own posts do not")
	w.wantClean()
}

// TestMentionsStopBeforeTheLimit: of the reads that X_READS_PER_MONTH leaves, mentions take
// what new posts do not need, and never more; those are read whatever it says.
func TestMentionsStopBeforeTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 40
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 2), Env: map[string]string{"INGEST_MENTIONS": "true", "X_READS_PER_MONTH": fmt.Sprint(limit)}})
	w.connect(job, account)
	now := time.Now()
	var own []corpus.Post
	for i := range 10 {
		own = append(own, w.post(account, now.Add(time.Duration(i-60)*time.Minute)))
	}
	for i := range 60 {
		w.X.Post("7770002", corpus.Post{Text: "@contoso" + account, CreatedAt: now.Add(time.Duration(i-600) * time.Second)})
	}
	for range 3 {
		w.tick()
	}
	read := w.X.Stats().BilledReads
	if got := len(w.messages(account)); read > limit || read != got || got <= len(own) {
		t.Errorf("%d reads of %d that may be, %d messages; want some mentions besides the %d posts", read, limit, got, len(own))
	}
	w.wantLog("level=WARN", "an account's mentions wait; its own posts do not")
	for i := range 5 {
		own = append(own, w.post(account, now.Add(time.Duration(i-50)*time.Second)))
	}
	w.tick()
	names := w.messages(account)
	for _, p := range own {
		if _, there := names[fmt.Sprintf("%s/%s/%s.eml", account, p.CreatedAt.UTC().Format("2006/01/02"), p.ID)]; !there {
			t.Errorf("post %s is not archived", p.ID)
		}
	}
	w.wantClean()
}
