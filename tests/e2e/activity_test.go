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
	"xarchive/tests/sandbox/x"
)

// TestActivity: with X_ACTIVITY the connector registers its webhook at X by itself, and has
// X tell of the accounts' posts. A deletion that X tells of is recorded at the next tick,
// told to the Import service, shown, and taken back when the post returns; what X has not
// signed, or has sent before, is not taken. New posts are archived all the while.
func TestActivity(t *testing.T) {
	t.Parallel()
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 1), Env: map[string]string{"X_ACTIVITY": "true", "WEBSITE_HOSTNAME": "connector.example"}})
	w.connect(job, account)
	now := time.Now()
	var posts []corpus.Post
	for i := range 4 {
		posts = append(posts, w.post(account, now.Add(time.Duration(i-60)*time.Hour)))
	}
	w.tick()
	w.wantKeys(account, posts...)
	const address = "https://connector.example/api/XActivity"
	w.until("X sends its events", func() bool {
		hooks := w.X.Webhooks()
		return len(hooks) == 1 && hooks[0].URL == address && hooks[0].Valid && slices.Equal(hooks[0].Accounts, []string{account, account})
	})
	w.request(importservice.Task{JobID: job, TaskID: task, Start: now.Add(-time.Minute), End: now.Add(-40 * time.Second)})
	w.until("the task ends", func() bool { return w.ended(job, task) }) // the Import service knows the job from now on
	gone := posts[1]
	name := fmt.Sprintf("%s/%s/%s", account, gone.CreatedAt.UTC().Format("2006/01/02"), gone.ID)
	c := w.container("archive")
	before := w.read(c, name+".eml")

	t.Log("what X has not signed")
	w.X.Delete(gone.ID)
	good := w.X.Event("post.delete", gone)
	for what, bad := range map[string]struct {
		event  x.Event
		status int
	}{
		"no signature":        {x.Event{Body: good.Body}, 401},
		"another's signature": {x.Event{Body: good.Body, Signature: w.X.Event("post.delete", gone).Signature}, 401},
		"too large":           {x.Event{Body: bytes.Repeat([]byte(" "), 2<<20), Signature: good.Signature}, 413},
	} {
		if status, err := w.X.Send(t.Context(), address, bad.event); err != nil || status != bad.status {
			t.Errorf("%s: status %d, %v; want %d", what, status, err, bad.status)
		}
	}
	events := func() (n int) {
		for blob := range w.blobs("connector-state") {
			if strings.HasPrefix(blob, "activity/open/") {
				n++
			}
		}
		return n
	}
	if n := events(); n != 0 {
		t.Fatalf("%d events are kept", n)
	}

	t.Log("a deletion")
	if status, err := w.X.Send(t.Context(), address, good); err != nil || status != 200 || events() != 1 {
		t.Fatalf("status %d, %v, %d events", status, err, events())
	}
	told := func(n int) {
		t.Helper()
		w.until("the Import service is told", func() bool { return len(w.Import.Changes()) >= n })
		if changes := w.Import.Changes(); len(changes) != n || changes[n-1].ID != gone.ID {
			t.Errorf("told: %+v", changes)
		}
	}
	told(1)
	var noted note
	if err := json.Unmarshal(w.read(c, name+".gone.json"), &noted); err != nil || noted.By != "activity" || noted.PostID != gone.ID || noted.Why == "" {
		t.Errorf("%+v, %v", noted, err)
	}
	if status, err := w.X.Send(t.Context(), address, good); err != nil || status != 200 || events() != 0 {
		t.Errorf("played again: status %d, %v, %d events", status, err, events())
	}

	t.Log("it is back, and there is another one")
	w.X.Restore(gone.ID)
	newest := w.post(account, time.Now().Add(-31*time.Second))
	for _, p := range []corpus.Post{gone, newest} {
		if err := w.X.Tell(t.Context(), "post.create", p); err != nil {
			t.Fatal(err)
		}
	}
	told(2)
	if err := json.Unmarshal(w.read(c, name+".back.json"), &noted); err != nil || noted.By != "activity" || noted.Is != "back" {
		t.Errorf("%+v, %v", noted, err)
	}
	w.wantKeys(account, append(posts, newest)...)
	if !bytes.Equal(before, w.read(c, name+".eml")) {
		t.Error("the message was changed")
	}
	w.until("nothing is left to do", func() bool { return events() == 0 })
	if exit, says := w.command("verify", "--account", account); exit != 0 {
		t.Errorf("the archive does not verify: %d %s", exit, says)
	}
	w.wantClean()
}
