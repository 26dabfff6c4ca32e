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

	"golang.org/x/sync/errgroup"
)

// asking returns, by account, the open tasks that ask about posts (DirtyEntities) and
// have no answer yet. Capture looks the posts up and writes down what it found;
// package deliver waits for that as it waits for coverage.
func (c *Capture) asking(ctx context.Context) (map[string][]state.Task, error) {
	tasks, _, err := c.opt.State.OpenTasks(ctx) // damaged ones are reported by package deliver
	if err != nil {
		return nil, err
	}
	tasks = slices.DeleteFunc(tasks, func(t state.Task) bool { return t.Asks == 0 })
	accounts := make([]string, len(tasks)) // "": the task is answered, or nobody can tell
	var group errgroup.Group
	group.SetLimit(16)
	for i, task := range tasks {
		group.Go(func() (err error) {
			accounts[i], err = c.askingAccount(ctx, task)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	asking := map[string][]state.Task{}
	for i, task := range tasks {
		if accounts[i] != "" {
			asking[accounts[i]] = append(asking[accounts[i]], task)
		}
	}
	return asking, nil
}

// askingAccount returns the account of a task whose posts are not looked up yet; "" if
// they are, or if it cannot be told.
func (c *Capture) askingAccount(ctx context.Context, task state.Task) (string, error) {
	_, err := c.opt.State.Found(ctx, task.JobID, task.TaskID)
	if err == nil {
		return "", nil
	}
	if !errors.Is(err, state.ErrNotFound) && fault.CauseOf(err) != fault.StateDamaged {
		return "", err
	}
	if task.AccountID != "" {
		return task.AccountID, nil
	}
	job, err := c.opt.State.Job(ctx, task.JobID) // from before a task kept its account
	if err != nil {
		return "", nil // it is gone, or is reported elsewhere
	}
	return job.AccountID, nil
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
	task, err := c.opt.State.OpenTask(ctx, task.JobID, task.TaskID) // with the ids
	if errors.Is(err, state.ErrNotFound) {
		return nil // it has ended
	}
	if err != nil {
		return err
	}
	found := state.Found{At: c.opt.Now().UTC(), Gone: map[string]string{}}
	entries, err := c.opt.Archive.FindPosts(ctx, account, task.Dirty)
	if err != nil {
		return err
	}
	for _, id := range task.Dirty {
		found.Gone[id] = fmt.Sprintf("no job archives account %s any more, so that X was not asked", account)
		if e, archived := entries[id]; archived && !slices.Contains(found.Names, e.Name) {
			found.Names = append(found.Names, e.Name)
		}
	}
	later, err := c.versionNames(ctx, entries)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(later)) {
		found.Names = append(found.Names, later[key])
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
			t.unanswered = true
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
	task, err := t.capture.opt.State.OpenTask(ctx, task.JobID, task.TaskID) // with the ids
	if errors.Is(err, state.ErrNotFound) {
		return nil // it has ended
	}
	if err != nil {
		return err
	}
	key := "task-" + task.JobID + "-" + task.TaskID
	gone := map[string]string{}
	asked := slices.DeleteFunc(slices.Clone(task.Dirty), func(id string) bool {
		why := t.impossible(id)
		if why != "" {
			gone[id] = why
		}
		return why != ""
	})
	page, err := t.lookupFor(ctx, task, key, asked)
	if err != nil {
		return err
	}
	own, err := t.ownAndMentions(ctx, page, gone)
	if err != nil {
		return err
	}
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
	entries, err := t.findAll(ctx, asked, own)
	if err != nil {
		return err
	}
	if err := t.noteGone(ctx, byTask, page, entries); err != nil {
		return err
	}
	found := state.Found{At: t.now().UTC(), Gone: gone}
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		if entries[id].Name != "" {
			found.Names = append(found.Names, entries[id].Name)
		}
	}
	for _, id := range append(slices.Clone(asked), newer...) {
		if why := reason(page, id); why != "" {
			gone[id] = why
		} else if entries[id].Name == "" && gone[id] == "" {
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
	page, err := t.lookup(ctx, key, ids, t.mayAsk)
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
		case d.Post == nil || d.Post.Author.ID == t.account.ID || d.Post.Mentions.ID == t.account.ID:
			return false
		case d.Post.Author.ID == "":
			gone[d.ID] = "X does not say whose post it is"
		default:
			gone[d.ID] = fmt.Sprintf("it is a post of account %s, not of this job's", d.Post.Author.ID)
		}
		return true
	})
}

// ownAndMentions is own for posts that a task asks about: posts of others that are
// archived because they mention the account are among them.
func (t *turn) ownAndMentions(ctx context.Context, page post.Page, gone map[string]string) ([]post.Document, error) {
	for i, d := range page.Posts {
		if d.Post == nil || d.Post.Author.ID == t.account.ID {
			continue
		}
		archived, err := t.archivedPost(ctx, d.ID, false)
		if err != nil {
			return nil, err
		}
		if archived {
			page.Posts[i] = d.AsMention(t.account.ID)
		}
	}
	return t.own(page, gone), nil
}

// findAll returns the messages in the archive of posts and of all versions of documents,
// by id, the zero entry where there is none; and by their keys those that have them as X
// gave them later.
func (t *turn) findAll(ctx context.Context, ids []string, docs []post.Document) (map[string]archive.Entry, error) {
	entries := map[string]archive.Entry{}
	for _, id := range ids {
		entries[id] = archive.Entry{}
	}
	for _, d := range docs {
		if d.Post != nil {
			for _, id := range d.Post.EditHistory {
				entries[id] = archive.Entry{}
			}
		}
	}
	found, err := t.capture.opt.Archive.FindPosts(ctx, t.account.ID, slices.Collect(maps.Keys(entries)))
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		t.list(found[id]) // a process that was killed may not have come to that
		entries[id] = found[id]
	}
	later, err := t.capture.versionNames(ctx, found) // they are listed where they are compared
	for key, name := range later {
		entries[key] = archive.Entry{Name: name, Key: key}
	}
	return entries, err
}

// impossible returns why no post of the account can have an id; "" if one can. X
// bills what it is asked for, whoever made the id up. Whether the time of a post is
// covered says nothing: tasks also ask about what X showed late.
func (t *turn) impossible(id string) string {
	at, timed := post.IDTime(id)
	switch {
	case post.CheckID(id) != nil:
		return "it is not the id of a post"
	case timed && at.After(t.xNow().Add(tolerated)):
		return "its id is of a time to come"
	case timed && at.Before(t.account.Since), !timed && t.account.Since.After(firstTimedID):
		return "it is older than the account"
	}
	return ""
}

// firstTimedID is from when on ids of posts tell their time.
var firstTimedID = time.Date(2010, 11, 5, 0, 0, 0, 0, time.UTC)

// asksADay is how many posts X is asked for within a UTC day because tasks of an
// account ask about them. More have to wait: whoever can give tasks must not decide
// what X bills. A task that waits for a day ends as a temporary failure, after which
// the Compliance Center may ask again.
const asksADay = 10_000

// mayAsk counts posts that a task asks about. It returns errLater where they are too
// many for today.
func (t *turn) mayAsk(n int) error {
	today := t.xNow().Format(time.DateOnly)
	if t.account.Asked.Day != today {
		t.account.Asked = state.Asked{Day: today}
	}
	if t.account.Asked.Posts+n > asksADay {
		return fmt.Errorf("%w: X was asked for %d posts today that tasks ask about, and is asked for no more than %d", errLater, t.account.Asked.Posts, asksADay)
	}
	t.account.Asked.Posts += n
	return nil
}
