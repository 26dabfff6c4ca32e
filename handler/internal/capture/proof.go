package capture

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// X's timelines reach back a number of posts, counted from the newest post at the
// time of each call. Beyond that X answers with success and without data, exactly as
// at the timeline's true end. So the end of a run is believed only if something proves
// that the run reached what it wanted to reach:
//
//  1. A known post came back: all that is newer than it was within reach.
//  2. The run was short, and quick enough that few posts can have come meanwhile.
//  3. A question for the posts below the run's oldest one brings a known post.
//  4. Of an account that was never read: it has fewer posts than a timeline reaches, or
//     no more than the run has read and none that are older.
//
// Without proof the time in between is a gap, which is recorded and reported.

// quickRun bounds the time in which only few posts can be made: X lets an account
// make 2,400 a day, and no more than some hundred in a quarter of an hour.
const quickRun = 15 * time.Minute

// reached decides, when a run's last page is there, from when on the run covers.
func (t *turn) reached(ctx context.Context) error {
	run := t.account.Run
	run.From = t.coverFrom(run.SinceID)
	proved, err := t.proved(ctx)
	switch {
	case err != nil || !run.Complete:
		return err
	case !proved, t.cutOff():
		// What was to be read again was not reached either: posts that X showed late were
		// not seen, so the gap begins with it.
		from := run.From
		if len(t.account.Covered) > 0 {
			from = OverlapStart(t.lastAsked(), run.Began)
		}
		run.From = latest(run.From, t.gap(ctx, from))
	}
	return nil
}

// gap records that posts may be missing from a time up to the run's oldest post, and
// returns its end. X gives whole seconds: posts of the oldest one's very second may be
// missing, too.
func (t *turn) gap(ctx context.Context, from time.Time) (end time.Time) {
	run := t.account.Run
	gap := state.Range{From: from, To: run.Oldest.Add(time.Second)}
	if run.Oldest.IsZero() {
		gap.To = run.CoverTo
	}
	if gap.Empty() {
		return from
	}
	if !t.account.AddGap(state.Gap{Range: gap, Why: state.BeyondReach, Noticed: t.now().UTC()}) {
		return gap.To
	}
	t.capture.opt.Telemetry.Gap(ctx, t.account.ID)
	t.log.ErrorContext(ctx, "nothing proves that X's timeline reached what was archived before: posts may be missing", "from", gap.From, "to", gap.To, "postsRead", run.Posts)
	return gap.To
}

// cutOff reports whether a long run ended above known posts that it was to read again.
func (t *turn) cutOff() bool {
	run := t.account.Run
	return !t.short(run) && slices.ContainsFunc(t.expected(run.SinceID), func(id string) bool {
		return !slices.Contains(run.Returned, id) && post.CompareIDs(id, run.OldestID) < 0
	})
}

// short reports whether a run stayed well below X's reach, and was quick enough
// that the posts which came meanwhile cannot have mattered.
func (t *turn) short(run *state.Run) bool {
	quick := !run.LastPage.IsZero() && run.LastPage.Sub(run.Began) <= quickRun // an older version did not note it
	return quick && run.Pages*t.capture.opt.PageSize <= t.capture.opt.Reach*5/8
}

func (t *turn) proved(ctx context.Context) (bool, error) {
	run := t.account.Run
	switch {
	case len(run.Returned) > 0:
		return true, nil
	case t.short(run):
		return true, nil
	case run.SinceID != "":
		return t.provedByKnownPost(ctx)
	}
	return t.provedByCount(ctx)
}

// provedByKnownPost asks for the few posts that are older than the run's oldest and
// not older than the oldest known one. If X gives a known post, it reaches that
// far. If X gives another, the run was not at its end, and goes on.
func (t *turn) provedByKnownPost(ctx context.Context) (bool, error) {
	run := t.account.Run
	lowest := run.SinceID
	if len(t.account.Recent) > 0 && post.CompareIDs(t.account.Recent[0].ID, lowest) < 0 {
		lowest = t.account.Recent[0].ID
	}
	below, ok := before(lowest)
	if !ok {
		return false, nil
	}
	answer, err := t.timeline(ctx, twitter.Query{SinceID: below, UntilID: run.OldestID, Size: 5})
	if err != nil {
		return false, fmt.Errorf("asking how far X's timeline reaches: %w", err)
	}
	for _, d := range inTimeline(answer.Page) {
		known := d.ID == t.account.Cursor || d.ID == run.SinceID || slices.ContainsFunc(t.account.Recent, func(s state.Seen) bool { return s.ID == d.ID })
		if known {
			return true, nil
		}
		if post.CompareIDs(d.ID, run.SinceID) > 0 {
			goOnBelow(run)
			return false, nil
		}
	}
	return false, nil
}

// before returns the id just below an id: X takes since_id as exclusive.
func before(id string) (string, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || n == 0 {
		return "", false
	}
	return strconv.FormatUint(n-1, 10), true
}

const (
	// newerPages bounds how far the posts are counted that came during a first read.
	newerPages = 3
	// countTries is how often the counts are compared, where posts come in between.
	countTries = 3
)

// provedByCount compares what the run has read of a whole account with X's own
// count of the account's posts.
func (t *turn) provedByCount(ctx context.Context) (bool, error) {
	run := t.account.Run
	for range countTries {
		// The rest may have been posted since the run began. Those are counted first: one
		// that comes before X is asked for its count must not pass for an old one.
		newer, err := t.newer(ctx)
		if err != nil {
			return false, fmt.Errorf("counting the posts since the run began: %w", err)
		}
		var user twitter.User
		err = t.call(ctx, func(x X) (err error) {
			user, err = x.User(ctx, t.account.ID)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("asking how many posts the account has: %w", err)
		}
		switch {
		case user.PostCount <= t.capture.opt.Reach*15/16:
			return true, nil
		case user.PostCount-newer <= run.Posts:
			return t.nothingBelow(ctx, newer)
		}
	}
	return false, nil
}

// nothingBelow asks for posts that are older than the run's oldest. X does not count
// posts that were deleted since the run has read them, so that they might make up in
// number for others that were beyond reach. But what X deletes lets its timeline reach
// further down, unless as many newer posts came.
func (t *turn) nothingBelow(ctx context.Context, newer int) (bool, error) {
	run := t.account.Run
	answer, err := t.timeline(ctx, twitter.Query{UntilID: run.OldestID, Size: 5})
	if err != nil {
		return false, fmt.Errorf("asking whether X has older posts: %w", err)
	}
	if len(inTimeline(answer.Page)) > 0 || answer.Page.Meta.NextToken != "" {
		goOnBelow(run) // it was not at its end
		return false, nil
	}
	return run.Posts+newer <= t.capture.opt.Reach, nil
}

// newer counts the posts that came since the run began, or as many of them as
// newerPages hold. The next run reads them again on the same day, so that counting
// them costs nothing.
func (t *turn) newer(ctx context.Context) (n int, err error) {
	if !t.account.Run.EndTime.IsZero() {
		return 0, nil // a run of an older version, which did not note its newest post: all may be old
	}
	token := ""
	for range newerPages {
		answer, err := t.timeline(ctx, twitter.Query{SinceID: t.account.Run.NewestID, PageFrom: token})
		if err != nil {
			return 0, err
		}
		n += answer.Page.Count
		if token = answer.Page.Meta.NextToken; token == "" {
			break
		}
	}
	return n, nil
}
