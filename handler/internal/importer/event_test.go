package importer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"
	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/entra"
)

const (
	resource = "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac"

	tenant = "5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10"
	app    = "0c5c2d3e-9c0f-4a57-8a5e-3a8f2c1d7b11"
)

// vault holds the app's id and secret, and keeps what was read until it is forgotten.
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

// service is the event API. It reads each event whole and answers with the statuses
// in turn, then 200.
type service struct {
	*httptest.Server
	statuses []int
	says     string           // body of an answer that is not 200; TOKEN is the request's
	answer   http.HandlerFunc // replaces all of this once a token is accepted; nil: none
	bodies   []string
	broken   []error // of reading the bodies
	uris     []string
	verify   func(token string) error
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err := s.verify(token); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	s.bodies, s.broken = append(s.bodies, string(body)), append(s.broken, err)
	s.uris = append(s.uris, r.Method+" "+r.URL.String())
	if len(s.statuses) > 0 {
		status := s.statuses[0]
		s.statuses = s.statuses[1:]
		w.Header().Set("Location", s.URL+"/elsewhere")
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_claims", claims="e30="`)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(s.says, "TOKEN", token))
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
	s := &service{verify: func(token string) error { return signIn.Verify(token, resource) }}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	v := &vault{now: "right"}
	return importer.NewEvents(importer.EventsOptions{BaseURL: s.URL, AuthorityURL: signIn.URL(), TenantID: tenant, HTTP: ca.Client(), Secrets: v}), s, v, signIn
}

func all(items ...importer.ItemMetadata) iter.Seq2[importer.ItemMetadata, error] {
	return func(yield func(importer.ItemMetadata, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// many yields n items, a millisecond apart, then err if there is one.
func many(n int, err error) iter.Seq2[importer.ItemMetadata, error] {
	return func(yield func(importer.ItemMetadata, error) bool) {
		for i := range n {
			id := fmt.Sprint(1_800_000_000_000_000_000 + i)
			if !yield(importer.ItemMetadata{ID: id, Modified: time.UnixMilli(int64(i)), FileName: importer.FileName(id)}, nil) {
				return
			}
		}
		if err != nil {
			yield(importer.ItemMetadata{}, err)
		}
	}
}

// large is a number of items of which an event is sent in chunks.
const large = 20_000

var completion = importer.Completion{TaskID: "t\"", Status: importer.PermanentFailure, Items: all(
	importer.ItemMetadata{ID: "1", Modified: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), FileName: "1.json"},
	importer.ItemMetadata{ID: "2", Modified: time.Date(2024, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600)), FileName: "2.json"},
)}

func TestComplete(t *testing.T) {
	events, s, _, signIn := world(t)
	for range 2 {
		if err := events.Complete(t.Context(), "job &1", completion); err != nil {
			t.Fatal(err)
		}
	}
	const want = `{"taskId":"t\"","status":2,"itemMetadata":[{"id":"1","modificationTimestampUtc":"2024-01-01T00:00:00.000Z","fileName":"1.json"},{"id":"2","modificationTimestampUtc":"2024-01-02T02:04:05.006Z","fileName":"2.json"}]}`
	if s.bodies[0] != want || s.uris[0] != "POST /api/data/ondownloadcomplete/?jobId=job+%261" {
		t.Errorf("%s %s, want %s", s.uris[0], s.bodies[0], want)
	}
	if got := signIn.Requests().Token; got != 1 {
		t.Errorf("%d tokens for two events, want 1", got)
	}
	if err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t"}); err != nil {
		t.Fatal(err)
	}
	if want := `{"taskId":"t","status":0,"itemMetadata":[]}`; s.bodies[2] != want {
		t.Errorf("an event without items: %s, want %s", s.bodies[2], want)
	}
}

// TestAnswers: only 2xx takes the event, and what the service will never take is not
// sent for ever. Each answer is to one request: no redirect is followed.
func TestAnswers(t *testing.T) {
	events, s, _, _ := world(t)
	s.says = "first\nsecond TOKEN " + strings.Repeat("x", 100_000)
	for _, c := range []struct {
		status int
		want   error
		cause  fault.Cause
	}{
		{200, nil, fault.None}, {202, nil, fault.None},
		{302, importer.ErrNotTaken, fault.Import}, {307, importer.ErrNotTaken, fault.Import},
		{408, importer.ErrNotTaken, fault.Import}, {429, importer.ErrNotTaken, fault.Import},
		{500, importer.ErrNotTaken, fault.Import}, {503, importer.ErrNotTaken, fault.Import},
		{400, importer.ErrRefused, fault.ImportFinal}, {403, importer.ErrRefused, fault.ImportFinal}, {404, importer.ErrRefused, fault.ImportFinal},
		{410, importer.ErrRefused, fault.ImportFinal}, {413, importer.ErrRefused, fault.ImportFinal}, {422, importer.ErrRefused, fault.ImportFinal},
	} {
		s.statuses, s.bodies = []int{c.status}, nil
		err := events.Complete(t.Context(), "j", completion)
		if !errors.Is(err, c.want) || fault.CauseOf(err) != c.cause || len(s.bodies) != 1 {
			t.Errorf("status %d: %v (%s) after %d requests, want %v (%s) after 1", c.status, err, fault.CauseOf(err), len(s.bodies), c.want, c.cause)
		}
		var refused *importer.RefusedError
		if errors.As(err, &refused) != (c.want == importer.ErrRefused) || refused != nil && (refused.Status != c.status || refused.Said != "first second …") {
			t.Errorf("status %d: %+v", c.status, refused)
		}
	}
	s.Close()
	if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrNotTaken) {
		t.Errorf("a service that is down: %v, want ErrNotTaken", err)
	}
}
