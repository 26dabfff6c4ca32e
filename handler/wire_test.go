package main

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/activity"
	"xarchive/handler/internal/api"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/pages"
)

// TestWhatNoRouteTakes: a browser gets a page, everybody else JSON.
func TestWhatNoRouteTakes(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	guard, work := access.New(access.Options{Now: time.Now}), jobs.New(jobs.Options{Now: time.Now, Log: log})
	handler := route(api.New(api.Options{Access: guard, Jobs: work, Now: time.Now, Log: log}),
		pages.New(pages.Options{Access: guard, Jobs: work, Now: time.Now, Log: log}), activity.NewDoor(activity.DoorOptions{}))
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

// placesOfAPage are what a new page or call touches.
const placesOfAPage = `a page or a call stands in all of these:
  functions/connector/function.json     "route" allows the first part of its path, "methods" its methods
  handler/internal/pages/pages.go       Register: its route (a call of the Compliance Center: handler/internal/api/api.go)
  handler/internal/pages/assets/*.html  its template, which render.go (parseTemplates) lists
  handler/internal/pages/assets/layout.html  the navigation, if people go there by themselves
  tests/browser                         a look at it, light, dark and narrow, with axe`

// TestTheHostForwardsEveryRoute: what the handler answers, the Functions host must let
// through: functions/connector/function.json has the methods and the paths that it may.
func TestTheHostForwardsEveryRoute(t *testing.T) {
	text, err := os.ReadFile("../functions/connector/function.json")
	if err != nil {
		t.Fatal(err)
	}
	var function struct {
		Bindings []struct {
			Type, Route string
			Methods     []string
		}
	}
	if err := json.Unmarshal(text, &function); err != nil {
		t.Fatal(err)
	}
	trigger := function.Bindings[0]
	var parts []*regexp.Regexp
	for _, m := range regexp.MustCompile(`regex\((\^.*?\$)\)`).FindAllStringSubmatch(trigger.Route, -1) {
		parts = append(parts, regexp.MustCompile("(?i)"+m[1]))
	}
	if trigger.Type != "httpTrigger" || len(parts) == 0 || strings.Count(trigger.Route, "/") != len(parts)-1 {
		t.Fatalf("%+v", trigger)
	}
	log := slog.New(slog.DiscardHandler)
	guard, work := access.New(access.Options{Now: time.Now}), jobs.New(jobs.Options{Now: time.Now, Log: log})
	routes := route(api.New(api.Options{Access: guard, Jobs: work, Now: time.Now, Log: log}),
		pages.New(pages.Options{Access: guard, Jobs: work, Now: time.Now, Log: log}), activity.NewDoor(activity.DoorOptions{})).Routes()
	for _, pattern := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		passes := slices.Contains(trigger.Methods, strings.ToLower(method))
		path = regexp.MustCompile(`\{[^}$]+\}`).ReplaceAllString(strings.TrimSuffix(path, "{$}"), "1") // a part that varies
		segments := strings.Split(strings.Trim(path, "/"), "/")
		passes = passes && len(segments) <= len(parts)
		for i, s := range segments {
			passes = passes && (s == "" || parts[i].MatchString(s))
		}
		if !passes {
			t.Errorf("the Functions host does not forward %s: %s", pattern, placesOfAPage)
		}
	}
	if len(routes) < 20 {
		t.Errorf("only %d routes", len(routes))
	}
}

// TestNoNameTwice: the Functions host makes one value of a name that a query has twice, so
// nothing may look at more than one.
func TestNoNameTwice(t *testing.T) {
	several := regexp.MustCompile(`Query\(\)\[|Form\[`)
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if place := several.FindIndex(text); place != nil {
			t.Errorf("%s reads all values of a name: %s", path, text[place[0]:place[1]])
		}
		return err
	})
	if err != nil || files < 100 {
		t.Errorf("%d files, %v", files, err)
	}
}
