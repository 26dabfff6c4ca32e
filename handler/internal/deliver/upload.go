package deliver

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"
)

const (
	itemsAtOnce = 16

	// ahead is how many messages may be on their way, or done, before an older one
	// is. What is done before an older one counts only once that one is done, too.
	ahead = 200
)

// uploads are the items of one walk.
type uploads struct {
	attempt *attempt
	inbox   Inbox
	folder  string     // of the task in its container, with a slash
	pending []*item    // in the walk's order: the task's position waits for the first
	results chan *item // have room for all that are in flight
	flying  int
	begun   int
	done    int
	failed  int
}

// upload uploads what a walk yields, and returns why it did not reach the walk's
// end.
func (a *attempt) upload(ctx context.Context, inbox Inbox, walk iter.Seq2[archive.Entry, error]) error {
	u := &uploads{attempt: a, inbox: inbox, results: make(chan *item, itemsAtOnce),
		folder: a.claim.Task.JobID + "/" + a.claim.Task.TaskID + "/"}
	err := u.run(ctx, walk)
	if err == nil {
		err = u.firstError()
	}
	if err == nil {
		a.item = ""
		return nil
	}
	u.conclude(ctx, err)
	return err
}

// run returns why it stopped before the walk's end: a failure of the walk, of
// writing progress down, or of everything that is uploaded.
func (u *uploads) run(ctx context.Context, walk iter.Seq2[archive.Entry, error]) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	next, end := iter.Pull2(walk)
	defer end()
	tick := time.NewTicker(saveTime)
	defer tick.Stop()
	var failure error
	for more := true; ; {
		for more && failure == nil && u.flying < itemsAtOnce && len(u.pending) < ahead {
			if ctx.Err() != nil {
				failure = context.Cause(ctx)
				break
			}
			entry, err, ok := next()
			switch {
			case !ok:
				more = false
			case errors.Is(err, archive.ErrForeign):
				u.attempt.leave(ctx, entry.Name, err)
			case err != nil:
				failure = fmt.Errorf("listing the archive: %w", err)
			default:
				u.start(work, entry)
			}
		}
		if u.flying == 0 {
			return failure
		}
		select {
		case it := <-u.results:
			if err := u.returned(ctx, it); err != nil && failure == nil {
				failure = err
				stop()
			}
		case <-tick.C:
		}
		if failure == nil && u.attempt.progress.due() {
			if failure = u.save(ctx); failure != nil {
				stop()
			}
		}
	}
}

func (u *uploads) start(ctx context.Context, e archive.Entry) {
	it := &item{entry: e, before: u.attempt.progress.partial(e.Key)}
	it.staged, it.seen = it.before.Staged, it.before.Staged
	u.pending = append(u.pending, it)
	u.flying++
	u.begun++
	go func() {
		it.err = panics.Catch(func() error { return u.put(ctx, it) })
		u.results <- it
	}()
}

// returned takes an upload's result. It returns an error that nothing can be
// uploaded with.
func (u *uploads) returned(ctx context.Context, it *item) error {
	u.flying--
	it.returned = true
	switch {
	case it.err == nil:
		it.settled = true
		u.done++
		u.attempt.progress.uploaded++
		u.attempt.progress.made = true
		u.attempt.progress.dropPartial(it.entry.Key)
	case isFinal(it.err):
		u.leave(ctx, it, it.err)
	case errors.Is(it.err, importer.ErrGone), errors.Is(it.err, importer.ErrExpired):
		return it.err
	default:
		u.failed++
		if u.done == 0 && u.failed >= itemsAtOnce && ctx.Err() == nil {
			return u.wrap(it)
		}
	}
	u.advance()
	return nil
}

// advance hands on the messages at the front of the walk that are settled.
func (u *uploads) advance() {
	for len(u.pending) > 0 && u.pending[0].settled {
		it := u.pending[0]
		u.pending[0], u.pending = nil, u.pending[1:]
		var uploaded *state.Item
		if it.err == nil {
			uploaded = &state.Item{ID: it.entry.Key, Modified: it.entry.Created, FileName: importer.FileName(it.entry.Key)}
		}
		u.attempt.progress.settle(it.entry.Name, uploaded)
	}
}

// save writes progress down, with how far the items in flight have got.
func (u *uploads) save(ctx context.Context) error {
	for _, it := range u.pending {
		if !it.settled && !it.returned {
			it.mu.Lock()
			seen := it.seen
			it.mu.Unlock()
			u.attempt.progress.setPartial(it.entry.Key, seen, it.before.Tries)
		}
	}
	return u.attempt.progress.save(ctx)
}

// conclude notes what an attempt that did not reach its end means for the items
// that it was at.
func (u *uploads) conclude(ctx context.Context, cause error) {
	a := u.attempt
	unfinished := 0
	for _, it := range u.pending {
		if !it.settled {
			unfinished++
			a.progress.made = a.progress.made || it.staged.Blocks > it.before.Staged.Blocks
		}
	}
	if unfinished > 0 {
		a.item = u.pending[0].entry.Key
	}
	for i, it := range u.pending {
		if it.settled {
			continue
		}
		further := it.staged.Blocks > it.before.Staged.Blocks
		itself := ctx.Err() == nil && it.err != nil && !errors.Is(it.err, context.Canceled) // failed
		tries := it.before.Tries
		switch {
		case further:
			tries = 0
		case !a.progress.made && u.begun > 1:
			// Nothing works: that says nothing about this item.
		case itself || i == 0 && ctx.Err() != nil:
			tries++
		}
		if tries < maxAttempts {
			a.progress.setPartial(it.entry.Key, it.staged, tries)
			continue
		}
		err := it.err
		if err == nil {
			err = cause
		}
		u.leave(ctx, it, fmt.Errorf("%d attempts brought it no further; the last ended with: %w", tries, err))
		a.progress.made = true // the rest goes on
	}
	u.advance()
}

// leave goes on without an item.
func (u *uploads) leave(ctx context.Context, it *item, err error) {
	it.settled, it.err = true, err
	u.attempt.leave(ctx, it.entry.Key, err)
	u.attempt.progress.made = true
}

// leave notes that a message cannot be delivered.
func (a *attempt) leave(ctx context.Context, key string, err error) {
	if a.progress.leave(key, state.NewProblem(err, a.deliver.Now())) {
		a.log.ErrorContext(ctx, "a message cannot be delivered; the others are", "message", key, "error", err.Error())
	}
}

// firstError returns why the oldest message that is not uploaded is not.
func (u *uploads) firstError() error {
	for _, it := range u.pending {
		if !it.settled {
			return u.wrap(it)
		}
	}
	return nil
}

func (u *uploads) wrap(it *item) error {
	return fmt.Errorf("uploading the item of message %s: %w", it.entry.Key, it.err)
}
