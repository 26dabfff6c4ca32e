package mentions

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// X gives back the newest 800 posts that mention an account, counted at the time of each
// call, and beyond them answers as if there were none. So the end of a run is believed
// only if something proves that it got to what was known:
//
//  1. X gave a post that is not newer than the cursor: all that is newer was within reach.
//  2. The run was short, and quick enough that few can have come meanwhile.
//  3. A question for those below the run's oldest brings a known one.
//  4. What the run asked for and what came meanwhile are together less than X gives back.
//
// That a run was short does not count while X leaves out all known posts that it was to read
// again, and gives them when it is asked for them by their ids.
//
// Without proof the time in between is a gap, which is recorded and reported. X does not
// say how many posts mention an account: of a first read that was not short, what is
// older than its oldest post is always a gap.

const (
	// quickRun bounds the time in which only few posts can come. Nothing limits how many
	// people write about an account, so that it is short, and else they are counted.
	quickRun = time.Minute
	// anchorsKept is how many known posts are older than the overlap.
	anchorsKept = 5
)

// lastAsked is when X was last asked with success, by X's clock.
func (w *work) lastAsked() time.Time { return w.m.Decided().Add(capture.Settle) }

// since is the id below which nothing is read again: of the newest known post that is
// older than the overlap. "" reads back as far as X goes.
func (w *work) since(now time.Time) string {
	if len(w.m.Covered) == 0 && len(w.m.Gaps) == 0 {
		return ""
	}
	last := w.lastAsked()
	if last.After(now) {
		last = now
	}
	start := capture.OverlapStart(last, now)
	for _, s := range slices.Backward(w.m.Recent) {
		if s.At.Before(start) {
			return s.ID
		}
	}
	return post.IDAt(start)
}

// short reports whether a run stayed well below X's reach, and was quick enough.
func (w *work) short() bool {
	run := w.m.Run
	return run.LastPage.Sub(run.Began) < quickRun && run.Asked <= w.reader.opt.Reach*5/8
}

// prove decides, when X has no more, from when on the run covers. more says that X has more
// after all.
func (w *work) prove(ctx context.Context) (more bool, err error) {
	run := w.m.Run
	leftOut, err := w.leftOut(ctx)
	if err != nil {
		return false, err
	}
	proved := !leftOut && (run.Back || w.short())
	if !proved && run.SinceID != "" && run.OldestID != "" {
		if proved, more, err = w.provedByKnown(ctx); err != nil || more {
			return more, err
		}
	}
	short := w.short() && !leftOut
	if !proved && !short && !leftOut {
		if short, err = w.fewCame(ctx); err != nil {
			return false, err
		}
	}
	if short || proved && !w.cutOff() {
		return false, nil
	}
	// What was to be read again was not reached either, so the gap begins with it.
	from := w.m.Decided()
	if !from.IsZero() {
		from = capture.OverlapStart(w.lastAsked(), run.Began)
	}
	gap := state.Range{From: from, To: run.Oldest.Add(time.Second)}
	if run.Oldest.IsZero() {
		gap.To = run.CoverTo
	}
	if !gap.Empty() && w.m.AddGap(state.Gap{Range: gap, Why: state.BeyondReach, Noticed: w.reader.opt.Now().UTC()}) {
		w.reader.opt.Report.Gap(ctx, w.job.AccountID)
		w.log.ErrorContext(ctx, "nothing proves that X's mentions reached what was archived before: posts that mention the account may be missing", "from", gap.From, "to", gap.To, "postsRead", run.Posts)
	}
	return false, nil
}

// patience is how long X may leave out what it still has, before the time is a gap.
const patience = 24 * time.Hour

