package e2e

import (
	"fmt"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
)

// TestEveryAccountHasItsTurn: storage is slow, ticks are short, and eight of twelve
// accounts, the first ones, have more posts than a tick can archive. Those that have
// few do not wait until the others are through.
func TestEveryAccountHasItsTurn(t *testing.T) {
	t.Parallel()
	const many = 8
	c := accounts(t, 12)
	w := start(t, sandbox.Options{InMemory: true, Corpus: c, Env: map[string]string{"AzureFunctionsJobHost__functionTimeout": "00:00:20"}})
	now := time.Now()
	few := map[string][]corpus.Post{}
	for i, account := range c.Accounts() {
		w.connect(fmt.Sprintf("job-%02d", i), account)
		n := 300
		if i >= many {
			n = 3
		}
		for at := range n {
			p := w.post(account, now.Add(time.Duration(at-n)*time.Minute))
			if i >= many {
				few[account] = append(few[account], p)
			}
		}
	}
	w.Memory.SetLatency(200 * time.Millisecond)
	archived := func() bool {
		for account, posts := range few {
			if len(w.messages(account)) < len(posts) {
				return false
			}
		}
		return true
	}
	for range 12 {
		if archived() {
			break
		}
		if err := w.Host.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = w.tryTick() // it may be too short to end well
	}
	w.Memory.SetLatency(0)
	for account, posts := range few {
		w.wantArchived(account, posts)
	}
}

// TestIdleTick: with nothing new on X, a tick makes few calls of storage for each
// account, and writes its record only, and once that there was a tick.
func TestIdleTick(t *testing.T) {
	t.Parallel()
	c := accounts(t, 10)
	w := start(t, sandbox.Options{InMemory: true, Corpus: c})
	for i, account := range c.Accounts() {
		w.connect(fmt.Sprintf("job-%02d", i), account)
		w.post(account, time.Now().Add(-time.Hour))
	}
	w.tick()
	w.tick()
	w.Memory.ResetCalls()
	w.tick()
	calls, n := w.Memory.Calls(), len(c.Accounts())
	if calls.Write > n+1 || calls.All() > 5*n {
		t.Errorf("%d calls of storage for %d accounts, %d of them writes, want 5 calls and one write each at most, and one more: %v", calls.All(), n, calls.Write, calls.ByName)
	}
}
