package main

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/api"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/pages"
)

// TestWhatNoRouteTakes: a browser gets a page, everybody else JSON.
func TestWhatNoRouteTakes(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	guard, work := access.New(access.Options{Now: time.Now}), jobs.New(jobs.Options{Now: time.Now, Log: log})
	handler := route(api.New(api.Options{Access: guard, Jobs: work, Now: time.Now, Log: log}),
		pages.New(pages.Options{Access: guard, Jobs: work, Now: time.Now, Log: log}))
	for _, c := range []struct {
		method, path, accept string
		status               int
		kind, body, allow    string
	}{
		{"GET", "/nowhere", "text/html,*/*;q=0.8", 404, "text/html; charset=utf-8", "There is nothing here", ""},
		{"GET", "/nowhere", "*/*", 404, "application/json; charset=utf-8", `{"Message":"There is nothing here."}`, ""},
		{"PUT", "/Configure", "text/html", 405, "text/html; charset=utf-8", "cannot be used like that", "GET, HEAD, POST"},
		{"GET", "/job/OnDeleted", "", 405, "application/json; charset=utf-8", `{"Message":"This call is made with DELETE."}`, "DELETE"},
		{"GET", "/job/IsCreated", "", 401, "application/json; charset=utf-8", `{"Message":"Not authorized."}`, ""},
		{"GET", "/", "", 200, "text/html; charset=utf-8", "The connector is running", ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Header.Set("Accept", c.accept)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		h := rec.Header()
		if rec.Code != c.status || h.Get("Content-Type") != c.kind || !strings.Contains(rec.Body.String(), c.body) || h.Get("Allow") != c.allow {
			t.Errorf("%s %s for %q: %d, %s, Allow %q, %s", c.method, c.path, c.accept, rec.Code, h.Get("Content-Type"), h.Get("Allow"), rec.Body)
		}
	}
}
