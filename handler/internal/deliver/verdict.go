package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
)

// named is how many things of one kind a verdict's reason names; it counts the rest.
const named = 20

// verdict is the outcome of a task whose items are uploaded as far as they can be.
func (a *attempt) verdict(ctx context.Context) (*state.Verdict, error) {
	if err := a.progress.flush(ctx); err != nil {
		return nil, err
	}
	t := a.claim.Task
	status := importer.Success
	var reasons []string
	if missing := gaps(a.wait.account, t); len(missing) > 0 {
		status = importer.PermanentFailure
		reasons = append(reasons, fmt.Sprintf("posts may be missing %s: X no longer gives them, or left them out of its answers; the %d messages that are archived were uploaded",
			listed(missing, len(missing), " and "), t.Uploads))
	}
	if len(t.Left) > 0 {
		// What a later attempt may deliver, the Compliance Center is to ask for again.
		if slices.ContainsFunc(t.Left, func(l state.Left) bool { return !isPermanent(l) }) {
			status = importer.TemporaryFailure
		} else {
			status = importer.PermanentFailure
		}
		var left []string
		for _, l := range t.Left {
			left = append(left, fmt.Sprintf("message %s (%s)", l.Key, l.Problem.Text))
		}
		reasons = append(reasons, "not delivered: "+listed(left, len(left)+t.LeftMore, "; "))
	}
	found, err := a.lookedUp(ctx)
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, id := range t.Dirty {
		if why, ok := found.Gone[id]; ok {
			gone = append(gone, fmt.Sprintf("post %s is not on X (%s)", id, why))
		}
	}
	if len(gone) > 0 {
		text := listed(gone, len(gone), "; ")
		a.log.WarnContext(ctx, "posts that a task asks about are not on X", "count", len(gone), "reason", text)
		reasons = append(reasons, text)
	}
	return &state.Verdict{Status: int(status), Reason: strings.Join(reasons, "; ")}, nil
}

// waitedInVain is the verdict of a task for which capture took too long.
func (a *attempt) waitedInVain() *state.Verdict {
	reason := a.wait.reason
	if p := a.wait.account.Problem; p != nil {
		reason += fmt.Sprintf("; the account's problem: %s (%s)", p.Cause.Meaning().Sentence, p.Text)
	}
	return &state.Verdict{Status: int(importer.TemporaryFailure), Reason: reason}
}

// listed joins the first texts of total.
func listed(texts []string, total int, separator string) string {
	n := min(len(texts), named)
	out := strings.Join(texts[:n], separator)
	if total > n {
		out += fmt.Sprintf("%sand %d more", separator, total-n)
	}
	return out
}

// setVerdict gives the task its verdict. Nothing is saved.
func (a *attempt) setVerdict(ctx context.Context, v *state.Verdict) {
	t := &a.claim.Task
	t.Verdict, t.Attempts, t.NotBefore, t.Problem = v, 0, time.Time{}, nil
	if v.Status != int(importer.Success) {
		a.log.ErrorContext(ctx, "task failed", "status", v.Status, "reason", v.Reason)
	}
}

// lostItems is a failure to read the task's own items.
type lostItems struct{ err error }

func (e *lostItems) Error() string { return "reading the task's items: " + e.err.Error() }
func (e *lostItems) Unwrap() error { return e.err }

// tell sends the event, and ends the task once it is taken, or refused for good.
func (a *attempt) tell(ctx context.Context) error {
	t := &a.claim.Task
	if err := a.countItems(ctx); err != nil {
		return err
	}
	err := a.deliver.Events.Complete(ctx, t.JobID, importer.Completion{TaskID: t.TaskID, Status: importer.Status(t.Verdict.Status), Items: a.items(ctx)})
	var (
		refused *importer.RefusedError
		lost    *lostItems
	)
	switch {
	case errors.As(err, &refused):
		t.Verdict.Refusal = strings.TrimSpace(fmt.Sprintf("status %d %s", refused.Status, refused.Said))
		a.refused = err
		a.log.ErrorContext(ctx, "the Import service refuses the task's outcome for good; the task ends, its messages stay in the archive",
			"status", t.Verdict.Status, "error", err.Error())
	case errors.As(err, &lost) && (errors.Is(err, state.ErrNotFound) || isUnreadable(err)):
		t.Verdict = nil
		a.restart()
		return fmt.Errorf("the task begins again: %w", err)
	case err != nil:
		return fmt.Errorf("telling the Import service: %w", err)
	}
	a.answered = true
	err = a.finish(ctx)
	if err != nil && ctx.Err() != nil && !a.lost(err) { // or the event is sent once more for nothing
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err = a.finish(ending)
	}
	return err
}

