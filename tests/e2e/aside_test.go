package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// TestPostWithoutTime: an old post of which X does not say when it was posted cannot be
// placed in the archive. It is set aside with X's bytes; the posts beside it are
// archived and delivered.
func TestPostWithoutTime(t *testing.T) {
	t.Parallel()
	account := firstAccount
	object := func(id, text, more string) string {
		return fmt.Sprintf(`{"id":%q,"text":%q,"author_id":%q,"edit_history_tweet_ids":[%q]%s}`, id, text, account, id, more)
	}
	c := accounts(t, 1,
		object("1904080743429046272", "Before", `,"created_at":"2025-03-24T08:00:00.000Z"`),
		object("1904110942417846272", "After", `,"created_at":"2025-03-24T10:00:00.000Z"`),
		object("418223901", "An old id and no time", ""))
	w := start(t, sandbox.Options{InMemory: true, Corpus: c})
	w.connect(job, account)
	posts := slices.DeleteFunc(c.All(account), func(p corpus.Post) bool { return p.ID == "418223901" })
	w.request(importservice.Task{JobID: job, TaskID: task, Start: beginning, End: posts[0].CreatedAt.AddDate(0, 1, 0)})
	w.tick()
	w.wantArchived(account, posts)
	w.wantDelivered(job, task, importservice.Success, posts)
	w.wantLog("level=ERROR", "a post cannot be made into a message", "post=418223901")
	name := "set-aside/posts/" + account + "/418223901.json"
	if _, ok := w.blobs("connector-state")[name]; !ok {
		t.Fatalf("there is no %s among %v", name, slices.Sorted(maps.Keys(w.blobs("connector-state"))))
	}
	var aside struct{ Raw string }
	if err := json.Unmarshal(w.read(w.container("connector-state"), name), &aside); err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.StdEncoding.DecodeString(aside.Raw); err != nil || !strings.Contains(string(raw), `"An old id and no time"`) {
		t.Errorf("%s does not hold what X sent: %s, %v", name, raw, err)
	}
	w.wantClean()
}

// TestDamagedRecords: a job, an account and a task whose records cannot be read are set
// aside with their bytes and said, and stop nothing.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	other := corpus.SupportAccount
	w.connect("job-b", other)
	damaged := map[string]string{
		"jobs/job-z.json":               `{"id": "job-z", `,
		"tasks/open/job-a/broken.json":  `[]`,
		"accounts/" + other + ".json":   "null",
		"tasks/open/job-z/unknown.json": "",
	}
	for name, content := range damaged {
		w.put(name, []byte(content))
	}
	err := w.tryTick()
	if err == nil {
		t.Error("the tick does not fail, so that nobody is told")
	}
	w.until("the task ends", func() bool { return w.ended(job, task) })
	w.wantAll(account)
	state := w.blobs("connector-state")
	for name, content := range damaged {
		w.wantLog("level=ERROR", "cannot be read", "record="+name)
		var kept string
		for aside := range state {
			if strings.HasPrefix(aside, "set-aside/records/"+name+".") {
				kept = aside
			}
		}
		if kept == "" {
			t.Errorf("%s is not set aside", name)
		} else if got := w.read(w.container("connector-state"), kept); string(got) != content {
			t.Errorf("%s holds %q, want %q", kept, got, content)
		}
		if got := w.read(w.container("connector-state"), name); string(got) != content {
			t.Errorf("%s was changed to %q", name, got)
		}
	}
}
