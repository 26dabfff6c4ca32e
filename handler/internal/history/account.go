package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// work is what is done of a history in a Run.
type work struct {
	reader  *Reader
	history state.History
	visit   *capture.Visit
	job     state.Job
	x       X
	asked   time.Time // when X was last asked
	read    int       // posts that were archived
}

// account goes on with an account's history, under the account's claim. All that is read
// on the way is read for it, also what its posts refer to: the days to come do not need that.
func (w *work) account(ctx context.Context) error {
	ctx = twitter.For(ctx, twitter.History)
	job, err := w.reader.opt.State.Job(ctx, w.history.JobID)
	if errors.Is(err, state.ErrNotFound) || err == nil && job.AccountID != w.history.AccountID {
		return w.end(ctx, "its job is gone")
	}
	if err != nil {
		return fmt.Errorf("reading its job: %w", err)
	}
	w.job = job
	err = w.reader.opt.Capture.Visit(ctx, job, func(ctx context.Context, visit *capture.Visit) error {
		w.visit = visit
		return w.outcome(ctx, w.all(ctx))
	})
	if errors.Is(err, capture.ErrBusy) {
		return nil // at a later tick
	}
	return err
}

// errWait: nothing may be read now.
var errWait = errors.New("what may be read of X this month is needed for new posts")

// outcome writes down how a Run ended.
func (w *work) outcome(ctx context.Context, err error) error {
	now := w.reader.opt.Now().UTC()
	w.history.Last = now
	var limit *twitter.RateLimitError
	switch {
	case err == nil:
		w.history.Problem = nil
		return w.save(ctx)
	case errors.Is(err, state.ErrClaimed):
		return nil // somebody has asked for something else meanwhile
	case ctx.Err() != nil:
		save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return w.save(save)
	case errors.As(err, &limit):
		w.history.Until = limit.Reset.UTC()
	case errors.Is(err, errWait):
		w.history.Until = now.Add(time.Hour)
	case twitter.NotAnswered(err):
		w.history.Until = now.Add(pause)
	default:
		return err
	}
	w.history.Problem = state.NewProblem(err, now)
	w.reader.opt.Log.WarnContext(ctx, "an account's history waits", "job", w.job.ID, "account", w.job.AccountID, "reason", err.Error(), "notBefore", w.history.Until)
	return w.save(ctx)
}

func (w *work) save(ctx context.Context) error {
	err := w.reader.opt.State.SaveHistory(ctx, &w.history)
	if errors.Is(err, state.ErrClaimed) {
		return fmt.Errorf("writing down how far the history is: %w", err)
	}
	return err
}

// end ends a history.
func (w *work) end(ctx context.Context, stopped string) error {
	w.history.Ended, w.history.Stopped = w.reader.opt.Now().UTC(), stopped
	w.history.Problem = nil
	return w.save(ctx)
}

