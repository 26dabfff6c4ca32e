package importer_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/importer"
	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/entra"
)

const (
	tenant = "5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10"
	app    = "0c5c2d3e-9c0f-4a57-8a5e-3a8f2c1d7b11"
)

// vault holds the app's id and secret; what is read is kept until it is forgotten.
type vault struct {
	now, kept string
	forgotten int
}

func (v *vault) GetAll(context.Context, ...string) (map[string]string, error) {
	if v.kept == "" {
		v.kept = v.now
	}
	return map[string]string{"aad-application-id": app, "aad-application-secret": v.kept}, nil
}

func (v *vault) Forget(...string) { v.kept = ""; v.forgotten++ }

// service is the event API; it answers the statuses in turn, then 200.
type service struct {
	*httptest.Server
	statuses []int
	bodies   []string
	uris     []string
	verify   func(token string) error
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.bodies, s.uris = append(s.bodies, string(body)), append(s.uris, r.Method+" "+r.URL.String())
	if err := s.verify(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if len(s.statuses) > 0 {
		status := s.statuses[0]
		s.statuses = s.statuses[1:]
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(status)
	}
}

func world(t *testing.T) (*importer.Events, *service, *vault, *entra.Server) {
	t.Helper()
	ca, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	signIn, err := entra.Start(t.Context(), entra.Options{Certificate: ca.Loopback(), TenantID: tenant, Apps: []entra.App{{ClientID: app, Secret: "right"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = signIn.Stop(); _ = ca.Stop() })
	s := &service{verify: func(token string) error { return signIn.Verify(token, importer.Resource) }}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	v := &vault{now: "right"}
	return importer.NewEvents(importer.EventsOptions{BaseURL: s.URL, AuthorityURL: signIn.URL(), TenantID: tenant, HTTP: ca.Client(), Secrets: v}), s, v, signIn
}

var completion = importer.Completion{TaskID: "t", Status: importer.PermanentFailure, Items: []importer.ItemMetadata{
	{ID: "2", Modified: time.Date(2024, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600)), FileName: "2.json"},
	{ID: "1", Modified: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), FileName: "1.json"},
}}

func TestComplete(t *testing.T) {
	events, s, _, signIn := world(t)
	for range 2 {
		if err := events.Complete(t.Context(), "job &1", completion); err != nil {
			t.Fatal(err)
		}
	}
	const want = `{"taskId":"t","status":2,"itemMetadata":[{"id":"1","modificationTimestampUtc":"2024-01-01T00:00:00.000Z","fileName":"1.json"},{"id":"2","modificationTimestampUtc":"2024-01-02T02:04:05.006Z","fileName":"2.json"}]}`
	if s.bodies[0] != want || s.uris[0] != "POST /api/data/ondownloadcomplete/?jobId=job+%261" {
		t.Errorf("%s %s", s.uris[0], s.bodies[0])
	}
	if got := signIn.Requests().Token; got != 1 {
		t.Errorf("%d tokens for two events", got)
	}
	if err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t"}); err != nil {
		t.Fatal(err)
	}
	var empty map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s.bodies[2]), &empty); err != nil || string(empty["itemMetadata"]) != "[]" || string(empty["status"]) != "0" {
		t.Errorf("an event without items: %s", s.bodies[2])
	}
}

// TestNotTaken: only a 2xx answer takes the event.
func TestNotTaken(t *testing.T) {
	for _, status := range []int{302, 307, 400, 404, 429, 500, 503} {
		events, s, _, _ := world(t)
		s.statuses = []int{status}
		if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrNotTaken) || len(s.bodies) != 1 {
			t.Errorf("status %d: %v after %d requests", status, err, len(s.bodies))
		}
	}
	events, s, _, _ := world(t)
	s.statuses = []int{202}
	if err := events.Complete(t.Context(), "j", completion); err != nil {
		t.Errorf("status 202: %v", err)
	}
	s.Close()
	if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrNotTaken) {
		t.Errorf("a service that is down: %v", err)
	}
}

// TestKeysChanged: a secret that Entra, or a token that the service, refuses is asked
// for again, once.
func TestKeysChanged(t *testing.T) {
	events, _, v, _ := world(t)
	v.kept = "old"
	if err := events.Complete(t.Context(), "j", completion); err != nil {
		t.Errorf("with the secret changed in the vault: %v", err)
	}
	events, s, v, _ := world(t)
	s.statuses = []int{401}
	if err := events.Complete(t.Context(), "j", completion); err != nil || v.forgotten != 1 {
		t.Errorf("after a 401: %v, forgotten %d times", err, v.forgotten)
	}
	events, s, _, _ = world(t)
	s.statuses = []int{401, 401, 401}
	if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrNotTaken) || len(s.bodies) != 2 {
		t.Errorf("after 401s without end: %v, %d requests", err, len(s.bodies))
	}
	events, _, v, _ = world(t)
	v.now = "wrong"
	err := events.Complete(t.Context(), "j", completion)
	if !errors.Is(err, importer.ErrSignIn) || !strings.Contains(err.Error(), "AADSTS7000215") || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong secret: %v", err)
	}
}
