package telemetry_test

import (
	"fmt"
	"math"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/appinsights/ingestiontest"
	"xarchive/handler/internal/post"
	"xarchive/scripts/appfolder"
	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// TestConnector: the real binary, with everything around it, reports what it did to
// Application Insights and to a collector. What it reports is compared with what the
// corpus holds.
func TestConnector(t *testing.T) {
	app := filepath.Join(t.TempDir(), "app")
	if err := sandbox.Stage(t.Context(), "../../..", app); err != nil {
		t.Fatal(err)
	}
	server, c := ingestiontest.StartPlain(t), startCollector(t, httptest.NewServer)
	var log strings.Builder
	s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), App: app, InMemory: true, Stderr: &log,
		Env: map[string]string{"APPLICATIONINSIGHTS_CONNECTION_STRING": server.ConnectionString(), "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "WEBSITE_SITE_NAME": "func-connector"}})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		}
	}
	defer stop()
	account := s.Corpus.Accounts()[0]
	if err := s.Connect(t.Context(), "job-1", account); err != nil {
		t.Fatal(err)
	}
	task := importservice.Task{JobID: "job-1", TaskID: "task-1", Start: time.Date(2006, 3, 1, 0, 0, 0, 0, time.UTC), End: time.Now().Add(-time.Hour)}
	if status, answer, err := s.Import.Request(t.Context(), task); err != nil || status != 200 {
		t.Fatal(status, answer, err)
	}
	if _, err := s.Host.Tick(t.Context(), "ingest"); err != nil {
		t.Fatal(err)
	}
	// Everything was sent before the tick was answered, because the process may be
	// frozen after that.
	archived, lags, budgets, tasks := map[string]float64{}, 0, 0, 0.0
	reads, dollars := map[string]float64{}, 0.0
	for _, i := range server.Of("MetricData") {
		point := i.Metric()
		value, _ := point["value"].(float64)
		switch point["name"] {
		case "xarchive.posts.archived":
			archived[i.Property("kind")] += value
		case "xarchive.lag":
			lags++
			if i.Property("account") != account || value < 30 || value > 3600 { // posts settle for 30 s
				t.Errorf("%s", i.Raw)
			}
		case "xarchive.x.budget":
			budgets++
		case "xarchive.unasked":
			if i.Property("job") != "job-1" || value < 0 || value > 60 { // it was asked for a moment ago
				t.Errorf("%s", i.Raw)
			}
		case "xarchive.x.reads":
			reads[i.Property("purpose")] += value
		case "xarchive.x.cost":
			dollars += value
		case "xarchive.clock_skew":
			if value < -5 || value > 5 { // both clocks are this machine's
				t.Errorf("%s", i.Raw)
			}
		case "xarchive.task.duration":
			tasks += point["count"].(float64)
			if i.Property("outcome") != "success" {
				t.Errorf("%s", i.Raw)
			}
		default:
			t.Errorf("%s", i.Raw)
		}
	}
	for kind, want := range kinds(s.Corpus.All(account)) {
		if archived[string(kind)] != want {
			t.Errorf("%v posts of kind %s archived, the corpus has %v", archived[string(kind)], kind, want)
		}
	}
	bill := s.X.Stats()
	if posts := reads["posts"] + reads["lookUps"]; posts != float64(bill.BilledReads) || reads["users"] != float64(bill.BilledUsers) {
		t.Errorf("%v reads are reported, X bills %d posts and %d accounts", reads, bill.BilledReads, bill.BilledUsers)
	}
	if want := 0.005*float64(bill.BilledReads) + 0.01*float64(bill.BilledUsers); math.Abs(dollars-want) > 1e-6 {
		t.Errorf("%v dollars are reported, want %v", dollars, want)
	}
	if lags != 1 || budgets != 1 || tasks != 1 {
		t.Errorf("%d lags, %d budgets, %v tasks", lags, budgets, tasks)
	}

	for _, rule := range alarms(t) {
		if rule.rings(t, server.Items()) {
			t.Errorf("all is well, and the alert %s rings", rule.name)
		}
	}

	var tick ingestiontest.Item
	for _, r := range server.Of("RequestData") {
		if r.Base["name"] == "ingest" {
			tick = r
		}
	}
	parents := map[string]string{} // of spans by id
	ids := map[string]string{}     // of spans by name
	calls := 0
	for _, d := range server.Of("RemoteDependencyData") {
		if d.Tags["ai.operation.id"] != tick.Tags["ai.operation.id"] {
			continue // of the sign-in
		}
		id, name := d.Base["id"].(string), d.Base["name"].(string)
		parents[id], ids[name] = d.Tags["ai.operation.parentId"], id
		if strings.HasSuffix(name, "/2/users/*/tweets") {
			calls++
			if parents[id] == "" || d.Base["resultCode"] != "200" {
				t.Errorf("%s", d.Raw)
			}
		}
	}
	if calls == 0 || ids["capture"] == "" || parents[ids["capture"]] != tick.Base["id"] || parents[ids["task"]] != tick.Base["id"] {
		t.Errorf("%d calls of X; %v, %v", calls, ids, parents)
	}
	for name, id := range ids {
		if strings.Contains(name, "/2/users/") && parents[id] != ids["capture"] {
			t.Errorf("%s is not part of the capture", name)
		}
	}
	for _, line := range []string{"tick done", "task ended", "posts archived"} {
		found := false
		for _, m := range server.Of("MessageData") {
			found = found || m.Base["message"] == line && m.Tags["ai.operation.id"] == tick.Tags["ai.operation.id"]
		}
		if !found {
			t.Errorf("no line %q in the tick's trace", line)
		}
	}

	// The host kills the handler; what was before the tick was sent with it.
	stop()
	if len(c.spans) == 0 || len(c.metrics) == 0 || len(c.lines) == 0 {
		t.Errorf("the collector got %d spans, %d metrics, %d lines, want some of each", len(c.spans), len(c.metrics), len(c.lines))
	}
	names := map[any]bool{}
	for _, r := range server.Of("RequestData") {
		names[r.Base["name"]] = true
	}
	for _, name := range []string{"POST /data/OnDownloadRequest", "POST /api/ConnectorSetup/StoreToken", "GET /api/ConnectorSetup/GetEntities"} {
		if !names[name] {
			t.Errorf("no request %q in %v", name, names)
		}
	}
	token, tokenSecret := s.X.Token(account)
	sent := c.bodies
	for _, i := range server.Items() {
		sent = append(sent, i.Raw)
	}
	for _, text := range sent {
		for _, secret := range []string{sandbox.APISecretKey, "sandbox-x-api-key", "sandbox-x-api-secret-key", "sandbox-aad-application-secret", token, tokenSecret, "sig="} {
			if secret != "" && strings.Contains(text, secret) {
				t.Errorf("telemetry holds a secret: %q", text)
			}
		}
	}
	if t.Failed() {
		t.Log(log.String())
	}
}

