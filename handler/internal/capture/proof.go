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
//  4. Of an account that was never read: it has no more posts than the run has
//     read, or fewer than a timeline reaches.
//
// Without proof the time in between is a gap, which is recorded and said.

// quickRun bounds the time in which only few posts can be made: X lets an account
// make 2,400 a day, and no more than some hundred in a quarter of an hour.
const quickRun = 15 * time.Minute

// reached decides, when a run's last page is there, from when on the run covers.
func (t *turn) reached(ctx context.Context) error {
	run := t.account.Run
	run.From = t.coverFrom(run.SinceID)
	proved, err := t.proved(ctx)
	if err != nil || proved || !run.Complete {
		return err
	}
	// X gives whole seconds: posts of the oldest one's very second may be missing, too.
	gap := state.Range{From: run.From, To: run.Oldest.Add(time.Second)}
	if run.Oldest.IsZero() {
		gap.To = run.CoverTo
	}
	if gap.Empty() {
		return nil
	}
	run.From = gap.To
	t.account.AddGap(state.Gap{Range: gap, Why: state.BeyondReach, Noticed: t.now().UTC()})
	t.capture.opt.Telemetry.Gap(ctx, t.account.ID)
	t.log.ErrorContext(ctx, "nothing proves that X's timeline reached what was archived before: posts may be missing", "from", gap.From, "to", gap.To, "postsRead", run.Posts)
	return nil
}

func (t *turn) proved(ctx context.Context) (bool, error) {
	run := t.account.Run
	short := run.Pages*t.capture.opt.PageSize <= t.capture.opt.Reach*5/8
	switch {
	case len(run.Returned) > 0:
		return true, nil
	case short && run.LastPage.Sub(run.Began) <= quickRun:
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
			run.UntilID, run.NextToken, run.Complete = run.OldestID, "", false
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

// newerPages bounds how far the posts are counted that came during a first read.
const newerPages = 3

// provedByCount compares what the run has read of a whole account with X's own
// count of the account's posts.
func (t *turn) provedByCount(ctx context.Context) (bool, error) {
	run := t.account.Run
	var user twitter.User
	err := t.call(ctx, func(x X) (err error) {
		user, err = x.User(ctx, t.account.ID)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("asking how many posts the account has: %w", err)
	}
	if user.PostCount <= run.Posts || user.PostCount <= t.capture.opt.Reach*15/16 {
		return true, nil
	}
	// The rest may have been posted since the run began; the next run reads those
	// again on the same day, so that counting them costs nothing.
	newer, token := 0, ""
	for range newerPages {
		answer, err := t.timeline(ctx, twitter.Query{SinceID: run.NewestID, PageFrom: token})
		if err != nil {
			return false, fmt.Errorf("counting the posts since the run began: %w", err)
		}
		newer += answer.Page.Count
		if token = answer.Page.Meta.NextToken; token == "" {
			return user.PostCount-newer <= run.Posts, nil
		}
	}
	return false, nil
}
