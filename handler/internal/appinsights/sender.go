package appinsights

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// Options is what a Sender needs.
type Options struct {
	Connection Connection
	Credential azcore.TokenCredential // nil: the instrumentation key is enough
	HTTP       *http.Client           // its CheckRedirect is not used
	Now        func() time.Time       // nil: time.Now

	// Product and Version name the sending software in User-Agent and in each item's
	// tag ai.internal.sdkVersion ("product:version").
	Product, Version string

	// Log takes what goes wrong with sending. It must not lead back to this sender.
	Log *slog.Logger
}

// Sender sends items for the exporters that share it.
//
// Items that cannot be sent for a reason that may pass (408, 429, 5xx, no
// connection, a missing role) are kept, 5,000 items and 8 MiB at most, and sent
// with the next; when there are more, the oldest are dropped. A problem is logged
// when it begins, when its reason changes and when it ends, not each time:
// telemetry must not fill the log that it is a copy of.
type Sender struct {
	encoder  encoder
	url      string
	pipeline runtime.Pipeline
	now      func() time.Time
	log      *slog.Logger

	turn chan struct{} // holds a token while one caller sends

	mu        sync.Mutex
	waiting   [][]byte  // encoded items, oldest first
	bytes     int       // length of waiting
	notBefore time.Time // the service asked for silence until then
	problem   string    // the last one logged; "" if there is none
	dropped   int       // items, since the last line was logged
}

const (
	// Bounds of one request; Microsoft's exporters send batches of this size.
	maxBatch      = 500
	maxBatchBytes = 1 << 20

	// Bounds of what is kept.
	maxWaiting      = 5000
	maxWaitingBytes = 8 << 20

	// maxItem is the longest item, in bytes, that the service takes. Longer ones are
	// dropped before they are sent.
	maxItem = 64 << 10
)

// New returns a sender. It sends nothing and starts nothing.
func New(o Options) *Sender { return newSender(o, 300*time.Millisecond) }

// newSender's pause is the time between two tries of one request.
func newSender(o Options, pause time.Duration) *Sender {
	client := *o.HTTP
	// An answer must not lead to a host that the connection string does not name.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var signIn []policy.Policy
	if o.Credential != nil {
		signIn = append(signIn, runtime.NewBearerTokenPolicy(o.Credential, []string{o.Connection.Scope}, nil))
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	return &Sender{
		encoder: encoder{key: o.Connection.InstrumentationKey, product: o.Product + ":" + o.Version},
		url:     o.Connection.Endpoint + "/v2.1/track",
		pipeline: runtime.NewPipeline(o.Product, o.Version, runtime.PipelineOptions{PerRetry: signIn}, &policy.ClientOptions{
			Transport: &client,
			Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: pause, MaxRetryDelay: 2 * time.Second, TryTimeout: 10 * time.Second},
		}),
		now: now, log: o.Log, turn: make(chan struct{}, 1),
	}
}

// ForceFlush tries to send what is kept. It always returns nil.
func (s *Sender) ForceFlush(ctx context.Context) error {
	s.send(ctx, nil)
	return nil
}

// Shutdown tries to send what is kept. It always returns nil. Because exporters
// share the sender and end one after the other, it goes on working; the SDK passes
// nothing more to an exporter that has ended.
func (s *Sender) Shutdown(ctx context.Context) error { return s.ForceFlush(ctx) }

// send sends what is kept and then items. What cannot be sent before ctx ends is
// kept.
func (s *Sender) send(ctx context.Context, items []envelope) {
	lines := make([][]byte, 0, len(items))
	for _, item := range items {
		if line, err := json.Marshal(item); err == nil && len(line) <= maxItem {
			lines = append(lines, line)
		}
	}
	s.mu.Lock()
	s.dropped += len(items) - len(lines)
	s.keep(append(s.waiting, lines...))
	s.mu.Unlock()

	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.turn }()
	problem, sent := "", false
	for batch := s.next(); len(batch) > 0; batch = s.next() {
		sent = true
		later, why := s.post(ctx, batch)
		problem = cmp.Or(why, problem)
		if len(later) > 0 {
			s.mu.Lock()
			s.keep(append(later, s.waiting...))
			s.mu.Unlock()
			break
		}
	}
	if sent {
		s.report(ctx, problem)
	}
}

// keep replaces what is kept by lines, without the oldest if they are too many.
// The caller holds mu.
func (s *Sender) keep(lines [][]byte) {
	s.waiting, s.bytes = lines, 0
	for _, line := range lines {
		s.bytes += len(line)
	}
	for len(s.waiting) > maxWaiting || s.bytes > maxWaitingBytes {
		s.bytes -= len(s.waiting[0])
		s.waiting = s.waiting[1:]
		s.dropped++
	}
}

// next takes a batch from what is kept; none while the service wants silence.
func (s *Sender) next() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Before(s.notBefore) {
		return nil
	}
	n, size := 0, 0
	for n < min(len(s.waiting), maxBatch) && (n == 0 || size+len(s.waiting[n]) < maxBatchBytes) {
		size += len(s.waiting[n])
		n++
	}
	batch := slices.Clone(s.waiting[:n])
	s.keep(slices.Clone(s.waiting[n:])) // a copy, so that what was sent can be freed
	return batch
}

// report logs that a problem began, changed or ended.
func (s *Sender) report(ctx context.Context, problem string) {
	s.mu.Lock()
	waiting, dropped := len(s.waiting), s.dropped
	if problem == s.problem {
		s.mu.Unlock()
		return
	}
	s.problem, s.dropped = problem, 0
	s.mu.Unlock()
	if problem != "" {
		s.log.WarnContext(ctx, "telemetry cannot be sent", "reason", problem, "waiting", waiting, "dropped", dropped)
		return
	}
	s.log.InfoContext(ctx, "telemetry is sent again", "dropped", dropped)
}

// drop counts items that the service will never take.
func (s *Sender) drop(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped += n
}
