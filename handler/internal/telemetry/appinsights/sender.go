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

	turn chan struct{} // holds one token; who has it may use what is below

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
func New(o Options) *Sender {
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
			Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: 300 * time.Millisecond, MaxRetryDelay: 2 * time.Second, TryTimeout: 10 * time.Second},
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

// send sends what waits and then items.
func (s *Sender) send(ctx context.Context, items []envelope) {
	lines := make([][]byte, 0, len(items))
	oversized := 0
	for _, item := range items {
		line, err := json.Marshal(item)
		if err != nil || len(line) > maxItem {
			oversized++ // a type that JSON cannot write does not occur
			continue
		}
		lines = append(lines, line)
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return // another sending outlasts this one's time; its items are lost
	}
	for _, line := range lines {
		s.bytes += len(line)
	}
	s.waiting = append(s.waiting, lines...)
	if s.dropped += oversized; len(s.waiting) == 0 {
		return
	}
	if s.now().Before(s.notBefore) {
		s.bound()
		return
	}
	trouble := s.sendWaiting(ctx)
	s.bound()
	s.tell(ctx, trouble)
}

// sendWaiting sends batches until nothing waits or one fails. What it returns is
// "" or why it stopped.
func (s *Sender) sendWaiting(ctx context.Context) (trouble string) {
	for len(s.waiting) > 0 {
		batch, size := 0, 0
		for batch < min(len(s.waiting), maxBatch) && (batch == 0 || size+len(s.waiting[batch]) < maxBatchBytes) {
			size += len(s.waiting[batch])
			batch++
		}
		later, why := s.post(ctx, s.waiting[:batch])
		rest := s.waiting[batch:]
		s.waiting = append(later, rest...)
		s.bytes = 0
		for _, line := range s.waiting {
			s.bytes += len(line)
		}
		if why != "" {
			trouble = why
		}
		if len(later) > 0 {
			return trouble
		}
	}
	return trouble
}

// bound drops the oldest of what waits where it is too much.
func (s *Sender) bound() {
	for len(s.waiting) > maxWaiting || s.bytes > maxWaitingBytes {
		s.bytes -= len(s.waiting[0])
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		s.dropped++
	}
}

// tell logs that trouble began, changed or ended.
func (s *Sender) tell(ctx context.Context, trouble string) {
	if trouble == s.trouble {
		return
	}
	if trouble != "" {
		s.log.WarnContext(ctx, "telemetry cannot be sent", "reason", trouble, "waiting", len(s.waiting), "dropped", s.dropped)
	} else {
		s.log.InfoContext(ctx, "telemetry is sent again", "dropped", s.dropped)
	}
	s.trouble, s.dropped = trouble, 0
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
		s.dropped += len(lines)
		return nil, "ingestion redirects to another address, which is not followed: copy the connection string anew from the Application Insights resource"
	default:
		s.dropped += len(lines)
		return nil, fmt.Sprintf("ingestion refuses telemetry with status %d; check APPLICATIONINSIGHTS_CONNECTION_STRING", code)
	}
}

// partial takes the items that were refused one by one.
func (s *Sender) partial(resp *http.Response, lines [][]byte) (later [][]byte, why string) {
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&a); err != nil {
		s.dropped += len(lines)
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
		s.dropped++
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
	s.notBefore = s.now().Add(min(wait, longestHold))
}
