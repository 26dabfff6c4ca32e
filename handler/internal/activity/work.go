package activity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// work works on the events that came, account by account.
func (k *Keeper) work(ctx context.Context) (worked int, err error) {
	events, damaged, err := k.opt.State.Events(ctx)
	if err != nil {
		return 0, fmt.Errorf("activity: reading the events that came: %w", err)
	}
	var failures []error
	for _, d := range damaged {
		failures = append(failures, fmt.Errorf("activity: %w", d.Err))
	}
	for len(events) > 0 && ctx.Err() == nil {
		account := events[0].AccountID
		mine := slices.IndexFunc(events, func(e state.Event) bool { return e.AccountID != account })
		if mine < 0 {
			mine = len(events)
		}
		n, err := k.account(ctx, account, events[:mine])
		if worked += n; err != nil && ctx.Err() == nil {
			failures = append(failures, fmt.Errorf("activity: account %s: %w", account, err))
		}
		events = events[mine:]
	}
	return worked, errors.Join(failures...)
}

// account works on the events of an account. That a post was made needs no work but that
// the account had its turn since; unless the post was gone, and is back.
func (k *Keeper) account(ctx context.Context, accountID string, events []state.Event) (worked int, err error) {
	now := k.opt.Now().UTC()
	owner, err := k.opt.State.Owner(ctx, accountID, now)
	if err != nil {
		return 0, fmt.Errorf("reading whose account it is: %w", err)
	}
	account, err := k.opt.State.Account(ctx, accountID)
	if err != nil {
		return 0, fmt.Errorf("reading the account: %w", err)
	}
	list, err := k.opt.State.Gone(ctx, accountID)
	if err != nil {
		return 0, fmt.Errorf("reading which posts are gone: %w", err)
	}
	var ask []state.Event
	for _, e := range events {
		known := list.Find(e.PostID)
		missing := known != nil && known.Back.IsZero()
		switch {
		case now.Before(e.Next), owner != "" && account.LastRun.Before(e.At):
			continue // the account's turn is still to come
		case owner == "":
		case e.What == state.EventCreated && missing, e.What == state.EventDeleted && !missing:
			ask = append(ask, e)
			continue
		}
		if err := k.opt.State.EndEvent(ctx, e); err != nil {
			return worked, fmt.Errorf("ending an event: %w", err)
		}
		worked++
	}
	if len(ask) == 0 {
		return worked, nil
	}
	job, err := k.opt.State.Job(ctx, owner)
	if err != nil {
		return worked, fmt.Errorf("reading its job: %w", err)
	}
	err = k.opt.Capture.Visit(ctx, job, func(ctx context.Context, visit *capture.Visit) error {
		for some := range slices.Chunk(ask, twitter.MaxLookup) {
			n, err := k.confirm(ctx, visit, job, some)
			if worked += n; err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, capture.ErrBusy) {
		return worked, nil // at a later tick
	}
	return worked, err
}

// confirm asks X about posts of which it has sent events, and has it noted what X says:
// what it says of its own accord, and what it says when it is asked, are to agree.
func (k *Keeper) confirm(ctx context.Context, visit *capture.Visit, job state.Job, events []state.Event) (worked int, err error) {
	var ids []string
	for _, e := range events {
		if !slices.Contains(ids, e.PostID) {
			ids = append(ids, e.PostID)
		}
	}
	entries, err := k.opt.Archive.FindPosts(ctx, job.AccountID, ids)
	if err != nil {
		return 0, fmt.Errorf("finding the posts: %w", err)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return entries[id] == archive.Entry{} })
	said := map[string]bool{} // whether X gives the post
	if len(ids) > 0 {
		if k.opt.Budget != nil {
			granted, done, err := k.opt.Budget.Ask(ctx, len(ids))
			if err != nil {
				return 0, fmt.Errorf("asking how much may be read of X: %w", err)
			}
			defer done()
			if granted < len(ids) {
				return 0, k.postpone(ctx, events) // what may be read this month is needed for new posts
			}
		}
		answer, err := visit.Look(twitter.For(ctx, twitter.Audits), ids)
		if err != nil {
			k.opt.Log.WarnContext(ctx, "X does not answer about posts that it told of; it is asked again", "job", job.ID, "account", job.AccountID, "reason", err.Error())
			return 0, k.postpone(ctx, events)
		}
		looks := capture.Looks(answer.Page, entries)
		if _, _, err := k.opt.Gone.Note(ctx, job.ID, job.AccountID, gone.ByActivity, looks, visit.List); err != nil {
			return 0, fmt.Errorf("noting what X says: %w", err)
		}
		for _, l := range looks {
			said[l.Entry.PostID] = l.Problem == nil
		}
	}
	for _, e := range events {
		_, archived := entries[e.PostID]
		given, answered := said[e.PostID]
		agrees := answered && given == (e.What == state.EventCreated)
		log := k.opt.Log.With("job", job.ID, "account", job.AccountID, "post", e.PostID, "event", e.ID)
		switch late := k.opt.Now().Sub(e.At) >= patience; {
		case !archived && e.What == state.EventDeleted:
			log.WarnContext(ctx, "X tells that a post was deleted which is not archived: it was gone before it was read")
		case archived && !agrees && !late:
			if err := k.postpone(ctx, []state.Event{e}); err != nil {
				return worked, err
			}
			continue
		case archived && !agrees:
			log.WarnContext(ctx, "X told otherwise of a post than it answers for a day; what it answers counts", "what", e.What)
		}
		if err := k.opt.State.EndEvent(ctx, e); err != nil {
			return worked, fmt.Errorf("ending an event: %w", err)
		}
		worked++
	}
	return worked, nil
}

func (k *Keeper) postpone(ctx context.Context, events []state.Event) error {
	for _, e := range events {
		e.Next = k.opt.Now().Add(retry).UTC()
		if err := k.opt.State.PostponeEvent(ctx, e); err != nil && !errors.Is(err, state.ErrClaimed) {
			return fmt.Errorf("postponing an event: %w", err)
		}
	}
	return nil
}
