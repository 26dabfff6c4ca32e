package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/web"
)

// world is the API, served over HTTP, with what stands around it.
type world struct {
	*jobstest.World
	server *httptest.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: jobstest.New(t)}
	w.server = w.serve(w.Access, w.Jobs)
	return w
}

// withoutVault serves an instance that has its secrets from the environment.
func (w *world) withoutVault() {
	guard, work, _ := w.Instance(w.WithoutVault())
	w.server = w.serve(guard, work)
}

func (w *world) serve(guard *access.Access, work *jobs.Jobs) *httptest.Server {
	return w.serving(guard, work, w.State)
}

// serveWith serves an instance whose health is judged by other records.
func (w *world) serveWith(records health.Records) { w.server = w.serving(w.Access, w.Jobs, records) }

func (w *world) serving(guard *access.Access, work *jobs.Jobs, records health.Records) *httptest.Server {
	a := New(Options{TenantID: jobstest.Tenant, Access: guard, Jobs: work, Health: health.Judge{Records: records, Settings: work.Settings, Now: w.Now}, Now: w.Now, Log: w.Logger})
	mux := web.New(a.Refuse)
	a.Register(mux)
	server := httptest.NewServer(mux)
	w.T.Cleanup(server.Close)
	return server
}

// call makes an authorized call; header pairs replace what it would send.
func (w *world) call(method, uri, body string, header ...string) (status int, answer string, h http.Header) {
	w.T.Helper()
	req, err := http.NewRequest(method, w.server.URL+uri, strings.NewReader(body))
	if err != nil {
		w.T.Fatal(err)
	}
	req.SetBasicAuth(jobstest.Tenant, jobstest.Secret)
	for i := 0; i < len(header); i += 2 {
		req.Header.Del(header[i])
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(data)), resp.Header
}

// expect makes a call and compares its answer. A refusal is {"Message":…}; want is
// then a part of the message.
func (w *world) expect(method, uri, body string, status int, want string) {
	w.T.Helper()
	gotStatus, got, header := w.call(method, uri, body)
	if gotStatus != status {
		w.T.Errorf("%s %s: want %d, got %d %s", method, uri, status, gotStatus, got)
		return
	}
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
		w.T.Errorf("%s %s: headers %v", method, uri, header)
	}
	if status == 200 {
		if got != want {
			w.T.Errorf("%s %s: want %s, got %s", method, uri, want, got)
		}
		return
	}
	var refused map[string]string
	if err := json.Unmarshal([]byte(got), &refused); err != nil || len(refused) != 1 || !strings.Contains(refused["Message"], want) {
		w.T.Errorf("%s %s: want a Message with %q, got %s", method, uri, want, got)
	}
}
