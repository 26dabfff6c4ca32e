package importservice_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"xarchive/tests/sandbox/azurite"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/importservice"
)

var emulator *azurite.Server

func TestMain(m *testing.M) { os.Exit(azurite.Run(m, &emulator)) }

const (
	tenant = "5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10"
	secret = "key:with:colons"
	good   = "good-token"
)

// connector answers what the test tells it to and keeps what it was asked.
type connector struct {
	status int
	answer string
	got    *http.Request
	body   string
}

func (c *connector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	c.got, c.body = r, string(text)
	w.WriteHeader(c.status)
	_, _ = io.WriteString(w, c.answer)
}

// world is a service, its event API and a connector.
type world struct {
	*importservice.Service
	connector *connector
	events    string
	t         *testing.T
}

func start(t *testing.T) *world { return startWith(t, emulator.ConnectionString("")) }

func startWith(t *testing.T, storage string) *world {
	w := &world{connector: &connector{status: 200}, t: t}
	server := httptest.NewServer(w.connector)
	t.Cleanup(server.Close)
	var err error
	w.Service, err = importservice.New(importservice.Options{
		TenantID: tenant, APISecretKey: secret, ConnectorURL: func() string { return server.URL }, ConnectionString: storage,
		VerifyToken: func(token string) error {
			if token != good {
				return errors.New("not the token")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	events := httptest.NewServer(w.Service)
	t.Cleanup(events.Close)
	w.events = events.URL
	t.Cleanup(w.Stop)
	return w
}

// request hands out a task and returns the SAS URL that the connector was given.
func (w *world) request(task importservice.Task) string {
	w.t.Helper()
	status, _, err := w.Request(w.t.Context(), task)
	if err != nil || status != w.connector.status {
		w.t.Fatalf("%d, %v", status, err)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(w.connector.body), &body); err != nil {
		w.t.Fatal(err)
	}
	return body["BlobSasUri"].(string)
}

func upload(t *testing.T, sas, name, content string) error {
	t.Helper()
	c, err := container.NewClientWithNoCredential(sas, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.NewBlockBlobClient(name).UploadBuffer(t.Context(), []byte(content), nil)
	return err
}

// send posts to the event API; the default headers are right.
func (w *world) send(target, body string, headers ...string) int {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, w.events+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+good)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

const completeCall = "/api/data/ondownloadcomplete/?jobId=job"

func event(status int, items ...string) string {
	return fmt.Sprintf(`{"taskId":"task","status":%d,"itemMetadata":[%s]}`, status, strings.Join(items, ","))
}

func told(id, at string) string {
	return fmt.Sprintf(`{"id":%q,"modificationTimestampUtc":%q,"fileName":"%s.json"}`, id, at, id)
}

const (
	early = "2026-01-31T13:45:00.000Z"
	late  = "2026-01-31T13:45:00.001Z"
)

func TestRequestOnTheWire(t *testing.T) {
	w := start(t)
	from := time.Date(2026, 1, 31, 14, 45, 0, 123456700, time.FixedZone("", 3600))
	w.request(importservice.Task{JobID: "job", TaskID: "task", Start: from, End: from.Add(time.Hour), Dirty: []string{"1", "2"}})
	got := w.connector.got
	user, password, ok := got.BasicAuth()
	if got.Method != "POST" || got.RequestURI != "/data/OnDownloadRequest" || !ok || user != tenant || password != secret {
		t.Errorf("%s %s %v", got.Method, got.RequestURI, ok)
	}
	if got.ContentLength <= 0 || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") {
		t.Errorf("%v", got.Header)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(w.connector.body), &body); err != nil {
		t.Fatal(err)
	}
	sas, err := url.Parse(body["BlobSasUri"].(string))
	if err != nil || sas.Query().Get("sr") != "c" || sas.Query().Get("sp") != "cw" || sas.Query().Get("sig") == "" {
		t.Errorf("the SAS has other parameters: %v", err)
	}
	delete(body, "BlobSasUri")
	if text, _ := json.Marshal(body); string(text) != `{"DirtyEntities":["1","2"],"EndTime":"2026-01-31T14:45:00.1234567Z","JobId":"job","StartTime":"2026-01-31T13:45:00.1234567Z","TaskId":"task"}` {
		t.Errorf("%s", text)
	}
	w.request(importservice.Task{JobID: "job", TaskID: "other"})
	if !strings.Contains(w.connector.body, `"DirtyEntities":null`) {
		t.Error(w.connector.body)
	}
}

func TestSAS(t *testing.T) {
	w := start(t)
	task := importservice.Task{JobID: "job", TaskID: "task"}
	sas := w.request(task)
	if err := upload(t, sas, "job/task/1.json", item()); err != nil {
		t.Fatal(err)
	}
	c, err := container.NewClientWithNoCredential(sas, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.NewBlobClient("job/task/1.json").DownloadStream(t.Context(), nil); err == nil {
		t.Error("the SAS allows to read")
	}
	if _, err := c.NewListBlobsFlatPager(nil).NextPage(t.Context()); err == nil {
		t.Error("the SAS allows to list")
	}
	containerOf := func(sas string) string { name, _, _ := strings.Cut(sas, "?"); return name }
	if again := w.request(task); containerOf(again) != containerOf(sas) {
		t.Error("the same task got another container")
	}
	task.NewContainer = true
	if other := w.request(task); containerOf(other) == containerOf(sas) {
		t.Error("it did not get a new container")
	}
	task = importservice.Task{JobID: "job", TaskID: "expired", SASLife: -time.Hour}
	if err := upload(t, w.request(task), "job/expired/1.json", item()); err == nil {
		t.Error("an expired SAS works")
	}
	task = importservice.Task{JobID: "job", TaskID: "revoked", Revocable: true}
	sas = w.request(task)
	if err := upload(t, sas, "job/revoked/1.json", item()); err != nil {
		t.Fatal(err)
	}
	if err := w.RevokeSAS(t.Context(), "job", "revoked"); err != nil {
		t.Fatal(err)
	}
	if err := upload(t, sas, "job/revoked/2.json", item()); err == nil {
		t.Error("a revoked SAS works")
	}
	if n, err := w.CountItems(t.Context()); err != nil || n != 1 { // the first task has a new container
		t.Errorf("%d items, %v", n, err)
	}
}

func TestWholeTask(t *testing.T) {
	w := start(t)
	sas := w.request(importservice.Task{JobID: "job", TaskID: "task"})
	for _, id := range []string{"100", "99"} {
		if err := upload(t, sas, "job/task/"+id+".json", item("Id", `"`+id+`"`)); err != nil {
			t.Fatal(err)
		}
	}
	waited := make(chan importservice.Event, 1)
	go func() {
		e, _ := w.WaitEnd(context.Background(), "job", "task")
		waited <- e
	}()
	if status := w.send(completeCall, event(1)); status != 200 {
		t.Fatalf("a temporary failure: %d", status)
	}
	body := event(0, told("100", early), told("99", late))
	for range 2 {
		if status := w.send(completeCall, body); status != 200 {
			t.Fatalf("status %d: %v", status, w.Violations())
		}
	}
	e := <-waited
	if e.Status != importservice.Success || len(e.Items) != 2 || e.Items[0].ID != "100" || e.Items[1].FileName != "99.json" || e.Received.IsZero() {
		t.Errorf("%+v", e)
	}
	if all := w.Events(); len(all) != 2 || all[1].Repeats != 1 || all[0].Status != importservice.TemporaryFailure {
		t.Errorf("%+v", all)
	}
	if v := w.Violations(); len(v) != 0 {
		t.Errorf("%q", v)
	}
	items, err := w.Items(t.Context(), "job", "task")
	if err != nil || len(items) != 2 || items[0].Name != "100.json" || string(items[0].Data) != item() {
		t.Errorf("%d items, %v", len(items), err)
	}
	dir := t.TempDir()
	paths, err := w.SaveItems(t.Context(), "job", "task", dir)
	if err != nil || len(paths) != 2 || paths[0] != filepath.Join(dir, "job", "task", "100.json") {
		t.Fatalf("%v, %v", paths, err)
	}
	if content, err := os.ReadFile(paths[0]); err != nil || string(content) != item() {
		t.Errorf("%v", err)
	}
	// An ended task takes no other event, unless it is requested anew.
	if status := w.send(completeCall, event(2)); status != 400 {
		t.Errorf("status %d", status)
	}
	w.request(importservice.Task{JobID: "job", TaskID: "task"})
	if status := w.send(completeCall, event(2, told("100", early))); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestViolations(t *testing.T) {
	w := start(t)
	w.request(importservice.Task{JobID: "job", TaskID: "task"})
	item100 := told("100", early)
	for _, c := range []struct {
		name, target, body string
		headers            []string
		status             int
	}{
		{"no token", completeCall, event(2), []string{"Authorization", ""}, 401},
		{"Basic", completeCall, event(2), []string{"Authorization", "Basic eA=="}, 401},
		{"no slash", "/api/data/ondownloadcomplete?jobId=job", event(2), nil, 404},
		{"other call", "/api/data/?jobId=job", event(2), nil, 404},
		{"no job", "/api/data/ondownloadcomplete/", event(2), nil, 400},
		{"job twice", completeCall + "&jobId=job", event(2), nil, 400},
		{"more in the query", completeCall + "&x=1", event(2), nil, 400},
		{"unknown job", "/api/data/ondownloadcomplete/?jobId=other", event(2), nil, 404},
		{"unknown task", completeCall, strings.Replace(event(2), `"task"`, `"other"`, 1), nil, 404},
		{"not JSON type", completeCall, event(2), []string{"Content-Type", "text/plain"}, 415},
		{"not JSON", completeCall, "{", nil, 400},
		{"status 3", completeCall, event(3), nil, 400},
		{"status a string", completeCall, strings.Replace(event(2), "2", `"2"`, 1), nil, 400},
		{"status missing", completeCall, `{"taskId":"task","itemMetadata":[]}`, nil, 400},
		{"unknown member", completeCall, strings.Replace(event(2), "{", `{"reason":"x",`, 1), nil, 400},
		{"wrong case", completeCall, strings.Replace(event(2), "taskId", "TaskId", 1), nil, 400},
		{"items null", completeCall, `{"taskId":"task","status":2,"itemMetadata":null}`, nil, 400},
		{"local time", completeCall, event(2, told("100", "2026-01-31T13:45:00+01:00")), nil, 400},
		{"newest first", completeCall, event(2, told("100", late), told("98", early)), nil, 400},
		{"item twice", completeCall, event(2, item100, item100), nil, 400},
		{"item's unknown member", completeCall, event(2, strings.Replace(item100, "{", `{"x":1,`, 1)), nil, 400},
		{"path as fileName", completeCall, event(2, strings.Replace(item100, "100.json", "job/task/100.json", 1)), nil, 400},
		{"native: empty", "/api/event/nativeconnector/?jobId=job", `{"entry":[]}`, nil, 400},
		{"native: member", "/api/event/nativeconnector/?jobId=job", `{"entry":[{"Id":"1","TimeStamp":"` + early + `"}]}`, nil, 400},
	} {
		before := len(w.Violations())
		if status := w.send(c.target, c.body, c.headers...); status != c.status {
			t.Errorf("%s: want %d, got %d", c.name, c.status, status)
		}
		if got := len(w.Violations()); got != before+1 {
			t.Errorf("%s: %d violations were kept", c.name, got-before)
		}
	}
	resp, err := http.Get(w.events + completeCall)
	if err != nil || resp.StatusCode != 401 {
		t.Errorf("%v", err)
	}
	before := len(w.Violations())
	if status := w.send(completeCall, event(2), "Authorization", "Bearer run-out"); status != 401 || len(w.Violations()) != before {
		t.Errorf("a token that has run out: %d, %q", status, w.Violations()[before:])
	}
	if len(w.Events()) != 0 {
		t.Errorf("events were taken: %+v", w.Events())
	}
}

// TestFoundAfterwards: an event of the right form is answered at once; what is wrong
// with what it tells is found after that.
func TestFoundAfterwards(t *testing.T) {
	for _, c := range []struct {
		name, body string
		blobs      map[string]string // beside those of items 100, 98 and 97
		says       string
	}{
		{"all is well", event(2, told("100", early)), nil, ""},
		{"no such blob", event(2, told("100", early), told("96", early)), nil, "the item 96 is told, but there is no blob job/task/96.json"},
		{"other item's id", event(2, told("98", early)), nil, `98.json holds the item "100", not "98"`},
		{"no item in the blob", event(2, told("97", early)), nil, "97.json"},
		{"success, blobs not told", event(0, told("100", early)), nil, "it succeeded, and 2 blobs are not told"},
		{"a blob outside the folder", event(2), map[string]string{"stray.json": item()}, "stray.json is not in the task's folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t)
			sas := w.request(importservice.Task{JobID: "job", TaskID: "task"})
			stored := map[string]string{"job/task/100.json": item(), "job/task/98.json": item(), "job/task/97.json": "{}"}
			maps.Copy(stored, c.blobs)
			for name, content := range stored {
				if err := upload(t, sas, name, content); err != nil {
					t.Fatal(err)
				}
			}
			if status := w.send(completeCall, c.body); status != 200 {
				t.Errorf("the event was answered with %d, expected 200", status)
			}
			if err := w.Settled(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := w.Violations()
			if c.says == "" && len(got) != 0 || c.says != "" && (len(got) != 1 || !strings.Contains(got[0], c.says)) {
				t.Errorf("found %q, expected %q", got, c.says)
			}
			if len(w.Events()) != 1 {
				t.Errorf("events: %+v, expected the one", w.Events())
			}
		})
	}
}

// TestAnsweredAtOnce: the answer does not wait until the items are read.
func TestAnsweredAtOnce(t *testing.T) {
	storage, let := blobs.New(blobs.Options{}), make(chan struct{})
	server := httptest.NewServer(storage)
	t.Cleanup(server.Close)
	w := startWith(t, storage.ConnectionStringAt(server.URL))
	sas := w.request(importservice.Task{JobID: "job", TaskID: "task"})
	if err := upload(t, sas, "job/task/100.json", "{}"); err != nil {
		t.Fatal(err)
	}
	storage.Before(func(op blobs.Op) error {
		if op.Class == blobs.Read {
			<-let
		}
		return nil
	})
	if status := w.send(completeCall, event(0, told("100", early))); status != 200 {
		t.Fatalf("status %d", status)
	}
	if e, err := w.WaitEnd(t.Context(), "job", "task"); err != nil || e.Status != importservice.Success {
		t.Errorf("%+v, %v", e, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Settled(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("nothing is read yet, and it says that all is checked: %v", err)
	}
	close(let)
	if got := w.Violations(); len(got) != 1 || !strings.Contains(got[0], "100.json") {
		t.Errorf("found %q, expected that 100.json is no item", got)
	}
}

// TestStreamedEvent: a body may come in chunks, without a Content-Length.
func TestStreamedEvent(t *testing.T) {
	w := start(t)
	w.request(importservice.Task{JobID: "job", TaskID: "task"})
	req, err := http.NewRequest(http.MethodPost, w.events+completeCall, io.MultiReader(strings.NewReader(event(2)[:10]), strings.NewReader(event(2)[10:])))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+good)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || req.ContentLength > 0 || len(w.Events()) != 1 {
		t.Errorf("status %d, events %+v: %q", resp.StatusCode, w.Events(), w.Violations())
	}
}

func TestUnacceptedTaskIsUnknown(t *testing.T) {
	w := start(t)
	w.connector.status = 404
	w.request(importservice.Task{JobID: "job", TaskID: "task"})
	if status := w.send(completeCall, event(2)); status != 404 {
		t.Errorf("status %d", status)
	}
}

func TestTrouble(t *testing.T) {
	w := start(t)
	w.request(importservice.Task{JobID: "job", TaskID: "task"})
	w.Down(true)
	if status := w.send(completeCall, event(2)); status != 503 {
		t.Errorf("down: %d", status)
	}
	w.Down(false)
	w.FailNext(2, 429)
	for i, want := range []int{429, 429, 200} {
		if status := w.send(completeCall, event(2)); status != want {
			t.Errorf("%d: want %d, got %d", i, want, status)
		}
	}
	if len(w.Violations()) != 0 {
		t.Errorf("%q", w.Violations())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.WaitEvent(ctx, "job", "other"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestNativeEvent(t *testing.T) {
	w := start(t)
	w.request(importservice.Task{JobID: "job", TaskID: "task"})
	if status := w.send("/api/event/nativeconnector/?jobId=job", `{"entry":[{"Id":"1","TimeStamp":"`+early+`","ChangeType":"deleted"}]}`); status != 200 {
		t.Fatalf("%d %q", status, w.Violations())
	}
	if c := w.Changes(); len(c) != 1 || c[0].ID != "1" || c[0].JobID != "job" || c[0].ChangeType != "deleted" {
		t.Errorf("%+v", c)
	}
}

// Every call, and what of it is on the wire.
func TestCalls(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	const redirect = "https://app.example/Views/TwitterOAuth"
	for _, c := range []struct {
		wire, body, answer string
		call               func() (any, error)
		want               any
	}{
		{"GET /setup/Validate", "", `{"Status":true,"Message":null}`, func() (any, error) { return nil, w.Validate(ctx) }, nil},
		{"GET /job/IsCreated?jobId=j+1", "", `{"IsJobCreated":true,"Reason":null}`, func() (any, error) { return w.IsCreated(ctx, "j 1") }, true},
		{"DELETE /job/OnDeleted?jobId=j", "", "", func() (any, error) { return nil, w.OnDeleted(ctx, "j") }, nil},
		{"GET /job/OnRemediation?jobId=j&remediationType=Relogin", "", "", func() (any, error) { return nil, w.OnRemediation(ctx, "j") }, nil},
		{"GET /api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl=" + url.QueryEscape(redirect), "", `"https://x"`, func() (any, error) { return w.OAuthURL(ctx, redirect) }, "https://x"},
		{"POST /api/ConnectorSetup/StoreToken", `{"jobId":"j","redirectUrl":"r","temporaryAccessCode":"c"}`, `true`, func() (any, error) { return nil, w.StoreToken(ctx, "j", "c", "r") }, nil},
		{"GET /api/ConnectorSetup/GetEntities?jobId=j&jobType=Twitter", "", `[{"Id":"7","Name":"n","AdditionalInfo":null,"AlreadyUsed":true}]`,
			func() (any, error) { e, err := w.GetEntities(ctx, "j"); return fmt.Sprint(e), err }, "[{7 n true}]"},
		{"POST /api/ConnectorSetup/SavePage?jobId=j&tenantId=" + tenant, `{"Id":"7","Name":"n"}`, `false`, func() (any, error) { return w.SavePage(ctx, "j", importservice.Entity{ID: "7", Name: "n"}) }, false},
		{"GET /api/ConnectorSetup/DeleteToken?jobId=j&jobType=Twitter", "", `true`, func() (any, error) { return nil, w.DeleteToken(ctx, "j") }, nil},
		{"GET /api/Configuration", "", `{"TwitterApiKeyValue":""}`, func() (any, error) { m, err := w.GetConfiguration(ctx); return len(m), err }, 1},
		{"POST /api/Configuration", `{"TwitterApiKeyValue":"k"}`, `true`, func() (any, error) { return nil, w.SetConfiguration(ctx, map[string]string{"TwitterApiKeyValue": "k"}) }, nil},
	} {
		w.connector.status, w.connector.answer = 200, c.answer
		got, err := c.call()
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.wire, got, err)
		}
		if wire := w.connector.got.Method + " " + w.connector.got.RequestURI; wire != c.wire || w.connector.body != c.body {
			t.Errorf("want %s %s, got %s %s", c.wire, c.body, wire, w.connector.body)
		}
		w.connector.status, w.connector.answer = 404, `{"Message":"There is no such job."}`
		var status *importservice.StatusError
		if _, err := c.call(); !errors.As(err, &status) || status.Status != 404 || status.Message != "There is no such job." {
			t.Errorf("%s: %v", c.wire, err)
		}
		if c.answer != "" { // of commands only the status matters
			w.connector.status, w.connector.answer = 200, `{"Other":1}`
			if c.wire != "GET /api/Configuration" {
				w.connector.answer = `{}`
			}
			if _, err := c.call(); err == nil {
				t.Errorf("%s: a wrong answer was taken", c.wire)
			}
		}
	}
	w.connector.status, w.connector.answer = 500, "oops"
	if err := w.Validate(ctx); err == nil || !strings.Contains(err.Error(), "not {") {
		t.Errorf("%v", err)
	}
	_ = w.WithAuthorization("Bearer x").Validate(ctx)
	if got := w.connector.got.Header.Get("Authorization"); got != "Bearer x" {
		t.Errorf("%q", got)
	}
	_ = w.Validate(ctx)
	if got, want := w.connector.got.Header.Get("Authorization"), "Basic "+base64.StdEncoding.EncodeToString([]byte(tenant+":"+secret)); got != want {
		t.Errorf("%q", got)
	}
}

func TestBadConnectionString(t *testing.T) {
	for _, text := range []string{"", "UseDevelopmentStorage=true", "AccountName=a;AccountKey=!;BlobEndpoint=http://127.0.0.1:1/a"} {
		if _, err := importservice.New(importservice.Options{ConnectionString: text}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
