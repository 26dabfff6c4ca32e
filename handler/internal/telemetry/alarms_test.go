package telemetry_test

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/appinsights/ingestiontest"
	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/x"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// alarm is an alert rule of a deployment, as the Bicep compiler evaluates it.
type alarm struct {
	name, query, measure, aggregation, operator string
	split                                       []string
	threshold                                   float64
}

// alarms reads the rules that look at what the connector reports, from the snapshot of
// what a deployment makes (tests/infra compares it with the source).
func alarms(t *testing.T) (all []alarm) {
	t.Helper()
	text, err := os.ReadFile("../../../tests/infra/testdata/default.snapshot.json")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		PredictedResources []struct {
			Type, Name string
			Properties struct {
				Criteria struct {
					AllOf []struct {
						Query, MetricMeasureColumn, TimeAggregation, Operator string
						Threshold                                             float64
						Dimensions                                            []struct{ Name string }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.PredictedResources {
		if r.Type != "Microsoft.Insights/scheduledQueryRules" {
			continue
		}
		c := r.Properties.Criteria.AllOf[0]
		a := alarm{name: r.Name[:strings.LastIndex(r.Name, "-")], query: c.Query, measure: c.MetricMeasureColumn, aggregation: c.TimeAggregation, operator: c.Operator, threshold: c.Threshold}
		for _, d := range c.Dimensions {
			a.split = append(a.split, d.Name)
		}
		if strings.HasPrefix(a.query, "AppMetrics ") || strings.HasPrefix(a.query, "AppTraces ") {
			all = append(all, a)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d rules look at what the connector reports", len(all))
	}
	return all
}

var (
	metricOf = regexp.MustCompile(`Name == "([^"]+)"`)
	causeIs  = regexp.MustCompile(`cause == "([^"]+)"`)
	causeIn  = regexp.MustCompile(`cause in \(([^)]+)\)`)
	says     = regexp.MustCompile(`Message has "([^"]+)"`)
)

// rings tells whether a rule would ring over what was sent: the parts of KQL that the
// rules have, and no more.
func (a alarm) rings(t *testing.T, sent []ingestiontest.Item) bool {
	t.Helper()
	values := map[string][]float64{"": nil} // by the columns that the rule is split by
	if strings.Contains(a.query, "| summarize Count = ") {
		values[""] = []float64{0}
	}
	for _, i := range sent {
		var value float64
		switch {
		case strings.HasPrefix(a.query, "AppTraces "):
			if !a.wantsLine(i) {
				continue
			}
			value = 1
		default:
			names := metricOf.FindStringSubmatch(a.query)
			if i.Type != "MetricData" || len(names) == 0 || i.Metric()["name"] != names[1] {
				continue
			}
			if m := causeIs.FindStringSubmatch(a.query); m != nil && i.Property("cause") != m[1] {
				continue
			}
			if m := causeIn.FindStringSubmatch(a.query); m != nil && !slices.Contains(strings.Split(strings.Trim(m[1], `"`), `", "`), i.Property("cause")) {
				continue
			}
			// A row of one measurement has it as its sum, least and greatest.
			value, _ = i.Metric()["value"].(float64)
			if a.measure == "Count" {
				value = 1
			}
		}
		var group []string
		for _, column := range a.split {
			if i.Property(column) == "" {
				t.Errorf("%s is split by %s, which is not reported: %s", a.name, column, i.Raw)
			}
			group = append(group, i.Property(column))
		}
		values[strings.Join(group, " ")] = append(values[strings.Join(group, " ")], value)
	}
	for _, v := range values {
		if len(v) == 0 {
			continue
		}
		measured := 0.0
		switch a.aggregation {
		case "Total":
			for _, one := range v {
				measured += one
			}
		case "Minimum":
			measured = slices.Min(v)
		default:
			t.Fatalf("%s: %s is not known here", a.name, a.aggregation)
		}
		if order := cmp.Compare(measured, a.threshold); a.operator == "GreaterThan" && order > 0 || a.operator == "LessThan" && order < 0 {
			return true
		}
	}
	return false
}

// wantsLine: one of the rule's phrases is in the line. The rule on ticks wants one that
// says that capture did not fail.
func (a alarm) wantsLine(i ingestiontest.Item) bool {
	message, _ := i.Base["message"].(string)
	if i.Type != "MessageData" {
		return false
	}
	if strings.Contains(a.query, `"tick done"`) {
		return strings.Contains(message, "tick done") && i.Property("captureFailed") == "false"
	}
	return slices.ContainsFunc(says.FindAllStringSubmatch(a.query, -1), func(m []string) bool { return strings.Contains(message, m[1]) })
}

// ringing are the names of the rules that ring.
func ringing(t *testing.T, sent []ingestiontest.Item) (names []string) {
	t.Helper()
	for _, a := range alarms(t) {
		if a.rings(t, sent) {
			names = append(names, a.name)
		}
	}
	slices.Sort(names)
	return names
}

// TestAlarms: the real binary in trouble, and which alerts of a deployment ring over
// what it reports.
func TestAlarms(t *testing.T) {
	app := filepath.Join(t.TempDir(), "app")
	if err := sandbox.Stage(t.Context(), "../../..", app); err != nil {
		t.Fatal(err)
	}
	server := ingestiontest.StartPlain(t)
	s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), App: app, InMemory: true,
		Env: map[string]string{"APPLICATIONINSIGHTS_CONNECTION_STRING": server.ConnectionString(), "X_READS_PER_MONTH": "100"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Connect(t.Context(), "job-1", s.Corpus.Accounts()[0]); err != nil {
		t.Fatal(err)
	}
	// Its job was made four days ago, nobody has asked for anything since, the client
	// secret ends in 20 days, and there are no credits at X.
	older(t, s, "jobs/job-1.json", "createdAt", time.Now().Add(-4*24*time.Hour))
	if err := s.Vault.SetUntil(t.Context(), "aad-application-secret", "sandbox-aad-application-secret", time.Now().Add(20*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.X.Refuse(x.CreditsDepleted)

	if _, err := s.Host.Tick(t.Context(), "ingest"); err == nil {
		t.Error("a tick without credits is no failure")
	}
	sent := server.Items()
	if got, want := ringing(t, sent), []string{"account-lag", "ingestion-lag", "needs-person", "no-task", "secret-ends"}; !slices.Equal(got, want) {
		t.Errorf("no credits: want %v to ring, got %v", want, got)
	}

	// X is not asked again for an hour. Nothing fails, and that the account is behind
	// is seen all the same.
	if _, err := s.Host.Tick(t.Context(), "ingest"); err != nil {
		t.Fatal(err)
	}
	more := server.Items()[len(sent):]
	if got, want := ringing(t, more), []string{"account-lag", "no-task"}; !slices.Equal(got, want) {
		t.Errorf("while X is not asked: want %v to ring, got %v", want, got)
	}
	if !slices.ContainsFunc(more, func(i ingestiontest.Item) bool {
		return i.Base["message"] == "tick done" && i.Property("accountsWaiting") == "1" && i.Property("waitingFor") == "x_credits"
	}) {
		t.Error("the tick's line does not say that an account waits, and for what")
	}

	// Credits are bought. The account's posts are more than the month's limit on reads.
	s.X.Refuse(x.Nothing)
	older(t, s, "accounts/"+s.Corpus.Accounts()[0]+".json", "rateReset", time.Now().Add(-time.Second))
	sent = server.Items()
	if _, err := s.Host.Tick(t.Context(), "ingest"); err != nil {
		t.Fatal(err)
	}
	if got, want := ringing(t, server.Items()[len(sent):]), []string{"no-task", "reads-limit"}; !slices.Equal(got, want) {
		t.Errorf("beyond the limit on reads: want %v to ring, got %v", want, got)
	}
	sent = server.Items()
	if _, err := s.Host.Tick(t.Context(), "ingest"); err != nil {
		t.Fatal(err)
	}
	if got := ringing(t, server.Items()[len(sent):]); slices.Contains(got, "reads-limit") {
		t.Error("the limit on reads is said to be near a second time")
	}
}

// older changes a time in a record.
func older(t *testing.T, s *sandbox.Sandbox, name, member string, at time.Time) {
	t.Helper()
	client, err := azblob.NewClientFromConnectionString(s.Blobs.ConnectionString(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	blob := client.ServiceClient().NewContainerClient("connector-state").NewBlockBlobClient(name)
	answer, err := blob.DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	record := map[string]any{}
	if err := json.NewDecoder(answer.Body).Decode(&record); err != nil {
		t.Fatal(err)
	}
	record[member] = at.UTC()
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.UploadBuffer(t.Context(), text, nil); err != nil {
		t.Fatal(err)
	}
}
