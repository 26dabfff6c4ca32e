package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/appinsights/ingestiontest"
	"xarchive/handler/internal/customhandler"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/logging"
	"xarchive/handler/internal/telemetry"
)

const (
	connection     = "APPLICATIONINSIGHTS_CONNECTION_STRING"
	authentication = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"

	hostTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	hostSpan   = "00f067aa0ba902b7"
	hostParent = "00-" + hostTrace + "-" + hostSpan + "-00" // not sampled, as the host's often are
	secret     = "c2VjcmV0LXZhbHVl"
)

var errUnauthorized = fault.New(fault.XUnauthorized, "X refuses the token")

// on returns telemetry that goes to a stand-in for Application Insights.
func on(t *testing.T, settings ...string) (*telemetry.Telemetry, *ingestiontest.Server) {
	t.Helper()
	server := ingestiontest.Start(t)
	env := map[string]string{connection: server.ConnectionString(), "SSL_CERT_FILE": server.CertificateFile(),
		"WEBSITE_SITE_NAME": "func-connector", "WEBSITE_INSTANCE_ID": "instance-1"}
	for i := 0; i < len(settings); i += 2 {
		env[settings[i]] = settings[i+1]
	}
	report, err := telemetry.New(telemetry.Options{Getenv: func(name string) string { return env[name] }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { report.Shutdown(context.Background()) })
	return report, server
}

// TestOffCostsNothing: without settings nothing is made, nothing runs, nothing is
// allocated, and handlers and clients are not wrapped.
func TestOffCostsNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	off, err := telemetry.New(telemetry.Options{Getenv: func(string) string { return "" }})
	if off != nil || err != nil {
		t.Fatalf("%v, %v", off, err)
	}
	if got := runtime.NumGoroutine(); got > before {
		t.Errorf("%d goroutines more", got-before)
	}
	ctx, header, now, failure := t.Context(), http.Header{"Traceparent": {hostParent}}, time.Now(), errors.New("failed")
	if allocs := testing.AllocsPerRun(100, func() { everything(off, ctx, header, now, failure) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	client := &http.Client{}
	if off.Outbound(client) != client {
		t.Error("a client is wrapped")
	}
	mux := http.NewServeMux()
	if off.HTTP(mux) != http.Handler(mux) {
		t.Error("a handler is wrapped")
	}
}

func everything(report *telemetry.Telemetry, ctx context.Context, header http.Header, now time.Time, failure error) {
	ctx = report.Join(ctx, header)
	work, span := report.Capture(ctx, "job", "account")
	report.Lag(work, "account", now, now)
	report.XBudget(work, "account", 1, 1)
	report.PostArchived(work, "account", "Tweet")
	report.SetAside(work, "account")
	report.Gap(work, "account")
	report.ClockSkew(ctx, time.Second)
	report.Skipped(ctx, "accounts", 1)
	report.Unasked(ctx, "job", now, now)
	report.SecretEnds(ctx, "secret", now, now)
	span.End(failure)
	work, span = report.Task(ctx, "job", "task")
	report.TaskEnded(work, now, now, 0)
	span.End(nil)
	report.Flush(ctx)
}

func BenchmarkOff(b *testing.B) {
	b.ReportAllocs()
	header, now := http.Header{}, time.Now()
	for b.Loop() {
		everything(nil, b.Context(), header, now, nil)
	}
}

// TestTick: an invocation's telemetry belongs to the host's trace and is sent before
// the host gets its answer, including the line that says why it failed.
func TestTick(t *testing.T) {
	report, server := on(t)
	log := report.Logger(io.Discard, io.Discard, slog.LevelDebug)
	run := report.Tick("ingest", func(ctx context.Context) error {
		work, span := report.Capture(ctx, "job-1", "42")
		log.DebugContext(work, "not for telemetry")
		log.InfoContext(work, "posts archived", "posts", 3, slog.Group("window", "from", "a"))
		report.PostArchived(work, "42", "Reply")
		report.PostArchived(work, "42", "Reply")
		report.Lag(work, "42", time.Now().Add(-90*time.Second), time.Now())
		report.Lag(work, "43", time.Time{}, time.Now())
		report.XBudget(work, "42", 900, 17)
		report.XBudget(work, "43", 0, 0)
		report.SetAside(work, "42")
		report.Gap(work, "42")
		report.ClockSkew(ctx, -90*time.Second)
		report.Skipped(ctx, "accounts", 3)
		report.Skipped(ctx, "tasks", 0)
		err := fmt.Errorf("capturing account 42: %w", errUnauthorized)
		span.End(err)
		_, task := report.Task(ctx, "job-1", "task-1")
		report.TaskEnded(ctx, time.Now().Add(-2*time.Minute), time.Now(), 2)
		task.End(nil)
		return err
	})
	handler := customhandler.New(customhandler.Options{HTTP: http.NotFoundHandler(), Log: log, Telemetry: report})
	handler.Timer("ingest", "timer", func(ctx context.Context, _ customhandler.Invocation) (customhandler.Result, error) {
		return customhandler.Result{}, run(ctx)
	})
	r := httptest.NewRequest(http.MethodPost, "/ingest", strings.NewReader(`{"Data":{"timer":{"IsPastDue":false}}}`))
	r.Host, r.RequestURI = "127.0.0.1:7071", "/ingest"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Azure-Functions-InvocationId", "invocation-1")
	r.Header.Set("traceparent", hostParent)
	answered := -1
	handler.ServeHTTP(&onAnswer{httptest.NewRecorder(), func() { answered = len(server.Items()) }}, r)

	if answered < 10 {
		t.Fatalf("when the host got its answer, %d items had been sent", answered)
	}
	requests, work := server.Of("RequestData"), server.Of("RemoteDependencyData")
	if len(requests) != 1 || len(work) != 2 {
		t.Fatalf("%d requests, %d pieces of work", len(requests), len(work))
	}
	tick := requests[0]
	if tick.Tags["ai.operation.id"] != hostTrace || tick.Tags["ai.operation.parentId"] != hostSpan || tick.Tags["ai.cloud.role"] != "func-connector" || tick.Tags["ai.cloud.roleInstance"] != "instance-1" {
		t.Errorf("%v", tick.Tags)
	}
	// Not 500: the alert on 5xx answers is about calls.
	if tick.Base["name"] != "ingest" || tick.Base["success"] != false || tick.Base["responseCode"] != "1" || tick.Property("error") != "x_unauthorized" {
		t.Errorf("%s", tick.Raw)
	}
	byName := map[string]ingestiontest.Item{}
	for _, w := range work {
		byName[w.Base["name"].(string)] = w
		if w.Tags["ai.operation.id"] != hostTrace || w.Tags["ai.operation.parentId"] != tick.Base["id"] {
			t.Errorf("%v", w.Tags)
		}
	}
	if c := byName["capture"]; c.Property("job") != "job-1" || c.Property("account") != "42" || c.Base["success"] != false {
		t.Errorf("%s", c.Raw)
	}
	if c := byName["task"]; c.Property("task") != "task-1" || c.Base["success"] != true {
		t.Errorf("%s", c.Raw)
	}
	lines := map[string]ingestiontest.Item{}
	for _, m := range server.Of("MessageData") {
		lines[m.Base["message"].(string)] = m
	}
	if l := lines["posts archived"]; l.Property("posts") != "3" || l.Property("invocation") != "invocation-1" || l.Property("function") != "ingest" ||
		l.Tags["ai.operation.id"] != hostTrace || l.Tags["ai.operation.parentId"] != byName["capture"].Base["id"] {
		t.Errorf("%s", l.Raw)
	}
	if l := lines["invocation failed"]; l.Base["severityLevel"] != "Error" || l.Tags["ai.operation.id"] != hostTrace {
		t.Errorf("%s", l.Raw)
	}
	if _, there := lines["not for telemetry"]; there {
		t.Error("a debug line is sent")
	}
	if e := server.Of("ExceptionData"); len(e) != 1 || !strings.Contains(e[0].Raw, "capturing account 42") {
		t.Errorf("%v", e)
	}
	points := map[string]map[string]any{}
	for _, m := range server.Of("MetricData") {
		labels := ""
		for _, name := range []string{"account", "kind", "outcome", "work", "cause", "what"} {
			if value := m.Property(name); value != "" {
				labels += "," + name + "=" + value
			}
		}
		points[m.Metric()["name"].(string)+labels] = m.Metric()
	}
	for name, holds := range map[string]func(float64) bool{
		"xarchive.posts.archived,account=42,kind=Reply":       func(v float64) bool { return v == 2 },
		"xarchive.lag,account=42":                             func(v float64) bool { return v >= 90 && v < 1000 },
		"xarchive.x.budget,account=42":                        func(v float64) bool { return v == 17 },
		"xarchive.task.duration,outcome=permanent_failure":    func(v float64) bool { return v >= 120 && v < 1000 },
		"xarchive.failures,work=capture,cause=x_unauthorized": func(v float64) bool { return v == 1 },
		"xarchive.set_aside,account=42":                       func(v float64) bool { return v == 1 },
		"xarchive.gaps,account=42":                            func(v float64) bool { return v == 1 },
		"xarchive.clock_skew":                                 func(v float64) bool { return v == -90 },
		"xarchive.skipped,what=accounts":                      func(v float64) bool { return v == 3 },
	} {
		value, _ := points[name]["value"].(float64)
		if !holds(value) {
			t.Errorf("%s is %v", name, points[name])
		}
		delete(points, name)
	}
	if len(points) != 0 {
		t.Errorf("more than was reported: %v", points)
	}
}

// onAnswer calls a function when a response begins.
type onAnswer struct {
	*httptest.ResponseRecorder
	begins func()
}

func (o *onAnswer) WriteHeader(status int) {
	o.begins()
	o.ResponseRecorder.WriteHeader(status)
}

// TestHTTP: a call becomes a request in the host's trace. Nothing of its query,
// headers and body is sent, and a path that does not exist becomes no name.
func TestHTTP(t *testing.T) {
	report, server := on(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/setup/Validate", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, secret) })
	mux.HandleFunc("/data/OnDownloadRequest", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("bad") })
	mux.HandleFunc("/silent", func(http.ResponseWriter, *http.Request) {})
	handler := customhandler.New(customhandler.Options{HTTP: report.HTTP(mux), Log: logging.New(io.Discard, io.Discard, slog.LevelError), Telemetry: report})
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/setup/Validate?token="+secret, strings.NewReader(secret)),
		httptest.NewRequest("POST", "/data/OnDownloadRequest", nil),
		httptest.NewRequest("GET", "/panic", nil),
		httptest.NewRequest("GET", "/wp-login.php", nil),
		httptest.NewRequest("BREW", "/silent", nil),
	} {
		r.Header.Set("Authorization", "Basic "+secret)
		r.Header.Set("traceparent", hostParent)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	report.Flush(t.Context())
	got := map[string]string{}
	for _, i := range server.Items() {
		if strings.Contains(i.Raw, secret) {
			t.Errorf("a secret is sent: %s", i.Raw)
		}
		if i.Type == "ExceptionData" { // the panic
			continue
		}
		got[fmt.Sprint(i.Base["name"], " ", i.Base["url"])] = fmt.Sprint(i.Base["responseCode"], " ", i.Base["success"])
		if i.Tags["ai.operation.id"] != hostTrace || i.Tags["ai.operation.parentId"] != hostSpan {
			t.Errorf("%v", i.Tags)
		}
	}
	for name, want := range map[string]string{
		"GET /setup/Validate /setup/Validate":                  "200 true",
		"POST /data/OnDownloadRequest /data/OnDownloadRequest": "401 false",
		"GET /panic /panic":                                    "500 false",
		"GET /wp-login.php":                                    "404 false",
		"_OTHER /silent /silent":                               "200 true",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q in %v", name, got[name], want, got)
		}
	}
}

// TestStrangersDoNotDecideTheBill: only so many requests a minute become spans; all
// are answered.
func TestStrangersDoNotDecideTheBill(t *testing.T) {
	report, server := on(t)
	answered := 0
	handler := report.HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered++ }))
	const sent = 1000
	for range sent {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	report.Flush(t.Context())
	// A new minute may begin in between.
	if got := len(server.Items()); got < 120 || got > 240 || answered != sent {
		t.Errorf("%d spans, %d answers for %d requests", got, answered, sent)
	}
}

