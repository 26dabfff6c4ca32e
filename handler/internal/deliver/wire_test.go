package deliver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/deliver"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/entra"
	"xarchive/tests/sandbox/importservice"
)

// app is the connector's app at Entra.
type app map[string]string

func (a app) GetAll(context.Context, ...string) (map[string]string, error) { return a, nil }
func (app) Forget(...string)                                               {}

// resource is what tokens for the event API are for.
const resource = "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac"

// TestWire: the strict stand-in for the Import service takes what is delivered: real
// messages and supplements, over HTTP, with a token of Entra. An event that it did not
// take is sent again.
func TestWire(t *testing.T) {
	ca, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const tenant, id, secret = "5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10", "0c5c2d3e-9c0f-4a57-8a5e-3a8f2c1d7b11", "right"
	signIn, err := entra.Start(t.Context(), entra.Options{Certificate: ca.Loopback(), TenantID: tenant, Apps: []entra.App{{ClientID: id, Secret: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = signIn.Stop(); _ = ca.Stop() })
	ours, theirs := blobs.New(blobs.Options{}), blobs.New(blobs.Options{})
	listening := httptest.NewServer(theirs)
	t.Cleanup(listening.Close)
	account := blob.Account{ConnectionString: ours.ConnectionString(), HTTP: ours.Client()}
	store, kept := state.New(account.Container("state")), archive.New(account.Container("archive"))
	connector := httptest.NewServer(taskDoor(store))
	t.Cleanup(connector.Close)
	service, err := importservice.New(importservice.Options{
		TenantID: tenant, APISecretKey: "key", ConnectorURL: func() string { return connector.URL },
		ConnectionString: theirs.ConnectionStringAt(listening.URL),
		VerifyToken:      func(token string) error { return signIn.Verify(token, resource) },
	})
	if err != nil {
		t.Fatal(err)
	}
	events := httptest.NewServer(service)
	t.Cleanup(events.Close)

	if err := store.UpdateJob(t.Context(), "j", func(j *state.Job) error { j.AccountID = "7"; return nil }); err != nil {
		t.Fatal(err)
	}
	keys := archiveMessages(t, kept)
	r, err := store.LoadAccount(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	r.Account.Covered = r.Account.Covered.Add(state.Range{To: at(60)})
	if err := r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, body, err := service.Request(t.Context(), importservice.Task{JobID: "j", TaskID: "t", Start: at(0), End: at(30)}); err != nil || status != http.StatusOK {
		t.Fatalf("the task was answered %d %s, %v", status, body, err)
	}

	clock := now()
	told := importer.NewEvents(importer.EventsOptions{BaseURL: events.URL, AuthorityURL: signIn.URL(), TenantID: tenant, HTTP: ca.Client(),
		Secrets: app{"aad-application-id": id, "aad-application-secret": secret}})
	d := &deliver.Deliver{State: store, Archive: kept, Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler),
		OpenInbox: func(sasURL string) (deliver.Inbox, error) {
			return importer.OpenContainer(sasURL, listening.Client(), nil)
		},
		Item:   importer.NewItems(nil, 0).Write,
		Events: told, Changes: told,
	}
	service.Down(true)
	if _, err := d.Run(t.Context()); err == nil {
		t.Error("no error while the event API is down")
	}
	service.Down(false)
	clock = clock.Add(time.Hour)
	if _, err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := service.Events()
	if len(got) != 1 || got[0].Status != importservice.Success || len(service.Violations()) > 0 {
		t.Fatalf("events %+v, violations %v; expected one success", got, service.Violations())
	}
	var items []string
	for _, item := range got[0].Items {
		items = append(items, item.ID)
	}
	if !slices.Equal(items, keys) {
		t.Errorf("items %v, expected %v", items, keys)
	}
	tellsChanges(t, d, service, &clock)
}

// tellsChanges: what is gone is told, later if the service is down, and once; what it
// refuses for good is told no more.
func tellsChanges(t *testing.T, d *deliver.Deliver, service *importservice.Service, clock *time.Time) {
	t.Helper()
	tell := func() {
		t.Helper()
		*clock = clock.Add(time.Hour)
		if err := d.TellChanges(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (n int) {
		byJob, _, err := d.State.Changes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range byJob {
			n += len(list)
		}
		return n
	}
	for i := range 150 { // more than one event holds
		if err := d.State.PutChange(t.Context(), "j", state.Change{AccountID: "7", PostID: idAt(at(i)), At: at(100), What: "gone"}); err != nil {
			t.Fatal(err)
		}
	}
	service.Down(true)
	tell()
	if n := left(); n != 150 {
		t.Errorf("%d changes are left while the service is down, want 150", n)
	}
	service.Down(false)
	tell()
	tell()
	changes := service.Changes()
	if len(changes) != 150 || left() != 0 {
		t.Fatalf("%d changes were told, %d are left; want 150 and none", len(changes), left())
	}
	ids := map[string]bool{}
	for _, c := range changes {
		ids[c.ID] = true
		if c.JobID != "j" || !c.TimeStamp.Equal(at(100)) || c.ChangeType != importer.Update {
			t.Fatalf("told: %+v", c)
		}
	}
	if len(ids) != 150 {
		t.Errorf("%d posts were told of, want 150", len(ids))
	}
	if err := d.State.PutChange(t.Context(), "nobody", state.Change{AccountID: "7", PostID: "1", At: at(100), What: "gone"}); err != nil {
		t.Fatal(err)
	}
	tell()
	if left() != 0 {
		t.Error("a change that is refused for good is told again")
	}
}

// taskDoor takes tasks as the connector's API does.
func taskDoor(store *state.Store) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			JobID, TaskID      string
			StartTime, EndTime time.Time
			BlobSASURI         string `json:"BlobSasUri"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, err := store.AddTask(r.Context(), state.Task{JobID: body.JobID, TaskID: body.TaskID, AccountID: "7", Start: body.StartTime, End: body.EndTime,
			BlobSASURI: body.BlobSASURI, ReceivedAt: now()})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// archiveMessages archives twenty real messages, and a supplement to the third, and
// returns their keys in order.
func archiveMessages(t *testing.T, kept *archive.Archive) (keys []string) {
	t.Helper()
	for i := range 20 {
		id, created := idAt(at(i)), at(i)
		document := fmt.Appendf(nil, `{"data":{"id":%q,"text":"post %d","author_id":"7","created_at":%q},"includes":{"users":[{"id":"7","username":"ann","name":"Ann"}]}}`,
			id, i, created.Format("2006-01-02T15:04:05.000Z"))
		p, err := post.Parse(document)
		if err != nil {
			t.Fatal(err)
		}
		format := message.Format{To: "archive@contoso.example"}
		put := func(key string, write func(w io.Writer) error) {
			if _, _, err := kept.Put(t.Context(), "7", archive.Message{Key: key, PostID: id, Created: created, Kind: p.Kind()}, write); err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		put(id, func(w io.Writer) error { return format.Write(w, p, document, nil) })
		if i == 2 {
			put(id+".media", func(w io.Writer) error {
				return format.WriteSupplement(w, p, document, message.Supplement{Name: "media"}, nil)
			})
		}
	}
	return keys
}
