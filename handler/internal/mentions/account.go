package mentions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// work is what is done of an account in a Run, under its claim.
type work struct {
	reader   *Reader
	job      state.Job
	visit    *capture.Visit
	m        state.Mentions
	log      *slog.Logger
	archived int
}

// errWait: nothing may be read now.
var errWait = errors.New("what may be read of X this month is needed for new posts")

// account goes on with an account's mentions, under the account's claim.
func (w *work) account(ctx context.Context) (err error) {
	w.log = w.reader.opt.Log.With("job", w.job.ID, "account", w.job.AccountID)
	if w.m, err = w.reader.opt.State.Mentions(ctx, w.job.AccountID); err != nil {
		return fmt.Errorf("reading how far its mentions are: %w", err)
	}
	if w.reader.opt.Now().Before(w.m.Until) {
		return nil
	}
	err = w.reader.opt.Capture.Visit(ctx, w.job, func(ctx context.Context, visit *capture.Visit) error {
		if visit.Account().Problem != nil {
			return nil // X does not even give the account's own posts, which is said
		}
		w.visit = visit
		w.m.LastTurn = w.reader.opt.Now().UTC()
		return w.outcome(ctx, w.all(ctx))
	})
	if errors.Is(err, capture.ErrBusy) {
		return nil // at a later tick
	}
	return err
}

// outcome writes down how a turn ended.
func (w *work) outcome(ctx context.Context, err error) error {
	now := w.reader.opt.Now().UTC()
	var limit *twitter.RateLimitError
	switch {
	case err == nil:
		w.m.Problem, w.m.Until = nil, time.Time{}
		return w.save(ctx)
	case errors.Is(err, state.ErrClaimed):
		return nil // another instance goes on
	case ctx.Err() != nil:
		save, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		return w.save(save)
	case errors.As(err, &limit):
		w.m.Until = limit.Reset.UTC()
	case errors.Is(err, errWait):
		w.m.Until = now.Add(budgetPause)
	case twitter.NotAnswered(err):
		w.m.Until = now.Add(pause)
	default:
		return err
	}
	w.m.Problem = state.NewProblem(err, now)
	w.log.WarnContext(ctx, "an account's mentions wait; its own posts do not", "reason", err.Error(), "notBefore", w.m.Until)
	return w.save(ctx)
}

func (w *work) save(ctx context.Context) error {
	if err := w.reader.opt.State.SaveMentions(ctx, &w.m); err != nil {
		return fmt.Errorf("writing down how far its mentions are: %w", err)
	}
	return nil
}

// all goes on until the account's mentions are up to date.
func (w *work) all(ctx context.Context) error {
	if w.m.Run == nil {
		w.m.Run = &state.MentionsRun{SinceID: w.since(w.xNow())}
	}
	for {
		more, err := w.page(ctx)
		if err == nil && !more {
			more, err = w.prove(ctx)
		}
		if err != nil {
			if w.m.Run.OldestID == "" {
				w.m.Run = nil // it has read nothing, and can begin again
			}
			return err
		}
		if !more {
			break
		}
	}
	w.through()
	if w.archived > 0 {
		w.log.InfoContext(ctx, "posts that mention the account are archived", "posts", w.archived, "coveredTo", w.m.Covered.End())
	}
	return nil
}

// xNow is what X's clock probably shows.
func (w *work) xNow() time.Time { return w.reader.opt.Now().Add(w.visit.Account().Skew).UTC() }

// lookedUp is how many further posts may have to be read for one that mentions the
// account: what it answers and what it quotes.
const lookedUp = 2

// least is the smallest page that X gives.
const least = 5

// ask asks X for posts, as many as the month's limit leaves.
func (w *work) ask(ctx context.Context, q twitter.Query) (answer twitter.Answer, size int, err error) {
	if budget := w.reader.opt.Budget; budget != nil {
		granted, done, err := budget.Ask(ctx, q.Size*(1+lookedUp))
		if err != nil {
			return twitter.Answer{}, 0, fmt.Errorf("asking how much may be read of X: %w", err)
		}
		defer done()
		if q.Size = min(q.Size, granted/(1+lookedUp)); q.Size < least {
			return twitter.Answer{}, 0, errWait
		}
	}
	answer, err = w.visit.Mentions(ctx, q)
	return answer, q.Size, err
}

// emptyPages is how many pages without a post X may give in a row: it fills a page and
// then takes out what it does not show.
const emptyPages = 20

