package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// call calls the connector with the shared secret, or what header says instead.
func (w *world) call(method, path, body string, header ...string) (status int, answer string, h http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.Host.URL()+path, bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(sandbox.TenantID, sandbox.APISecretKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := noRedirects.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// TestTasksThatKeepBusy: neither a task that asks about thousands of posts that are
// none, nor one whose window never ends, keeps the connector from archiving new posts
// and ending tasks; and X bills nothing for them.
func TestTasksThatKeepBusy(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{InMemory: true})
	w.connect(job, corpus.SupportAccount)
	w.tick()
	w.wantArchived(corpus.SupportAccount, w.Corpus.All(corpus.SupportAccount))

	var ids []string
	for i := range 5000 { // of posts before the account was made, and of the times before ids told theirs
		ids = append(ids, fmt.Sprint(1_000_000_000+i))
	}
	body := func(task string, change map[string]any) string {
		in := map[string]any{"JobId": job, "TaskId": task, "StartTime": "2006-01-01T00:00:00", "EndTime": w.newest().UTC().Format(time.RFC3339),
			"DirtyEntities": nil, "BlobSasUri": "https://example.blob.core.windows.net/container?sv=2024-11-04&sr=c&sp=wc&sig=c2ln"}
		for name, value := range change {
			in[name] = value
		}
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, change := range map[string]map[string]any{
		"more posts than a task may ask about":  {"DirtyEntities": append(append([]string{}, ids...), "1")},
		"a window that ends in the year 9999":   {"EndTime": "9999-12-31T23:59:59"},
		"a window that ends the day after next": {"EndTime": time.Now().UTC().Add(48 * time.Hour).Format(time.RFC3339)},
	} {
		if status, answer, _ := w.call("POST", "/data/OnDownloadRequest", body("t", change)); status != 400 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}

	billed := w.X.Stats().BilledReads
	w.request(importservice.Task{JobID: job, TaskID: "asks", Start: beginning, End: w.newest(), Dirty: ids})
	w.X.Post(corpus.SupportAccount, corpus.Post{Text: "posted while a task asks about what is not there"})
	w.until("the task ends", func() bool { return w.ended(job, "asks") })
	if n := w.X.Stats().BilledReads - billed; n != 1 {
		t.Errorf("X billed %d posts, want the new one", n)
	}
	w.wantArchived(corpus.SupportAccount, w.Corpus.All(corpus.SupportAccount))
}

// TestStrangersDoNotDecideTheLog: of thousands of refused requests the log has some lines
// and the count; every answer to them says that TLS is to be used.
func TestStrangersDoNotDecideTheLog(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{InMemory: true, FrontEnd: true})
	const requests = 1500
	for i := range requests {
		path, method := "/setup/Validate", "GET"
		switch i % 3 {
		case 1:
			path = "/job/IsCreated"
		case 2:
			path = "/job/OnDeleted"
			method = "DELETE"
		}
		status, _, h := w.call(method, path, "", "Authorization", "")
		if status != 401 {
			t.Fatalf("%s %s: %d", method, path, status)
		}
		if h.Get("Strict-Transport-Security") == "" {
			t.Fatalf("%s %s: no Strict-Transport-Security", method, path)
		}
	}
	lines := strings.Count(w.log.String(), "\n")
	if lines < 60 || lines > 400 { // some minutes of 60 lines, on a slow machine
		t.Errorf("%d requests made %d lines", requests, lines)
	}
}

// TestBrowserDoesNotCallForOthers: a browser in front of the real host, with credentials,
// does nothing for another site.
func TestBrowserDoesNotCallForOthers(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{InMemory: true, FrontEnd: true})
	w.connect(job, corpus.SupportAccount)
	const deleteToken = "/api/ConnectorSetup/DeleteToken?jobType=Twitter&jobId=" + job
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
	}{
		{"GET", deleteToken, "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"POST", "/api/Configuration", `{"TwitterApiKeyValue":"stolen"}`, []string{"Content-Type", "text/plain"}, 400},
		{"POST", "/api/Configuration", `{"TwitterApiKeyValue":"stolen"}`, []string{"Origin", "https://evil.example"}, 403},
		{"HEAD", deleteToken, "", nil, 405},
	} {
		if status, answer, _ := w.call(c.method, c.path, c.body, c.header...); status != c.status {
			t.Errorf("%s %s %v: %d %s, want %d", c.method, c.path, c.header, status, answer, c.status)
		}
	}
	w.tick()
	w.wantArchived(corpus.SupportAccount, w.Corpus.All(corpus.SupportAccount))
	if _, _, h := w.call("GET", "/setup/Validate", "", "Authorization", "", "Sec-Fetch-Mode", "navigate"); strings.Contains(fmt.Sprint(h.Values("WWW-Authenticate")), "Basic") {
		t.Error("a browser is asked for Basic credentials")
	}
}
