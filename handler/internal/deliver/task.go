package deliver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/panics"
	"xarchive/handler/internal/state"

	"golang.org/x/sync/errgroup"
)

// work is one claimed task.
type work struct {
	*Deliver
	*state.TaskClaim
	job     state.Job
	log     *slog.Logger
	altered map[string]string // why nothing is delivered of a post, by its id
}

// run takes the task as far as it will go now: to a verdict, and to the
// Import service's having taken it.
func (w *work) run(ctx context.Context) error {
	if w.Verdict == nil {
		verdict, err := w.reachVerdict(ctx)
		if err != nil || verdict == nil {
			return err
		}
		w.Verdict, w.Attempts = verdict, 0
		if err := w.Save(ctx); err != nil {
			return err
		}
	}
	v := w.Verdict
	if v.Status != int(importer.Success) {
		w.log.ErrorContext(ctx, "task failed", "status", v.Status, "reason", v.Reason)
	}
	completion := importer.Completion{TaskID: w.TaskID, Status: importer.Status(v.Status), Items: func(yield func(importer.ItemMetadata, error) bool) {
		for _, item := range v.Items { // as entries has them, oldest first
			if !yield(importer.ItemMetadata{ID: item.ID, Modified: item.Modified, FileName: item.FileName}, nil) {
				return
			}
		}
	}}
	if err := w.Events.Complete(ctx, w.JobID, completion); err != nil {
		return fmt.Errorf("telling the Import service: %w", err)
	}
	ended := w.Now().UTC()
	if err := w.End(ctx, ended); err != nil {
		return err
	}
	w.Telemetry.TaskEnded(ctx, w.ReceivedAt, ended, v.Status)
	w.log.InfoContext(ctx, "task ended", "status", v.Status, "items", len(v.Items), "reason", v.Reason)
	return w.Again.Forget(ctx, w.job.AccountID, w.lookKey())
}

// lookKey names what Relook keeps for this task.
func (w *work) lookKey() string { return "task/" + w.JobID + "/" + w.TaskID }