// leftOut looks whether X left out every known post that a short run was to read again: of
// another one they may be beyond reach, which is decided otherwise. If it
// no longer has them, they are forgotten. If it has, its answer proves nothing: it is asked
// again later, and after a day the time is a gap.
func (w *work) leftOut(ctx context.Context) (bool, error) {
	run := w.m.Run
	var ids []string
	for _, s := range w.m.Recent {
		if post.CompareIDs(s.ID, run.SinceID) > 0 && post.CompareIDs(s.ID, w.m.Cursor) <= 0 {
			ids = append(ids, s.ID)
		}
	}
	if ids = ids[max(0, len(ids)-twitter.MaxLookup):]; run.Back || !w.short() || run.SinceID == "" || len(ids) == 0 {
		return false, nil
	}
	if budget := w.reader.opt.Budget; budget != nil {
		granted, done, err := budget.Ask(ctx, len(ids))
		if err != nil {
			return false, fmt.Errorf("asking how much may be read of X: %w", err)
		}
		defer done()
		if granted < len(ids) {
			return false, errWait
		}
	}
	answer, err := w.visit.Look(twitter.For(ctx, twitter.Mentions), ids)
	if err != nil {
		return false, fmt.Errorf("asking for known mentions that X leaves out: %w", err)
	}
	if len(answer.Page.Posts) > 0 && w.xNow().Sub(w.lastAsked()) < patience {
		return false, fmt.Errorf("%w: it leaves out mentions that it still has", twitter.ErrIncomplete)
	}
	w.m.Recent = slices.DeleteFunc(w.m.Recent, func(s state.Seen) bool { return slices.Contains(ids, s.ID) })
	return len(answer.Page.Posts) > 0, nil
}

// cutOff reports whether the run ended above known posts that it was to read again.
func (w *work) cutOff() bool {
	run := w.m.Run
	return slices.ContainsFunc(w.m.Recent, func(s state.Seen) bool {
		return post.CompareIDs(s.ID, run.SinceID) > 0 && post.CompareIDs(s.ID, run.OldestID) < 0
	})
}

// provedByKnown asks for the few posts that are older than the run's oldest and not older
// than the oldest known one. more says that X gave one that the run was to read.
func (w *work) provedByKnown(ctx context.Context) (proved, more bool, err error) {
	run := w.m.Run
	lowest := run.SinceID
	if len(w.m.Recent) > 0 && post.CompareIDs(w.m.Recent[0].ID, lowest) < 0 {
		lowest = w.m.Recent[0].ID
	}
	n, err := strconv.ParseUint(lowest, 10, 64)
	if err != nil || n == 0 {
		return false, false, nil
	}
	answer, size, err := w.ask(ctx, twitter.Query{SinceID: strconv.FormatUint(n-1, 10), UntilID: run.OldestID, Size: least})
	if err != nil {
		return false, false, fmt.Errorf("asking how far X's mentions reach: %w", err)
	}
	w.note(answer, size)
	for _, d := range answer.Page.Posts {
		switch {
		case d.Earlier:
		case d.ID == run.SinceID, d.ID == w.m.Cursor, w.m.Find(d.ID) != nil:
			return true, false, nil
		case post.CompareIDs(d.ID, run.SinceID) > 0:
			return false, true, nil
		}
	}
	return false, false, nil
}

// fewCame asks for those that came since the run began, and reports whether X gives back
// all of them and of the run. The next run reads them again on the same day, so that this costs nothing.
func (w *work) fewCame(ctx context.Context) (bool, error) {
	run := w.m.Run
	page, most := w.reader.opt.PageSize, w.reader.opt.Reach*15/16
	if run.Asked+page > most {
		return false, nil
	}
	answer, _, err := w.ask(ctx, twitter.Query{SinceID: run.NewestID, Size: page})
	if err != nil {
		return false, fmt.Errorf("asking how many posts mention the account by now: %w", err)
	}
	return answer.Page.Meta.NextToken == "", nil
}

// through ends a run: what it has read is covered.
func (w *work) through() {
	run := w.m.Run
	from := w.m.Decided()
	w.m.Covered = w.m.Covered.Add(state.Range{From: from, To: run.CoverTo.UTC().Truncate(time.Second)})
	for _, g := range w.m.Gaps {
		w.m.Covered = w.m.Covered.Without(g.Range)
	}
	if run.NewestID != "" && post.CompareIDs(run.NewestID, w.m.Cursor) > 0 {
		w.m.Cursor = run.NewestID
	}
	w.m.Run, w.m.LastRun = nil, w.reader.opt.Now().UTC()
	// Those that the next run need not read again are forgotten, but for some anchors.
	start := w.lastAsked().Add(-capture.Overlap)
	first := slices.IndexFunc(w.m.Recent, func(s state.Seen) bool { return !s.At.Before(start) })
	if first < 0 {
		first = len(w.m.Recent)
	}
	w.m.Recent = slices.Clone(w.m.Recent[max(0, first-anchorsKept):])
}
