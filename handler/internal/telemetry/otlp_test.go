package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/appinsights/ingestiontest"
	"xarchive/handler/internal/telemetry"
)

const key = "a2V5LW9mLXRoZS1jb2xsZWN0b3I=" // a secret, in a header

// set returns telemetry for settings, its log, and its error.
func set(t *testing.T, env map[string]string) (*telemetry.Telemetry, *bytes.Buffer, error) {
	t.Helper()
	log := &bytes.Buffer{}
	report, err := telemetry.New(telemetry.Options{Getenv: func(name string) string { return env[name] }, Log: slog.New(slog.NewTextHandler(log, nil))})
	t.Cleanup(func() { report.Shutdown(context.Background()) })
	return report, log, err
}

// say reports one of each kind.
func say(ctx context.Context, report *telemetry.Telemetry) {
	ctx, span := report.Capture(ctx, "job-1", "42")
	report.Logger(io.Discard, io.Discard, slog.LevelInfo).InfoContext(ctx, "posts archived", "posts", 3)
	report.PostArchived(ctx, "42", "Tweet")
	span.End(nil)
}

// TestOTLP: a span, a metric and a line reach a collector, with the headers that are
// set, in the host's trace, and named by the app. No secret is in any of them.
func TestOTLP(t *testing.T) {
	c := startCollector(t, httptest.NewTLSServer)
	report, log, err := set(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT":      c.URL + "/base/",
		"OTEL_EXPORTER_OTLP_HEADERS":       "api-key=" + strings.ReplaceAll(key, "=", "%3D") + ", tenant = t1,",
		"OTEL_EXPORTER_OTLP_LOGS_HEADERS":  "tenant=t2",
		"OTEL_EXPORTER_OTLP_PROTOCOL":      "http/protobuf",
		"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": c.URL + "/own/logs",
		"SSL_CERT_FILE":                    certificate(t, c.Server),
		"WEBSITE_SITE_NAME":                "func-connector",
		"WEBSITE_INSTANCE_ID":              "instance-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := report.Join(t.Context(), http.Header{"Traceparent": {hostParent}})
	work, span := report.Capture(ctx, "job-1", "42")
	client := report.Outbound(&http.Client{Transport: refusing{}})
	r, err := http.NewRequestWithContext(work, http.MethodGet, "https://api.x.com/2/users/2244994945/tweets?token="+secret, strings.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	if _, err := client.Do(r); err == nil {
		t.Fatal("the stand-in for X answers")
	}
	report.Logger(io.Discard, io.Discard, slog.LevelInfo).InfoContext(work, "posts archived", "posts", 3)
	report.PostArchived(work, "42", "Tweet")
	report.ClockSkew(work, 1500*time.Millisecond)
	span.End(fmt.Errorf("capturing: %w", errUnauthorized))
	report.Flush(t.Context())

	paths := slices.Sorted(slices.Values(c.paths))
	if want := []string{"/base/v1/metrics", "/base/v1/traces", "/own/logs"}; !slices.Equal(paths, want) {
		t.Errorf("requests to %q, want %q", paths, want)
	}
	for i, h := range c.headers {
		wantKey, wantTenant := key, "t1"
		if c.paths[i] == "/own/logs" {
			wantKey, wantTenant = "", "t2"
		}
		if h.Get("api-key") != wantKey || h.Get("tenant") != wantTenant {
			t.Errorf("%s has the headers api-key %q and tenant %q, want %q and %q", c.paths[i], h.Get("api-key"), h.Get("tenant"), wantKey, wantTenant)
		}
	}
	names := map[string]string{}
	for _, s := range c.spans {
		names[s.Name] = s.Status.GetMessage()
		if hex.EncodeToString(s.TraceId) != hostTrace {
			t.Errorf("span %s belongs to the trace %x, want the host's", s.Name, s.TraceId)
		}
	}
	if len(names) != 2 || names["capture"] != "x_unauthorized" || names["GET api.x.com/2/users/*/tweets"] != "no answer" {
		t.Errorf("spans %v", names)
	}
	values := map[string]float64{}
	for _, m := range c.metrics {
		for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
			values[m.Name] = float64(p.GetAsInt()) + p.GetAsDouble()
		}
	}
	if len(values) != 3 || values["xarchive.posts.archived"] != 1 || values["xarchive.clock_skew"] != 1.5 || values["xarchive.failures"] != 1 {
		t.Errorf("metrics %v", values)
	}
	if len(c.lines) != 1 || c.lines[0].Body.GetStringValue() != "posts archived" || hex.EncodeToString(c.lines[0].TraceId) != hostTrace {
		t.Errorf("lines %v, want one in the host's trace", c.lines)
	}
	if c.resource["service.name"] != "func-connector" || c.resource["service.instance.id"] != "instance-1" {
		t.Errorf("resource %v", c.resource)
	}
	for i, body := range c.bodies {
		for _, secret := range []string{secret, key, "2244994945"} {
			if strings.Contains(body, secret) {
				t.Errorf("the request to %s holds %q", c.paths[i], secret)
			}
		}
	}
	if log.Len() > 0 {
		t.Errorf("nothing went wrong, and the log says\n%s", log)
	}
}

type refusing struct{}

func (refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("refused: %s", r.URL)
}

// TestBoth: with settings for both, both get everything.
func TestBoth(t *testing.T) {
	c := startCollector(t, httptest.NewTLSServer)
	insights := ingestiontest.Start(t)
	env := map[string]string{connection: insights.ConnectionString(), "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "SSL_CERT_FILE": certificate(t, c.Server, insights.Server)}
	report, log, err := set(t, env)
	if err != nil {
		t.Fatal(err)
	}
	say(t.Context(), report)
	report.Flush(t.Context())
	for _, kind := range []string{"RemoteDependencyData", "MetricData", "MessageData"} {
		if n := len(insights.Of(kind)); n != 1 {
			t.Errorf("Application Insights got %d items of %s, want 1\n%s", n, kind, log)
		}
	}
	if len(c.spans) != 1 || len(c.metrics) != 1 || len(c.lines) != 1 {
		t.Errorf("the collector got %d spans, %d metrics, %d lines, want 1 of each\n%s", len(c.spans), len(c.metrics), len(c.lines), log)
	}
}

// TestSilentDestination: a destination that does not answer keeps nothing from the
// other. Here it does not answer before the other has got everything.
func TestSilentDestination(t *testing.T) {
	c := startCollector(t, httptest.NewServer)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-c.all:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(silent.Close)
	report, _, err := set(t, map[string]string{
		connection:                    "InstrumentationKey=" + ingestiontest.Key + ";IngestionEndpoint=" + silent.URL,
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	say(t.Context(), report)
	report.Flush(t.Context())
	if len(c.spans) != 1 || len(c.metrics) != 1 || len(c.lines) != 1 {
		t.Errorf("beside a silent destination the collector got %d spans, %d metrics, %d lines, want 1 of each", len(c.spans), len(c.metrics), len(c.lines))
	}
}

// TestOTLPProblem: a problem of the collector is logged once for each signal when it
// begins and when it ends, without the collector's own words and without headers.
func TestOTLPProblem(t *testing.T) {
	c := startCollector(t, httptest.NewServer)
	report, log, err := set(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=" + strings.ReplaceAll(key, "=", "%3D")})
	if err != nil {
		t.Fatal(err)
	}
	c.answer(http.StatusUnauthorized)
	for range 2 {
		say(t.Context(), report)
		report.Flush(t.Context())
	}
	if n := strings.Count(log.String(), "level=WARN msg=\"telemetry cannot be sent\""); n != 3 || strings.Count(log.String(), "status 401") != 3 {
		t.Errorf("%d lines about the problem, want 3 with status 401\n%s", n, log)
	}
	c.answer(http.StatusOK)
	say(t.Context(), report)
	report.Flush(t.Context())
	if n := strings.Count(log.String(), "telemetry is sent again"); n != 3 {
		t.Errorf("%d lines about its end, want 3\n%s", n, log)
	}
	c.Close()
	say(t.Context(), report)
	report.Flush(t.Context())
	if n := strings.Count(log.String(), "cannot be reached"); n != 3 {
		t.Errorf("%d lines about a collector that is gone, want 3\n%s", n, log)
	}
	if strings.Contains(log.String(), key) || strings.Contains(log.String(), "own words") {
		t.Errorf("the log says too much\n%s", log)
	}
}

// TestOTLPRedirect: a redirect is not followed, so headers go to no other host.
func TestOTLPRedirect(t *testing.T) {
	elsewhere := startCollector(t, httptest.NewServer)
	from := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/v1/logs", http.StatusPermanentRedirect))
	t.Cleanup(from.Close)
	report, log, err := set(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": from.URL, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=k"})
	if err != nil {
		t.Fatal(err)
	}
	say(t.Context(), report)
	report.Flush(t.Context())
	if len(elsewhere.paths) > 0 || !strings.Contains(log.String(), "status 308") {
		t.Errorf("%d requests followed the redirect\n%s", len(elsewhere.paths), log)
	}
}

// TestOTLPSettings: a faulty setting is named once, without its value, and only what
// it is about is not sent. Check says the same.
func TestOTLPSettings(t *testing.T) {
	const base, prefix = "https://collector.example.com:4318", "OTEL_EXPORTER_OTLP_"
	for name, c := range map[string]struct {
		env    map[string]string
		goesTo []string // of Check
		faults []string // beginnings
	}{
		"base":            {map[string]string{"ENDPOINT": base}, []string{base + "/v1/traces", base + "/v1/metrics", base + "/v1/logs"}, nil},
		"one signal":      {map[string]string{"TRACES_ENDPOINT": base}, []string{base + "/,"}, nil},
		"own path":        {map[string]string{"METRICS_ENDPOINT": base + "/m"}, []string{base + "/m,"}, nil},
		"unencrypted":     {map[string]string{"ENDPOINT": "http://collector:4318"}, []string{"http://collector:4318/v1/traces", "http://collector:4318/v1/metrics", "http://collector:4318/v1/logs"}, nil},
		"headers only":    {map[string]string{"HEADERS": "a=b"}, nil, nil},
		"not a URL":       {map[string]string{"ENDPOINT": "collector:4318/" + secret}, nil, []string{"ENDPOINT"}},
		"user":            {map[string]string{"ENDPOINT": "https://u:" + secret + "@collector"}, nil, []string{"ENDPOINT"}},
		"query":           {map[string]string{"ENDPOINT": base + "?key=" + secret}, nil, []string{"ENDPOINT"}},
		"one of three":    {map[string]string{"ENDPOINT": base, "LOGS_ENDPOINT": secret}, []string{base + "/v1/traces", base + "/v1/metrics"}, []string{"LOGS_ENDPOINT"}},
		"grpc":            {map[string]string{"ENDPOINT": base, "PROTOCOL": "grpc"}, nil, []string{"PROTOCOL"}},
		"grpc for one":    {map[string]string{"ENDPOINT": base, "TRACES_PROTOCOL": "grpc"}, []string{base + "/v1/metrics", base + "/v1/logs"}, []string{"TRACES_PROTOCOL"}},
		"headers":         {map[string]string{"ENDPOINT": base, "HEADERS": secret}, nil, []string{"HEADERS"}},
		"header's name":   {map[string]string{"ENDPOINT": base, "HEADERS": "a b=" + secret}, nil, []string{"HEADERS"}},
		"header's value":  {map[string]string{"ENDPOINT": base, "HEADERS": "a=%0A" + secret}, nil, []string{"HEADERS"}},
		"two faults":      {map[string]string{"ENDPOINT": secret, "HEADERS": secret}, nil, []string{"ENDPOINT", "HEADERS"}},
		"key unencrypted": {map[string]string{"ENDPOINT": "http://collector:4318", "HEADERS": "a=" + secret}, nil, []string{"HEADERS"}},
	} {
		getenv := func(setting string) string { return c.env[strings.TrimPrefix(setting, prefix)] }
		report, err := telemetry.New(telemetry.Options{Getenv: getenv, Log: slog.New(slog.DiscardHandler)})
		says, checked := telemetry.Check(getenv)
		if (report != nil) != (len(c.goesTo) > 0) {
			t.Errorf("%s: telemetry is on: %v, want %v", name, report != nil, len(c.goesTo) > 0)
		}
		for _, e := range []error{err, checked} {
			text := ""
			if e != nil {
				text = e.Error()
			}
			lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
			if len(lines) != len(c.faults) || strings.Contains(text, secret) {
				t.Errorf("%s: faults %q, want those of %q", name, lines, c.faults)
				continue
			}
			for i, want := range c.faults {
				if !strings.HasPrefix(lines[i], prefix+want+": ") {
					t.Errorf("%s: fault %q, want one of %s", name, lines[i], want)
				}
			}
		}
		if n := strings.Count(says, "Goes to "); n != len(c.goesTo) {
			t.Errorf("%s: Check says %q, want %q", name, says, c.goesTo)
		}
		for _, want := range c.goesTo {
			if !strings.Contains(says, "Goes to "+want) {
				t.Errorf("%s: Check says %q, want %q in it", name, says, want)
			}
		}
	}
}

// TestFaultBesideGood: a faulty setting of one destination leaves the other working.
func TestFaultBesideGood(t *testing.T) {
	c := startCollector(t, httptest.NewServer)
	report, _, err := set(t, map[string]string{connection: "InstrumentationKey=" + secret, "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL})
	if err == nil || !strings.HasPrefix(err.Error(), connection+": ") {
		t.Errorf("error %v, want the connection string's", err)
	}
	say(t.Context(), report)
	report.Flush(t.Context())
	if len(c.spans) != 1 {
		t.Errorf("the collector got %d spans, want 1", len(c.spans))
	}

	insights := ingestiontest.StartPlain(t)
	report, _, err = set(t, map[string]string{connection: insights.ConnectionString(), "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL})
	if err == nil || !strings.HasPrefix(err.Error(), "OTEL_EXPORTER_OTLP_PROTOCOL: ") {
		t.Errorf("error %v, want the protocol's", err)
	}
	say(t.Context(), report)
	report.Flush(t.Context())
	if n := len(insights.Items()); n != 3 {
		t.Errorf("Application Insights got %d items, want 3", n)
	}
}
