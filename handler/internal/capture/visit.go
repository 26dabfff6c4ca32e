package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// ErrBusy: the account has no time for a visit: another instance works on it, or new
// posts are being read, or X is not to be asked now. A later tick may find it free.
var ErrBusy = errors.New("the account is busy")

// Visit is work on an account that is no turn of it: somebody else has found posts, and
// has them archived in the same way as those of the timeline. It holds the account's
// claim, and is made for short pieces of work between two ticks: new posts come first.
type Visit struct {
	turn    *turn
	changed bool // there is something to be saved
}

// Budget says how much visitors may read of X, whose work is not new posts; *reads.Meter.
type Budget interface {
	// Ask says how many of so many posts may be read now. done is called when they are
	// read, or are not going to be.
	Ask(ctx context.Context, want int) (granted int, done func(), err error)
}

// Visit claims a job's account and calls do, whose context ends when the claim is lost.
// The account is saved afterwards. It returns ErrBusy, having done nothing, if new
// posts are still to be read.
func (c *Capture) Visit(ctx context.Context, job state.Job, do func(context.Context, *Visit) error) error {
	record, err := c.opt.State.LoadAccount(ctx, job.AccountID)
	if err != nil {
		return fmt.Errorf("reading account %s: %w", job.AccountID, err)
	}
	t := newTurn(c, job, record, nil)
	switch {
	case record.Claimed(), t.account.Run != nil, t.account.LastRun.IsZero():
		return ErrBusy
	case t.now().Before(t.account.RateReset): // what X gives now is for new posts
		return ErrBusy
	}
	claimed, err := record.Claim(ctx)
	if errors.Is(err, state.ErrClaimed) {
		return ErrBusy
	}
	if err != nil {
		return fmt.Errorf("claiming account %s: %w", job.AccountID, err)
	}
	defer record.Release()
	t.resumed = true // what an earlier visit archived and did not come to listing is listed
	v := &Visit{turn: t}
	reset := t.account.RateReset
	err = do(claimed, v)
	t.account.RateReset = reset // that X refuses the visitor's look-ups keeps no new post waiting
	if err == nil && claimed.Err() == nil {
		err = t.tidy(claimed) // of look-ups that were made on the way
	}
	if record.Lost() != nil {
		return ErrBusy
	}
	if !v.changed && len(t.listed) == 0 {
		return err
	}
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if saved := t.save(save); saved != nil && !errors.Is(saved, state.ErrClaimed) && !errors.Is(saved, state.ErrLost) {
		err = errors.Join(err, saved)
	}
	return err
}

// Account returns the account's record.
func (v *Visit) Account() state.Account { return *v.turn.account }

// Change changes the account's record, which is saved at the end of the visit, and by
// Save.
func (v *Visit) Change(change func(*state.Account)) {
	change(v.turn.account)
	v.changed = true
}

// Save writes the account down as it is now, and lists what was archived.
func (v *Visit) Save(ctx context.Context) error { return v.turn.save(ctx) }

// List has lines in the account's manifest.
func (v *Visit) List(ctx context.Context, lines []manifest.Line) error {
	v.changed = true
	return v.turn.listNow(ctx, lines)
}

// Look asks X for archived posts by their ids, [twitter.MaxLookup] at most, without what
// they refer to. X's refusals are the visitor's own business: they are no problem of the
// account's, and do not keep new posts from being read.
func (v *Visit) Look(ctx context.Context, ids []string) (twitter.Answer, error) {
	return v.ask(ctx, func(x X) (twitter.Answer, error) { return x.Look(ctx, ids) })
}

// Mentions asks X for a page of the posts that mention the account, as Look asks.
func (v *Visit) Mentions(ctx context.Context, q twitter.Query) (twitter.Answer, error) {
	return v.ask(ctx, func(x X) (twitter.Answer, error) { return x.Mentions(ctx, v.turn.account.ID, q) })
}

func (v *Visit) ask(ctx context.Context, do func(X) (twitter.Answer, error)) (answer twitter.Answer, err error) {
	t := v.turn
	for {
		if t.x == nil {
			if t.x, err = t.capture.opt.SignIn(ctx, t.job, t.fresh); err != nil {
				return twitter.Answer{}, fmt.Errorf("signing in to X: %w", err)
			}
		}
		answer, err = do(t.x)
		if errors.Is(err, twitter.ErrUnauthorized) && !t.fresh {
			t.fresh, t.x = true, nil
			continue
		}
		return answer, err
	}
}

// Archive archives posts of the account that somebody else has found, earlier versions of
// edited ones among them, as if the timeline had given them. key names what X is asked
// for meanwhile. Posts that are archived already are compared with what X gives now, and
// their messages left alone. The answer is kept as it came.
func (v *Visit) Archive(ctx context.Context, answer twitter.Answer, key string) error {
	t, page := v.turn, answer.Page
	if err := v.keep(ctx, answer); err != nil {
		return err
	}
	// X was asked for the account's posts; what it gives of others is not the archive's.
	docs := slices.DeleteFunc(t.ownVersions(ctx, page.Posts), func(d post.Document) bool { return d.Post != nil && d.Post.Author.ID != t.account.ID })
	versions, err := t.earlierVersions(ctx, docs, key)
	if err != nil {
		return err
	}
	docs = append(docs, versions...)
	if docs, err = t.complete(ctx, docs, key); err != nil {
		return err
	}
	if err := t.archiveAll(ctx, docs, func(int) {}); err != nil {
		return err
	}
	return t.countAside(ctx)
}

// keep keeps an answer as it came, and sets aside what in it is no post.
func (v *Visit) keep(ctx context.Context, answer twitter.Answer) error {
	t := v.turn
	v.changed = true
	kept, err := t.keepRaw(ctx, answer)
	if err != nil {
		return err
	}
	for _, d := range answer.Page.Posts {
		t.cameFrom(kept, d.ID)
	}
	for _, u := range answer.Page.Unreadable {
		out, err := t.setAside(ctx, post.Document{JSON: u.Raw}, u.Err)
		if err != nil {
			return err
		}
		if err := t.archived(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// ArchiveMentions archives posts that mention the account, which X gave in an answer: those
// of others as mentions, those of the account itself as the timeline would have, if
// they are not archived yet. Of an edited post the version is archived that X gives. key
// names what X is asked for meanwhile. It returns how many posts of others are new.
func (v *Visit) ArchiveMentions(ctx context.Context, answer twitter.Answer, docs []post.Document, key string) (added int, err error) {
	if len(docs) == 0 && len(answer.Page.Unreadable) == 0 {
		return 0, nil
	}
	t := v.turn
	if err := v.keep(ctx, answer); err != nil {
		return 0, err
	}
	var others, own []post.Document
	for _, d := range docs {
		if d.Post == nil || d.Post.Author.ID != t.account.ID {
			others = append(others, d.AsMention(t.account.ID))
			continue
		}
		archived, err := t.archivedPost(ctx, d.ID, false)
		if err != nil {
			return 0, err
		}
		if !archived {
			own = append(own, d)
		}
	}
	before := t.mentions
	all, err := t.complete(ctx, append(others, own...), key)
	if err != nil {
		return 0, err
	}
	err = t.archiveAll(ctx, all, func(int) {})
	if err == nil {
		err = t.countAside(ctx)
	}
	return t.mentions - before, err
}
