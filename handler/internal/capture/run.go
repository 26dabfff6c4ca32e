package capture

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// bringUpToDate finishes the run that is under way, or begins one with the first
// page that X just gave.
func (t *turn) bringUpToDate(ctx context.Context, first *twitter.Answer) error {
	if first != nil {
		if err := t.begin(ctx, *first); err != nil {
			return err
		}
	}
	resumed := first == nil
	t.resumed, t.aside = resumed, t.aside || resumed
	for run := t.account.Run; !run.Checked; {
		if err := t.read(ctx, &resumed); err != nil {
			return err
		}
		if err := t.reached(ctx); err != nil {
			return err
		}
		if !run.Complete {
			continue // it was not at its end
		}
		if err := t.checkKnown(ctx); err != nil {
			return err
		}
		// What was decided is written down together with the first page that is
		// archived; until then it can be decided again.
		run.Checked = true
	}
	if err := t.store(ctx); err != nil {
		return err
	}
	return t.finish(ctx)
}

// dropEmptyRun forgets a run that has read nothing: it can be begun again.
func (t *turn) dropEmptyRun() {
	if run := t.account.Run; run != nil && run.Pages == 0 {
		t.account.Run = nil
	}
}

// begin makes a run of a first page. The page is retained before the run is written
// down: a page without a run is swept, a run without its page would stand still.
func (t *turn) begin(ctx context.Context, first twitter.Answer) error {
	began := t.xTime(first)
	t.account.Run = &state.Run{
		// No other run may find this one's pages, not even one that begins in the same
		// second on another instance.
		Key:     strconv.FormatInt(began.Unix(), 10) + "-" + rand.Text()[:8],
		SinceID: t.sinceID, CursorBefore: t.account.Cursor,
		Began:   began,
		CoverTo: began.Add(-Settle),
	}
	return t.keep(ctx, 0, first)
}

// keep retains a page and takes it into account. Meanwhile X is asked for the next
// one; if the page cannot be retained, that answer is dropped, and the run ends.
func (t *turn) keep(ctx context.Context, n int, answer twitter.Answer) error {
	t.askAhead(ctx, n, answer.Page.Meta.NextToken)
	if err := t.retain(ctx, n, answer); err != nil {
		t.dropAhead()
		return err
	}
	return nil
}

func (t *turn) retain(ctx context.Context, n int, answer twitter.Answer) error {
	run := t.account.Run
	kept, err := t.keepRaw(ctx, answer)
	if err != nil {
		return err
	}
	if err := t.capture.opt.State.PutPage(ctx, t.account.ID, run.Key, n, kept); err != nil {
		return err
	}
	t.retained = true
	if len(answer.Raw) <= pageKept {
		kept.JSON = nil
		t.pages[n] = read{answer.Page, kept}
	}
	t.note(answer.Page, t.xTime(answer))
	return t.save(ctx)
}

// read is a page of this turn, and where it came from.
type read struct {
	post.Page
	from state.Retained
}

// pageKept is up to how many bytes a page of this turn is held in memory until it is
// archived, instead of being read again.
const pageKept = 1 << 20

// read keeps pages until X has no more. resumed: no page was read in this turn yet.
func (t *turn) read(ctx context.Context, resumed *bool) error {
	run := t.account.Run
	for !run.Complete {
		if run.Pages >= t.maxPages() && run.NextToken != "" {
			// The token leads round in a circle, and would do so for ever. The next turn asks
			// without it: X, once it is well, then gives the rest, a page a turn.
			if run.OldestID == "" {
				t.account.Run = nil
			} else {
				goOnBelow(run)
			}
			return fmt.Errorf("%w: it gives more pages than a timeline can have", twitter.ErrUnavailable)
		}
		// A run that was interrupted may have retained a page that it did not write down.
		if *resumed {
			*resumed = false
			if found, err := t.takeRetained(ctx); err != nil || found {
				if err != nil {
					return err
				}
				continue
			}
		}
		answer, err := t.nextPage(ctx)
		if err != nil {
			return err
		}
		if err := t.keep(ctx, run.Pages, answer); err != nil {
			return err
		}
	}
	return nil
}

// takeRetained takes the run's next page from the state container, where it is if
// the run was interrupted just after retaining it.
func (t *turn) takeRetained(ctx context.Context) (found bool, err error) {
	run := t.account.Run
	raw, err := t.capture.opt.State.Page(ctx, t.account.ID, run.Key, run.Pages)
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	page, err := twitter.ReadAnswer(raw.JSON)
	if err != nil {
		return false, err
	}
	t.retained = true
	t.note(page, t.xNow()) // not later than this
	return true, t.save(ctx)
}

