package setup

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/entra"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/x"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// importService is the application that the Compliance Center calls as: Microsoft's
// Office 365 Import.
const importService = "570d0bec-d001-4c4e-985e-3ab17fdc3073"

const job = "6b1f2a90-5c0e-4d27-9a77-0f3c5f1d2e44"

// TestJob leads a job through its life. Each step stands on the one before.
func TestJob(t *testing.T) {
	ctx, account := t.Context(), corpus.SupportAccount
	var log bytes.Buffer // read after the handler has ended
	s, err := sandbox.Start(ctx, sandbox.Options{Dir: t.TempDir(), App: app, Stderr: &log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the handler's log:\n%s", log.String())
		}
	})
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	created := func(want bool) {
		t.Helper()
		if got, err := s.Import.IsCreated(ctx, job); err != nil || got != want {
			t.Fatalf("IsCreated: %v, %v; want %v", got, err, want)
		}
	}

	deadline := time.After(time.Minute)

	t.Log("the Compliance Center checks the address and the secret")
	must("Validate", s.Import.Validate(ctx))
	bearer := func(audience string) *importservice.Client {
		return s.Import.WithAuthorization("Bearer " + s.Entra.Issue(entra.Claims{Audience: audience, AppID: importService}))
	}
	applicationURI, _ := s.Vault.Get("aad-application-uri")
	must("Validate with a token of Entra's", bearer(applicationURI).Validate(ctx))
	for name, stranger := range map[string]*importservice.Client{
		"no authorization":       s.Import.WithAuthorization(""),
		"a token for another":    bearer("https://another.example/"),
		"another tenant's token": s.Import.WithAuthorization("Bearer " + s.Entra.Issue(entra.Claims{Audience: applicationURI, AppID: importService, TenantID: "00000000-0000-0000-0000-000000000001"})),
	} {
		var refused *importservice.StatusError
		if err := stranger.Validate(ctx); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
			t.Errorf("Validate with %s: %v, want 401", name, err)
		}
	}

	t.Log("it opens the set-up page; the administrator signs in, here and at X")
	created(false)
	page := s.HostURL + "/preview/OnJobCreating?" + url.Values{"jobId": {job}, "tenantId": {sandbox.TenantID}}.Encode()
	admin := newAdministrator(t)
	admin.open(page)
	admin.submit("Sign in", url.Values{"tenantId": {sandbox.TenantID}, "secret": {"not the secret"}})
	admin.sees("The tenant ID and the secret do not match.")
	admin.submit("Sign in", url.Values{"tenantId": {sandbox.TenantID}, "secret": {sandbox.APISecretKey}})
	login := func(button string) {
		t.Helper()
		admin.submit(button, nil)
		admin.open(admin.link("Continue to X"))
		if admin.at.Path != "/oauth/authenticate" || !strings.HasPrefix(admin.at.String(), s.XURL) {
			t.Fatalf("the browser is at %s, want X's sign-in page", admin.at)
		}
		callback, err := x.SignIn(ctx, http.DefaultClient, admin.at.String(), account)
		must("signing in at X", err)
		admin.open(callback)
	}
	login("Login with X")
	admin.sees("Is this the account?", "@ContosoHelp")
	created(false)

	t.Log("the account is chosen")
	entities, err := s.Import.GetEntities(ctx, job)
	must("GetEntities", err)
	if len(entities) != 1 || entities[0].ID != account || entities[0].AlreadyUsed {
		t.Fatalf("GetEntities: %+v", entities)
	}
	saved, err := s.Import.SavePage(ctx, job, entities[0])
	if err != nil || !saved {
		t.Fatalf("SavePage: %v, %v", saved, err)
	}
	created(true)
	admin.open(page)
	admin.sees("The job is set up")

	t.Log("the Compliance Center asks for everything, the timer delivers it")
	deliver := func(task string, from, to time.Time) []string {
		t.Helper()
		status, answer, err := s.Import.Request(ctx, importservice.Task{JobID: job, TaskID: task, Start: from, End: to})
		if err != nil || status != http.StatusOK {
			t.Fatalf("OnDownloadRequest: %d %s %v", status, answer, err)
		}
		_, err = s.Host.Tick(ctx, "ingest")
		must("the timer's run", err)
		event, err := s.Import.WaitEvent(ctx, job, task)
		if err != nil || event.Status != importservice.Success {
			t.Fatalf("the event: %+v, %v", event, err)
		}
		var ids []string
		for _, item := range event.Items {
			ids = append(ids, item.ID)
		}
		slices.SortFunc(ids, corpus.CompareIDs)
		return ids
	}
	beginning, now := time.Date(2006, 3, 1, 0, 0, 0, 0, time.UTC), time.Now().UTC()
	if got, want := deliver("task-1", beginning, now.Add(-time.Hour)), ids(s.Corpus.All(account)); !slices.Equal(got, want) {
		t.Errorf("%d items are delivered, want the account's %d posts\ngot  %v\nwant %v", len(got), len(want), got, want)
	}

	t.Log("the account must sign in again; the archive goes on where it was")
	s.X.Revoke(account)
	must("OnRemediation", bearer(applicationURI).OnRemediation(ctx, job))
	created(true)
	admin.open(page)
	admin.sees("Sign in with X again")
	read := s.X.Stats().BilledReads
	login("Login with X")
	admin.sees("The job is set up")
	newer := post(t, s, account, now.Add(-2*time.Minute))
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for s.X.Stats().BilledReads == read {
		select {
		case <-pace.C:
			_, err := s.Host.Tick(ctx, "ingest")
			must("the timer's run", err)
		case <-deadline:
			t.Fatal("the new post is not read after the sign-in")
		}
	}
	if got := deliver("task-2", now.Add(-time.Hour), now.Add(-time.Minute)); !slices.Equal(got, []string{newer}) {
		t.Errorf("delivered are %v, want %s", got, newer)
	}
	// The newest posts are read again each time, which X bills once a day.
	if again := s.X.Stats().BilledReads - read; again != 1 {
		t.Errorf("X bills %d posts after the sign-in, want the new one only", again)
	}

	t.Log("the job is deleted; its mail stays, its token goes")
	mail := archived(t, s)
	must("OnDeleted", s.Import.OnDeleted(ctx, job))
	created(false)
	var gone *importservice.StatusError
	if err := s.Import.OnDeleted(ctx, job); !errors.As(err, &gone) || gone.Status != http.StatusNotFound {
		t.Errorf("OnDeleted of a job that is gone: %v, want 404", err)
	}
	if status, _, err := s.Import.Request(ctx, importservice.Task{JobID: job, TaskID: "task-3", Start: beginning, End: now}); err != nil || status != http.StatusNotFound {
		t.Errorf("OnDownloadRequest of a job that is gone: %d, %v; want 404", status, err)
	}
	admin.open(page)
	admin.sees("Sign in with X")
	before := s.X.Stats().Requests
	_, err = s.Host.Tick(ctx, "ingest")
	must("the timer's run", err)
	if asked := s.X.Stats().Requests - before; asked != 0 {
		t.Errorf("X was asked %d times for a job that is gone", asked)
	}
	if left := archived(t, s); left != mail || mail != len(s.Corpus.All(account)) {
		t.Errorf("%d messages are archived, %d before the job was deleted; want the account's %d posts", left, mail, len(s.Corpus.All(account)))
	}
	if wrong := s.Import.Violations(); len(wrong) > 0 {
		t.Errorf("the Import service had to refuse: %v", wrong)
	}
}

// ids are those of posts, sorted.
func ids(posts []corpus.Post) []string {
	var out []string
	for _, p := range posts {
		out = append(out, p.ID)
	}
	slices.SortFunc(out, corpus.CompareIDs)
	return out
}

// post has the account post something, and returns its id.
func post(t *testing.T, s *sandbox.Sandbox, account string, at time.Time) string {
	t.Helper()
	id := corpus.NewID(at, 0)
	at, _ = corpus.IDTime(id)
	_, err := s.Corpus.Add(fmt.Appendf(nil, `{"data":[{"id":%q,"author_id":%q,"text":"We are back.","created_at":%q,"conversation_id":%q,"edit_history_tweet_ids":[%q],"lang":"en"}]}`,
		id, account, at.Format("2006-01-02T15:04:05.000Z"), id, id))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// archived counts the messages in the archive.
func archived(t *testing.T, s *sandbox.Sandbox) int {
	t.Helper()
	client, err := azblob.NewClientFromConnectionString(s.Blobs.ConnectionString(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for pages := client.NewListBlobsFlatPager("archive", nil); pages.More(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, blob := range page.Segment.BlobItems {
			if strings.HasSuffix(*blob.Name, ".eml") {
				n++
			}
		}
	}
	return n
}
