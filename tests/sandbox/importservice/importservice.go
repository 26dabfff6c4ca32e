// Package importservice stands in for two services of Microsoft 365 that an archive
// connector works with: the Compliance Center, which calls the connector, and the
// Office 365 Import service, which gives each task a container and is told when the
// task is through. (Microsoft publishes no reference of this API; what is here
// follows its sample connector, microsoft/m365-sample-connector-csharp-aspnet.)
//
// [New] makes a [Service]. It is an http.Handler for the event API; as a [Client] it
// calls the connector. [Service.Request] hands out a task with the SAS of a new
// container, [Service.WaitEvent] waits for its end, [Service.Items] reads what was
// delivered.
//
// The service is strict. An event whose form breaks the contract is answered with
// 400. Any other is answered at once, as the real service does, and what was delivered
// is read and compared with it afterwards. Both end in [Service.Violations]: a test
// that ends without looking there has not looked.
package importservice

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Options says what the service works with. All but Log are required.
type Options struct {
	TenantID     string
	APISecretKey string
	// ConnectorURL is asked for the connector's address before each call.
	ConnectorURL func() string
	// ConnectionString opens the service's own storage account, which is not the
	// connector's.
	ConnectionString string
	// VerifyToken tells whether the event API lets a bearer token in.
	VerifyToken func(token string) error
	Log         *slog.Logger
}

// Service is both stand-ins. Its methods may be called at once.
type Service struct {
	*Client
	verify  func(string) error
	storage *account
	log     *slog.Logger
	ctx     context.Context // of checks
	stop    context.CancelFunc

	mu         sync.Mutex
	tasks      map[taskKey]*task
	events     []*Event
	changes    []Change
	violations []string
	down       bool
	failNext   int
	failStatus int
	checks     int           // on their way
	changed    chan struct{} // closed when an event was taken, and when a check is over
}

type taskKey struct{ job, task string }

// The outcomes of a task.
const (
	Success          = 0
	TemporaryFailure = 1
	PermanentFailure = 2
)

// Event is a completion event that was taken.
type Event struct {
	JobID, TaskID string
	Status        int // Success, TemporaryFailure or PermanentFailure
	Items         []EventItem
	Received      time.Time
	Repeats       int // how often the very same event came again
}

// EventItem is an item as the event tells it.
type EventItem struct {
	ID       string
	Modified time.Time
	FileName string // in the folder <jobId>/<taskId>/ of the task's container
}

// Change is an entry of POST /api/event/nativeconnector/.
type Change struct {
	JobID      string
	ID         string
	TimeStamp  time.Time
	ChangeType string
}

// New returns a service. Nothing is sent yet; the error is of a connection string
// that cannot be read.
func New(o Options) (*Service, error) {
	storage, err := openAccount(o.ConnectionString)
	if err != nil {
		return nil, err
	}
	s := &Service{
		Client: NewClient(o.ConnectorURL, o.TenantID, o.APISecretKey), verify: o.VerifyToken, storage: storage, log: o.Log,
		tasks: map[taskKey]*task{}, changed: make(chan struct{}),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Stop ends the checks that are on their way. What they would have found is not known.
func (s *Service) Stop() {
	s.stop()
	_ = s.Settled(context.Background()) // the checks end with their context
}

// Settled waits until everything that was told in the events taken so far is checked.
// Its error is ctx's.
func (s *Service) Settled(ctx context.Context) error {
	for {
		s.mu.Lock()
		checks, changed := s.checks, s.changed
		s.mu.Unlock()
		if checks == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until the Import service has checked %d events: %w", checks, context.Cause(ctx))
		}
	}
}

// Down makes the event API answer everything with 503, until it is called with
// false.
func (s *Service) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// FailNext answers the next n requests to the event API with a status.
func (s *Service) FailNext(n, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failNext, s.failStatus = n, status
}

// Events are the completion events taken, in the order they came. The same event
// again is no new one.
func (s *Service) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := make([]Event, len(s.events))
	for i, e := range s.events {
		events[i] = *e
	}
	return events
}

// Changes are the entries of native events taken, in the order they came.
func (s *Service) Changes() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Change(nil), s.changes...)
}

// Violations are what broke the contract, in the order it was found. It waits until
// all events taken so far are checked; [Service.Settled] does so with a bound.
func (s *Service) Violations() []string {
	_ = s.Settled(context.Background()) // has no end of its own
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}
