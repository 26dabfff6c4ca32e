package state

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"time"

	"xarchive/handler/internal/blob"
)

// Items are items that a task has uploaded, oldest first. They are written in
// chunks, since a task may have any number of items.
type Items struct {
	V     int    `json:"v"`
	Items []Item `json:"items"`
}

func (i *Items) belongs(string) bool { return i.V > 0 }
func (i *Items) upgrade()            {}

func itemsName(jobID, taskID string, n int) string {
	return fmt.Sprintf("tasks/items/%s/%s/%06d.json", jobID, taskID, n)
}

// PutItems writes a chunk of the task's items. It is written before the task
// counts it, and a chunk that no task counts is ignored. It returns ErrLost
// if the claim is lost: what the next holder has written must stand.
//
// A chunk has no lease of its own. So it is made create-only; one that is there
// already was left behind by an attempt that ended before it was counted, unless
// another instance has the claim by now. Saving the task tells the two apart, after
// the chunk's ETag was read.
func (c *TaskClaim) PutItems(ctx context.Context, n int, items []Item) error {
	name, chunk := itemsName(c.Task.JobID, c.Task.TaskID, n), Items{Version, items}
	_, err := c.store.write(ctx, name, chunk, blob.Condition{Absent: true})
	if !errors.Is(err, ErrExists) {
		return err
	}
	info, err := c.store.read(ctx, name, &Items{})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err := c.Save(ctx); err != nil {
		return err
	}
	_, err = c.store.write(ctx, name, chunk, blob.Condition{ETag: info.ETag})
	if errors.Is(err, ErrClaimed) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}

// Items yields the items of a task's chunks from number from up to number to,
// exclusive, one chunk in memory at a time. It ends with the first error.
func (s *Store) Items(ctx context.Context, jobID, taskID string, from, to int) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for i := from; i < to; i++ {
			var chunk Items
			if _, err := s.read(ctx, itemsName(jobID, taskID, i), &chunk); err != nil {
				yield(Item{}, err)
				return
			}
			for _, item := range chunk.Items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// Found is what capture found of the posts that a task asks about.
type Found struct {
	V     int               `json:"v"`
	Names []string          `json:"names,omitempty"` // of the messages in the archive, newer versions of edited posts among them
	Gone  map[string]string `json:"gone,omitempty"`  // by post id: what X says of a post that it does not give
	At    time.Time         `json:"at"`              // UTC
}

func (f *Found) belongs(string) bool { return f.V > 0 }
func (f *Found) upgrade()            {}

func foundName(jobID, taskID string) string {
	return fmt.Sprintf("tasks/found/%s/%s.json", jobID, taskID)
}

// PutFound writes down what capture found for a task.
func (s *Store) PutFound(ctx context.Context, jobID, taskID string, f Found) error {
	f.V = Version
	return replace(ctx, s, foundName(jobID, taskID), f)
}

// Found returns what capture found for a task. It returns ErrNotFound if it has not
// looked yet.
func (s *Store) Found(ctx context.Context, jobID, taskID string) (Found, error) {
	var f Found
	_, err := s.read(ctx, foundName(jobID, taskID), &f)
	return f, err
}

// work lists what is kept for a task besides the task.
func (s *Store) work(ctx context.Context, jobID, taskID string) ([]blob.Info, error) {
	var out []blob.Info
	for _, prefix := range []string{fmt.Sprintf("tasks/items/%s/%s/", jobID, taskID), foundName(jobID, taskID)} {
		for info, err := range s.blobs.List(ctx, prefix, false) {
			if err != nil {
				return nil, err
			}
			out = append(out, info)
		}
	}
	return out, nil
}

// removeWork removes what was listed, but for what has been written since.
func (s *Store) removeWork(ctx context.Context, list []blob.Info) error {
	for _, info := range list {
		if err := s.remove(ctx, info.Name, blob.Condition{ETag: info.ETag}); err != nil && !errors.Is(err, ErrClaimed) {
			return err
		}
	}
	return nil
}

// Delivered are the windows that a job's tasks have begun to deliver, by account.
// What is archived into them later is [Late].
type Delivered struct {
	V        int               `json:"v"`
	Accounts map[string]Ranges `json:"accounts"`
}

func (d *Delivered) belongs(string) bool { return d.Accounts != nil }
func (d *Delivered) upgrade()            {}

func deliveredName(jobID string) string { return "delivered/" + jobID + ".json" }

// AddDelivered adds a window. It is called before the window's messages are
// listed: whoever archives a message after that and looks here finds the window.
func (s *Store) AddDelivered(ctx context.Context, jobID, accountID string, window Range) error {
	return update(ctx, s, deliveredName(jobID), func(d *Delivered) error {
		d.V = Version
		if d.Accounts == nil {
			d.Accounts = map[string]Ranges{}
		}
		d.Accounts[accountID] = d.Accounts[accountID].Add(window)
		return nil
	})
}

// Delivered returns the windows that a job's tasks have begun to deliver of an
// account.
func (s *Store) Delivered(ctx context.Context, jobID, accountID string) (Ranges, error) {
	var d Delivered
	_, err := s.read(ctx, deliveredName(jobID), &d)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return d.Accounts[accountID], err
}

// Late is a message that was archived into a time that a task had begun to
// deliver. The job's next task delivers it.
type Late struct {
	V         int       `json:"v"`
	AccountID string    `json:"accountId"`
	Name      string    `json:"name"`  // of the message in the archive
	Key       string    `json:"key"`   // of the message: its file name without .eml
	Noted     time.Time `json:"noted"` // UTC
}

func (l *Late) belongs(name string) bool { return l.Key != "" && path.Base(name) == l.Key+".json" }
func (l *Late) upgrade()                 {}

func lateName(jobID, key string) string { return fmt.Sprintf("late/%s/%s.json", jobID, key) }

// AddLate notes a late message. Repeating it is harmless.
func (s *Store) AddLate(ctx context.Context, jobID string, l Late) error {
	l.V = Version
	_, err := s.write(ctx, lateName(jobID, l.Key), l, blob.Condition{Absent: true})
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// Late returns a job's late messages.
func (s *Store) Late(ctx context.Context, jobID string) (list []Late, damaged []Damaged, err error) {
	return all[Late, *Late](ctx, s, "late/"+jobID+"/")
}

// RemoveLate forgets a late message: it is delivered.
func (s *Store) RemoveLate(ctx context.Context, jobID, key string) error {
	return s.remove(ctx, lateName(jobID, key), blob.Condition{})
}
