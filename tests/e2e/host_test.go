package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"xarchive/tests/sandbox"
)

// TestTicksAtOnce: the host's admin API starts a tick beside the schedule's. It does
// nothing, says so, and is no failure; the first one is not disturbed.
func TestTicksAtOnce(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	reached, release := w.hold(w.Memory, 30, isMessage)
	ticked := w.midTick("30 posts are archived", reached)
	inv, err := w.Host.Tick(t.Context(), "ingest")
	if err != nil || !strings.Contains(strings.Join(inv.Logs, "\n"), "runs already") {
		t.Errorf("the second tick: want a success that says why it did nothing, got %q, %v", inv.Logs, err)
	}
	release()
	<-ticked
	w.until("the task ends", func() bool { return w.ended(job, task) })
	messages := 0
	for name := range w.blobs("archive") {
		if strings.HasSuffix(name, ".eml") {
			messages++
		}
	}
	if want := len(w.Corpus.All(account)); messages != want {
		t.Errorf("%d messages for %d posts", messages, want)
	}
	if n := strings.Count(w.log.String(), "msg=\"tick done\""); n != len(w.Host.Invocations())-1 {
		t.Errorf("%d ticks say that they are done, of %d of which one did nothing", n, len(w.Host.Invocations()))
	}
}

// TestLargeBodies: whoever sends more than is wanted gets the handler's answer. The
// host would answer 500 if the handler answered before it had read the body.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Options{InMemory: true, FrontEnd: true})
	body := bytes.Repeat([]byte("x"), 8<<20)
	for _, c := range []struct {
		method, path, kind string
		want               []int
	}{
		{"GET", "/Configure", "text/plain", []int{200}},
		{"POST", "/Configure", "application/x-www-form-urlencoded", []int{400, 403}},
		{"POST", "/data/OnDownloadRequest", "application/json", []int{401}},
		{"POST", "/api/ConnectorSetup/StoreToken", "application/json", []int{401}},
		{"POST", "/status/nothing", "application/json", []int{404}},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, w.Host.URL()+c.path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.kind)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
			continue
		}
		_ = resp.Body.Close()
		found := false
		for _, status := range c.want {
			found = found || status == resp.StatusCode
		}
		if !found {
			t.Errorf("%s %s with %d bytes: want one of %v, got %d", c.method, c.path, len(body), c.want, resp.StatusCode)
		}
	}
}