// goOnBelow makes a run read on below the oldest post it has read, without a page token.
func goOnBelow(run *state.Run) {
	run.UntilID, run.NextToken, run.Complete = run.OldestID, "", false
}

// query asks for a page of the run.
func (t *turn) query(token string) twitter.Query {
	run := t.account.Run
	return twitter.Query{SinceID: run.SinceID, UntilID: run.UntilID, EndTime: run.EndTime, PageFrom: token, Size: t.capture.opt.PageSize}
}

// nextPage reads the run's next page from X.
func (t *turn) nextPage(ctx context.Context) (twitter.Answer, error) {
	run := t.account.Run
	answer, err := t.timeline(ctx, t.query(run.NextToken))
	switch {
	case errors.Is(err, twitter.ErrInvalid) && run.NextToken != "":
		// X no longer takes the token. The page is also named by the oldest post
		// before it. A run without a post has cost nothing, and begins again.
		if run.OldestID == "" {
			t.account.Run = nil
			return twitter.Answer{}, fmt.Errorf("%w: X no longer takes the page token of a run that has read no post; it begins again", errLater)
		}
		t.log.WarnContext(ctx, "X refuses a page token; going on below the oldest post read", "untilID", run.OldestID)
		goOnBelow(run)
		return t.nextPage(ctx)
	case err != nil:
		return twitter.Answer{}, err
	}
	if circle(run, answer.Page) {
		return twitter.Answer{}, fmt.Errorf("%w: it gives the same page again", twitter.ErrUnavailable)
	}
	return answer, nil
}

// circle reports whether a page leads back to what the run has read: it names itself
// as the next one, or has only posts that are not older than those before it.
func circle(run *state.Run, page post.Page) bool {
	if page.Meta.NextToken == "" {
		return false
	}
	if page.Meta.NextToken == run.NextToken {
		return true
	}
	oldest, _ := oldestOf(inTimeline(page))
	return run.OldestID != "" && oldest != "" && post.CompareIDs(oldest, run.OldestID) >= 0
}

// maxPages bounds a run. X leaves posts out of pages, so that there may be more pages
// than posts need; far more is a circle of page tokens.
func (t *turn) maxPages() int { return 10 * t.capture.opt.Reach / t.capture.opt.PageSize }

// note takes a page into account.
func (t *turn) note(page post.Page, at time.Time) {
	run := t.account.Run
	docs := inTimeline(page)
	if id, created := oldestOf(docs); id != "" && (run.OldestID == "" || post.CompareIDs(id, run.OldestID) < 0) {
		run.OldestID = id
		if !created.IsZero() {
			run.Oldest = created
		}
	}
	if id := newestOf(docs); run.NewestID == "" || id != "" && post.CompareIDs(id, run.NewestID) > 0 {
		run.NewestID = id
	}
	run.Pages++
	run.Posts += len(docs) + len(page.Unreadable)
	for _, id := range t.known(page) {
		if !slices.Contains(run.Returned, id) {
			run.Returned = append(run.Returned, id)
		}
	}
	run.LastPage = at
	run.NextToken = page.Meta.NextToken
	run.Complete = run.NextToken == ""
}

// oldestOf returns the post with the smallest id and when it was posted.
func oldestOf(docs []post.Document) (id string, created time.Time) {
	if len(docs) == 0 {
		return "", time.Time{}
	}
	d := slices.MinFunc(docs, byID)
	if d.Post == nil {
		return d.ID, time.Time{}
	}
	return d.ID, d.Post.CreatedAt
}

func newestOf(docs []post.Document) string {
	if len(docs) == 0 {
		return ""
	}
	return slices.MaxFunc(docs, byID).ID
}

func byID(a, b post.Document) int { return post.CompareIDs(a.ID, b.ID) }

// inTimeline returns the posts of a page that X counts, without earlier versions.
func inTimeline(page post.Page) []post.Document {
	return slices.DeleteFunc(slices.Clone(page.Posts), func(d post.Document) bool { return d.Earlier })
}

// finish ends a run whose pages are archived. Its pages go after that: what a crash
// leaves of them is removed at the end of the account's next run.
func (t *turn) finish(ctx context.Context) error {
	run := t.account.Run
	if !run.Uncovered {
		t.cover(state.Range{From: run.From, To: run.CoverTo})
	}
	t.account.Run, t.account.Slow = nil, nil
	t.upToDate(ctx)
	return t.save(ctx)
}
