package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// note is what of a note beside a message the test looks at.
type note struct {
	PostID, Message, SHA256, Is, By, Why, Answer string
	Noticed, LastSeen, Since                     time.Time
}

// TestGone: a post that was deleted on X is noted beside its message when somebody asks
// X about it, and the Import service is told; the same when it is back. What was archived
// stays as it is, byte for byte, and is delivered again.
func TestGone(t *testing.T) {
	t.Parallel()
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 1)})
	w.connect(job, account)
	now := time.Now()
	var posts []corpus.Post
	for i := range 5 {
		posts = append(posts, w.post(account, now.Add(time.Duration(i-60)*time.Hour)))
	}
	w.tick()
	w.wantKeys(account, posts...)
	id := posts[3].ID
	name := fmt.Sprintf("%s/%s/%s", account, posts[3].CreatedAt.UTC().Format("2006/01/02"), id)
	c := w.container("archive")
	before := w.read(c, name+".eml")

	read := func(what string) (n note) {
		t.Helper()
		if err := json.Unmarshal(w.read(c, name+"."+what+".json"), &n); err != nil {
			t.Fatal(err)
		}
		if n.PostID != id || n.Message != name+".eml" || n.By != "task" || n.Noticed.Before(now) || n.Noticed.After(time.Now()) {
			t.Errorf("%s: %+v", what, n)
		}
		return n
	}
	// ask has the Compliance Center ask about two posts.
	ask := func(task string) {
		t.Helper()
		w.request(importservice.Task{JobID: job, TaskID: task, Start: now.Add(-time.Minute), End: now.Add(-40 * time.Second), Dirty: []string{id, posts[0].ID}})
		w.until("task "+task+" ends", func() bool { return w.ended(job, task) })
		w.wantDelivered(job, task, importservice.Success, []corpus.Post{posts[0], posts[3]})
	}
	told := func(n int) {
		t.Helper()
		w.until("the Import service is told", func() bool { return len(w.Import.Changes()) >= n })
		changes := w.Import.Changes()
		if len(changes) != n || slices.ContainsFunc(changes, func(c importservice.Change) bool { return c.ID != id || c.JobID != job || c.ChangeType != "update" }) {
			t.Errorf("told: %+v, want %d changes of post %s", changes, n, id)
		}
	}

	w.X.Delete(id)
	ask("asked")
	n := read("gone")
	if n.Is != "gone" || n.Why == "" || !bytes.Contains([]byte(n.Answer), []byte("resource-not-found")) || n.LastSeen.After(n.Noticed) || len(n.SHA256) != 64 {
		t.Errorf("noted: %+v", n)
	}
	told(1)

	w.X.Restore(id)
	ask("asked-again")
	if b := read("back"); b.Is != "back" || !b.Since.Equal(n.Noticed) {
		t.Errorf("noted: %+v", b)
	}
	told(2)
	if !bytes.Equal(before, w.read(c, name+".eml")) {
		t.Error("the message was changed")
	}
	notes := 0
	for blob := range w.blobs("archive") {
		if strings.HasPrefix(blob, name+".") && strings.HasSuffix(blob, ".json") {
			notes++
		}
	}
	if notes != 2 {
		t.Errorf("%d notes in the archive, want two", notes)
	}
	w.wantKeys(account, posts...)
	if exit, says := w.command("verify", "--account", account); exit != 0 {
		t.Errorf("an archive with notes does not verify: %d %s", exit, says)
	} else if !strings.Contains(says, "and 2 notes beside them") {
		t.Errorf("the notes are not read: %s", says)
	}
	if _, err := c.NewBlobClient(name+".back.json").Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if exit, says := w.command("verify", "--account", account); exit != 1 || !strings.Contains(says, "MISSING: "+name+".back.json") {
		t.Errorf("a note that was removed is not found: %d %s", exit, says)
	}
	w.wantClean()
}
