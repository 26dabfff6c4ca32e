// Package ingestiontest is a stand-in for the ingestion API of Application
// Insights, for tests. It is as strict as the service's description: what the
// service would refuse or silently cut fails the test.
//
// Source: azure-rest-api-specs, applicationinsights/data-plane/Monitor.Exporters, v2.1.
package ingestiontest

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// Item is an item that the server received.
type Item struct {
	Name string            // "Request", …
	Type string            // "RequestData", …
	Tags map[string]string // "ai.operation.id", …
	Base map[string]any    // baseData
	Raw  string
}

// Property returns a property of the item, "" if it has none of that name.
func (i Item) Property(name string) string {
	properties, _ := i.Base["properties"].(map[string]any)
	value, _ := properties[name].(string)
	return value
}

// Metric returns the one data point of a MetricData.
func (i Item) Metric() map[string]any {
	all, _ := i.Base["metrics"].([]any)
	if len(all) != 1 {
		return nil
	}
	point, _ := all[0].(map[string]any)
	return point
}

// Answer is the service's answer to a batch.
type Answer struct {
	Status     int
	RetryAfter string
	Location   string
	Refused    map[int]int // statuses of single items, by index; for 206
}

// Server is the stand-in.
type Server struct {
	*httptest.Server
	t   testing.TB
	key string

	mu      sync.Mutex
	items   []Item
	batches []int
	answer  func(batch int) Answer
	bearer  string
}

// Key is the instrumentation key that the server takes.
const Key = "0f3e5b7a-1c2d-4e5f-8a9b-0c1d2e3f4a5b"

// Start starts a server over TLS. It stops when the test ends.
func Start(t testing.TB) *Server { return start(t, httptest.NewTLSServer) }

// StartPlain starts one without TLS.
func StartPlain(t testing.TB) *Server { return start(t, httptest.NewServer) }

