package importservice

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxEvent bounds an event's body, in bytes: room for some 100,000 items.
const maxEvent = 16 << 20

// violation is what breaks the contract, and how it is answered.
type violation struct {
	status int
	text   string
}

func violated(format string, args ...any) *violation {
	return &violation{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// ServeHTTP is the event API:
//
//	POST /api/data/ondownloadcomplete/?jobId=
//	POST /api/event/nativeconnector/?jobId=
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := s.trouble(); status != 0 {
		w.WriteHeader(status)
		return
	}
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !isBearer || token == "" {
		s.refuse(w, r, &violation{http.StatusUnauthorized, "there is no bearer token"})
		return
	}
	if err := s.verify(token); err != nil {
		// No violation: tokens run out and keys are changed. Whoever never gets in has
		// no event taken.
		s.log.WarnContext(r.Context(), "a token is refused", "error", err.Error())
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	job, body, v := s.read(w, r)
	if v == nil {
		switch r.URL.Path {
		case "/api/data/ondownloadcomplete/":
			v = s.complete(r.Context(), job, body)
		case "/api/event/nativeconnector/":
			v = s.change(job, body)
		}
	}
	if v != nil {
		s.refuse(w, r, v)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (s *Service) trouble() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return http.StatusServiceUnavailable
	case s.failNext > 0:
		s.failNext--
		return s.failStatus
	}
	return 0
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, v *violation) {
	s.found(fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, v.text))
	http.Error(w, v.text, v.status)
}

// found keeps a violation.
func (s *Service) found(violation string) {
	s.log.Error("the event API's contract is broken", "violation", violation)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, violation)
}

// read checks what is around the JSON of both calls.
func (s *Service) read(w http.ResponseWriter, r *http.Request) (job string, body value, v *violation) {
	if r.URL.Path != "/api/data/ondownloadcomplete/" && r.URL.Path != "/api/event/nativeconnector/" {
		return "", value{}, &violation{http.StatusNotFound, "there is no such call (both end with a slash)"}
	}
	if r.Method != http.MethodPost {
		return "", value{}, &violation{http.StatusMethodNotAllowed, "only POST"}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query) != 1 || len(query["jobId"]) != 1 || query.Get("jobId") == "" {
		return "", value{}, violated("the query must be jobId alone, it is %q", r.URL.RawQuery)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", value{}, &violation{http.StatusUnsupportedMediaType, "the Content-Type is not application/json"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if err != nil {
		return "", value{}, violated("reading the body: %v", err)
	}
	body, err = document("event", text)
	if err != nil {
		return "", value{}, violated("%v", err)
	}
	job = query.Get("jobId")
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.tasks {
		if key.job == job {
			return job, body, nil
		}
	}
	return "", value{}, &violation{http.StatusNotFound, fmt.Sprintf("the job %q is unknown", job)}
}

// complete takes a completion event.
func (s *Service) complete(ctx context.Context, job string, body value) *violation {
	event, err := readEvent(job, body)
	if err != nil {
		return violated("%v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[taskKey{job, event.TaskID}]
	if t == nil {
		return &violation{http.StatusNotFound, fmt.Sprintf("the task %q of job %q is unknown", event.TaskID, job)}
	}
	defer s.announce()
	if t.last != nil && same(*t.last, *event) {
		t.last.Repeats++
		t.open = t.open && event.Status == TemporaryFailure
		return nil
	}
	if !t.open {
		return violated("task %s: it had ended with status %d, and another event came", event.TaskID, t.last.Status)
	}
	t.last, t.open = event, event.Status == TemporaryFailure
	s.events = append(s.events, event)
	s.log.InfoContext(ctx, "a task has ended", "job", job, "task", event.TaskID, "status", event.Status, "items", len(event.Items))
	s.checks++
	go s.check(t.container, *event)
	return nil
}

// checkTimeout bounds the check of an event.
const checkTimeout = 10 * time.Minute

// check compares an event with what was delivered, and keeps what is wrong. What
// cannot be read is wrong too: nobody knows what it holds.
func (s *Service) check(container string, e Event) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.checks--
		s.announce()
	}()
	ctx, cancel := context.WithTimeout(s.ctx, checkTimeout)
	defer cancel()
	if err := s.checkDelivered(ctx, container, e); err != nil && s.ctx.Err() == nil {
		s.found(fmt.Sprintf("job %s, task %s: %v", e.JobID, e.TaskID, err))
	}
}

// announce wakes who waits for an event or for checks. The caller has the lock.
func (s *Service) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func same(a, b Event) bool {
	return a.Status == b.Status && slices.EqualFunc(a.Items, b.Items, func(x, y EventItem) bool {
		return x.ID == y.ID && x.FileName == y.FileName && x.Modified.Equal(y.Modified)
	})
}

