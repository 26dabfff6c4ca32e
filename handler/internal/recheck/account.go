package recheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// account looks at what is due of an account.
func (a *Audit) account(ctx context.Context, job state.Job, report *Report) error {
	now := a.opt.Now().UTC()
	record, err := a.opt.State.Audit(ctx, job.AccountID)
	if err != nil {
		return fmt.Errorf("reading what was looked at: %w", err)
	}
	if now.Before(record.Until) {
		a.restUntil(job.AccountID, record.Until)
		return nil
	}
	w := &work{audit: a, job: job, record: record, report: report, calls: callsATick, now: now}
	changed, err := w.plan(ctx)
	switch {
	case err != nil:
		return err
	case len(w.days)+len(w.gone) == 0 && changed:
		return w.rest(ctx, next(now), nil)
	case len(w.days)+len(w.gone) == 0:
		a.restUntil(job.AccountID, next(now))
		return nil
	}
	err = a.opt.Capture.Visit(ctx, job, w.do)
	if errors.Is(err, capture.ErrBusy) {
		return nil // at a later tick
	}
	return err
}

// work is what is done of an account in a Run, under its claim.
type work struct {
	audit  *Audit
	job    state.Job
	visit  *capture.Visit
	record state.Audit
	report *Report
	calls  int // that may still be made
	now    time.Time

	days []time.Time      // whose posts are to be looked at
	gone []state.GonePost // that are to be asked for
}

// errEnough ends a Run's work on an account: a later tick goes on.
var errEnough = errors.New("enough for this tick")

// errBudget: what may still be read of X is needed for new posts.
var errBudget = errors.New("the limit on reads is near")

// plan finds what is due. changed says that the record was.
func (w *work) plan(ctx context.Context) (changed bool, err error) {
	reach := w.audit.opt.Days
	w.record.Forget(w.now.AddDate(0, 0, -reach-late-1).Format(time.DateOnly))
	if w.record.Days == nil {
		w.record.Days = map[string]time.Time{}
	}
	if w.record.GoneAt.Before(w.now.Truncate(day)) {
		list, err := w.audit.opt.State.Gone(ctx, w.job.AccountID)
		if err != nil {
			return false, fmt.Errorf("reading which posts are gone: %w", err)
		}
		w.gone = slices.DeleteFunc(list.Posts, func(p state.GonePost) bool { return !p.Back.IsZero() })
		if len(w.gone) == 0 {
			w.record.GoneAt, changed = w.now, true
		}
	}
	days := dueDays(w.record.Days, w.now, reach)
	there, err := w.existing(ctx, days)
	if err != nil {
		return false, err
	}
	for _, of := range days {
		if slices.ContainsFunc(there, of.Equal) {
			w.days = append(w.days, of)
			continue
		}
		w.record.Days[of.Format(time.DateOnly)], changed = w.now, true
	}
	// One that was begun comes first: where it stopped is known of one day alone.
	if i := slices.IndexFunc(w.days, func(d time.Time) bool { return d.Format(time.DateOnly) == w.record.Day }); i > 0 {
		w.days[0], w.days[i] = w.days[i], w.days[0]
	}
	return changed, nil
}

func (w *work) do(ctx context.Context, visit *capture.Visit) error {
	w.visit = visit
	now := w.now
	if visit.Account().Problem != nil { // X does not even give new posts
		return w.rest(ctx, now.Add(pause), nil)
	}
	err := w.all(ctx)
	var limit *twitter.RateLimitError
	switch {
	case err == nil:
		w.record.Problem = nil
		return w.rest(ctx, next(now), nil)
	case errors.Is(err, errEnough):
		return nil
	case errors.Is(err, errBudget):
		w.audit.opt.Log.WarnContext(ctx, "archived posts are not looked at: what may be read of X this month is needed for new posts", "job", w.job.ID, "account", w.job.AccountID)
		return w.rest(ctx, next(now), nil)
	case ctx.Err() != nil, errors.Is(err, state.ErrClaimed):
		return nil // at a later tick
	case errors.As(err, &limit):
		return w.rest(ctx, limit.Reset, err)
	case twitter.NotAnswered(err):
		return w.rest(ctx, now.Add(pause), err)
	}
	return err
}

// rest has nothing of the account looked at before a time.
func (w *work) rest(ctx context.Context, until time.Time, because error) error {
	if because != nil {
		w.audit.opt.Log.WarnContext(ctx, "archived posts could not be looked at on X; it is tried again", "job", w.job.ID, "account", w.job.AccountID, "reason", because.Error(), "notBefore", until)
		w.record.Problem, w.record.Until = state.NewProblem(because, w.audit.opt.Now()), until.UTC()
	}
	w.audit.restUntil(w.job.AccountID, until)
	return w.save(ctx)
}

func (w *work) save(ctx context.Context) error {
	return w.audit.opt.State.SaveAudit(ctx, &w.record)
}

// all looks at everything that is due.
func (w *work) all(ctx context.Context) error {
	if err := w.goneOnes(ctx); err != nil {
		return err
	}
	for _, of := range w.days {
		if err := w.day(ctx, of); err != nil {
			return err
		}
	}
	return nil
}