// reachVerdict uploads the task's items. No verdict and no error: the window
// is not captured yet.
func (w *work) reachVerdict(ctx context.Context) (*state.Verdict, error) {
	account, err := w.State.Account(ctx, w.job.AccountID)
	if err != nil {
		return nil, err
	}
	window := state.Range{From: w.Start, To: w.Task.End.Add(time.Millisecond)}
	missing := account.Covered.Missing(window)
	var unreachable []string
	for _, gap := range missing {
		if !account.Unreachable.Contains(gap) {
			return w.wait(ctx, account, gap)
		}
		unreachable = append(unreachable, describe(gap))
	}

	entries, reasons, err := w.entries(ctx)
	if errors.Is(err, state.ErrClaimed) {
		w.log.DebugContext(ctx, "the account is being captured; its posts are looked up at a later tick")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	verdict := &state.Verdict{Status: int(importer.Success), Reason: strings.Join(reasons, "; ")}
	for _, e := range entries {
		verdict.Items = append(verdict.Items, state.VerdictItem{ID: e.PostID, Modified: e.Created, FileName: importer.FileName(e.PostID)})
	}
	if err := w.upload(ctx, entries); err != nil {
		switch {
		case errors.Is(err, importer.ErrGone):
			return &state.Verdict{Status: int(importer.PermanentFailure), Reason: err.Error()}, nil
		case errors.Is(err, importer.ErrExpired): // the Compliance Center may ask again, with a new one
			return &state.Verdict{Status: int(importer.TemporaryFailure), Reason: err.Error()}, nil
		}
		return nil, err
	}
	if len(w.altered) > 0 {
		verdict.Status = int(importer.PermanentFailure)
		verdict.Items = slices.DeleteFunc(verdict.Items, func(i state.VerdictItem) bool { return w.altered[i.ID] != "" })
		why := slices.Sorted(maps.Values(w.altered))
		reasons = append(reasons, strings.Join(why, "; "))
		verdict.Reason = strings.Join(reasons, "; ")
	}
	if len(unreachable) > 0 {
		verdict.Status = int(importer.PermanentFailure)
		verdict.Reason = strings.Join(append([]string{fmt.Sprintf(
			"X's timeline reaches back %s no longer; the %d posts that are archived of the window were uploaded", strings.Join(unreachable, " and "), len(entries))},
			reasons...), "; ")
	}
	return verdict, nil
}

// describe words a range for a person; the zero time is the beginning.
func describe(r state.Range) string {
	if r.From.IsZero() {
		return "before " + r.To.Format(time.RFC3339)
	}
	return "from " + r.From.Format(time.RFC3339) + " to " + r.To.Format(time.RFC3339)
}

// wait leaves the task open until its window is captured, for as long as
// patience lasts.
func (w *work) wait(ctx context.Context, account state.Account, gap state.Range) (*state.Verdict, error) {
	since := w.ReceivedAt
	if w.Task.End.After(since) {
		since = w.Task.End
	}
	if w.Now().Sub(since) < patience {
		w.log.DebugContext(ctx, "waiting for capture", "missing", describe(gap))
		return nil, nil
	}
	reason := "the window is not captured: " + describe(gap) + " is missing"
	if account.LastError != "" {
		reason += "; the last error was: " + account.LastError
	}
	return &state.Verdict{Status: int(importer.TemporaryFailure), Reason: reason}, nil
}

// entries lists what the task is to deliver, oldest first: every archived post
// of its window and the posts it asks about. reasons says which of the latter
// cannot be delivered, and why.
func (w *work) entries(ctx context.Context) (entries []archive.Entry, reasons []string, err error) {
	entries, err = w.Archive.List(ctx, w.job.AccountID, w.Start, w.Task.End)
	if err != nil || len(w.Dirty) == 0 {
		return entries, nil, err
	}
	found, gone, err := w.Again.Relook(ctx, w.job, w.lookKey(), w.Dirty)
	if err != nil {
		return nil, nil, fmt.Errorf("looking up the posts the task asks about: %w", err)
	}
	entries = append(entries, found...)
	slices.SortFunc(entries, archive.Oldest)
	entries = slices.CompactFunc(entries, func(a, b archive.Entry) bool { return a.Name == b.Name })
	for _, id := range w.Dirty {
		if why, ok := gone[id]; ok {
			w.log.WarnContext(ctx, "a post the task asks about is not on X", "post", id, "reason", why)
			reasons = append(reasons, fmt.Sprintf("post %s is not on X (%s)", id, why))
		}
	}
	return entries, reasons, nil
}

// upload puts an item for every entry into the task's container; those a
// former attempt has uploaded are not uploaded again.
func (w *work) upload(ctx context.Context, entries []archive.Entry) error {
	inbox, err := w.OpenInbox(w.BlobSASURI)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, name := range w.Uploaded {
		there[name] = true
	}
	var todo []archive.Entry
	for _, e := range entries {
		if !there[importer.FileName(e.PostID)] {
			todo = append(todo, e)
		}
	}
	for some := range slices.Chunk(todo, saveEvery) {
		if err := w.uploadSome(ctx, inbox, some); err != nil {
			return err
		}
		if err := w.Save(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) uploadSome(ctx context.Context, inbox Inbox, entries []archive.Entry) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(itemsAtOnce)
	for _, e := range entries {
		group.Go(func() error {
			name := importer.FileName(e.PostID)
			err := panics.Catch(func() error {
				return inbox.Upload(ctx, w.JobID+"/"+w.TaskID+"/"+name, func(item io.Writer) error {
					return panics.Catch(func() error { return w.item(ctx, item, e) })
				})
			})
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, archive.ErrAltered) {
				w.altered[e.PostID] = err.Error() // nothing was delivered from it; the others are
				return nil
			}
			if err != nil {
				return fmt.Errorf("uploading the item of post %s: %w", e.PostID, err)
			}
			w.Uploaded = append(w.Uploaded, name)
			return nil
		})
	}
	return group.Wait()
}

// item writes the item of an archived message. The message is read to its end
// even where the item needs no more of it: its hash is only then compared, and
// an item of altered bytes must not come into being.
func (w *work) item(ctx context.Context, item io.Writer, e archive.Entry) error {
	eml, err := w.Archive.Open(ctx, e)
	if err != nil {
		return err
	}
	defer eml.Close()
	if err := w.Item(item, eml); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, eml)
	return err
}
