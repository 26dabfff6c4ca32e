package e2e

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
)

// TestInternetCannotTick: whatever comes from the Internet, ingestion does not start.
func TestInternetCannotTick(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{InMemory: true, FrontEnd: true})
	w.connect(job, corpus.SupportAccount)
	before := w.X.Stats()
	const envelope = `{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{"sys":{"MethodName":"ingest","UtcNow":"2026-01-01T00:00:00Z","RandGuid":"5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10"}}}`
	u, err := url.Parse(w.Host.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{
		"/ingest", "/Ingest", "/INGEST/", "/ingest/", "//ingest", "/%69ngest", "/ingest?x=1", "/ingest%2f", "/ingest%20", "/./ingest", "/x/../ingest",
		"/setup/..%2fingest", "/setup/..%5Cingest", "/setup/../ingest", "/api/ingest", "/admin/functions/ingest", "/connector", "/ingest;a=b", "/ingest.", "http://127.0.0.1/ingest",
	} {
		for _, method := range []string{"POST", "GET"} {
			// By hand, so that nothing on the way tidies the path.
			conn, err := net.Dial("tcp", u.Host)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.WriteString(conn, method+" "+target+" HTTP/1.1\r\nHost: "+u.Host+"\r\nContent-Type: application/json\r\nConnection: close\r\n"+
				"User-Agent: Azure-Functions-Host/4.1036.2.23924\r\nX-Azure-Functions-InvocationId: 5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10\r\nX-Azure-Functions-HostVersion: 4.0\r\n"+
				"Content-Length: "+strconv.Itoa(len(envelope))+"\r\n\r\n"+envelope)
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(conn) // a connection that is cut is an answer, too
			conn.Close()
			if strings.HasPrefix(string(answer), "HTTP/1.1 2") {
				t.Errorf("%s %s: %.200s", method, target, answer)
			}
		}
	}
	if got := w.X.Stats(); got.Requests != before.Requests {
		t.Errorf("X was asked %d times", got.Requests-before.Requests)
	}
	if strings.Contains(w.log.String(), "tick done") {
		t.Error("ingestion ran")
	}
	w.tick()
	if w.X.Stats().Requests == before.Requests {
		t.Error("the host's own tick did not run")
	}
}

// TestBadInput: wrong calls get the documented answer, and nothing is stored.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{InMemory: true, FrontEnd: true})
	w.connect(job, corpus.SupportAccount)
	stored := w.blobs("connector-state")
	const good = `{"JobId":"job-a","TaskId":"t","StartTime":"2024-01-01T00:00:00","EndTime":"2024-02-01T00:00:00","DirtyEntities":null,"BlobSasUri":"`
	const sas = `https://example.blob.core.windows.net/container?sv=2024-11-04&sr=c&sp=wc&sig=c2ln`
	for _, c := range []struct {
		what, method, path, user, password, body string
		status                                   int
	}{
		{"no authorization", "POST", "/data/OnDownloadRequest", "", "", good + sas + `"}`, 401},
		{"wrong secret", "GET", "/setup/Validate", sandbox.TenantID, "wrong", "", 401},
		{"wrong tenant", "GET", "/setup/Validate", "00000000-0000-0000-0000-000000000000", sandbox.APISecretKey, "", 401},
		{"bad JSON", "POST", "/data/OnDownloadRequest", sandbox.TenantID, sandbox.APISecretKey, `{"JobId":`, 400},
		{"unknown job", "POST", "/data/OnDownloadRequest", sandbox.TenantID, sandbox.APISecretKey, strings.Replace(good, "job-a", "job-z", 1) + sas + `"}`, 404},
		{"a blob instead of a container", "POST", "/data/OnDownloadRequest", sandbox.TenantID, sandbox.APISecretKey, good + strings.Replace(sas, "/container", "/container/blob", 1) + `"}`, 400},
		{"no storage account", "POST", "/data/OnDownloadRequest", sandbox.TenantID, sandbox.APISecretKey, good + strings.Replace(sas, "example.blob.core.windows.net", "evil.example", 1) + `"}`, 400},
		{"no signature", "POST", "/data/OnDownloadRequest", sandbox.TenantID, sandbox.APISecretKey, good + "https://example.blob.core.windows.net/container" + `"}`, 400},
		{"end before start", "POST", "/data/OnDownloadRequest", sandbox.TenantID, sandbox.APISecretKey, strings.Replace(good, "2024-02-01", "2023-02-01", 1) + sas + `"}`, 400},
		{"job id that leads elsewhere", "DELETE", "/job/OnDeleted?jobId=..%2Fx", sandbox.TenantID, sandbox.APISecretKey, "", 400},
		{"deleting an unknown job", "DELETE", "/job/OnDeleted?jobId=job-z", sandbox.TenantID, sandbox.APISecretKey, "", 404},
		{"wrong method", "POST", "/setup/Validate", sandbox.TenantID, sandbox.APISecretKey, "", 405},
		{"a token for nobody", "POST", "/api/ConnectorSetup/StoreToken", sandbox.TenantID, sandbox.APISecretKey, `{"temporaryAccessCode":"x","redirectUrl":"` + sandbox.CallbackURL + `","jobId":"job-a"}`, 400},
	} {
		req, err := http.NewRequest(c.method, w.Host.URL()+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.user != "" {
			req.SetBasicAuth(c.user, c.password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.HasPrefix(string(answer), `{"Message":"`) {
			t.Errorf("%s: %d %s, want %d and a Message", c.what, resp.StatusCode, answer, c.status)
		}
	}
	if got := w.blobs("connector-state"); !maps.EqualFunc(stored, got, func(_, _ map[string]*string) bool { return true }) {
		t.Errorf("stored: %v, before %v", got, stored)
	}
	w.tick()
	if got := w.Import.Events(); len(got) != 0 {
		t.Errorf("events %+v", got)
	}
}
