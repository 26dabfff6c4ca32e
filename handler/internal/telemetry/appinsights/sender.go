// Package appinsights sends OpenTelemetry's traces, metrics and logs to an
// Application Insights resource, by its ingestion API. [New] makes a [Sender]; [Spans],
// [Metrics] and [Logs] are exporters for the OpenTelemetry SDK over it.
//
// Microsoft has such exporters for .NET, Java, JavaScript and Python, and none for
// Go. This one does what they do: batches as lines of JSON, gzip, items refused
// one by one, retries, Entra sign-in. It does not send statistics about
// itself, does not follow redirects, and keeps nothing on disk.
package appinsights

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	HTTP       *http.Client
	Source     Source
	Now        func() time.Time
	// Log takes what goes wrong with sending. It must not lead back here.
	Log *slog.Logger
}

// Sender sends items. One that cannot be sent for a reason that passes (429, 5xx,
// no connection, a role not yet given) waits for the next sending, among a bounded
// number; beyond that the oldest are dropped. Trouble is logged when it begins and
// when it ends, not each time: telemetry must not fill the log it is a copy of.
type Sender struct {
	encoder  encoder
	url      string
	pipeline runtime.Pipeline
	now      func() time.Time
	log      *slog.Logger

	turn chan struct{} // holds a token while somebody sends

	mu        sync.Mutex
	waiting   [][]byte  // encoded, oldest first
	bytes     int       // of waiting
	notBefore time.Time // the service wants no sending before this
	trouble   string    // what was last logged; "" while all is well
	dropped   int       // items, since trouble was logged
}

const (
	// Bounds of one request. Microsoft's exporters send batches of this order.
	maxBatch      = 500
	maxBatchBytes = 1 << 20

	// Bounds of what waits for a better time.
	maxWaiting      = 5000
	maxWaitingBytes = 8 << 20

	// maxItem is what ingestion takes of one item; a longer one is dropped here.
	maxItem = 64 << 10

	maxAnswer = 1 << 20
)

// New returns a sender. Nothing is sent yet and nothing runs.
func New(o Options) *Sender { return newSender(o, 300*time.Millisecond) }

// newSender's pause is what it waits between two tries of one sending.
func newSender(o Options, pause time.Duration) *Sender {
	client := *o.HTTP
	// The host of the connection string and no other: an answer cannot lead elsewhere.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var signIn []policy.Policy
	if o.Credential != nil {
		signIn = append(signIn, runtime.NewBearerTokenPolicy(o.Credential, []string{o.Connection.Scope}, nil))
	}
	return &Sender{
		encoder: newEncoder(o.Connection.InstrumentationKey, o.Source),
		url:     o.Connection.Endpoint + "/v2.1/track",
		pipeline: runtime.NewPipeline("xarchive", o.Source.Version, runtime.PipelineOptions{PerRetry: signIn}, &policy.ClientOptions{
			Transport: &client,
			Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: pause, MaxRetryDelay: 2 * time.Second, TryTimeout: 10 * time.Second},
		}),
		now: o.Now, log: o.Log, turn: make(chan struct{}, 1),
	}
}

// ForceFlush tries to send what waits.
func (s *Sender) ForceFlush(ctx context.Context) error {
	s.send(ctx, nil)
	return nil
}

// Shutdown tries to send what waits. Three exporters share a sender and end one
// after the other, so it goes on working; the SDK lets nothing through after.
func (s *Sender) Shutdown(ctx context.Context) error { return s.ForceFlush(ctx) }

// send sends what waits and then items. What cannot be sent in ctx's time waits.
func (s *Sender) send(ctx context.Context, items []envelope) {
	lines := make([][]byte, 0, len(items))
	for _, item := range items {
		if line, err := json.Marshal(item); err == nil && len(line) <= maxItem {
			lines = append(lines, line)
		}
	}
	s.mu.Lock()
	s.dropped += len(items) - len(lines)
	s.queue(append(s.waiting, lines...))
	s.mu.Unlock()

	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.turn }()
	trouble, asked := "", false
	for {
		batch := s.next()
		if len(batch) == 0 {
			break
		}
		asked = true
		later, why := s.post(ctx, batch)
		if why != "" {
			trouble = why
		}
		if len(later) > 0 {
			s.mu.Lock()
			s.queue(append(later, s.waiting...))
			s.mu.Unlock()
			break
		}
	}
	if asked {
		s.tell(ctx, trouble)
	}
}

// queue makes lines what waits, without the oldest where they are too many. The
// caller holds mu.
func (s *Sender) queue(lines [][]byte) {
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

// next takes a batch from what waits; none while the service is to be left alone.
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
	s.queue(slices.Clone(s.waiting[n:])) // so that what was sent is not kept alive
	return batch
}

