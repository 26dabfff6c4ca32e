package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/x"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// What pages once said although it was not so, each provoked in the world around the
// connector and looked for in the browser.

// people makes a world of accounts that have posted nothing yet, and returns their ids.
func people(t *testing.T, n int) (*corpus.Corpus, []string) {
	t.Helper()
	var ids []string
	var users []map[string]string
	for i := range n {
		id := fmt.Sprint(7770001 + i)
		ids = append(ids, id)
		users = append(users, map[string]string{"id": id, "name": "Contoso " + id, "username": "contoso" + id, "created_at": time.Now().UTC().AddDate(0, -3, 0).Format("2006-01-02T15:04:05.000Z")})
	}
	dir := t.TempDir()
	for name, v := range map[string]any{"accounts.json": ids, "posts.json": map[string]any{"data": []any{}, "includes": map[string]any{"users": users}}} {
		data, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c, ids
}

// level returns how an account's card on the status page is marked: "good", "wait",
// "loss" or "bad".
func (p *tab) level(name string) string {
	p.t.Helper()
	quoted, _ := json.Marshal(name)
	return ask[string](p, `(() => {
		const card = [...document.querySelectorAll("article")].find(a => a.querySelector("h2").innerText.includes(`+string(quoted)+`));
		return card ? card.querySelector("header .tag").classList[1] : "no card";
	})()`)
}

// saysNot checks that the page has none of these texts.
func (p *tab) saysNot(texts ...string) {
	p.t.Helper()
	said := strings.ToLower(ask[string](p, `document.body.innerText.replace(/\s+/g, " ")`))
	for _, text := range texts {
		if strings.Contains(said, strings.ToLower(text)) {
			p.t.Errorf("the page says %q\n%s", text, p.describe())
		}
	}
}

// calm are the words of a page that asks nothing of anybody.
var calm = []string{"All is well", "Nothing needs you", "nothing is lost", "Everything is archived", "All that this account posts"}

// editState changes a record of the connector.
func editState(t *testing.T, s *sandbox.Sandbox, name string, change func(map[string]any)) {
	t.Helper()
	c, err := container.NewClientFromConnectionString(s.Blobs.ConnectionString(""), "connector-state", nil)
	if err != nil {
		t.Fatal(err)
	}
	blob := c.NewBlockBlobClient(name)
	var record map[string]any
	if err := json.Unmarshal(content(t, blob), &record); err != nil {
		t.Fatal(err)
	}
	change(record)
	data, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.Upload(t.Context(), streaming.NopCloser(bytes.NewReader(data)), nil); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, blob *blockblob.Client) []byte {
	t.Helper()
	answer, err := blob.DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// alter changes one byte of an archived message, and nothing else of the blob.
func alter(t *testing.T, s *sandbox.Sandbox, account, postID string, at time.Time) {
	t.Helper()
	c, err := container.NewClientFromConnectionString(s.Blobs.ConnectionString(""), "archive", nil)
	if err != nil {
		t.Fatal(err)
	}
	blob := c.NewBlockBlobClient(fmt.Sprintf("%s/%s/%s.eml", account, at.UTC().Format("2006/01/02"), postID))
	data := content(t, blob)
	properties, err := blob.GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if _, err := blob.Upload(t.Context(), streaming.NopCloser(bytes.NewReader(data)), &blockblob.UploadOptions{Metadata: properties.Metadata}); err != nil {
		t.Fatal(err)
	}
}

func request(t *testing.T, s *sandbox.Sandbox, task importservice.Task) {
	t.Helper()
	if status, answer, err := s.Import.Request(t.Context(), task); status != 200 || err != nil {
		t.Fatalf("OnDownloadRequest: %d %s %v", status, answer, err)
	}
}

// TestDeliveryTold: what becomes of deliveries turns the pages. Nobody ever asked; the
// Import service refuses all five tasks; an archived message was altered.
func TestDeliveryTold(t *testing.T) {
	t.Parallel()
	all, ids := people(t, 2)
	s := worldOf(t, all, nil)
	now := time.Now().UTC().Truncate(time.Second)
	posted := map[string]corpus.Post{}
	for i, account := range ids {
		posted[account] = s.X.Post(account, corpus.Post{Text: "A post", CreatedAt: now.Add(-time.Hour)})
		if err := s.Connect(t.Context(), fmt.Sprintf("job-%d", i), account); err != nil {
			t.Fatal(err)
		}
	}
	tick(t, s)
	p := newTab(t, s)
	p.open("/Status")
	p.signIn(sandbox.APISecretKey)
	p.sees("Not asked for yet")

	t.Log("the Compliance Center never asked")
	for i := range ids {
		editState(t, s, fmt.Sprintf("jobs/job-%d.json", i), func(job map[string]any) { job["createdAt"] = now.Add(-4 * 24 * time.Hour) })
	}
	p.open("/")
	p.heading("2 things need you")
	p.sees("Never asked for", "none is in Microsoft 365")
	p.saysNot(calm...)
	p.look("overview-never-asked")
	p.setUp("job-0")
	p.sees("Never asked for")

	t.Log("the Import service refuses all five tasks")
	s.Import.FailNext(100, http.StatusNotFound)
	for n := range 5 {
		request(t, s, importservice.Task{JobID: "job-0", TaskID: fmt.Sprint("task-", n), Start: now.Add(time.Duration(n-10) * time.Hour), End: now.Add(-time.Minute)})
	}
	_, _ = s.Host.Tick(t.Context(), "ingest") // that it fails is what this is about
	s.Import.FailNext(0, 0)
	p.open("/")
	p.sees("5 deliveries were refused", "status 404")
	p.saysNot(calm...)
	p.open("/Status")
	if got := p.level("Contoso " + ids[0]); got != "bad" {
		t.Errorf("an account of which every delivery was refused is marked %q", got)
	}

	t.Log("an archived message was altered")
	alter(t, s, ids[1], posted[ids[1]].ID, posted[ids[1]].CreatedAt)
	request(t, s, importservice.Task{JobID: "job-1", TaskID: "task-altered", Start: now.Add(-2 * time.Hour), End: now.Add(-time.Minute)})
	tick(t, s)
	p.open("/")
	p.sees("An archived message was altered", posted[ids[1]].ID)
	p.saysNot(calm...)
	p.look("overview-altered")
	p.open("/Status")
	if got := p.level("Contoso " + ids[1]); got != "bad" {
		t.Errorf("an account with an altered message is marked %q", got)
	}
	p.look("status-altered")
	p.setUp("job-1")
	p.sees("An archived message was altered")
}

// TestXRefusalsTold: an account that X no longer serves needs a person at once: on the
// overview, on the status page, and on the set-up page, where it can be mended.
func TestXRefusalsTold(t *testing.T) {
	t.Parallel()
	all, ids := people(t, 5)
	s := worldOf(t, all, nil)
	for i, account := range ids {
		s.X.Post(account, corpus.Post{Text: "A post", CreatedAt: time.Now().Add(-time.Hour)})
		if err := s.Connect(t.Context(), fmt.Sprintf("job-%d", i), account); err != nil {
			t.Fatal(err)
		}
	}
	tick(t, s)
	refusals := []struct {
		fault x.Fault
		says  string
		again string // on the page on which the account signs in again
	}{
		{fault: x.Fault{Status: http.StatusUnauthorized}, says: "The account must sign in with X again", again: "X no longer accepts the sign-in of this job's account"},
		{fault: x.Fault{Status: http.StatusForbidden, Body: `{"title":"Forbidden","status":403,"detail":"Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.","type":"https://api.twitter.com/2/problems/oauth1-permissions"}`}, says: "X does not let the app read"},
		{fault: x.Fault{Status: http.StatusPaymentRequired, Body: `{"title":"CreditsDepleted","detail":"Your enrolled account does not have any credits to fulfill this request.","type":"https://api.twitter.com/2/problems/credits"}`}, says: "The credits at X are used up"},
		{fault: x.Fault{Status: http.StatusTooManyRequests, Body: `{"title":"UsageCapExceeded","detail":"Usage cap exceeded: Monthly product cap","type":"https://api.twitter.com/2/problems/usage-capped","period":"Monthly","scope":"Product"}`}, says: "The month's cap on reads at X is reached"},
		{fault: x.Fault{Status: http.StatusForbidden, Body: `{"errors":[{"code":64,"message":"Your account is suspended and is not permitted to access this feature."}]}`}, says: "X has suspended or locked the account"},
	}
	s.X.Fail(func(r *http.Request) x.Fault {
		for i, refusal := range refusals {
			if strings.HasPrefix(r.URL.Path, "/2/users/"+ids[i]+"/") {
				return refusal.fault
			}
		}
		return x.Fault{}
	})
	_, _ = s.Host.Tick(t.Context(), "ingest") // that it fails is what this is about

	p := newTab(t, s)
	p.open("/Status")
	p.signIn(sandbox.APISecretKey)
	for i, refusal := range refusals {
		p.sees(refusal.says)
		if got := p.level("Contoso " + ids[i]); got != "bad" {
			t.Errorf("%s: the account is marked %q", refusal.says, got)
		}
	}
	p.saysNot(calm...)
	p.look("status-refusals")
	p.open("/")
	p.heading("5 things need you")
	p.saysNot(append(calm, "Working on it", "goes on by itself; nothing")...)
	for i, refusal := range refusals {
		p.setUp(fmt.Sprintf("job-%d", i))
		p.saysNot(calm...)
		if refusal.again == "" {
			p.sees(refusal.says)
			continue
		}
		p.heading("Sign in with X again")
		p.sees(refusal.again)
		p.sees("Login with X")
	}
	p.look("set-up-refused")
}

// TestLongHistoryTold: the first read of an account with 3,300 posts is under way, and
// nobody has to do anything; that X gives 3,200 of them is a loss, not all well.
func TestLongHistoryTold(t *testing.T) {
	t.Parallel()
	all, ids := people(t, 1)
	s := worldOf(t, all, nil)
	now := time.Now().UTC().Truncate(time.Second)
	for i := range 3300 {
		s.X.Post(ids[0], corpus.Post{Text: "A post", CreatedAt: now.Add(-time.Duration(3300-i) * time.Hour)})
	}
	if err := s.Connect(t.Context(), "job", ids[0]); err != nil {
		t.Fatal(err)
	}
	s.X.LimitRate(10, now.Add(time.Hour))
	_, _ = s.Host.Tick(t.Context(), "ingest")
	p := newTab(t, s)
	p.open("/Status")
	p.signIn(sandbox.APISecretKey)
	p.sees("Reading what is there")
	if got := p.level("Contoso"); got != "wait" {
		t.Errorf("the first read is marked %q", got)
	}
	p.open("/")
	p.heading("Working on it")
	p.saysNot("needs you", "need you", "Behind by")
	p.look("overview-first-read")

	s.X.LimitRate(10000, now.Add(time.Hour))
	editState(t, s, "accounts/"+ids[0]+".json", func(a map[string]any) { delete(a, "rateReset") })
	tick(t, s)
	request(t, s, importservice.Task{JobID: "job", TaskID: "task", Start: now.Add(-48 * time.Hour), End: now.Add(-24 * time.Hour)})
	tick(t, s)
	p.open("/")
	p.heading("Something cannot be had any more")
	p.sees("Older posts are missing", "3,200")
	p.saysNot(calm...)
	p.look("overview-loss")
	p.open("/Status")
	if got := p.level("Contoso"); got != "loss" {
		t.Errorf("3,200 of 3,300 posts are marked %q", got)
	}
	p.setUp("job")
	p.sees("Older posts are missing")
	p.saysNot(calm...)

	t.Log("a person acknowledges it")
	p.open("/Status")
	p.press("Acknowledge")
	p.look("status-acknowledge")
	p.fill("Your name", "Ada Lovelace")
	p.fill("Why it can stay so", "Archived by hand before the connector was there")
	p.press("Acknowledge the loss")
	p.sees("Acknowledged by Ada Lovelace", "Archived by hand before the connector was there", "Older posts are missing")
	if got := p.level("Contoso"); got != "good" {
		t.Errorf("an acknowledged loss is marked %q", got)
	}
	p.look("status-acknowledged")
	p.open("/")
	p.heading("All is well, but for what is known to be lost")
	p.look("overview-acknowledged")
}
