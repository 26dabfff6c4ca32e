package capture

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// turn is one account's turn in a tick.
type turn struct {
	capture *Capture
	job     state.Job
	record  *state.AccountRecord
	account *state.Account // of the record
	tasks   []state.Task   // that ask about posts of the account and have no answer yet
	log     *slog.Logger

	sinceID  string // below it nothing is read, where a run begins in this turn
	x        X
	fresh    bool              // X is asked with keys that were read from the vault just now
	accepted bool              // X has answered: it takes keys and token
	ahead    *ahead            // X's answer that is on its way while a page is retained
	resumed  bool              // the run was begun in an earlier turn
	retained bool              // raw answers are retained that this turn made or used
	closely  bool              // archived posts are compared with all of their messages; see archivedBefore
	pages    map[int]read      // of the run, read in this turn
	aside    bool              // it is not certain how many posts are set aside
	listed   []manifest.Line   // messages that are not in the manifest yet
	origins  map[string]origin // by post id
	savedAt  time.Time
	export   DataExport // that posts are taken from; empty: X gives them

	mentions   int           // posts of others that were archived
	stated     *state.Stated // what X said in this turn
	refused    bool          // in its last turn X refused the account's token
	unanswered bool          // a task's look-up is not through; what X has answered of it is still needed
	elsewhere  bool          // another instance has claimed the account
	waits      fault.Cause   // why X is not asked now, and nothing else is to be done; "" if it is asked
}

// behindSince returns since when the account is behind: up to when its time is covered, or,
// as long as nothing is, when its job was made.
func (t *turn) behindSince() time.Time {
	if covered := t.account.Covered.End(); !covered.IsZero() {
		return covered
	}
	return t.job.CreatedAt
}

func newTurn(c *Capture, job state.Job, record *state.AccountRecord, tasks []state.Task) *turn {
	last := record.Account.Problem
	return &turn{capture: c, job: job, record: record, account: &record.Account, tasks: tasks,
		refused: last != nil && last.Cause == fault.XUnauthorized,
		log:     c.opt.Log.With("job", job.ID, "account", job.AccountID), pages: map[int]read{}, origins: map[string]origin{}}
}

func (t *turn) now() time.Time { return t.capture.opt.Now() }

// take is the turn: a question to X, and work under a claim if there is any.
func (t *turn) take(ctx context.Context) (err error) {
	if t.record.Claimed() {
		t.leave(ctx)
		return nil
	}
	limited := t.now().Before(t.account.RateReset)
	work := t.account.Run != nil || len(t.tasks) > 0 || t.waitingDue() || t.asideDue()
	if limited && !work {
		t.waits = fault.XRateLimit
		if p := t.account.Problem; p != nil {
			t.waits = p.Cause
		}
		return nil
	}
	t.dropEmptyRun()
	before := t.account.PostsTotal
	ctx, span := t.capture.opt.Telemetry.Capture(ctx, t.job.ID, t.job.AccountID)
	defer func() { span.End(err) }()
	t.account.TriedAt = t.now().UTC()
	var first *twitter.Answer
	var asking error // the rest of the work does not need the timeline, and goes on
	if !limited && t.stateDue() {
		if asking = t.askStated(ctx); asking != nil && !work {
			return t.ended(ctx, asking)
		}
	}
	if t.account.Run == nil && !limited && asking == nil {
		answer, err := t.askFirst(ctx)
		switch {
		case err != nil && (!work || ctx.Err() != nil):
			return t.ended(ctx, err)
		case err != nil:
			asking = err
		case t.quiet(answer) && !work:
			t.nothingNew(ctx, answer)
			return t.ended(ctx, t.save(ctx))
		default:
			first = &answer
		}
	}
	claimed, err := t.record.Claim(ctx)
	if errors.Is(err, state.ErrClaimed) {
		t.leave(ctx)
		return nil
	}
	if err != nil {
		return t.ended(ctx, errors.Join(asking, err))
	}
	defer t.record.Release()
	err = joined([]error{asking, t.work(claimed, first)})
	if n := t.account.PostsTotal - before; n > 0 {
		t.log.InfoContext(ctx, "posts archived", "posts", n, "cursor", t.account.Cursor, "coveredTo", t.account.Covered.End())
	}
	return t.ended(claimed, err)
}

// leave leaves the account to the instance that has claimed it, which may have been
// killed since: a claim outlives its instance by half a minute.
func (t *turn) leave(ctx context.Context) {
	t.elsewhere = true
	t.log.InfoContext(ctx, "another instance has claimed the account; it is captured there, or here once the claim has run out")
}

// work is what is done under the claim. New posts come first; what is waited for
// and what tasks ask about follow, and their failing does not undo what came
// before.
func (t *turn) work(ctx context.Context, first *twitter.Answer) error {
	var errs []error
	if t.account.Run != nil || first != nil {
		errs = append(errs, t.bringUpToDate(ctx, first))
	}
	for _, do := range []func(context.Context) error{t.retryAside, t.askAgain, t.answerTasks, t.tidy} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		errs = append(errs, do(ctx))
	}
	return joined(errs)
}