// tell logs that trouble began, changed or ended.
func (s *Sender) tell(ctx context.Context, trouble string) {
	s.mu.Lock()
	before, waiting, dropped := s.trouble, len(s.waiting), s.dropped
	if trouble == before {
		s.mu.Unlock()
		return
	}
	s.trouble, s.dropped = trouble, 0
	s.mu.Unlock()
	if trouble != "" {
		s.log.WarnContext(ctx, "telemetry cannot be sent", "reason", trouble, "waiting", waiting, "dropped", dropped)
		return
	}
	s.log.InfoContext(ctx, "telemetry is sent again", "dropped", dropped)
}

// drop counts items that will never be taken.
func (s *Sender) drop(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped += n
}

// post sends one batch. later is what to try again; why says what went wrong.
func (s *Sender) post(ctx context.Context, lines [][]byte) (later [][]byte, why string) {
	req, err := runtime.NewRequest(ctx, http.MethodPost, s.url)
	if err != nil {
		return lines, "the request cannot be made: " + err.Error()
	}
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	for _, line := range lines {
		_, _ = zip.Write(line) // a buffer takes everything
		_, _ = zip.Write([]byte{'\n'})
	}
	_ = zip.Close()
	if err := req.SetBody(closing{bytes.NewReader(body.Bytes())}, "application/x-json-stream"); err != nil {
		return lines, "the request cannot be made: " + err.Error()
	}
	req.Raw().Header.Set("Content-Encoding", "gzip")
	req.Raw().Header.Set("Accept", "application/json")
	runtime.SkipBodyDownload(req)
	resp, err := s.pipeline.Do(req)
	if err != nil {
		return lines, "ingestion cannot be reached, or no identity can be used for it: " + firstLine(err)
	}
	defer resp.Body.Close()
	return s.judge(resp, lines)
}

type closing struct{ *bytes.Reader }

func (closing) Close() error { return nil }

// firstLine is an error in brief; azcore's go on with the answer they got.
func firstLine(err error) string {
	line, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return cut(string(line), 300)
}

// answer is what ingestion says of a batch.
type answer struct {
	ItemsReceived int
	ItemsAccepted int
	Errors        []struct {
		Index      int
		StatusCode int
		Message    string
	}
}

func (s *Sender) judge(resp *http.Response, lines [][]byte) (later [][]byte, why string) {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil, ""
	case code == http.StatusPartialContent:
		return s.partial(resp, lines)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return lines, fmt.Sprintf("ingestion refuses the connector (%d): give its identity the role Monitoring Metrics Publisher on the Application Insights resource; a new role takes some minutes", code)
	case passing(code):
		s.hold(resp)
		return lines, fmt.Sprintf("ingestion answers with status %d", code)
	case code >= 300 && code < 400:
		s.drop(len(lines))
		return nil, "ingestion redirects to another address, which is not followed: copy the connection string anew from the Application Insights resource"
	default:
		s.drop(len(lines))
		return nil, fmt.Sprintf("ingestion refuses telemetry with status %d; check APPLICATIONINSIGHTS_CONNECTION_STRING", code)
	}
}

// partial takes the items that were refused one by one.
func (s *Sender) partial(resp *http.Response, lines [][]byte) (later [][]byte, why string) {
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a); err != nil {
		s.drop(len(lines))
		return nil, "ingestion took a part and does not say which"
	}
	for _, refused := range a.Errors {
		if refused.Index < 0 || refused.Index >= len(lines) {
			continue
		}
		if passing(refused.StatusCode) {
			later = append(later, lines[refused.Index])
			continue
		}
		s.drop(1)
		why = fmt.Sprintf("ingestion refuses items with status %d: %s", refused.StatusCode, cut(refused.Message, 200))
	}
	if len(later) > 0 {
		s.hold(resp)
		why = "ingestion takes a part only, the rest waits"
	}
	return later, why
}

// passing tells the statuses after which the same items may be taken. 439 is the
// resource's own limit for the day: trying again would not help before midnight.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// longestHold bounds what Retry-After may ask for.
const longestHold = 10 * time.Minute

// hold sends nothing for as long as the service asks in Retry-After.
func (s *Sender) hold(resp *http.Response) {
	text := resp.Header.Get("Retry-After")
	wait, err := time.ParseDuration(text + "s")
	if err != nil {
		at, err := http.ParseTime(text)
		if err != nil {
			return
		}
		wait = at.Sub(s.now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notBefore = s.now().Add(min(wait, longestHold))
}
