package capture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// asking returns, by account, the open tasks that ask about posts (DirtyEntities) and
// have no answer yet. Capture looks the posts up and writes down what it found;
// package deliver waits for that as it waits for coverage.
func (c *Capture) asking(ctx context.Context) (map[string][]state.Task, error) {
	tasks, _, err := c.opt.State.OpenTasks(ctx) // damaged ones are reported by package deliver
	if err != nil {
		return nil, err
	}
	asking := map[string][]state.Task{}
	for _, task := range tasks {
		if len(task.Dirty) == 0 {
			continue
		}
		_, err := c.opt.State.Found(ctx, task.JobID, task.TaskID)
		if err == nil {
			continue
		}
		if !errors.Is(err, state.ErrNotFound) && fault.CauseOf(err) != fault.StateDamaged {
			return nil, err
		}
		account := task.AccountID
		if account == "" { // from before a task kept its account
			job, err := c.opt.State.Job(ctx, task.JobID)
			if err != nil {
				continue // it is gone, or is reported elsewhere
			}
			account = job.AccountID
		}
		asking[account] = append(asking[account], task)
	}
	return asking, nil
}

// answerOrphans answers the tasks of accounts that no job archives any more: nobody
// will ask X for them. What is in the archive is found.
func (c *Capture) answerOrphans(ctx context.Context, jobs []state.Job, asking map[string][]state.Task) (failures []error) {
	for account, tasks := range asking {
		if slices.ContainsFunc(jobs, func(j state.Job) bool { return j.AccountID == account }) {
			continue
		}
		for _, task := range tasks {
			if err := c.answerOrphan(ctx, account, task); err != nil {
				failures = append(failures, fmt.Errorf("capture: finding the posts that task %s asks about: %w", task.TaskID, err))
			}
		}
	}
	return failures
}

func (c *Capture) answerOrphan(ctx context.Context, account string, task state.Task) error {
	found := state.Found{At: c.opt.Now().UTC(), Gone: map[string]string{}}
	for _, id := range task.Dirty {
		found.Gone[id] = fmt.Sprintf("no job archives account %s any more, so that X was not asked", account)
		e, err := c.opt.Archive.FindPost(ctx, account, id)
		switch {
		case err == nil && !slices.Contains(found.Names, e.Name):
			found.Names = append(found.Names, e.Name)
		case err != nil && !errors.Is(err, archive.ErrNotFound):
			return err
		}
	}
	c.opt.Log.WarnContext(ctx, "no job archives the account that a task asks about; the task is answered from the archive", "job", task.JobID, "account", account, "task", task.TaskID)
	return c.putFound(ctx, task, found)
}

// putFound writes down what was found for a task. An instance that was faster has done
// the same.
func (c *Capture) putFound(ctx context.Context, task state.Task, found state.Found) error {
	err := c.opt.State.PutFound(ctx, task.JobID, task.TaskID, found)
	if errors.Is(err, state.ErrClaimed) {
		return nil
	}
	return err
}

// answerTasks looks up the posts that tasks ask about.
func (t *turn) answerTasks(ctx context.Context) error {
	var errs []error
	for _, task := range t.tasks {
		if err := t.answer(ctx, task); err != nil {
			errs = append(errs, fmt.Errorf("looking up the posts that task %s asks about: %w", task.TaskID, err))
		}
	}
	return joined(errs)
}

// unexplained is how long X may answer a look-up with nothing at all before a task is
// told so.
const unexplained = time.Hour

// answer looks up the posts of a task, archives what is not archived yet, newer
// versions of edited posts among it, and writes down where all of them are. What X
// no longer has is noted with the reason; a message archived earlier is named
// all the same.
func (t *turn) answer(ctx context.Context, task state.Task) error {
	key := "task-" + task.JobID + "-" + task.TaskID
	gone := map[string]string{}
	page, err := t.lookupFor(ctx, task, key, task.Dirty)
	if err != nil {
		return err
	}
	own := t.own(page, gone)
	_, newer, err := t.missingVersions(ctx, own, func(p *post.Post) []string { return p.EditHistory })
	if err != nil {
		return err
	}
	if len(newer) > 0 {
		more, err := t.lookupFor(ctx, task, key, newer)
		if err != nil {
			return err
		}
		own = append(own, t.own(more, gone)...)
		page.Errors = append(page.Errors, more.Errors...)
	}
	if own, err = t.complete(ctx, own, key); err != nil {
		return err
	}
	defer t.compareClosely()()
	if err := t.archiveAll(ctx, own, func(int) {}); err != nil {
		return err
	}
	names, err := t.findAll(ctx, task.Dirty, own)
	if err != nil {
		return err
	}
	found := state.Found{At: t.now().UTC(), Gone: gone}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		if names[id] != "" {
			found.Names = append(found.Names, names[id])
		}
	}
	for _, id := range append(slices.Clone(task.Dirty), newer...) {
		if why := reason(page, id); why != "" {
			gone[id] = why
		} else if names[id] == "" && gone[id] == "" {
			gone[id] = "X neither sent the post nor said why"
		}
	}
	// The account is saved first: media that are waited for must not be forgotten when
	// the task is answered.
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.capture.putFound(ctx, task, found)
}

// lookupFor looks posts up for a task. An empty answer of X counts as one after an hour.
func (t *turn) lookupFor(ctx context.Context, task state.Task, key string, ids []string) (post.Page, error) {
	page, err := t.lookup(ctx, key, ids)
	if errors.Is(err, twitter.ErrIncomplete) && t.now().Sub(task.ReceivedAt) > unexplained {
		return post.Page{}, nil
	}
	return page, err
}

// own returns the posts of an answer that are of the account, and notes why the others
// are none of its posts.
func (t *turn) own(page post.Page, gone map[string]string) []post.Document {
	return slices.DeleteFunc(page.Posts, func(d post.Document) bool {
		switch {
		case d.Post == nil || d.Post.Author.ID == t.account.ID:
			return false
		case d.Post.Author.ID == "":
			gone[d.ID] = "X does not say whose post it is"
		default:
			gone[d.ID] = fmt.Sprintf("it is a post of account %s, not of this job's", d.Post.Author.ID)
		}
		return true
	})
}

// findAll returns the names of the messages in the archive of posts and of all versions
// of documents, by id, "" where there is none; and by their keys those that have them as
// X gave them later.
func (t *turn) findAll(ctx context.Context, ids []string, docs []post.Document) (map[string]string, error) {
	names := map[string]string{}
	for _, id := range ids {
		names[id] = ""
	}
	for _, d := range docs {
		if d.Post != nil {
			for _, id := range d.Post.EditHistory {
				names[id] = ""
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		e, err := t.capture.opt.Archive.FindPost(ctx, t.account.ID, id)
		if errors.Is(err, archive.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t.list(e) // a process that was killed may not have come to that
		names[id] = e.Name
		later, err := t.versions(ctx, e)
		if err != nil {
			return nil, err
		}
		for _, v := range later { // as X gave it later; they are listed where they are compared
			names[v.Key] = v.Name
		}
	}
	return names, nil
}
