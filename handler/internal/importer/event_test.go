package importer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
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

func TestChanged(t *testing.T) {
	events, s, _, _ := world(t)
	if err := events.Changed(t.Context(), "j", nil); err != nil || len(s.bodies) != 0 {
		t.Errorf("no changes: %v, %d requests, want none", err, len(s.bodies))
	}
	changes := []importer.Change{{ID: "1", Time: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), Type: "created"}, {ID: "1.media", Time: time.UnixMilli(1), Type: "created"}}
	if err := events.Changed(t.Context(), "j", changes); err != nil {
		t.Fatal(err)
	}
	const want = `{"entry":[{"Id":"1","TimeStamp":"2024-01-01T00:00:00.000Z","ChangeType":"created"},{"Id":"1.media","TimeStamp":"1970-01-01T00:00:00.001Z","ChangeType":"created"}]}`
	if s.bodies[0] != want || s.uris[0] != "POST /api/event/nativeconnector/?jobId=j" {
		t.Errorf("%s %s, want %s", s.uris[0], s.bodies[0], want)
	}
	s.statuses = []int{404}
	if err := events.Changed(t.Context(), "j", changes); !errors.Is(err, importer.ErrRefused) {
		t.Errorf("status 404: %v, want ErrRefused", err)
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

// TestKeysChanged: a secret that Entra refuses, or a token that the service refuses,
// is asked for again, once.
func TestKeysChanged(t *testing.T) {
	events, s, v, _ := world(t)
	v.kept = "old"
	if err := events.Complete(t.Context(), "j", completion); err != nil {
		t.Errorf("with the secret changed in the vault: %v", err)
	}
	for _, items := range []iter.Seq2[importer.ItemMetadata, error]{completion.Items, many(large, nil)} {
		events, s, v, _ = world(t)
		s.statuses = []int{401}
		if err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: items}); err != nil || v.forgotten != 1 {
			t.Errorf("after a 401: %v, forgotten %d times, want once", err, v.forgotten)
		}
		if len(s.bodies) != 2 || s.bodies[0] != s.bodies[1] {
			t.Errorf("%d requests, want the same event twice", len(s.bodies))
		}
	}
	events, s, _, _ = world(t)
	s.statuses = []int{401, 401, 401}
	if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrUnauthorized) || !errors.Is(err, importer.ErrNotTaken) ||
		fault.CauseOf(err) != fault.EntraSignIn || len(s.bodies) != 2 {
		t.Errorf("after 401s without end: %v, %d requests, want ErrUnauthorized after 2", err, len(s.bodies))
	}
	events, _, v, _ = world(t)
	v.now = "wrong"
	err := events.Complete(t.Context(), "j", completion)
	if !errors.Is(err, importer.ErrSignIn) || !strings.Contains(err.Error(), "AADSTS7000215") || strings.ContainsAny(err.Error(), "\n\r") ||
		strings.Contains(err.Error(), "wrong") || v.forgotten != 1 {
		t.Errorf("with a wrong secret: %v, forgotten %d times, want ErrSignIn after once", err, v.forgotten)
	}
}

// TestEntraDown: nobody need act when Entra is only down.
func TestEntraDown(t *testing.T) {
	events, s, v, signIn := world(t)
	signIn.Down(true)
	if err := events.Complete(t.Context(), "j", completion); !errors.Is(err, importer.ErrNotTaken) || errors.Is(err, importer.ErrSignIn) ||
		fault.CauseOf(err) != fault.Import || v.forgotten != 0 {
		t.Errorf("%v, want a plain ErrNotTaken", err)
	}
	signIn.Down(false)
	if err := events.Complete(t.Context(), "j", completion); err != nil || len(s.bodies) != 1 {
		t.Errorf("afterwards: %v, %d requests, want success with 1", err, len(s.bodies))
	}
}

// TestManyItems: what an event holds in memory does not depend on its items.
func TestManyItems(t *testing.T) {
	events, s, _, _ := world(t)
	const n = 200_000
	last := ""
	count := 0
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		in := json.NewDecoder(r.Body)
		for range 6 { // {"taskId":"t","status":0,"itemMetadata":[ without the last
			if _, err := in.Token(); err != nil {
				t.Error(err)
			}
		}
		_, _ = in.Token()
		for in.More() {
			var item struct{ ID, FileName string }
			if err := in.Decode(&item); err != nil || item.ID <= last || item.FileName != item.ID+".json" {
				t.Errorf("item %d is %+v after %s, %v", count, item, last, err)
				return
			}
			last = item.ID
			count++
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
	}
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most := live(), uint64(0)
	watched := func(yield func(importer.ItemMetadata, error) bool) {
		i := 0
		for item, err := range many(n, nil) {
			if i++; i%20_000 == 0 {
				most = max(most, live())
			}
			if !yield(item, err) {
				return
			}
		}
	}
	if err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: watched}); err != nil {
		t.Fatal(err)
	}
	if count != n {
		t.Errorf("%d items arrived, want %d", count, n)
	}
	if most > before+8<<20 { // the event itself has 22 MB
		t.Errorf("the heap grew from %d to %d bytes", before, most)
	}
}

// TestItemsFail: the service never has a whole event when the items cannot be read,
// and the error is theirs.
func TestItemsFail(t *testing.T) {
	broken := fault.New(fault.Storage, "the list broke off")
	for _, n := range []int{0, 3, large} {
		events, s, v, _ := world(t)
		err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: many(n, broken)})
		if !errors.Is(err, broken) || errors.Is(err, importer.ErrNotTaken) || fault.CauseOf(err) != fault.Storage || v.forgotten != 0 {
			t.Errorf("after %d items: %v, want %v", n, err, broken)
		}
		s.Close() // waits for its requests
		if n < large && len(s.bodies) != 0 || slices.Contains(s.broken, nil) {
			t.Errorf("after %d items the service had %d events, read with %v", n, len(s.bodies), s.broken)
		}
	}
	events, _, _, _ := world(t)
	err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: func(func(importer.ItemMetadata, error) bool) { panic("boom") }})
	if err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a panic of the items: %v", err)
	}
}

// TestAnsweredEarly: an answer to a part of an event is none to the event, and a token
// refused so is not used again.
func TestAnsweredEarly(t *testing.T) {
	for _, status := range []int{200, 401} {
		events, s, v, _ := world(t)
		s.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		err := events.Complete(t.Context(), "j", importer.Completion{TaskID: "t", Items: many(200_000, nil)})
		if !errors.Is(err, importer.ErrNotTaken) || status == 401 && v.forgotten == 0 {
			t.Errorf("status %d: %v, forgotten %d times, want ErrNotTaken", status, err, v.forgotten)
		}
	}
}

// TestInterrupted: the end of the tick is no failure of the service.
func TestInterrupted(t *testing.T) {
	events, s, _, _ := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.answer = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}
	if err := events.Complete(ctx, "j", completion); !errors.Is(err, context.Canceled) || fault.CauseOf(err) != fault.Interrupted {
		t.Errorf("%v (%s), want context.Canceled", err, fault.CauseOf(err))
	}
}