// page reads the run's next page and has it archived. more says that X has further ones. After
// an error the run is where it was, since X is asked for the same page again.
func (w *work) page(ctx context.Context) (more bool, err error) {
	run, before := w.m.Run, *w.m.Run
	defer func() {
		if err != nil {
			*run = before
		}
	}()
	q := twitter.Query{SinceID: run.SinceID, UntilID: run.OldestID, Size: w.reader.opt.PageSize}
	for range emptyPages {
		answer, size, err := w.ask(ctx, q)
		if err != nil {
			return false, err
		}
		w.note(answer, size)
		docs, err := w.below(answer.Page)
		if err != nil {
			return false, err
		}
		if err := w.archive(ctx, answer, docs); err != nil {
			return false, err
		}
		token := answer.Page.Meta.NextToken
		if len(docs) > 0 || token == "" {
			return token != "", w.save(ctx)
		}
		q.PageFrom = token
	}
	return false, fmt.Errorf("%w: it gives page after page of mentions without a post", twitter.ErrUnavailable)
}

// note takes note of when X gave an answer, and of how much it was asked for.
func (w *work) note(answer twitter.Answer, size int) {
	run, at := w.m.Run, answer.Date
	if at.IsZero() {
		at = w.xNow().Truncate(time.Second)
	}
	if run.Began.IsZero() {
		run.Began, run.CoverTo = at, at.Add(-capture.Settle)
	}
	run.LastPage, run.Asked = at, run.Asked+size
}

// below returns a page's posts. All of them must be older than those that the run has: X
// would else be asked for the same page for ever.
func (w *work) below(page post.Page) ([]post.Document, error) {
	run := w.m.Run
	docs := slices.DeleteFunc(slices.Clone(page.Posts), func(d post.Document) bool { return d.Earlier })
	if i := slices.IndexFunc(docs, func(d post.Document) bool { return run.OldestID != "" && post.CompareIDs(d.ID, run.OldestID) >= 0 }); i >= 0 {
		return nil, fmt.Errorf("%w: it was asked for mentions before post %s and gives post %s", twitter.ErrIncomplete, run.OldestID, docs[i].ID)
	}
	return docs, nil
}

// archive has a page's posts archived, but for those that are known and as they were, and
// takes note of them. The account, and with it the list of what is archived, is saved first:
// what a process that is killed leaves in between is read again, on the same day at no price.
func (w *work) archive(ctx context.Context, answer twitter.Answer, docs []post.Document) error {
	ctx = twitter.For(ctx, twitter.Mentions)
	fresh := slices.DeleteFunc(slices.Clone(docs), func(d post.Document) bool {
		seen := w.m.Find(d.ID)
		return seen != nil && d.Post != nil && seen.Sum == d.Post.Digest()
	})
	added, err := w.visit.ArchiveMentions(ctx, answer, fresh, "mentions-"+w.m.Run.Began.Format("20060102150405"))
	if err != nil {
		return fmt.Errorf("archiving posts that mention the account: %w", err)
	}
	w.archived, w.m.Archived = w.archived+added, w.m.Archived+added
	if len(fresh) > 0 || len(answer.Page.Unreadable) > 0 {
		if err := w.visit.Save(ctx); err != nil {
			return err
		}
	}
	run := w.m.Run
	run.Posts += len(docs)
	for _, d := range docs {
		if run.NewestID == "" || post.CompareIDs(d.ID, run.NewestID) > 0 {
			run.NewestID = d.ID
		}
		if run.OldestID == "" || post.CompareIDs(d.ID, run.OldestID) < 0 {
			run.OldestID, run.Oldest = d.ID, postedAt(d)
		}
		run.Back = run.Back || w.m.Cursor != "" && post.CompareIDs(d.ID, w.m.Cursor) <= 0
		w.know(d)
	}
	return nil
}

// postedAt is when a post was posted, in whole seconds.
func postedAt(d post.Document) time.Time {
	if d.Post != nil {
		return d.Post.CreatedAt.UTC().Truncate(time.Second)
	}
	at, _ := post.IDTime(d.ID)
	return at.Truncate(time.Second)
}

// know remembers a post that X gave.
func (w *work) know(d post.Document) {
	seen := state.Seen{ID: d.ID, At: postedAt(d)}
	if d.Post != nil {
		seen.Sum = d.Post.Digest()
	}
	if old := w.m.Find(d.ID); old != nil {
		*old = seen
		return
	}
	w.m.Recent = append(w.m.Recent, seen)
	slices.SortFunc(w.m.Recent, func(a, b state.Seen) int { return post.CompareIDs(a.ID, b.ID) })
	w.m.Recent = w.m.Recent[max(0, len(w.m.Recent)-w.reader.opt.Reach):]
}