// ask asks X, not before its turn has come, once more if it refuses a token that has run
// out.
func (w *work) ask(ctx context.Context, do func(X) error) error {
	for try := 0; ; try++ {
		if w.x == nil {
			x, err := w.reader.opt.Open(ctx, w.job.AccountID)
			if err != nil {
				return err
			}
			w.x = x
		}
		if err := wait(ctx, pace-time.Since(w.asked)); err != nil {
			return err
		}
		w.asked = time.Now()
		err := do(w.x)
		if errors.Is(err, twitter.ErrUnauthorized) && try == 0 {
			w.x = nil
			continue
		}
		return err
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// all goes on until all is done or time is over.
func (w *work) all(ctx context.Context) error {
	if w.history.Made.IsZero() {
		if err := w.begin(ctx); err != nil {
			return err
		}
	}
	for i := range w.history.Months {
		if m := &w.history.Months[i]; m.Counted < 0 {
			if err := w.count(ctx, m); err != nil {
				return err
			}
		}
	}
	if w.history.MaxReads == 0 {
		posts, _ := w.history.Estimated()
		w.reader.opt.Log.InfoContext(ctx, "an account's history is estimated; nothing is read before somebody says how much", "job", w.job.ID, "account", w.job.AccountID, "posts", posts)
		return nil
	}
	for i := range w.history.Months {
		for m := &w.history.Months[i]; !m.Done; {
			enough, err := w.page(ctx, m)
			if err != nil {
				return err
			}
			if enough {
				return w.end(ctx, fmt.Sprintf("%d posts were read, and no more than %d may be", w.history.Reads, w.history.MaxReads))
			}
			if m.Done {
				w.month(ctx, *m)
			}
		}
	}
	return w.compare(ctx)
}

// begin finds out since when the account is, and which months there are.
func (w *work) begin(ctx context.Context) error {
	var owner twitter.Owner
	err := w.ask(ctx, func(x X) (err error) {
		owner, err = x.Owner(ctx, w.job.AccountID)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.named(ctx, owner.User); err != nil {
		return err
	}
	w.history.Made, w.history.Stated = owner.Created, owner.PostCount
	w.history.Months = months(latest(w.history.From, owner.Created), w.history.To)
	return w.save(ctx)
}

// named takes up the account's present name, by which it is searched for: the one that the job
// was saved with may be somebody else's by now.
func (w *work) named(ctx context.Context, u twitter.User) error {
	if u.Username == "" || u.Username == w.job.Handle {
		return nil
	}
	err := w.reader.opt.State.UpdateJob(ctx, w.job.ID, func(j *state.Job) error {
		if j.AccountID != w.job.AccountID {
			return fmt.Errorf("it archives another account by now: %w", state.ErrClaimed)
		}
		j.AccountName, j.Handle = u.Name, u.Username
		return nil
	})
	if err != nil {
		return fmt.Errorf("writing down the account's name: %w", err)
	}
	w.reader.opt.Log.InfoContext(ctx, "the account has another name", "job", w.job.ID, "account", w.job.AccountID, "was", w.job.Handle, "is", u.Username)
	w.job.AccountName, w.job.Handle = u.Name, u.Username
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// months are the months (UTC) from a time to another, cut to it, the newest first. X
// searches whole seconds.
func months(from, to time.Time) (list []state.HistoryMonth) {
	from, to = from.UTC().Truncate(time.Second), to.UTC().Truncate(time.Second)
	for to.After(from) {
		first := time.Date(to.Year(), to.Month(), 1, 0, 0, 0, 0, time.UTC)
		if first.Equal(to) {
			first = first.AddDate(0, -1, 0)
		}
		list = append(list, state.HistoryMonth{Range: state.Range{From: latest(first, from), To: to}, Counted: -1})
		to = first
	}
	return list
}

// count asks how many posts of a month there are.
func (w *work) count(ctx context.Context, m *state.HistoryMonth) error {
	var n int
	err := w.ask(ctx, func(x X) (err error) {
		n, err = x.Count(ctx, twitter.Search{Handle: w.job.Handle, From: m.From, To: m.To})
		return err
	})
	if err != nil {
		return err
	}
	m.Counted = n
	w.history.Counts++
	return w.save(ctx)
}

// page reads a month's next page, the newest posts first, and has it archived. enough
// says that no more may be read.
//
// A page begins where the one before it ended: at the second of its oldest post, whose
// posts may come again. X's page tokens are not used: they do not outlive an
// interruption, and the time does.
func (w *work) page(ctx context.Context, m *state.HistoryMonth) (enough bool, err error) {
	if m.Counted == 0 && m.Found == 0 {
		m.Done = true // X counts none
		return false, w.save(ctx)
	}
	s := twitter.Search{Handle: w.job.Handle, From: m.From, To: m.To}
	if !m.Oldest.IsZero() {
		s.To = earliest(m.Oldest.Add(time.Second), m.To)
	}
	fresh, full := []post.Document(nil), false
	var answer twitter.Answer
	for {
		left := w.history.MaxReads - w.history.Reads
		if left < least {
			return true, nil
		}
		s.Size = min(twitter.PageSize, left)
		if answer, err = w.search(ctx, s); err != nil {
			return false, err
		}
		fresh = w.fresh(ctx, answer.Page, m)
		full = answer.Page.Meta.NextToken != ""
		if len(fresh) > 0 || !full {
			break
		}
		s.PageFrom = answer.Page.Meta.NextToken // a whole page of one second that is known
	}
	before := w.visit.Account().PostsTotal
	if err := w.visit.Archive(ctx, answer, fmt.Sprintf("history-%d", w.history.Asked.Unix())); err != nil {
		return false, fmt.Errorf("archiving what was found: %w", err)
	}
	added := w.visit.Account().PostsTotal - before
	if err := w.visit.Save(ctx); err != nil {
		return false, err
	}
	m.Found, m.New, w.read = m.Found+len(fresh), m.New+added, w.read+added
	w.edge(m, fresh)
	m.Done = !full
	return false, w.save(ctx)
}

// search asks X for a page, as far as the month's limit lets it.
func (w *work) search(ctx context.Context, s twitter.Search) (answer twitter.Answer, err error) {
	if budget := w.reader.opt.Budget; budget != nil {
		granted, done, err := budget.Ask(ctx, s.Size)
		if err != nil {
			return answer, fmt.Errorf("asking how much may be read of X: %w", err)
		}
		defer done()
		if granted < s.Size {
			return answer, errWait
		}
	}
	err = w.ask(ctx, func(x X) (err error) {
		answer, err = x.Search(ctx, s)
		return err
	})
	w.history.Reads += answer.Reads
	return answer, err
}

// least is the smallest page that X gives.
const least = 10

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// fresh returns a page's posts that were not counted before, and have the account as
// their author.
func (w *work) fresh(ctx context.Context, page post.Page, m *state.HistoryMonth) (docs []post.Document) {
	for _, d := range page.Posts {
		switch {
		case d.Earlier || slices.Contains(m.Edge, d.ID):
		case d.Post != nil && d.Post.Author.ID != w.job.AccountID:
			w.reader.opt.Log.WarnContext(ctx, "X's search gives a post of another account; it is not counted", "job", w.job.ID, "account", w.job.AccountID, "post", d.ID, "of", d.Post.Author.ID)
		default:
			docs = append(docs, d)
		}
	}
	return docs
}

// edge notes how far down a month X has given its posts.
func (w *work) edge(m *state.HistoryMonth, fresh []post.Document) {
	for _, d := range fresh {
		if d.Post == nil {
			continue
		}
		switch at := d.Post.CreatedAt.UTC().Truncate(time.Second); {
		case m.Oldest.IsZero() || at.Before(m.Oldest):
			m.Oldest, m.Edge = at, []string{d.ID}
		case at.Equal(m.Oldest):
			m.Edge = append(m.Edge, d.ID)
		}
	}
}

// month says what became of a month, and closes the gaps that are filled.
func (w *work) month(ctx context.Context, m state.HistoryMonth) {
	log := w.reader.opt.Log.With("job", w.job.ID, "account", w.job.AccountID, "from", m.From, "to", m.To, "counted", m.Counted, "found", m.Found, "new", m.New)
	if !m.Complete() {
		log.WarnContext(ctx, "X gave fewer posts of a month than it counts")
		return
	}
	log.InfoContext(ctx, "a month of an account's history is read")
	if w.nothing() {
		return
	}
	var within state.Ranges
	for _, m := range w.history.Months {
		if m.Complete() {
			within = within.Add(m.Range)
		}
	}
	w.visit.Change(func(a *state.Account) {
		for _, g := range a.CloseGaps(within, w.history.Made, w.reader.opt.Now(), "search", m.Found) {
			log.WarnContext(ctx, "a gap is closed by X's search, which may lack reposts", "gapFrom", g.From, "gapTo", g.To)
		}
	})
}

// compare ends a history with what X says of the account's posts by now.
func (w *work) compare(ctx context.Context) error {
	var owner twitter.Owner
	err := w.ask(ctx, func(x X) (err error) {
		owner, err = x.Owner(ctx, w.job.AccountID)
		return err
	})
	if err != nil {
		return err
	}
	w.history.Stated = owner.PostCount
	w.reader.opt.Log.InfoContext(ctx, "an account's history is read", "job", w.job.ID, "account", w.job.AccountID, "reads", w.history.Reads, "archived", w.visit.Account().PostsTotal, "stated", owner.PostCount)
	if w.nothing() && owner.PostCount > 0 {
		return w.end(ctx, "X's search has no post of the account in this time. It has none of protected accounts, so that says nothing of what was posted, and no gap is closed")
	}
	return w.end(ctx, "")
}

// nothing reports whether X counts no post at all: as of an account that is protected, or
// that its search leaves out, which is no evidence that there are none.
func (w *work) nothing() bool {
	posts, _ := w.history.Estimated()
	return posts == 0
}
