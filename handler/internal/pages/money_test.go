package pages

import (
	"strings"
	"testing"

	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// TestMoney: the status page says what was read of X in this month, for what, what it
// costs, and where the month ends at the last week's rate.
func TestMoney(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Status")
	if strings.Contains(b.page, "Reads of X") {
		t.Error("nothing was read, and the page speaks of it")
	}
	now := w.Now().UTC()
	read := func(account string, p twitter.Purpose, first, n int) {
		t.Helper()
		r, err := w.State.LoadReads(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for i := range n {
			ids = append(ids, string(rune('1'+first))+strings.Repeat("0", 3)+strings.Repeat("1", i%7)+strings.Repeat("2", i/7))
		}
		r.Reads.Add(string(p), p == twitter.Users, ids, 0, now)
		if err := r.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso", Handle: "contoso", CreatedAt: now})
	read("77", twitter.Posts, 0, 70)
	read("77", twitter.LookUps, 1, 10)
	read("77", twitter.Users, 0, 1)
	b.get("/Status", 200, "Reads of X this month", "New posts", "Look-ups", "Accounts", "Contoso (@contoso) New posts 70 Look-ups 10 Accounts 1 Cost $0.41")
	if strings.Contains(b.page, "History") || strings.Contains(b.page, "All accounts") || strings.Contains(b.page, "X_READS_PER_MONTH") {
		t.Error("columns without reads, a sum of one account, or a limit that is not set are shown")
	}
	w.account(state.Account{ID: "77", Stated: &state.Stated{At: now, Posts: 70, Archived: 70, Credits: new(1234.5)}})
	b.get("/Status", 200, "$1,234.50 of credits were left at X", "X states 70")
	read("88", twitter.History, 2, 20)
	for limit, want := range map[int]string{
		126: "100 of 126 posts (79 %)", 125: "The month's limit on reads is near. 100 of 125 posts (80 %)", 90: "The month's limit on reads is passed. 100 of 90 posts (111 %)",
	} {
		w.serve(w.Access, w.Jobs, func(o *Options) { o.ReadsLimit = limit })
		b.get("/Status", 200, want, "Account 88 New posts 0 Look-ups 0 History 20 Accounts 0 Cost $0.10", "All accounts New posts 70 Look-ups 10 History 20 Accounts 1 Cost $0.51")
	}
}
