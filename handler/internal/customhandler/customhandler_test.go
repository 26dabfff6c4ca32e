package customhandler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"xarchive/handler/internal/logging"
)

const tick = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"2026-01-01T00:00:00+00:00","Next":"2026-01-01T00:05:00+00:00","LastUpdated":"2026-01-01T00:00:00+00:00"},"IsPastDue":true}},"Metadata":{"sys":{"MethodName":"ingest","UtcNow":"2026-01-01T00:00:00Z","RandGuid":"5b7c8d8e-0000-4000-8000-000000000000"}}}`

// logBuffer is a log that several goroutines write and the test reads.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// running is a server on a free port.
type running struct {
	address string
	log     *logBuffer
	end     context.CancelFunc
	ended   chan error
}

func start(t *testing.T, run func(context.Context, Invocation) (Result, error)) *running {
	t.Helper()
	log := &logBuffer{}
	s := New(Options{Log: logging.New(log, log, slog.LevelInfo), HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("secret detail")
		}
		_, _ = io.WriteString(w, "http:"+r.URL.Path)
	})})
	s.Timer("ingest", "timer", run)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{listener.Addr().String(), log, cancel, make(chan error, 1)}
	go func() { r.ended <- s.serve(ctx, listener) }()
	t.Cleanup(cancel)
	return r
}

// send makes a raw request, because a client library would tidy its path.
func (r *running) send(t *testing.T, method, uri, body string, headers ...string) (int, string) {
	t.Helper()
	status, answer, err := r.exchange(method, uri, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func (r *running) exchange(method, uri, body string, headers ...string) (int, string, error) {
	req, err := http.NewRequest(method, "http://"+r.address, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.URL.Opaque = uri
	if strings.HasPrefix(uri, "//") {
		req.URL.Opaque = "//" + r.address + uri // absolute form; net/http would take uri for it otherwise
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("X-Azure-Functions-InvocationId", "6a0f2a1c-1111-4111-8111-000000000000")
	req.Header.Set("X-Azure-Functions-HostVersion", "4.1036.2.23924")
	req.Header.Set("User-Agent", "Azure-Functions-Host/4.1036.2.23924")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

func never(t *testing.T) func(context.Context, Invocation) (Result, error) {
	return func(context.Context, Invocation) (Result, error) {
		t.Error("the function ran")
		return Result{}, nil
	}
}

// TestRest: what is no function's, the host's poll of the root too, is for the HTTP
// handler.
func TestRest(t *testing.T) {
	r := start(t, never(t))
	for _, other := range [][2]string{{"GET", "/"}, {"POST", "/"}, {"GET", "/?x=1"}, {"GET", "/Configure"}} {
		if _, body := r.send(t, other[0], other[1], ""); !strings.HasPrefix(body, "http:") {
			t.Errorf("%s did not reach the HTTP handler: %q", other, body)
		}
	}
}

func TestTimer(t *testing.T) {
	var got Invocation
	r := start(t, func(ctx context.Context, inv Invocation) (Result, error) {
		got = inv
		return Result{Logs: []string{"7 posts archived"}}, nil
	})
	// Trace headers are what the host's HTTP client may add.
	status, body := r.send(t, "POST", "/ingest", tick, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Request-Id", "|1.")
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if want := (Invocation{ID: "6a0f2a1c-1111-4111-8111-000000000000", IsPastDue: true}); got != want {
		t.Errorf("want %+v, got %+v", want, got)
	}
	var answer, want any
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`{"Outputs":{},"Logs":["7 posts archived"],"ReturnValue":null}`), &want)
	if !reflect.DeepEqual(answer, want) {
		t.Errorf("want %v, got %s", want, body)
	}
}

func TestFailedTimer(t *testing.T) {
	for name, run := range map[string]func(context.Context, Invocation) (Result, error){
		"error": func(context.Context, Invocation) (Result, error) { return Result{}, errors.New("secret detail") },
		"panic": func(context.Context, Invocation) (Result, error) { panic("secret detail") },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, run)
			status, body := r.send(t, "POST", "/ingest", tick)
			if status != 500 || !strings.HasPrefix(body, `{"Message":`) || strings.Contains(body, "secret detail") {
				t.Errorf("want a 500 without internals, got %d %s", status, body)
			}
			for _, want := range []string{"secret detail", "invocation=6a0f2a1c", "function=ingest"} {
				if !strings.Contains(r.log.String(), want) {
					t.Errorf("the log does not say %q:\n%s", want, r.log)
				}
			}
		})
	}
}

func TestPanicOfTheHTTPHandler(t *testing.T) {
	r := start(t, never(t))
	status, body := r.send(t, "GET", "/panic", "")
	if status != 500 || strings.Contains(body, "secret detail") || !strings.Contains(r.log.String(), "secret detail") {
		t.Errorf("want a 500 without internals and the reason in the log, got %d %s", status, body)
	}
}

// A request from the Internet must not start ingestion, whatever it forges.
func TestNotAnInvocation(t *testing.T) {
	r := start(t, never(t))
	for _, c := range []struct {
		method, uri string
		headers     []string
		want        int
	}{
		{"GET", "/ingest", nil, 404},
		{"PUT", "/ingest", nil, 404},
		{"POST", "/Ingest", nil, 404},
		{"POST", "/INGEST", nil, 404},
		{"POST", "/ingest/", nil, 404},
		{"POST", "//ingest", nil, 404},
		{"POST", "/ingest?", nil, 404},
		{"POST", "/ingest?code=1", nil, 404},
		{"POST", "/inges%74", nil, 404},
		{"POST", "/%69ngest", nil, 404},
		{"POST", "/ingest%2F", nil, 404},
		{"POST", "/ingest", []string{"Content-Type", "text/plain"}, 404},
		{"POST", "/ingest", []string{"Host", "contoso.azurewebsites.net"}, 404},
		{"POST", "/ingest", []string{"X-Forwarded-For", "203.0.113.7:4711"}, 404},
		{"POST", "/ingest", []string{"X-Forwarded-Proto", "https"}, 404},
		{"POST", "/ingest", []string{"X-ARR-LOG-ID", "1"}, 404},
		{"POST", "/ingest", []string{"X-ARR-SSL", "1"}, 404},
		{"POST", "/ingest", []string{"X-Original-URL", "/ingest"}, 404},
		{"POST", "/ingest", []string{"X-WAWS-Unencoded-URL", "/ingest"}, 404},
		{"POST", "/ingest", []string{"DISGUISED-HOST", "contoso.azurewebsites.net"}, 404},
		{"POST", "/ingest", []string{"CLIENT-IP", "203.0.113.7:4711"}, 404},
		{"POST", "/ingest", []string{"Forwarded", "for=203.0.113.7"}, 404},
		{"POST", "/ingest", []string{"Authorization", "Basic Og=="}, 404},
		{"POST", "/ingest", []string{"Sec-Fetch-Mode", "cors"}, 404},
	} {
		if status, body := r.send(t, c.method, c.uri, tick, c.headers...); status != c.want {
			t.Errorf("%s %s %v: want %d, got %d %s", c.method, c.uri, c.headers, c.want, status, body)
		}
	}
	for _, body := range []string{"", "null", "[]", "{", `{"Data":{}}`, `{"Data":{"other":{"IsPastDue":false}}}`, `{"Data":{"timer":null}}`,
		`{"Data":{"timer":"tick"}}`, `{"Data":{"timer":{}}}`, `{"Data":{"timer":{"IsPastDue":"no"}}}`, `{"Data":{"timer":{"IsPastDue":false}}} {}`,
		`{"Data":{"timer":{"IsPastDue":false}},"x":"` + strings.Repeat("x", maxEnvelope) + `"}`} {
		if status, answer := r.send(t, "POST", "/ingest", body); status != 400 || !strings.HasPrefix(answer, `{"Message":`) {
			t.Errorf("body %.60q: want 400, got %d %s", body, status, answer)
		}
	}
}

func TestEndCancelsInvocations(t *testing.T) {
	started, cause := make(chan struct{}), make(chan error, 1)
	r := start(t, func(ctx context.Context, _ Invocation) (Result, error) {
		close(started)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return Result{}, ctx.Err()
	})
	answered := make(chan string, 1)
	go func() {
		status, _, err := r.exchange("POST", "/ingest", tick)
		answered <- fmt.Sprint(status, err)
	}()
	<-started
	r.end()
	if got := <-cause; !strings.Contains(got.Error(), "ending") {
		t.Errorf("the context ended with %v", got)
	}
	if got := <-answered; got != "500 <nil>" {
		t.Errorf("the host was left without an answer: %s", got)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", r.address); err == nil {
		t.Error("it still listens")
	}
}

func TestServeSaysThatThePortIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := New(Options{Port: listener.Addr().(*net.TCPAddr).Port, Log: slog.New(slog.DiscardHandler)})
	if err := s.Serve(context.Background()); err == nil {
		t.Error("want an error")
	}
}

func TestUnavailable(t *testing.T) {
	log := &logBuffer{}
	s := New(Options{Log: slog.New(slog.DiscardHandler), HTTP: Unavailable(logging.New(log, log, slog.LevelInfo))})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := &running{address: listener.Addr().String(), ended: make(chan error, 1)}
	go func() { r.ended <- s.serve(ctx, listener) }()
	if status, body := r.send(t, "GET", "/setup/Validate", ""); status != 503 || !strings.HasPrefix(body, `{"Message":`) {
		t.Errorf("want 503, got %d %s", status, body)
	}
	if status, _ := r.send(t, "GET", "/", ""); status != 503 {
		t.Errorf("the host's poll got %d", status)
	}
	if status, body := r.send(t, "GET", "/Configure", "", "Accept", "text/html,*/*"); status != 503 || !strings.HasPrefix(body, "<!doctype html>") || !strings.Contains(body, "<h1>The connector is not set up</h1>") {
		t.Errorf("a browser got %d %s", status, body)
	}
	if !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("no warning in the log: %s", log)
	}
}

func FuzzParseTimer(f *testing.F) {
	f.Add([]byte(tick), "timer")
	f.Add([]byte(`{"Data":{"q":"{\"IsPastDue\":false}"}}`), "q")
	f.Add([]byte(`{"Data":{"q":"\"{}\""}}`), "q")
	f.Fuzz(func(t *testing.T, body []byte, binding string) {
		got, err := parseTimer(body, binding)
		if err != nil {
			if got != (timerData{}) {
				t.Error("a value comes with the error")
			}
			return
		}
		// What was accepted says the same when the value is wrapped as a string.
		value, err := bindingData(body, binding)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(string(value))
		wrapped, _ := json.Marshal(map[string]any{"Data": map[string]json.RawMessage{"b": text}})
		again, err := parseTimer(wrapped, "b")
		if err != nil || again != got {
			t.Errorf("as a string: %v, %v; as it came: %v", again, err, got)
		}
	})
}