func start(t testing.TB, listen func(http.Handler) *httptest.Server) *Server {
	s := &Server{t: t, key: Key, answer: func(int) Answer { return Answer{Status: http.StatusOK} }}
	s.Server = listen(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// ConnectionString returns a connection string that leads to the server.
func (s *Server) ConnectionString() string {
	return "InstrumentationKey=" + s.key + ";IngestionEndpoint=" + s.URL + "/;LiveEndpoint=https://live.example/;ApplicationId=5b6c"
}

// CertificateFile writes the server's certificate to a PEM file and returns its path.
func (s *Server) CertificateFile() string {
	path := filepath.Join(s.t.TempDir(), "ingestion.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// SetAnswer sets how batches are answered. They are counted from 0.
func (s *Server) SetAnswer(f func(batch int) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// RequireBearer makes the server take only requests with that token in Authorization.
func (s *Server) RequireBearer(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bearer = token
}

// Items returns the items that the server took.
func (s *Server) Items() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Item(nil), s.items...)
}

// Of returns the items of a base type that the server took.
func (s *Server) Of(baseType string) (out []Item) {
	for _, i := range s.Items() {
		if i.Type == baseType {
			out = append(out, i)
		}
	}
	return out
}

// Batches returns the number of items of each request, refused ones too.
func (s *Server) Batches() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), s.batches...)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bearer != "" && r.Header.Get("Authorization") != "Bearer "+s.bearer {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if s.bearer == "" && r.Header.Get("Authorization") != "" {
		s.t.Error("a token is sent that nobody asked for")
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v2.1/track" || r.URL.RawQuery != "" {
		s.t.Errorf("%s %s: want POST /v2.1/track", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Header.Get("Content-Type") != "application/x-json-stream" || r.Header.Get("Content-Encoding") != "gzip" {
		s.t.Errorf("content type %q, encoding %q", r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding"))
	}
	items, err := s.read(r.Body)
	if err != nil {
		s.t.Error(err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a := s.answer(len(s.batches))
	s.batches = append(s.batches, len(items))
	if a.RetryAfter != "" {
		w.Header().Set("Retry-After", a.RetryAfter)
	}
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.Status)
	if a.Status != http.StatusOK && a.Status != http.StatusPartialContent {
		fmt.Fprintf(w, `{"itemsReceived":%d,"itemsAccepted":0,"errors":[{"index":0,"statusCode":%d,"message":"no"}]}`, len(items), a.Status)
		return
	}
	var refused []string
	for i, item := range items {
		if status, no := a.Refused[i]; no {
			refused = append(refused, fmt.Sprintf(`{"index":%d,"statusCode":%d,"message":"not this one"}`, i, status))
			continue
		}
		s.items = append(s.items, item)
	}
	fmt.Fprintf(w, `{"itemsReceived":%d,"itemsAccepted":%d,"appId":null,"errors":[%s]}`, len(items), len(items)-len(refused), strings.Join(refused, ","))
}

func (s *Server) read(body io.Reader) ([]Item, error) {
	unzipped, err := gzip.NewReader(body)
	if err != nil {
		return nil, fmt.Errorf("the body is not gzip: %w", err)
	}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 64<<10) // the longest item that the service takes
	var items []Item
	for lines.Scan() {
		item, err := s.item(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%w in %s", err, lines.Text())
		}
		items = append(items, item)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("an item: %w", err)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("an empty batch")
	}
	return items, nil
}

// utc is ISO 8601 with a trailing Z.
var utc = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$`)

func (s *Server) item(line string) (Item, error) {
	var e struct {
		Ver        *int
		Name       string
		Time       string
		IKey       string
		SampleRate *float64
		Seq        *string
		Tags       map[string]string
		Data       struct {
			BaseType string
			BaseData map[string]any
		}
	}
	if err := strict(line, &e); err != nil {
		return Item{}, err
	}
	item := Item{Name: e.Name, Type: e.Data.BaseType, Tags: e.Tags, Base: e.Data.BaseData, Raw: line}
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	switch {
	case e.Ver != nil && *e.Ver != 1:
		return item, fmt.Errorf("ver %d", *e.Ver)
	case e.IKey != s.key:
		return item, fmt.Errorf("iKey %q", e.IKey)
	case !utc.MatchString(e.Time) || err != nil || time.Since(at).Abs() > 48*time.Hour: // the service refuses older items
		return item, fmt.Errorf("time %q", e.Time)
	}
	for name, value := range e.Tags {
		if err := tag(name, value); err != nil {
			return item, err
		}
	}
	description, known := types[e.Data.BaseType]
	if !known || description.name != e.Name {
		return item, fmt.Errorf("name %q, baseType %q", e.Name, e.Data.BaseType)
	}
	return item, description.members.check(e.Data.BaseType, e.Data.BaseData)
}

// strict decodes JSON that must have no unknown members, nor known ones in another case.
func strict(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	for _, wrong := range []string{`"IKey"`, `"ikey"`, `"Tags"`, `"BaseType"`, `"Name"`} {
		if strings.Contains(text, wrong+":") {
			return fmt.Errorf("member %s is in the wrong case", wrong)
		}
	}
	return nil
}

var (
	traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)
	spanID  = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// tag checks a tag against ContextTagKeys and their lengths.
func tag(name, value string) error {
	longest, known := map[string]int{
		"ai.operation.id": 128, "ai.operation.parentId": 512, "ai.operation.name": 1024, "ai.cloud.role": 256,
		"ai.cloud.roleInstance": 256, "ai.application.ver": 1024, "ai.internal.sdkVersion": 64,
	}[name]
	switch {
	case !known:
		return fmt.Errorf("tag %s is not known", name)
	case value == "" || utf8.RuneCountInString(value) > longest:
		return fmt.Errorf("tag %s is %q", name, value)
	case name == "ai.operation.id" && !traceID.MatchString(value), name == "ai.operation.parentId" && !spanID.MatchString(value):
		return fmt.Errorf("tag %s is %q, not a W3C id", name, value)
	}
	return nil
}
