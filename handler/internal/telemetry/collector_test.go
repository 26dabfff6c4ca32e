package telemetry_test

import (
	"compress/gzip"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	logscollector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is a stand-in for an OpenTelemetry collector, by OTLP over HTTP with
// protobuf.
type collector struct {
	*httptest.Server
	t   testing.TB
	all chan struct{} // closed when there was a good request of each signal

	complete sync.Once

	mu       sync.Mutex
	status   int // of every answer
	paths    []string
	headers  []http.Header
	bodies   []string // decompressed
	resource map[string]string
	spans    []*trace.Span
	metrics  []*metrics.Metric
	lines    []*logs.LogRecord
}

func startCollector(t testing.TB, listen func(http.Handler) *httptest.Server) *collector {
	c := &collector{t: t, status: http.StatusOK, resource: map[string]string{}, all: make(chan struct{})}
	c.Server = listen(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := read(r)
	if err != nil {
		c.t.Error(err)
	}
	c.paths, c.headers, c.bodies = append(c.paths, r.URL.Path), append(c.headers, r.Header), append(c.bodies, string(body))
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("%s with content type %q, want POST of application/x-protobuf", r.Method, r.Header.Get("Content-Type"))
	}
	if c.status != http.StatusOK {
		http.Error(w, "the collector's own words", c.status)
		return
	}
	var answer proto.Message
	switch filepath.Base(r.URL.Path) {
	case "traces":
		var request tracecollector.ExportTraceServiceRequest
		c.decode(body, &request)
		for _, from := range request.ResourceSpans {
			c.from(from.Resource.GetAttributes())
			for _, s := range from.ScopeSpans {
				c.spans = append(c.spans, s.Spans...)
			}
		}
		answer = &tracecollector.ExportTraceServiceResponse{}
	case "metrics":
		var request metricscollector.ExportMetricsServiceRequest
		c.decode(body, &request)
		for _, from := range request.ResourceMetrics {
			c.from(from.Resource.GetAttributes())
			for _, s := range from.ScopeMetrics {
				c.metrics = append(c.metrics, s.Metrics...)
			}
		}
		answer = &metricscollector.ExportMetricsServiceResponse{}
	case "logs":
		var request logscollector.ExportLogsServiceRequest
		c.decode(body, &request)
		for _, from := range request.ResourceLogs {
			c.from(from.Resource.GetAttributes())
			for _, s := range from.ScopeLogs {
				c.lines = append(c.lines, s.LogRecords...)
			}
		}
		answer = &logscollector.ExportLogsServiceResponse{}
	default:
		c.t.Errorf("POST %s, want a path that ends with the signal", r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if len(c.spans) > 0 && len(c.metrics) > 0 && len(c.lines) > 0 {
		c.complete.Do(func() { close(c.all) })
	}
	body, err = proto.Marshal(answer)
	if err != nil {
		c.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(body)
}

func read(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	body, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(body)
}

func (c *collector) decode(body []byte, into proto.Message) {
	if err := proto.Unmarshal(body, into); err != nil {
		c.t.Errorf("the body is not %T: %v", into, err)
	}
}

func (c *collector) from(attributes []*common.KeyValue) {
	for _, a := range attributes {
		c.resource[a.Key] = a.Value.GetStringValue()
	}
}

// answer makes the collector answer with a status, or as it should with 200.
func (c *collector) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

// certificate writes the certificates of TLS servers to a PEM file and returns its
// path.
func certificate(t testing.TB, servers ...*httptest.Server) string {
	var text []byte
	for _, s := range servers {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})...)
	}
	path := filepath.Join(t.TempDir(), "servers.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