// readEvent reads
//
//	{"taskId":"…","status":0|1|2,"itemMetadata":[{"id","modificationTimestampUtc","fileName"}]}
//
// with the oldest item first and none twice.
func readEvent(job string, body value) (*Event, error) {
	m, err := body.object("taskId", "status", "itemMetadata")
	if err != nil {
		return nil, err
	}
	e := &Event{JobID: job, Received: time.Now()}
	if e.TaskID, err = m["taskId"].filled(); err != nil {
		return nil, err
	}
	if e.Status, err = m["status"].count(PermanentFailure); err != nil {
		return nil, err
	}
	elements, err := m["itemMetadata"].list()
	if err != nil {
		return nil, err
	}
	ids, files := map[string]bool{}, map[string]bool{}
	for n, element := range elements {
		m, err := element.object("id", "modificationTimestampUtc", "fileName")
		if err != nil {
			return nil, err
		}
		var i EventItem
		var idErr, timeErr, fileErr error
		i.ID, idErr = m["id"].filled()
		i.Modified, timeErr = m["modificationTimestampUtc"].utc()
		i.FileName, fileErr = m["fileName"].filled()
		if err := all(idErr, timeErr, fileErr); err != nil {
			return nil, err
		}
		switch {
		case strings.ContainsAny(i.FileName, `/\`):
			return nil, element.errorf("the fileName %q is a path", i.FileName)
		case ids[i.ID] || files[i.FileName]:
			return nil, element.errorf("the item %s or its file is there twice", i.ID)
		case n > 0 && i.Modified.Before(e.Items[n-1].Modified):
			return nil, element.errorf("it is older than the one before")
		}
		ids[i.ID], files[i.FileName] = true, true
		e.Items = append(e.Items, i)
	}
	return e, nil
}

// checkDelivered compares an event with the task's folder: every item told is
// there, is an item and has its id; and a task that succeeded tells all there is.
func (s *Service) checkDelivered(ctx context.Context, container string, e Event) error {
	folder := e.JobID + "/" + e.TaskID + "/"
	names, err := s.storage.list(ctx, container, "")
	if err != nil {
		return err
	}
	untold := map[string]bool{}
	for _, name := range names {
		file, inFolder := strings.CutPrefix(name, folder)
		if !inFolder || strings.Contains(file, "/") {
			return fmt.Errorf("the blob %s is not in the task's folder", name)
		}
		untold[file] = true
	}
	for _, i := range e.Items {
		if !untold[i.FileName] {
			return fmt.Errorf("the item %s is told, but there is no blob %s", i.ID, folder+i.FileName)
		}
		delete(untold, i.FileName)
	}
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(4)
	for _, i := range e.Items {
		reads.Go(func() error { return s.checkBlob(ctx, container, folder, i) })
	}
	if err := reads.Wait(); err != nil {
		return err
	}
	if e.Status == Success && len(untold) > 0 {
		return fmt.Errorf("it succeeded, and %d blobs are not told", len(untold))
	}
	return nil
}

// checkBlob reads an item and checks that it is the one that was told.
func (s *Service) checkBlob(ctx context.Context, container, folder string, i EventItem) error {
	content, err := s.storage.read(ctx, container, folder+i.FileName)
	if err != nil {
		return err
	}
	if err := CheckItem(content); err != nil {
		return fmt.Errorf("%s: %w", i.FileName, err)
	}
	var item struct{ ID string }
	if err := json.Unmarshal(content, &item); err != nil || item.ID != i.ID {
		return fmt.Errorf("%s holds the item %q, not %q", i.FileName, item.ID, i.ID)
	}
	return nil
}

// change takes {"entry":[{"Id","TimeStamp","ChangeType"}]}.
func (s *Service) change(job string, body value) *violation {
	m, err := body.object("entry")
	if err != nil {
		return violated("%v", err)
	}
	elements, err := m["entry"].list()
	if err == nil && len(elements) == 0 {
		err = m["entry"].errorf("empty")
	}
	var changes []Change
	for _, element := range elements {
		m, objectErr := element.object("Id", "TimeStamp", "ChangeType")
		if objectErr != nil {
			return violated("%v", objectErr)
		}
		c := Change{JobID: job}
		var idErr, timeErr, typeErr error
		c.ID, idErr = m["Id"].filled()
		c.TimeStamp, timeErr = m["TimeStamp"].utc()
		c.ChangeType, typeErr = m["ChangeType"].filled()
		err = all(err, idErr, timeErr, typeErr)
		changes = append(changes, c)
	}
	if err != nil {
		return violated("%v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, changes...)
	return nil
}
