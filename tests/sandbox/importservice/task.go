package importservice

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Task is what a connector is asked to deliver.
type Task struct {
	JobID, TaskID string
	Start, End    time.Time // the window, both ends in it
	Dirty         []string  // ids of posts to look up again

	// SASLife is how long the container's SAS is good; 0 is a day. If it is
	// negative the SAS has run out already.
	SASLife time.Duration
	// Revocable gives a SAS that RevokeSAS can revoke.
	Revocable bool
	// NewContainer gives a task that was requested before another container; without
	// it the task keeps the first.
	NewContainer bool
}

// task is a task that was handed out.
type task struct {
	container string
	accepted  bool // the connector has answered 200
	open      bool // no final event since it was last requested
	last      *Event
}

// Request is POST /data/OnDownloadRequest: it hands out a task, with the SAS of a
// container of its own. The connector's status and body come as they are; the
// error is of a container that cannot be made or a connector that cannot be
// reached. A task that is not answered 200 stays unknown to the event API.
func (s *Service) Request(ctx context.Context, t Task) (status int, body string, err error) {
	if err := s.Settled(ctx); err != nil { // a check sees what its event told of, not what comes after
		return 0, "", err
	}
	key := taskKey{t.JobID, t.TaskID}
	s.mu.Lock()
	known := s.tasks[key]
	s.mu.Unlock()
	var name string
	if known != nil && !t.NewContainer {
		name = known.container
	} else {
		name = "task-" + uuid.NewString()
		if err := s.storage.create(ctx, name); err != nil {
			return 0, "", err
		}
	}
	life := t.SASLife
	if life == 0 {
		life = 24 * time.Hour
	}
	var uri string
	if t.Revocable {
		uri, err = s.storage.signRevocable(ctx, name, time.Now().Add(life))
	} else {
		uri, err = s.storage.sign(name, time.Now().Add(life))
	}
	if err != nil {
		return 0, "", err
	}
	// Known before it is sent: its event may come before the answer has.
	s.mu.Lock()
	now := s.tasks[key]
	if now == nil {
		now = &task{}
		s.tasks[key] = now
	}
	now.container, now.open = name, true
	s.mu.Unlock()

	status, body, err = s.Call(ctx, http.MethodPost, "/data/OnDownloadRequest", nil, downloadRequest(t, uri))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && status == http.StatusOK:
		now.accepted = true
	case err == nil && !now.accepted:
		delete(s.tasks, key)
	}
	return status, body, err
}

// dotNetTime is how .NET writes a DateTime in UTC.
const dotNetTime = "2006-01-02T15:04:05.0000000Z"

func downloadRequest(t Task, uri string) any {
	var body struct {
		JobID         string `json:"JobId"`
		TaskID        string `json:"TaskId"`
		StartTime     string
		EndTime       string
		DirtyEntities []string
		BlobSASURI    string `json:"BlobSasUri"`
	}
	body.JobID, body.TaskID, body.DirtyEntities, body.BlobSASURI = t.JobID, t.TaskID, t.Dirty, uri
	body.StartTime, body.EndTime = t.Start.UTC().Format(dotNetTime), t.End.UTC().Format(dotNetTime)
	return body
}

// RevokeSAS ends the validity of the SAS that a Revocable task was given. Requested
// again, the task gets a valid one.
func (s *Service) RevokeSAS(ctx context.Context, jobID, taskID string) error {
	name, err := s.containerOf(jobID, taskID)
	if err != nil {
		return err
	}
	return s.storage.revoke(ctx, name)
}

func (s *Service) containerOf(jobID, taskID string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[taskKey{jobID, taskID}]
	if t == nil {
		return "", fmt.Errorf("no task %s of job %s was requested", taskID, jobID)
	}
	return t.container, nil
}

// WaitEvent returns the last event of a task, waiting for the first if there is
// none yet.
func (s *Service) WaitEvent(ctx context.Context, jobID, taskID string) (Event, error) {
	return s.wait(ctx, jobID, taskID, func(Event) bool { return true })
}

// WaitEnd is WaitEvent for events that end a task: Success and PermanentFailure.
func (s *Service) WaitEnd(ctx context.Context, jobID, taskID string) (Event, error) {
	return s.wait(ctx, jobID, taskID, func(e Event) bool { return e.Status != TemporaryFailure })
}

func (s *Service) wait(ctx context.Context, jobID, taskID string, enough func(Event) bool) (Event, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		var last *Event
		if t := s.tasks[taskKey{jobID, taskID}]; t != nil && t.last != nil {
			e := *t.last
			last = &e
		}
		s.mu.Unlock()
		if last != nil && enough(*last) {
			return *last, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("waiting for the event of task %s of job %s: %w", taskID, jobID, context.Cause(ctx))
		}
	}
}

// Item is a file in a task's folder.
type Item struct {
	Name string // without the folder
	Data []byte
}

// Items reads what was delivered for a task, told in an event or not, by name.
func (s *Service) Items(ctx context.Context, jobID, taskID string) ([]Item, error) {
	var items []Item
	err := s.eachItem(ctx, jobID, taskID, func(i Item) error {
		items = append(items, i)
		return nil
	})
	return items, err
}

// SaveItems copies what was delivered for a task to <dir>/<jobId>/<taskId>/ and
// returns the files' paths.
func (s *Service) SaveItems(ctx context.Context, jobID, taskID, dir string) ([]string, error) {
	if !filepath.IsLocal(jobID) || !filepath.IsLocal(taskID) {
		return nil, fmt.Errorf("the ids %q and %q do not make a folder", jobID, taskID)
	}
	dir = filepath.Join(dir, jobID, taskID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var paths []string
	err := s.eachItem(ctx, jobID, taskID, func(i Item) error {
		if !filepath.IsLocal(i.Name) || strings.ContainsAny(i.Name, `/\`) {
			return fmt.Errorf("the item's name %q is not a file's", i.Name)
		}
		path := filepath.Join(dir, i.Name)
		paths = append(paths, path)
		return os.WriteFile(path, i.Data, 0o644)
	})
	return paths, err
}

func (s *Service) eachItem(ctx context.Context, jobID, taskID string, do func(Item) error) error {
	name, err := s.containerOf(jobID, taskID)
	if err != nil {
		return err
	}
	folder := jobID + "/" + taskID + "/"
	files, err := s.storage.list(ctx, name, folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := s.storage.read(ctx, name, folder+file)
		if err != nil {
			return err
		}
		if err := do(Item{file, content}); err != nil {
			return err
		}
	}
	return nil
}

// CountItems is how many files all tasks' containers hold.
func (s *Service) CountItems(ctx context.Context) (int, error) {
	s.mu.Lock()
	names := map[string]bool{}
	for _, t := range s.tasks {
		names[t.container] = true
	}
	s.mu.Unlock()
	n := 0
	var errs error
	for name := range names {
		files, err := s.storage.list(ctx, name, "")
		errs = errors.Join(errs, err)
		n += len(files)
	}
	return n, errs
}
