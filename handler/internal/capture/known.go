package capture

import (
	"context"
	"slices"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// incompletePatience is how long X may leave out posts that it still has, before
// the time is recorded as a gap.
const incompletePatience = 24 * time.Hour

// checkKnown compares what the run's answers held with what they must hold. A known
// post that X no longer has was deleted. One that X still has, and left out, shows
// that the answers cannot be trusted: their time is not covered.
func (t *turn) checkKnown(ctx context.Context) error {
	run := t.account.Run
	if !run.EndTime.IsZero() {
		return nil // a run of an older version, which read nothing again
	}
	var absent []string
	for _, id := range t.expected(run.SinceID) {
		switch {
		case slices.Contains(run.Returned, id):
		case post.CompareIDs(id, run.CursorBefore) > 0: // archived in this very run
		case !t.short(run) && run.OldestID != "" && post.CompareIDs(id, run.OldestID) < 0: // X may not reach that far
		default:
			absent = append(absent, id)
		}
	}
	if len(absent) == 0 {
		t.account.Incomplete = time.Time{}
		return nil
	}
	page, err := t.lookup(ctx, run.Key, absent, nil)
	if err != nil && saysNothing(ctx, err) {
		t.log.WarnContext(ctx, "X does not say what became of posts that are missing in the timeline", "posts", absent, "reason", err.Error())
		err = nil // new posts do not wait for it
	}
	if err != nil {
		return err
	}
	var kept []string // X has them, or does not say
	for _, id := range absent {
		if !explained(page, id) {
			kept = append(kept, id)
		}
	}
	gone := slices.DeleteFunc(slices.Clone(absent), func(id string) bool { return slices.Contains(kept, id) })
	unlisted, err := t.noteGoneOf(ctx, page, gone)
	if err != nil {
		return err
	}
	t.account.Recent = slices.DeleteFunc(t.account.Recent, func(s state.Seen) bool { return slices.Contains(gone, s.ID) })
	t.account.Unlisted += unlisted
	now := t.xNow()
	switch {
	case len(kept) == 0:
		t.account.Incomplete = time.Time{}
	case t.account.Incomplete.IsZero():
		t.account.Incomplete = now
		run.Uncovered = true
		t.log.WarnContext(ctx, "X leaves posts out of the timeline that it still has; the time is not covered until they are back", "posts", kept)
	case now.Sub(t.account.Incomplete) < incompletePatience:
		run.Uncovered = true
	default:
		t.leftOut(ctx, kept)
	}
	return nil
}

// leftOut gives up waiting for complete answers: the time since is a gap.
func (t *turn) leftOut(ctx context.Context, kept []string) {
	gap := state.Range{From: t.account.Decided(), To: t.account.Run.CoverTo}
	t.account.AddGap(state.Gap{Range: gap, Why: state.LeftOut, Noticed: t.now().UTC()})
	t.account.Incomplete = time.Time{}
	t.account.Run.From = gap.To
	t.account.Recent = slices.DeleteFunc(t.account.Recent, func(s state.Seen) bool { return slices.Contains(kept, s.ID) })
	t.capture.opt.Telemetry.Gap(ctx, t.account.ID)
	t.log.ErrorContext(ctx, "for a day X has left posts out of the timeline that it still has: others may be missing", "from", gap.From, "to", gap.To, "posts", kept)
}

// explained reports whether an answer says why it does not hold a post.
func explained(page post.Page, id string) bool {
	return slices.ContainsFunc(page.Errors, func(p post.Problem) bool { return p.ResourceID == id || p.Value == id })
}