// TestEachLineOnce: with the deployed host.json, what the handler writes gets to
// Application Insights either from its own exporter or from the host's copy of its
// console, never from both.
func TestEachLineOnce(t *testing.T) {
	app := filepath.Join(t.TempDir(), "app")
	if err := appfolder.Stage(t.Context(), "../../..", app, appfolder.Target{OS: runtime.GOOS, Arch: runtime.GOARCH, Version: "1.2.3-test"}); err != nil {
		t.Fatal(err)
	}
	server := ingestiontest.StartPlain(t)
	for name, c := range map[string]struct {
		env              map[string]string
		exported, copied bool
	}{
		"sent":     {map[string]string{"APPLICATIONINSIGHTS_CONNECTION_STRING": server.ConnectionString()}, true, false},
		"not sent": {map[string]string{"APPLICATIONINSIGHTS_CONNECTION_STRING": "faulty"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			var console strings.Builder
			s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), App: app, Stderr: &console, Env: c.env})
			if err != nil {
				t.Fatal(err)
			}
			account := s.Corpus.Accounts()[0]
			if err := s.Connect(t.Context(), "job-1", account); err != nil {
				t.Fatal(err)
			}
			s.X.Down(true) // so that there are lines of every level
			if _, err := s.Host.Tick(t.Context(), "ingest"); err == nil {
				t.Error("the tick succeeds without X")
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			lines := map[string]int{}
			for _, m := range server.Of("MessageData") {
				lines[fmt.Sprint(m.Base["message"])]++
			}
			for _, i := range server.Items() {
				if i.Tags["ai.application.ver"] != "1.2.3-test" || i.Tags["ai.internal.sdkVersion"] != "xarchive:1.2.3-test" {
					t.Errorf("an item without the connector's version: %s", i.Raw)
				}
			}
			for _, line := range []string{"tick done", "invocation failed"} {
				if c.exported && lines[line] != 1 {
					t.Errorf("%q is exported %d times, want once", line, lines[line])
				}
			}
			if copied := strings.Contains(console.String(), "invocation failed"); copied != c.copied {
				t.Errorf("the host copies the handler's errors: %t, want %t", copied, c.copied)
			}
			if strings.Contains(console.String(), "level=INFO") || !c.copied && strings.Contains(console.String(), "level=") {
				t.Errorf("the host copies too much:\n%s", console.String())
			}
		})
	}
}

// kinds counts posts by what they do, by X's own words.
func kinds(posts []corpus.Post) map[post.Kind]float64 {
	count := map[post.Kind]float64{}
	for _, p := range posts {
		refs := map[string]bool{}
		for _, r := range p.Refs {
			refs[r.Type] = true
		}
		switch {
		case refs["retweeted"]:
			count[post.Retweet]++
		case refs["replied_to"]:
			count[post.Reply]++
		case refs["quoted"]:
			count[post.Quote]++
		default:
			count[post.Tweet]++
		}
	}
	return count
}