// existing returns those days of which the archive may have messages.
func (w *work) existing(ctx context.Context, days []time.Time) ([]time.Time, error) {
	if len(days) == 0 {
		return nil, nil
	}
	first, last := slices.MinFunc(days, time.Time.Compare), slices.MaxFunc(days, time.Time.Compare)
	if len(days) < 5 && last.Sub(first) > 4*day { // they are far apart: listing each is cheaper
		return days, nil
	}
	var there []time.Time
	for of, err := range w.audit.opt.Archive.Days(ctx, w.job.AccountID, first, last) {
		if err != nil {
			return nil, err
		}
		there = append(there, of)
	}
	return there, nil
}

// day looks at the posts of a day that were not archived after the look became due:
// those were just given by X.
func (w *work) day(ctx context.Context, of time.Time) error {
	name := of.Format(time.DateOnly)
	if w.record.Day != name {
		w.record.Day, w.record.Began, w.record.After = name, w.now, ""
	}
	since := dueSince(of, w.now, w.audit.opt.Days)
	seen := w.record.Days[name]
	var some []gone.Look
	after := w.record.After
	flush := func() error {
		if err := w.look(ctx, some); err != nil {
			return err
		}
		some, w.record.After = nil, after
		return w.save(ctx)
	}
	for e, err := range w.audit.opt.Archive.Walk(ctx, w.job.AccountID, of, of.Add(day-time.Nanosecond), w.record.After) {
		switch {
		case errors.Is(err, archive.ErrForeign):
			continue // reported where messages are delivered
		case errors.Is(err, archive.ErrPosition):
			w.record.Day = "" // it is gone through once more
			return w.save(ctx)
		case err != nil:
			return err
		}
		after = e.Name
		if e.Key != e.PostID || e.Kind == post.Mentioning || !e.Stored.Before(since) {
			continue // others' posts are not read, and paid, again
		}
		some = append(some, gone.Look{Entry: e, LastSeen: seen})
		if len(some) == twitter.MaxLookup {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(some) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	w.record.Days[name] = w.record.Began
	looked := w.record.After != ""
	w.record.Day, w.record.Began, w.record.After = "", time.Time{}, ""
	if !looked {
		return nil // it is written down with the next day, or at the end
	}
	return w.save(ctx)
}

// goneOnes asks for the posts that are gone, every day. X bills nothing for a post that
// it does not give.
func (w *work) goneOnes(ctx context.Context) error {
	if len(w.gone) == 0 {
		return nil
	}
	var some []gone.Look
	for _, p := range w.gone {
		e, err := w.audit.opt.Archive.Find(ctx, p.Name)
		if errors.Is(err, archive.ErrNotFound) || errors.Is(err, archive.ErrForeign) {
			continue // reported by verify
		}
		if err != nil {
			return err
		}
		some = append(some, gone.Look{Entry: e})
	}
	for chunk := range slices.Chunk(some, twitter.MaxLookup) {
		if err := w.look(ctx, chunk); err != nil {
			return err
		}
	}
	w.record.GoneAt = w.now
	return nil // it is written down with the days, or at the end
}

// look asks X for archived posts, in one call, and has it noted what X says.
func (w *work) look(ctx context.Context, some []gone.Look) error {
	if w.calls == 0 {
		return errEnough
	}
	w.calls--
	entries, ids := map[string]archive.Entry{}, make([]string, len(some))
	for i, l := range some {
		ids[i] = l.Entry.PostID
		entries[ids[i]] = l.Entry
	}
	if budget := w.audit.opt.Budget; budget != nil {
		granted, done, err := budget.Ask(ctx, len(ids))
		if err != nil {
			return fmt.Errorf("asking how much may be read of X: %w", err)
		}
		defer done()
		if granted < len(ids) {
			return errBudget
		}
	}
	answer, err := w.visit.Look(twitter.For(ctx, twitter.Audits), ids)
	if err != nil {
		return err
	}
	looks := capture.Looks(answer.Page, entries)
	for i := range looks {
		at := slices.IndexFunc(some, func(l gone.Look) bool { return l.Entry.PostID == looks[i].Entry.PostID })
		looks[i].LastSeen = some[at].LastSeen
	}
	newlyGone, back, err := w.audit.opt.Gone.Note(ctx, w.job.ID, w.job.AccountID, gone.ByAudit, looks, w.visit.List)
	if err != nil {
		return err
	}
	differing, err := w.visit.Differing(twitter.For(ctx, twitter.Audits), answer.Page, entries)
	if err != nil && twitter.NotAnswered(err) { // it may never answer for these: the next look tries again
		w.audit.opt.Log.WarnContext(ctx, "archived posts that X gives differently could not be read whole; the next look at them tries again", "job", w.job.ID, "account", w.job.AccountID, "reason", err.Error())
		err = nil
	}
	if err != nil {
		return err
	}
	w.report.Differing += differing
	w.record.Looks += len(ids)
	w.record.LastLook = w.audit.opt.Now().UTC()
	w.report.Looked, w.report.Gone, w.report.Back = w.report.Looked+len(ids), w.report.Gone+newlyGone, w.report.Back+back
	if silent := len(ids) - len(looks); silent > 0 {
		w.record.Silent += silent
		w.audit.opt.Log.WarnContext(ctx, "X neither gives archived posts nor says why not; nothing is concluded from it", "job", w.job.ID, "account", w.job.AccountID, "posts", silent)
	}
	return nil
}
