package deliver

import (
	"context"
	"errors"
	"iter"
	"slices"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"

	"golang.org/x/sync/errgroup"
)

// A task delivers, besides the messages of its window, those that were archived
// late into windows delivered before, and what capture found of the posts that the
// task asks about. Which these are is written down once, as the task's extra chunk,
// when the window is through; then they are uploaded. A message that the window's
// walk has uploaded is not among them. Two tasks of a job that are delivered at the
// same time may both have a late message: better twice than not at all.

// planExtra writes the extra chunk, if there is anything for it.
func (a *attempt) planExtra(ctx context.Context) error {
	if err := a.progress.flush(ctx); err != nil {
		return err
	}
	t := &a.claim.Task
	late, damaged, err := a.deliver.State.Late(ctx, t.JobID)
	if err != nil {
		return err
	}
	if err := a.deliver.setAside(ctx, damaged); err != nil {
		a.log.WarnContext(ctx, "a late message cannot be read and is not delivered with this task", "error", err.Error())
	}
	found, err := a.lookedUp(ctx)
	if err != nil {
		return err
	}
	names := slices.Clone(found.Names)
	for _, l := range late {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	entries, err := a.find(ctx, slices.Compact(names))
	if err != nil {
		return err
	}
	if entries, err = a.withoutWindow(ctx, entries); err != nil || len(entries) == 0 {
		return err
	}
	slices.SortFunc(entries, archive.Oldest)
	items := make([]state.Item, len(entries))
	for i, e := range entries {
		items[i] = state.Item{ID: e.Key, Modified: e.Created, FileName: importer.FileName(e.Key), Name: e.Name}
	}
	if err := a.claim.PutItems(ctx, t.Chunks, items); err != nil {
		return err
	}
	t.Extra, t.ExtraDone, a.progress.made = true, 0, true
	return a.progress.save(ctx)
}

// lookedUp returns what capture found of the posts that the task asks about.
func (a *attempt) lookedUp(ctx context.Context) (state.Found, error) {
	t := a.claim.Task
	if a.found == nil {
		a.found = &state.Found{}
		if len(t.Dirty) > 0 {
			f, err := a.deliver.State.Found(ctx, t.JobID, t.TaskID)
			if err != nil {
				a.found = nil
				return f, err
			}
			a.found = &f
		}
	}
	return *a.found, nil
}

// find returns the entries of those names. It leaves names of which nothing can be
// delivered.
func (a *attempt) find(ctx context.Context, names []string) ([]archive.Entry, error) {
	entries, failures := make([]archive.Entry, len(names)), make([]error, len(names))
	group, finding := errgroup.WithContext(ctx)
	group.SetLimit(itemsAtOnce)
	for i, name := range names {
		group.Go(func() error {
			entries[i], failures[i] = a.deliver.Archive.Find(finding, name)
			if failures[i] != nil && !isFinal(failures[i]) {
				return failures[i]
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := entries[:0]
	for i, e := range entries {
		if failures[i] != nil {
			a.leave(ctx, names[i], failures[i])
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

// withoutWindow returns the entries but for those that the window's walk has uploaded
// or left.
func (a *attempt) withoutWindow(ctx context.Context, entries []archive.Entry) ([]archive.Entry, error) {
	t := a.claim.Task
	walked := map[string]bool{} // by file name; false until it is found
	for _, e := range entries {
		if !e.Created.Before(t.Start) && !e.Created.After(t.End) {
			walked[importer.FileName(e.Key)] = isLeft(t, e.Key)
		}
	}
	if len(walked) == 0 {
		return entries, nil
	}
	for item, err := range a.deliver.State.Items(ctx, t.JobID, t.TaskID, 0, t.Chunks) {
		if err != nil {
			return nil, err
		}
		if _, asked := walked[item.FileName]; asked {
			walked[item.FileName] = true
		}
	}
	return slices.DeleteFunc(entries, func(e archive.Entry) bool { return walked[importer.FileName(e.Key)] }), nil
}

// extra yields the messages of the extra chunk that are still to be uploaded.
func (a *attempt) extra(ctx context.Context) iter.Seq2[archive.Entry, error] {
	t := a.claim.Task
	return func(yield func(archive.Entry, error) bool) {
		i := 0
		for item, err := range a.deliver.State.Items(ctx, t.JobID, t.TaskID, t.Chunks, t.Chunks+1) {
			if i++; err == nil && i <= t.ExtraDone {
				continue
			}
			if !yield(archive.Entry{Name: item.Name, Key: item.ID, Created: item.Modified}, err) || err != nil {
				return
			}
		}
	}
}

// forgetLate removes the late messages that the task has delivered.
func (a *attempt) forgetLate(ctx context.Context) error {
	t := a.claim.Task
	late, _, err := a.deliver.State.Late(ctx, t.JobID) // what is damaged is set aside already
	if err != nil || len(late) == 0 {
		return err
	}
	keys := map[string]string{} // by file name
	for _, l := range late {
		keys[importer.FileName(l.Key)] = l.Key
	}
	var failures []error
	forget := func(fileName string) {
		if key, ok := keys[fileName]; ok {
			failures = append(failures, a.deliver.State.RemoveLate(ctx, t.JobID, key))
			delete(keys, fileName)
		}
	}
	for item, err := range a.items(ctx) {
		if err != nil {
			return err
		}
		forget(item.FileName)
	}
	for _, l := range late { // the verdict has said of these why they are not delivered
		if isLeft(t, l.Key) || isLeft(t, l.Name) {
			forget(importer.FileName(l.Key))
		}
	}
	return errors.Join(failures...)
}
