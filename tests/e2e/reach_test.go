package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/x"
)

var missing = regexp.MustCompile(`posts may be missing from (\S+) to ([^:]+:[0-9]{2}:[0-9]{2}Z)`)

// TestBeyondReach: X's timelines reach 3,200 posts back from the newest post at the
// time of each call. 3,300 posts are unread when X fails in the middle of reading them,
// and 150 more are made before it is back. So 250 are out of reach: the time that they
// were posted in is a gap, which the log and the task's end say, and everything else is
// archived and delivered.
func TestBeyondReach(t *testing.T) {
	t.Parallel()
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 1)})
	w.connect(job, account)
	now := time.Now().UTC().Truncate(time.Second)
	var known []corpus.Post
	for i := range 8 {
		known = append(known, w.post(account, now.Add(time.Duration(i-40)*24*time.Hour)))
	}
	w.tick()
	w.wantKeys(account, known...)
	// The connector has not run since the last of them.
	stopped := known[len(known)-1].CreatedAt.Add(time.Minute)
	record := "accounts/" + account + ".json"
	w.edit(record, func(a map[string]any) {
		covered := a["covered"].([]any)
		covered[len(covered)-1].(map[string]any)["to"] = stopped
	})

	var posts []corpus.Post // oldest first
	for i := range 3300 {
		posts = append(posts, w.post(account, now.Add(time.Duration(i-3300)*time.Minute).Add(-time.Hour)))
	}
	var pages atomic.Int64
	w.X.Fail(func(r *http.Request) x.Fault {
		if strings.HasSuffix(r.URL.Path, "/tweets") && pages.Add(1) > 20 {
			return x.Fault{Status: http.StatusServiceUnavailable}
		}
		return x.Fault{}
	})
	if err := w.tryTick(); err == nil {
		t.Error("a tick that X interrupts does not fail")
	}
	w.wantKeys(account, known...)
	w.edit(record, func(a map[string]any) { // that was half an hour ago
		run := a["run"].(map[string]any)
		for _, at := range []string{"began", "last", "coverTo"} {
			run[at] = now.Add(-30 * time.Minute)
		}
	})
	for i := range 150 {
		posts = append(posts, w.post(account, now.Add(time.Duration(i-150)*time.Second).Add(-5*time.Minute)))
	}
	w.X.Fail(nil)
	w.request(importservice.Task{JobID: job, TaskID: task, Start: beginning, End: now.Add(-2 * time.Minute)})
	w.until("the task ends", func() bool { return w.ended(job, task) })

	lost, reached := posts[:250], posts[250:]
	w.wantKeys(account, append(slices.Clone(reached), known...)...)
	w.wantEnded(job, task, importservice.PermanentFailure, len(reached)+len(known))
	w.wantLog("level=ERROR", `msg="nothing proves that X's timeline reached what was archived before: posts may be missing"`)
	w.wantLog("level=ERROR", `msg="task failed"`, "status=2", "posts may be missing from")
	said := missing.FindStringSubmatch(w.log.String())
	if said == nil {
		t.Fatal("the task's end does not name the gap")
	}
	from, err := time.Parse(time.RFC3339, said[1])
	to, err2 := time.Parse(time.RFC3339, said[2])
	if err != nil || err2 != nil || from.After(lost[0].CreatedAt) || from.Before(known[len(known)-2].CreatedAt) ||
		to.Before(lost[len(lost)-1].CreatedAt) || to.After(reached[1].CreatedAt) {
		t.Errorf("the gap is said to be from %s to %s; the posts that are lost are from %s to %s", from, to, lost[0].CreatedAt, lost[len(lost)-1].CreatedAt)
	}
	w.wantClean()
}
