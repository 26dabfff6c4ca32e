package capture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// store archives the retained pages, the oldest first.
func (t *turn) store(ctx context.Context) error {
	run := t.account.Run
	for run.Stored < run.Pages {
		n := run.Pages - 1 - run.Stored
		page, err := t.page(ctx, n)
		if errors.Is(err, state.ErrNotFound) {
			return t.beginAgain(ctx, n)
		}
		if err != nil {
			return err
		}
		if err := t.storePage(ctx, page); err != nil {
			return err
		}
		if err := t.countAside(ctx); err != nil {
			return err
		}
		delete(t.pages, n)
		docs := inTimeline(page)
		if newest := newestOf(docs); newest != "" && post.CompareIDs(newest, t.account.Cursor) > 0 {
			t.account.Cursor = newest
		}
		t.addKnown(docs)
		if to := newestTime(docs); !run.Uncovered && !to.IsZero() {
			t.cover(state.Range{From: run.From, To: earliest(to, run.CoverTo)})
			if run.CursorBefore == "" { // a first read is long, and has nothing known on its other pages
				t.forgetKnown()
			}
		}
		run.Stored, run.Within = run.Stored+1, 0
		if run.Stored == run.Pages {
			return nil // finish saves
		}
		if err := t.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// beginAgain ends a run of which a page is no longer there, since somebody has removed
// it: the run would stand still. What is archived of it is known and covered, and
// the next run reads the rest again.
func (t *turn) beginAgain(ctx context.Context, n int) error {
	t.log.ErrorContext(ctx, "a retained page of X's timeline is gone from the state container; what it held is read again", "page", n)
	t.account.Run = nil
	return fmt.Errorf("page %d, which was retained, is gone from the state container; the run begins again", n)
}

// newestTime returns when the newest of a page's posts was posted: X gives whole
// seconds, and others of that second may be on the next page.
func newestTime(docs []post.Document) (at time.Time) {
	for _, d := range docs {
		if d.Post != nil {
			at = latest(at, d.Post.CreatedAt)
		}
	}
	return at
}

// page returns page n of the run.
func (t *turn) page(ctx context.Context, n int) (post.Page, error) {
	if page, ok := t.pages[n]; ok {
		t.cameFrom(page.from, ids(page.Page)...)
		return page.Page, nil
	}
	raw, err := t.capture.opt.State.Page(ctx, t.account.ID, t.account.Run.Key, n)
	if err != nil {
		return post.Page{}, err
	}
	t.retained = true
	page, err := twitter.ReadAnswer(raw.JSON)
	t.cameFrom(raw, ids(page)...)
	return page, err
}

func ids(page post.Page) []string {
	out := make([]string, len(page.Posts))
	for i, d := range page.Posts {
		out[i] = d.ID
	}
	return out
}

// storePage archives a page's posts and the earlier versions of edited ones.
func (t *turn) storePage(ctx context.Context, page post.Page) error {
	run := t.account.Run
	for _, u := range page.Unreadable {
		out, err := t.setAside(ctx, post.Document{JSON: u.Raw}, u.Err)
		if err != nil {
			return err
		}
		if err := t.archived(ctx, out); err != nil {
			return err
		}
	}
	page.Posts = t.ownVersions(ctx, page.Posts)
	versions, err := t.earlierVersions(ctx, page.Posts, run.Key)
	if err != nil {
		return err
	}
	if versions, err = t.complete(ctx, versions, run.Key); err != nil {
		return err
	}
	if err := t.archiveAll(ctx, versions, func(int) {}); err != nil {
		return err
	}
	docs := slices.SortedFunc(slices.Values(page.Posts), byID)
	docs = slices.DeleteFunc(docs, func(d post.Document) bool { return t.isKnown(d.ID) && !t.changed(d) }) // read again, and archived
	begin := min(run.Within, len(docs))
	rest, err := t.complete(ctx, docs[begin:], run.Key)
	if err != nil {
		return err
	}
	return t.archiveAll(ctx, rest, func(n int) { run.Within = begin + n })
}

// archiveAll archives posts, several at once. done is called with how many of the
// first posts are archived without one missing among them; from time to time that is
// written down. So an interrupted page goes on where it stopped, post by post.
//
// Only this goroutine touches the account; those that archive hand over what came of
// it.
func (t *turn) archiveAll(ctx context.Context, docs []post.Document, done func(int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := t.archiveEach(ctx, docs)
	finished, first := make([]bool, len(docs)), 0
	var failed error
	for r := range results {
		err := r.err
		if err == nil {
			err = t.archived(ctx, r.out)
		} else {
			t.interrupted(ctx, docs[r.n].ID, err)
		}
		if err == nil {
			finished[r.n] = true
			for first < len(docs) && finished[first] {
				first++
			}
			done(first)
			if t.now().Sub(t.savedAt) >= saveEvery {
				err = t.save(ctx)
			}
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("post %s: %w", docs[r.n].ID, err)
			cancel(errNeighbour)
		}
	}
	return failed
}

var (
	// errNeighbour stops the archiving of posts beside one that failed.
	errNeighbour = errors.New("another post could not be archived")
	// errNotBegun: time was over before it was the post's turn.
	errNotBegun = errors.New("its turn did not come")
)

// result is what came of the n-th post.
type result struct {
	n   int
	out outcome
	err error
}

// archiveEach archives posts, several at once, and yields what came of each. The
// channel is closed when all have ended.
func (t *turn) archiveEach(ctx context.Context, docs []post.Document) <-chan result {
	results := make(chan result, len(docs))
	slow := make([]int, len(docs))
	for i, doc := range docs {
		slow[i] = t.account.Slow[doc.ID]
	}
	waiting := maps.Clone(t.account.Waiting)
	go func() {
		defer close(results)
		var group sync.WaitGroup
		defer group.Wait()
		for i, doc := range docs {
			if err := t.capture.posts.Acquire(ctx, 1); err != nil {
				results <- result{n: i, err: fmt.Errorf("%w: %w", errNotBegun, context.Cause(ctx))}
				return
			}
			group.Go(func() {
				defer t.capture.posts.Release(1)
				r := result{n: i}
				panicked := panics.Catch(func() error {
					r.out, r.err = t.archivePost(ctx, doc, slow[i], waiting)
					return nil
				})
				if panicked != nil {
					r.out, r.err = t.setAside(ctx, doc, panicked)
				}
				results <- r
			})
		}
	}()
	return results
}

// outcome is what came of archiving a post.
type outcome struct {
	added   bool            // its message is new in the archive
	aside   bool            // it is set aside
	first   bool            // it was set aside just now
	post    *post.Post      // nil if it was set aside
	entries []archive.Entry // of its message, and of those that have it as X gave it later
	before  bool            // its message was there before
	given   bool            // the text is archived of which an earlier message has a notice only
	waiting []state.Waiting // what did not come yet
}

// archived takes note of what came of a post.
func (t *turn) archived(ctx context.Context, out outcome) error {
	t.aside = t.aside || out.aside
	if out.first {
		if t.account.SetAside.Posts == 0 { // else those of an older version are still to be tried
			t.account.SetAside.Version = t.capture.opt.Version
		}
		t.account.SetAside.Posts++
		t.capture.opt.Telemetry.SetAside(ctx, t.account.ID)
	}
	if out.post == nil {
		return nil
	}
	if at, err := time.Parse(time.RFC3339, out.post.Author.Since); err == nil && out.post.Author.ID == t.account.ID {
		t.account.Since = at.UTC()
	}
	if out.added && out.post.Kind() == post.Mentioning {
		t.mentions++ // it is not the account's, and X does not count it as such
	} else if out.added {
		t.account.CountPost(out.post.CreatedAt)
		if out.post.Version() > 1 {
			t.account.Versions++
		}
	}
	if out.added {
		t.capture.opt.Telemetry.PostArchived(ctx, t.account.ID, string(out.post.Kind()))
	}
	for _, w := range out.waiting {
		t.waitFor(ctx, w)
	}
	if out.given {
		t.account.Lost = slices.DeleteFunc(t.account.Lost, func(l state.Lost) bool { return l.Text && l.PostID == out.post.ID })
	}
	delete(t.account.Slow, out.post.ID)
	again := out.entries
	text := state.Waiting{PostID: out.post.ID, Text: true}.Key()
	w, waits := t.account.Waiting[text]
	switch later := len(out.entries) - 1; {
	case !out.before, !t.closely && !t.isKnown(out.post.ID): // a run was interrupted before it could list the message
	case waits && w.Done == later: // a text that is asked for again and again
		again = nil
	default:
		again = again[1:]
	}
	if waits {
		w.Done = len(out.entries) - 1
		t.account.Waiting[text] = w
	}
	for _, e := range again {
		t.list(e)
		if err := t.noteLate(ctx, out.post.CreatedAt, e.Key, e.Name); err != nil {
			return err
		}
	}
	return nil
}

// countAside counts the posts that are set aside, where there may be more than before. A
// process that was killed may not have counted what it set aside.
func (t *turn) countAside(ctx context.Context) error {
	if !t.aside {
		return nil
	}
	n, err := t.capture.opt.State.CountAside(ctx, t.account.ID)
	if err != nil {
		return err
	}
	if n > t.account.SetAside.Posts {
		t.account.SetAside.Version = "" // who knows which version has tried them
	}
	t.account.SetAside.Posts, t.aside = n, false
	return nil
}

// interrupted counts that a tick's end interrupted the archiving of a post.
func (t *turn) interrupted(ctx context.Context, postID string, err error) {
	var media *mediaError
	if errors.Is(err, errNotBegun) || !errors.As(err, &media) && !errors.Is(err, context.DeadlineExceeded) || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return // it failed, or a neighbour did, or the process is told to stop
	}
	if t.account.Slow == nil {
		t.account.Slow = map[string]int{}
	}
	t.account.Slow[postID]++
}

// noteLate notes a message for the job's next task if a task has already begun to
// deliver the time that it belongs to. The message is in the archive by now, and
// whoever delivers a window says so before listing it: one of the two sees the other. So
// the windows are read after each message, never remembered.
func (t *turn) noteLate(ctx context.Context, created time.Time, key, name string) error {
	at := state.Range{From: created, To: created.Add(1)}
	if !created.Before(t.account.Covered.End()) && !t.account.Missing().Contains(at) {
		return nil // no task can have delivered it: tasks wait for coverage, but not for gaps
	}
	return t.noteDelivered(ctx, created, key, name)
}

// noteDelivered is noteLate for who does not know how far the account is covered by now.
func (t *turn) noteDelivered(ctx context.Context, created time.Time, key, name string) error {
	at := state.Range{From: created, To: created.Add(1)}
	delivered, err := t.capture.opt.State.Delivered(ctx, t.job.ID, t.account.ID)
	if err != nil || !delivered.Contains(at) {
		return err
	}
	t.log.InfoContext(ctx, "archived into a time that is already delivered; the next task delivers it", "message", key)
	return t.capture.opt.State.AddLate(ctx, t.job.ID, state.Late{AccountID: t.account.ID, Name: name, Key: key, Noted: t.now().UTC()})
}
