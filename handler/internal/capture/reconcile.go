package capture

import (
	"context"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// Once a UTC day X is asked how many posts the account has, and the number is put beside
// what is archived: the only way to notice posts that X never shows in its timeline.
//
// X is asked before the timeline is read, and the comparison is made when that is
// archived. So posts that come meanwhile are archived and not counted, never the other
// way round: a busy account does not look as if posts were missing.

// stateDue reports whether X is to be asked today. A first read has to come first.
func (t *turn) stateDue() bool {
	a := t.account
	return a.Run == nil && !a.LastRun.IsZero() && (a.Stated == nil || date(a.Stated.At) != date(t.xNow()))
}

func date(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// askStated asks X how many posts the account has. Nothing waits for the answer; it fails
// only where X is not to be asked for anything now.
func (t *turn) askStated(ctx context.Context) error {
	var user twitter.User
	err := t.call(ctx, func(x X) (err error) {
		user, err = x.User(ctx, t.account.ID)
		return err
	})
	switch {
	case err != nil && (t.now().Before(t.account.RateReset) || ctx.Err() != nil):
		return err
	case err != nil:
		t.log.InfoContext(ctx, "X does not say how many posts the account has; it is asked again", "reason", err.Error())
		return nil
	}
	t.stated = &state.Stated{At: t.xNow(), Posts: user.PostCount}
	if credits, err := t.x.Credits(ctx); err == nil { // which X does not tell every app
		t.stated.Credits = &credits
	}
	return nil
}

// compare puts X's number beside what is archived. Everything that X showed is.
func (t *turn) compare(ctx context.Context) {
	s, a := t.stated, t.account
	t.stated = nil
	if s == nil || !a.Incomplete.IsZero() { // X's answers lack posts, which is said
		return
	}
	list, err := t.capture.opt.State.Gone(ctx, a.ID)
	if err != nil {
		t.log.WarnContext(ctx, "X's number of posts is not compared with the archive's today: which of them are gone cannot be read", "error", err.Error())
		return
	}
	aside, err := t.ownAside(ctx)
	if err != nil {
		t.log.WarnContext(ctx, "X's number of posts is not compared with the archive's today: which posts are set aside cannot be read", "error", err.Error())
		return
	}
	s.Archived, s.Gone = a.PostsTotal-a.Versions+aside, list.Posted()+a.Unlisted
	s.Missing = s.Posts - (s.Archived - s.Gone)
	var before state.Stated
	if a.Stated != nil {
		before = *a.Stated
	}
	if s.Missing > t.explained() {
		s.Since, s.Said = before.Since, before.Said
		if s.Since.IsZero() {
			s.Since = s.At
		}
	}
	a.Stated = s
	t.capture.opt.Telemetry.Missing(ctx, a.ID, max(0, s.Missing))
	if s.Unexplained() && s.Missing > s.Said {
		s.Said = s.Missing
		t.log.ErrorContext(ctx, "X states more posts than are archived, and no gap explains it: posts may be missing", "stated", s.Posts, "archived", s.Archived, "gone", s.Gone, "missing", s.Missing)
	}
}

// ownAside is how many posts are set aside that X counts as the account's: those of others
// that mention it must not make up in number for its own.
func (t *turn) ownAside(ctx context.Context) (int, error) {
	n := t.account.SetAside.Posts
	if n == 0 {
		return 0, nil
	}
	list, _, err := t.capture.opt.State.Aside(ctx, t.account.ID)
	for _, aside := range list {
		if post.IsMention(aside.Raw) {
			n--
		}
	}
	return max(0, n), err
}

// explained is how many posts X may state beyond what is archived: any number where
// there is a gap, else the first versions of edited posts that X did not give.
func (t *turn) explained() (n int) {
	if len(t.account.Gaps) > 0 || len(t.account.Unreachable) > 0 {
		return 1 << 30
	}
	for _, w := range t.account.Waiting {
		n += len(w.Versions)
	}
	for _, l := range t.account.Lost {
		n += len(l.Versions)
	}
	return n
}
