package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"xarchive/handler/internal/web"
)

// TestRouting: case and one slash at the end do not matter; everything else of a
// path does. HEAD goes where GET does, and Allow names both.
func TestRouting(t *testing.T) {
	m := web.New(func(w http.ResponseWriter, _ *http.Request, status int) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, "refused")
	})
	for _, pattern := range []string{"GET /{$}", "GET /job/IsCreated", "POST /api/Configuration", "GET /api/Configuration"} {
		m.Handle(pattern, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, pattern, " ", r.RequestURI) })
	}
	for _, c := range []struct {
		method, uri string
		status      int
		body, allow string
	}{
		{"GET", "/", 200, "GET /{$} /", ""},
		{"GET", "/?x=1", 200, "GET /{$} /?x=1", ""},
		{"GET", "/job/IsCreated", 200, "GET /job/IsCreated /job/IsCreated", ""},
		{"HEAD", "/job/IsCreated", 200, "GET /job/IsCreated /job/IsCreated", ""},
		{"GET", "/JOB/iscreated/?A=b", 200, "GET /job/IsCreated /JOB/iscreated/?A=b", ""},
		{"GET", "/job/%49sCreated", 200, "GET /job/IsCreated /job/%49sCreated", ""},
		{"POST", "/API/configuration", 200, "POST /api/Configuration /API/configuration", ""},
		{"POST", "/job/IsCreated", 405, "refused", "GET, HEAD"},
		{"get", "/job/IsCreated", 405, "refused", "GET, HEAD"},
		{"DELETE", "/api/Configuration", 405, "refused", "GET, HEAD, POST"},
		{"GET", "/job/IsCreated//", 404, "refused", ""},
		{"GET", "//job/IsCreated", 404, "refused", ""},
		{"GET", "/job/./IsCreated", 404, "refused", ""},
		{"GET", "/x/../job/IsCreated", 404, "refused", ""},
		{"GET", "/job/IsCreated/x", 404, "refused", ""},
		{"GET", "/job", 404, "refused", ""},
		{"POST", "/nowhere", 404, "refused", ""},
	} {
		rec := httptest.NewRecorder()
		m.ServeHTTP(rec, httptest.NewRequest(c.method, c.uri, nil))
		if rec.Code != c.status || rec.Body.String() != c.body || rec.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: want %d %q, Allow %q; got %d %q, Allow %q", c.method, c.uri, c.status, c.body, c.allow, rec.Code, rec.Body, rec.Header().Get("Allow"))
		}
	}
}

func TestQuery(t *testing.T) {
	r := httptest.NewRequest("GET", "/?JobID=7&x=1&x=2", nil)
	for name, want := range map[string]string{"jobId": "7", "x": "1", "y": ""} {
		if got := web.Query(r, name); got != want {
			t.Errorf("%s: want %q, got %q", name, want, got)
		}
	}
}
