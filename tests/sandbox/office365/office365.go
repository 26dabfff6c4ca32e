// Package office365 stands in for Microsoft's side: the Compliance Center, which
// calls the connector, and the Office 365 Import service, which gives each task a
// container for its items and is told when the task is through.
//
// It is strict: what the connector sends must be as Microsoft's documents have it,
// by member, by type and by order, and what it says it has uploaded must be there.
// Anything else is answered 400 and noted in Violations.
package office365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// Resource is what a token for the event API must be for.
const Resource = "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac"

// Outcomes of a task in the event API.
const (
	Success          = 0
	TemporaryFailure = 1
	PermanentFailure = 2
)

// Options says whom the service serves.
type Options struct {
	TenantID     string
	APISecretKey string        // shared with the connector
	ConnectorURL func() string // without trailing slash
	Storage      string        // connection string of the account with the tasks' containers
	Verify       func(token string) error
	Log          *slog.Logger // nil drops it
}

// Service is the stand-in. Its methods may be called at once.
type Service struct {
	options Options
	storage *azblob.Client
	client  *http.Client

	mu         sync.Mutex
	changed    chan struct{} // closed when an event comes
	tasks      map[string]Task
	events     []Event
	violations []string
	requests   int
	down       bool
	failNext   []int
}

// Event is a completion that the service has taken.
type Event struct {
	JobID, TaskID string
	Status        int
	Items         []EventItem
}

// EventItem is one item that an event lists.
type EventItem struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"-"`
	FileName string    `json:"fileName"`
}

// New returns the service. It is an http.Handler for the event API.
func New(o Options) (*Service, error) {
	storage, err := azblob.NewClientFromConnectionString(o.Storage, nil)
	if err != nil {
		return nil, fmt.Errorf("opening the storage of tasks: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{options: o, storage: storage, tasks: map[string]Task{}, changed: make(chan struct{}),
		client: &http.Client{Timeout: 4 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Down makes the event API answer 503, or work again.
func (s *Service) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// FailNext gives the next requests to the event API these statuses.
func (s *Service) FailNext(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failNext = append(s.failNext, statuses...)
}

// Events lists the completions taken, in the order they came.
func (s *Service) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Requests is how many requests the event API has had.
func (s *Service) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Violations lists what came that is not as it must be.
func (s *Service) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// WaitEvent waits until a task's completion has come.
func (s *Service) WaitEvent(ctx context.Context, jobID, taskID string) (Event, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		for _, e := range s.events {
			if e.JobID == jobID && e.TaskID == taskID {
				s.mu.Unlock()
				return e, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("waiting for the event of task %s: %w", taskID, context.Cause(ctx))
		}
	}
}

// maxEvent bounds an event's body, in bytes.
const maxEvent = 64 << 20

// ServeHTTP is the event API.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, err := s.serve(r)
	if err != nil {
		s.mu.Lock()
		if status == http.StatusBadRequest {
			s.violations = append(s.violations, err.Error())
		}
		s.mu.Unlock()
		s.options.Log.Warn("event refused", "status", status, "error", err.Error())
		http.Error(w, err.Error(), status)
		return
	}
	w.WriteHeader(status)
}

func (s *Service) serve(r *http.Request) (int, error) {
	s.mu.Lock()
	s.requests++
	down := s.down
	forced := 0
	if len(s.failNext) > 0 {
		forced, s.failNext = s.failNext[0], s.failNext[1:]
	}
	s.mu.Unlock()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case down:
		return http.StatusServiceUnavailable, errors.New("the service is down")
	case forced != 0:
		return forced, errors.New("told to fail")
	case r.URL.Path != "/api/data/ondownloadcomplete/":
		return http.StatusNotFound, fmt.Errorf("there is no %s", r.URL.Path)
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, fmt.Errorf("%s is not POST", r.Method)
	case scheme != "Bearer" || s.options.Verify(token) != nil:
		return http.StatusUnauthorized, errors.New("the token is not valid here")
	case mediaType != "application/json":
		return http.StatusBadRequest, fmt.Errorf("the body is %q", mediaType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxEvent))
	if err != nil {
		return http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
	}
	event, err := parseEvent(body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	event.JobID = r.URL.Query().Get("jobId")
	if err := s.check(r.Context(), event); err != nil {
		return http.StatusBadRequest, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
	close(s.changed)
	s.changed = make(chan struct{})
	return http.StatusOK, nil
}

// parseEvent reads a completion: every member must be there, and no other.
func parseEvent(body []byte) (Event, error) {
	var e struct {
		TaskID *string `json:"taskId"`
		Status *int    `json:"status"`
		Items  *[]struct {
			ID       *string `json:"id"`
			Modified *string `json:"modificationTimestampUtc"`
			FileName *string `json:"fileName"`
		} `json:"itemMetadata"`
	}
	if err := strict(body, &e); err != nil {
		return Event{}, fmt.Errorf("the event: %w", err)
	}
	if e.TaskID == nil || e.Status == nil || e.Items == nil {
		return Event{}, errors.New("the event lacks taskId, status or itemMetadata")
	}
	if *e.Status < Success || *e.Status > PermanentFailure {
		return Event{}, fmt.Errorf("the event has status %d", *e.Status)
	}
	event := Event{TaskID: *e.TaskID, Status: *e.Status}
	for i, item := range *e.Items {
		if item.ID == nil || item.Modified == nil || item.FileName == nil {
			return Event{}, fmt.Errorf("item %d of the event lacks a member", i+1)
		}
		at, err := time.Parse("2006-01-02T15:04:05.999Z", *item.Modified)
		if err != nil {
			return Event{}, fmt.Errorf("item %d of the event: %w", i+1, err)
		}
		if i > 0 && at.Before(event.Items[i-1].Modified) {
			return Event{}, fmt.Errorf("item %d of the event is older than the one before it", i+1)
		}
		event.Items = append(event.Items, EventItem{*item.ID, at, *item.FileName})
	}
	return event, nil
}

// strict reads one JSON value without unknown members and without anything after it.
func strict(body []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is something after the JSON value")
	}
	return nil
}

// check holds an event against the task and its container.
func (s *Service) check(ctx context.Context, e Event) error {
	s.mu.Lock()
	task, known := s.tasks[key(e.JobID, e.TaskID)]
	s.mu.Unlock()
	if !known {
		return fmt.Errorf("there is no task %q of job %q", e.TaskID, e.JobID)
	}
	names, err := s.names(ctx, task)
	if err != nil {
		return err
	}
	for _, item := range e.Items {
		if !names[item.FileName] {
			return fmt.Errorf("task %s: item %s is listed, its file %s is not in the container", e.TaskID, item.ID, item.FileName)
		}
	}
	return nil
}

// names are the files in a task's folder.
func (s *Service) names(ctx context.Context, t Task) (map[string]bool, error) {
	prefix := t.JobID + "/" + t.TaskID + "/"
	names := map[string]bool{}
	pager := s.storage.NewListBlobsFlatPager(t.container(), &azblob.ListBlobsFlatOptions{Prefix: &prefix})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing the container of task %s: %w", t.TaskID, err)
		}
		for _, b := range page.Segment.BlobItems {
			names[strings.TrimPrefix(*b.Name, prefix)] = true
		}
	}
	return names, nil
}