// errDayIsFull: the Import service takes no more items today.
var errDayIsFull = fault.New(fault.ImportDay, "the day's items are delivered; the task's event waits until tomorrow")

// countItems counts the task's items as those of today, unless they are already.
func (a *attempt) countItems(ctx context.Context) error {
	t, now := &a.claim.Task, a.deliver.Now().UTC()
	today := now.Format(time.DateOnly)
	if t.Uploads == 0 || t.Counted == today {
		return nil
	}
	limit := cmp.Or(a.deliver.ItemsADay, itemsADay)
	room, err := a.deliver.State.CountItems(ctx, now, t.Uploads, limit)
	switch {
	case err != nil:
		return err
	case !room:
		return errDayIsFull
	case t.Uploads > limit:
		a.log.WarnContext(ctx, "a task has more items than the Import service takes on a day; see in Microsoft 365 that they are there", "items", t.Uploads, "limit", limit)
	}
	t.Counted = today
	return nil
}

// finish ends a task whose outcome the Import service has taken, or refused for good.
func (a *attempt) finish(ctx context.Context) error {
	t := &a.claim.Task
	// After a temporary failure the task is asked for again, and late messages are
	// due again.
	if a.refused == nil && t.Verdict.Status != int(importer.TemporaryFailure) {
		if err := a.forgetLate(ctx); err != nil {
			return err
		}
	}
	at := a.deliver.Now().UTC()
	if err := a.claim.End(ctx, at); err != nil {
		return err
	}
	a.ended = true
	a.deliver.Telemetry.TaskEnded(ctx, t.ReceivedAt, at, t.Verdict.Status)
	a.log.InfoContext(ctx, "task ended", "status", t.Verdict.Status, "items", t.Uploads, "reason", t.Verdict.Reason)
	return nil
}

// items yields the task's items, oldest first: those of the window, and those
// besides.
func (a *attempt) items(ctx context.Context) iter.Seq2[importer.ItemMetadata, error] {
	t := a.claim.Task
	return func(yield func(importer.ItemMetadata, error) bool) {
		send := func(i state.Item) bool {
			return yield(importer.ItemMetadata{ID: i.ID, Modified: i.Modified, FileName: i.FileName}, nil)
		}
		extra, err := a.extraItems(ctx, t)
		if err != nil {
			yield(importer.ItemMetadata{}, &lostItems{err})
			return
		}
		for item, err := range a.deliver.State.Items(ctx, t.JobID, t.TaskID, 0, t.Chunks) {
			if err != nil {
				yield(importer.ItemMetadata{}, &lostItems{err})
				return
			}
			for len(extra) > 0 && extra[0].Modified.Before(item.Modified) {
				if !send(extra[0]) {
					return
				}
				extra = extra[1:]
			}
			if !send(item) {
				return
			}
		}
		for _, item := range extra {
			if !send(item) {
				return
			}
		}
	}
}

// extraItems returns the items besides the window's, oldest first, and all of a
// verdict from before the format was versioned.
func (a *attempt) extraItems(ctx context.Context, t state.Task) ([]state.Item, error) {
	var out []state.Item
	if t.Extra {
		for item, err := range a.deliver.State.Items(ctx, t.JobID, t.TaskID, t.Chunks, t.Chunks+1) {
			if err != nil {
				return nil, err
			}
			out = append(out, item)
		}
		out = slices.DeleteFunc(out[:min(t.ExtraDone, len(out))], func(i state.Item) bool { return isLeft(t, i.ID) })
	}
	if t.Verdict != nil {
		out = append(out, t.Verdict.Items...)
	}
	slices.SortStableFunc(out, func(x, y state.Item) int { return x.Modified.Compare(y.Modified) })
	return out, nil
}

// isPermanent reports whether a message that is left can never be delivered.
func isPermanent(l state.Left) bool {
	switch l.Problem.Cause {
	case fault.ArchiveAltered, fault.StateDamaged, fault.NotFound:
		return true
	}
	return false
}