// TestErrorsAreNotHidden: whoever uses the budget up hides no answer that says the
// connector failed; those have a bound of their own.
func TestErrorsAreNotHidden(t *testing.T) {
	report, server := on(t)
	handler := report.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	for _, path := range []string{"/", "/fails"} {
		for range 1000 {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		}
	}
	report.Flush(t.Context())
	failed := 0
	for _, i := range server.Of("RequestData") {
		if i.Base["responseCode"] == "503" {
			failed++
			if i.Base["name"] != "GET /fails" || i.Base["success"] != false || !strings.HasPrefix(i.Tags["ai.internal.sdkVersion"], "xarchive:") {
				t.Errorf("%s", i.Raw)
			}
		}
	}
	// A new minute may begin in between.
	if failed < 120 || failed > 480 {
		t.Errorf("%d failed requests are recorded, want 120 a minute", failed)
	}
}

// TestConsole: a line that is sent to Application Insights must not get there from
// stderr, too. By OTLP alone, the host's copy is the only one.
func TestConsole(t *testing.T) {
	for name, c := range map[string]struct {
		make           func() *telemetry.Telemetry
		stdout, stderr string
	}{
		"off":                  {func() *telemetry.Telemetry { return nil }, "news", "trouble"},
		"Application Insights": {func() *telemetry.Telemetry { report, _ := on(t); return report }, "news trouble", ""},
		"OTLP": {func() *telemetry.Telemetry {
			env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": startCollector(t, httptest.NewServer).URL}
			report, err := telemetry.New(telemetry.Options{Getenv: func(name string) string { return env[name] }, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { report.Shutdown(context.Background()) })
			return report
		}, "news", "trouble"},
	} {
		var stdout, stderr strings.Builder
		log := c.make().Logger(&stdout, &stderr, slog.LevelInfo)
		log.Info("news")
		log.Error("trouble")
		for _, out := range []struct{ what, got, want string }{{"stdout", stdout.String(), c.stdout}, {"stderr", stderr.String(), c.stderr}} {
			var said []string
			for _, word := range []string{"news", "trouble"} {
				if strings.Contains(out.got, "msg="+word) {
					said = append(said, word)
				}
			}
			if got := strings.Join(said, " "); got != out.want {
				t.Errorf("%s: want %q on %s, got %q", name, out.want, out.what, got)
			}
		}
	}
}

// TestOutbound: a call of X becomes a dependency, named without ids and without its
// query, which can hold tokens. X learns nothing of the trace.
func TestOutbound(t *testing.T) {
	report, server := on(t)
	x := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("traceparent") != "" {
			t.Error("X is told the trace")
		}
		w.Header().Set("x-rate-limit-remaining", "12")
		if strings.HasSuffix(r.URL.Path, "/tweets") {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	client := report.Outbound(x.Client())
	ctx, span := report.Capture(t.Context(), "job", "account")
	for _, path := range []string{"/2/users/2244994945/tweets?token=" + secret, "/oauth/request_token?oauth_callback=" + secret, "/media/FzQ-9_a.jpg"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	x.Close()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, x.URL+"/gone?token="+secret, nil)
	if _, err := client.Do(r); err == nil {
		t.Fatal("a closed server answers")
	}
	span.End(nil)
	report.Flush(t.Context())
	got := map[string]string{}
	for _, i := range server.Of("RemoteDependencyData") {
		if strings.Contains(i.Raw, secret) || strings.Contains(i.Raw, "2244994945") {
			t.Errorf("%s", i.Raw)
		}
		got[i.Base["name"].(string)] = fmt.Sprint(i.Base["type"], " ", i.Base["resultCode"], " ", i.Base["success"], " ", i.Property("x-rate-limit-remaining"), i.Property("error"))
	}
	for name, want := range map[string]string{
		"GET 127.0.0.1/2/users/*/tweets":    "HTTP 429 false 12",
		"GET 127.0.0.1/oauth/request_token": "HTTP 200 true 12",
		"GET 127.0.0.1/media/*":             "HTTP 200 true 12",
		"GET 127.0.0.1/gone":                "HTTP 1 false no answer",
		"capture":                           "InProc 0 true ",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q in %v", name, got[name], want, got)
		}
	}
}

// TestShutdown: what is left is sent at the end.
func TestShutdown(t *testing.T) {
	report, server := on(t)
	report.Logger(io.Discard, io.Discard, slog.LevelInfo).Warn("last words")
	report.PostArchived(t.Context(), "42", "Tweet")
	_, span := report.Capture(t.Context(), "job", "42")
	span.End(nil)
	report.Shutdown(t.Context())
	if len(server.Of("MessageData")) != 1 || len(server.Of("MetricData")) != 1 || len(server.Of("RemoteDependencyData")) != 1 {
		t.Errorf("%v", server.Items())
	}
}

// TestManagedIdentity: if Entra sign-in is set, the platform gives the app's identity
// a token for Azure Monitor.
func TestManagedIdentity(t *testing.T) {
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Header.Get("X-IDENTITY-HEADER") != "header" || q.Get("resource") != "https://monitor.azure.com/" || q.Get("client_id") != "client-1" {
			t.Errorf("%s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"monitor-token","expires_on":"%d","resource":"https://monitor.azure.com/","token_type":"Bearer"}`, time.Now().Add(time.Hour).Unix())
	}))
	defer identity.Close()
	t.Setenv("IDENTITY_ENDPOINT", identity.URL)
	t.Setenv("IDENTITY_HEADER", "header")
	report, server := on(t, authentication, "ClientId=client-1;Authorization=AAD")
	server.RequireBearer("monitor-token")
	report.Logger(io.Discard, io.Discard, slog.LevelInfo).Info("hello")
	report.Flush(t.Context())
	if len(server.Of("MessageData")) != 1 {
		t.Error("the server took nothing")
	}
}

// TestFaultySettings: the error names the setting and does not repeat it; Check says
// the same.
func TestFaultySettings(t *testing.T) {
	good := "InstrumentationKey=" + ingestiontest.Key + ";IngestionEndpoint=https://dc.example.com/"
	for _, f := range []struct{ connection, authentication, want string }{
		{"InstrumentationKey=" + secret, "", connection + ": "},
		{good, "Authorization=Basic", authentication + ": "},
		{good, "Authorization=AAD", ""},
		{"", "", ""},
	} {
		getenv := func(name string) string {
			return map[string]string{connection: f.connection, authentication: f.authentication}[name]
		}
		report, err := telemetry.New(telemetry.Options{Getenv: getenv, Log: slog.New(slog.DiscardHandler)})
		report.Shutdown(t.Context())
		says, checked := telemetry.Check(getenv)
		for _, e := range []error{err, checked} {
			if (e != nil) != (f.want != "") || e != nil && (!strings.HasPrefix(e.Error(), f.want) || strings.Contains(e.Error(), secret)) {
				t.Errorf("%+v: %v", f, e)
			}
		}
		if f.want == "" && strings.Contains(says, "https://dc.example.com") != (f.connection != "") {
			t.Errorf("%+v: %s", f, says)
		}
	}
}
