package browser

import (
	"fmt"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// TestMoneyAndGone: what was read of X and what it costs, with the limit near and the
// balance that X tells; and the list of posts that X no longer gives, one of them back.
func TestMoneyAndGone(t *testing.T) {
	t.Parallel()
	all, ids := people(t, 2)
	s := worldOf(t, all, map[string]string{"X_READS_PER_MONTH": "30"})
	s.X.Credit(12.5)
	now := time.Now()
	var posts []corpus.Post
	for i, account := range ids {
		for n := range 12 {
			posts = append(posts, s.X.Post(account, corpus.Post{Text: fmt.Sprint("Post ", n), CreatedAt: now.Add(time.Duration(n-80) * time.Hour)}))
		}
		if err := s.Connect(t.Context(), fmt.Sprintf("job-%d", i), account); err != nil {
			t.Fatal(err)
		}
	}
	tick(t, s)
	gone := []string{posts[3].ID, posts[4].ID}
	ask := func(task string) {
		t.Helper()
		request(t, s, importservice.Task{JobID: "job-0", TaskID: task, Start: now.Add(-48 * time.Hour), End: now.Add(-47 * time.Hour), Dirty: gone})
		tick(t, s)
		if _, err := s.Import.WaitEvent(t.Context(), "job-0", task); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range gone {
		s.X.Delete(id)
	}
	ask("task-1")
	s.X.Restore(gone[1])
	ask("task-2")

	p := newTab(t, s)
	p.open("/Status")
	p.signIn(sandbox.APISecretKey)
	p.sees("Reads of X this month", "The month's limit on reads is near", "X_READS_PER_MONTH", "All accounts 24", "Cost by then")
	p.press("Gone from X: 1; back again: 1")
	p.sees(gone[0], gone[1], "Could not find tweet", "last seen")
	p.look("status-money-gone")
}
