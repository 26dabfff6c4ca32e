package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"xarchive/handler/internal/state"
)

// patience is how long a task waits for capture before the Import service is told
// of a temporary failure.
const patience = 24 * time.Hour

// wait is what a task must wait for.
type wait struct {
	reason  string        // in words; "" if it need not wait
	account state.Account // of the task
}

// accounts are accounts as they were at the beginning of a Run: each is read once,
// however many tasks ask for it.
type accounts struct {
	store *state.Store

	mu   sync.Mutex
	read map[string]func() (state.Account, error)
}

func (a *accounts) get(ctx context.Context, id string) (state.Account, error) {
	a.mu.Lock()
	read := a.read[id]
	if read == nil {
		read = sync.OnceValues(func() (state.Account, error) { return a.store.Account(ctx, id) })
		if a.read == nil {
			a.read = map[string]func() (state.Account, error){}
		}
		a.read[id] = read
	}
	a.mu.Unlock()
	return read()
}

// look reports what a task must wait for: its window to be covered, but for known
// gaps, and the posts that it asks about to be looked up. It writes nothing.
func (d *Deliver) look(ctx context.Context, seen *accounts, t state.Task) (wait, error) {
	w := wait{account: state.Account{ID: t.AccountID}}
	if t.Verdict != nil || !t.EndedAt.IsZero() {
		return w, nil
	}
	if t.AccountID == "" { // from before the format was versioned
		job, err := d.State.Job(ctx, t.JobID)
		if errors.Is(err, state.ErrNotFound) {
			return w, nil // it is dropped under its claim
		}
		if err != nil {
			return w.unreadable("the job", err)
		}
		w.account.ID = job.AccountID
	}
	account, err := seen.get(ctx, w.account.ID)
	if err != nil {
		return w.unreadable("the account", err)
	}
	w.account = account
	for _, part := range account.Covered.Missing(window(t)) {
		if missing := account.Missing().Missing(part); len(missing) > 0 {
			w.reason = "the window is not captured: " + describe(missing[0]) + " is missing"
			return w, nil
		}
	}
	if t.Asks > 0 {
		_, err := d.State.Found(ctx, t.JobID, t.TaskID)
		if errors.Is(err, state.ErrNotFound) {
			w.reason = fmt.Sprintf("the %d posts that the task asks about have not been looked up on X", t.Asks)
			return w, nil
		}
		if err != nil {
			return w.unreadable("what was found of the posts that the task asks about", err)
		}
	}
	return w, nil
}

// unreadable has the task wait if a record is damaged, or of a newer version: somebody
// may mend it. It returns any other error.
func (w wait) unreadable(what string, err error) (wait, error) {
	if isUnreadable(err) {
		w.reason = fmt.Sprintf("the record of %s: %v", what, err)
		return w, nil
	}
	return w, err
}

func isUnreadable(err error) bool {
	return errors.Is(err, state.ErrDamaged) || errors.Is(err, state.ErrNewer)
}

// latestEnd is how long after its request a task's window may end. Later ones are
// refused today (package jobs), but may be there from earlier versions.
const latestEnd = 24 * time.Hour

// patient reports whether a task that must wait may wait longer.
func (d *Deliver) patient(t state.Task) bool {
	since := t.ReceivedAt
	if t.End.After(since) {
		since = t.End
	}
	if latest := t.ReceivedAt.Add(latestEnd); since.After(latest) {
		since = latest
	}
	return d.Now().Sub(since) < patience
}

// window is the time that a task asks for. Its End is inclusive, to the millisecond
// that the Compliance Center gives; posts have whole seconds.
func window(t state.Task) state.Range {
	return state.Range{From: t.Start, To: t.End.Add(time.Millisecond)}
}

// gaps are the parts of a task's window that are missing for good, in words.
func gaps(account state.Account, t state.Task) []string {
	var out []string
	for _, part := range account.Covered.Missing(window(t)) {
		out = append(out, describe(part))
	}
	return out
}

// describe words a range for a person; the zero time is the beginning.
func describe(r state.Range) string {
	if r.From.IsZero() {
		return "before " + r.To.Format(time.RFC3339)
	}
	return "from " + r.From.Format(time.RFC3339) + " to " + r.To.Format(time.RFC3339)
}