// tidy removes raw answers that nothing needs any more.
func (t *turn) tidy(ctx context.Context) error {
	if t.aside { // by a look-up
		if err := errors.Join(t.countAside(ctx), t.save(ctx)); err != nil {
			return err
		}
	}
	if !t.retained || t.account.Run != nil || t.unanswered {
		return nil
	}
	t.retained = false
	return t.capture.opt.State.RemovePages(ctx, t.account.ID)
}

// ended writes down how a turn ended, and returns its error unless there is no
// fault in it.
func (t *turn) ended(ctx context.Context, err error) error {
	if lost := t.record.Lost(); lost != nil || errors.Is(err, state.ErrClaimed) || errors.Is(err, state.ErrLost) {
		t.log.InfoContext(ctx, "another instance goes on with the account")
		return nil
	}
	if signInErr := t.signInNeeded(ctx, err); signInErr != nil {
		err = errors.Join(err, signInErr)
	}
	if err == nil {
		return nil
	}
	// The claim may still be ours although the time is over. How far the turn came
	// is written down even now, or work longer than a tick would begin again for ever.
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	later := errors.Is(err, errLater)
	interrupted := ctx.Err() != nil
	if !later && !interrupted {
		problem := state.NewProblem(err, t.now())
		if !problem.Same(t.account.Problem) {
			t.account.Problem = problem
		}
	}
	if saveErr := t.save(save); saveErr != nil && !errors.Is(saveErr, state.ErrClaimed) && !errors.Is(saveErr, state.ErrLost) {
		err = errors.Join(err, saveErr)
		later = false
	}
	switch {
	case later:
		t.log.InfoContext(ctx, "capture continues at a later tick", "reason", err.Error())
		return nil
	case interrupted:
		t.log.InfoContext(ctx, "capture interrupted, a later tick continues", "reason", context.Cause(ctx).Error())
		return nil
	}
	return err
}

// signInNeeded notes with the job that its account must sign in again, where X refuses
// its token, and takes that back when X takes the token after all.
func (t *turn) signInNeeded(ctx context.Context, err error) error {
	refused := errors.Is(err, twitter.ErrToken)
	// What the Compliance Center asks for is not taken back: only a refusal that was noted here.
	back := t.accepted && t.job.SignInNeeded && t.refused
	if refused == t.job.SignInNeeded && !back || !refused && !back {
		return nil
	}
	if refused {
		t.log.WarnContext(ctx, "X refuses the account's token; the account must sign in with X again")
	}
	err = t.capture.opt.State.UpdateJob(ctx, t.job.ID, func(job *state.Job) error {
		if job.AccountID != t.account.ID {
			return errOtherJob
		}
		job.SignInNeeded = refused
		return nil
	})
	if errors.Is(err, errOtherJob) {
		return nil
	}
	return err
}

// errOtherJob: the job was deleted, or turned to another account, meanwhile.
var errOtherJob = errors.New("the job is another by now")

func (t *turn) save(ctx context.Context) error {
	if err := t.writeManifest(ctx); err != nil {
		return err
	}
	t.savedAt = t.now()
	return t.record.Save(ctx)
}

// saveEvery is how often progress within a page is written down.
const saveEvery = 5 * time.Second

// answered takes note of what an answer says besides posts: the rate budget, and
// X's clock.
func (t *turn) answered(ctx context.Context, a twitter.Answer) {
	t.account.Rate = state.Rate(a.Rate)
	t.capture.opt.Telemetry.XBudget(ctx, t.account.ID, a.Rate.Limit, a.Rate.Remaining)
	if a.Date.IsZero() {
		return
	}
	skew := a.Date.Sub(t.now()).Round(time.Second)
	if skew.Abs() <= tolerated {
		skew = 0
	}
	if skew != 0 && t.account.Skew == 0 {
		t.log.WarnContext(ctx, "this machine's clock is wrong; what is new is decided by X's clock, but set it right", "xIsAheadBy", skew.String(), "cause", string(fault.Clock))
	}
	t.account.Skew = skew
	t.capture.opt.Telemetry.ClockSkew(ctx, -skew)
}

// tolerated is up to how much the two clocks may differ: X's Date has whole seconds,
// and an answer takes its time.
const tolerated = 5 * time.Second

// xTime returns when X gave an answer, by X's own clock.
func (t *turn) xTime(a twitter.Answer) time.Time {
	if a.Date.IsZero() {
		return t.now().UTC().Truncate(time.Second)
	}
	return a.Date
}

// xNow returns what X's clock probably shows, before X was asked.
func (t *turn) xNow() time.Time { return t.now().Add(t.account.Skew).UTC() }
