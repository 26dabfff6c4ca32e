package infra

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rules are the alert rules over the workspace, by name.
func rules(t *testing.T) map[string]thing {
	t.Helper()
	found := map[string]thing{}
	for _, r := range of(snapshot(t, "default"), "Microsoft.Insights/scheduledQueryRules") {
		name := r.text("name")
		found[name[:strings.LastIndex(name, "-")]] = r
	}
	if len(found) < 10 {
		t.Fatalf("%d alert rules", len(found))
	}
	return found
}

// criterion is what a rule measures.
func criterion(r thing) thing { return list(r.at("properties", "criteria", "allOf"))[0] }

// query is a rule's query. What only Azure knows stands in it as Bicep names it.
func query(r thing) string {
	text := criterion(r).text("query")
	format, isFormat := strings.CutPrefix(text, "[format('")
	if !isFormat {
		return text
	}
	format, rest, _ := strings.Cut(format, "', ")
	for i, a := range arguments(strings.TrimSuffix(rest, ")]")) {
		format = strings.ReplaceAll(format, "{"+strconv.Itoa(i)+"}", strings.Trim(a, "'"))
	}
	return format
}

// arguments are those of a call, by the commas outside of brackets and quotes.
func arguments(text string) (all []string) {
	depth, quoted, begin := 0, false, 0
	for i, c := range text {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			all = append(all, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
	}
	return append(all, strings.TrimSpace(text[begin:]))
}

// says are the phrases of log lines that a query looks for.
var says = regexp.MustCompile(`Message has "([^"]*)"`)

// An alert that looks for a line, a metric or a property which the handler no longer
// writes stays silent for ever, or never stops. That the rules ring over what the real
// binary reports: handler/internal/telemetry, TestAlarms.
func TestAlertsLookForWhatTheHandlerSays(t *testing.T) {
	lines := literals(t, "handler")
	metrics := literals(t, "handler/internal/telemetry")
	phrases, names, properties := 0, 0, 0
	for rule, r := range rules(t) {
		kql := query(r)
		for _, p := range says.FindAllStringSubmatch(kql, -1) {
			phrases++
			// slog writes an attribute as key=value; its key is the literal.
			phrase, _, _ := strings.Cut(p[1], "=")
			if !begins(lines, phrase) {
				t.Errorf("%s: no line of the handler says %q", rule, phrase)
			}
		}
		for _, m := range regexp.MustCompile(`where Name == "([^"]+)"`).FindAllStringSubmatch(kql, -1) {
			names++
			if !metrics[m[1]] {
				t.Errorf("%s: there is no metric %s", rule, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`Properties\.(\w+)`).FindAllStringSubmatch(kql, -1) {
			properties++
			if !lines[m[1]] {
				t.Errorf("%s: nothing has a property %s", rule, m[1])
			}
		}
	}
	if phrases < 11 || names != 6 || properties < 7 {
		t.Errorf("%d phrases, %d metrics and %d properties were found in the rules", phrases, names, properties)
	}
}

// wordEnds matches where a word has ended.
var wordEnds = regexp.MustCompile(`^($|[^0-9A-Za-z])`)

// begins tells whether a line begins with a phrase as KQL's has would see it: has finds
// whole words, and so not the first half of one.
func begins(lines map[string]bool, phrase string) bool {
	for line := range lines {
		if rest, found := strings.CutPrefix(line, phrase); found && wordEnds.MatchString(rest) {
			return true
		}
	}
	return false
}

// notForAlerts are errors in the log that no phrase of an alert looks for, by how they
// begin, and why not.
var notForAlerts = map[string]string{
	"nothing proves that X":          "counted by xarchive.gaps, which rings",
	"for a day X has left posts out": "counted by xarchive.gaps, which rings",
	"panic":                          "answered with 5xx, which rings; of a tick: it fails, and ingestion-lag rings",
	"invocation failed":              "the tick's own failure: ingestion-lag",
	"request failed":                 "answered with 5xx, which rings",
	"a page cannot be made":          "answered with 5xx, which rings",
	"cannot start":                   "no tick: ingestion-lag",
	"ended with an error":            "no tick: ingestion-lag",
	"the settings are faulty":        "no tick: ingestion-lag",
	"settings of telemetry":          "without telemetry there is no tick either: ingestion-lag",
	" failed":                        "capture or deliver as a whole: ingestion-lag, or it is no failure of either",
}

// TestErrorsRing: what the handler logs as an error is looked for by an alert.
func TestErrorsRing(t *testing.T) {
	var phrases []string
	for _, r := range rules(t) {
		for _, p := range says.FindAllStringSubmatch(query(r), -1) {
			phrases = append(phrases, p[1])
		}
	}
	used := map[string]bool{}
	for _, line := range errorLines(t) {
		one := map[string]bool{line: true}
		if slices.ContainsFunc(phrases, func(p string) bool { return begins(one, p) }) {
			continue
		}
		excepted := false
		for p := range notForAlerts {
			if strings.HasPrefix(line, p) {
				used[p], excepted = true, true
			}
		}
		if !excepted {
			t.Errorf("no alert looks for the error %q: add it to infra/alerts.bicep, or say here why not", line)
		}
	}
	for p := range notForAlerts {
		if !used[p] {
			t.Errorf("no error begins with %q any more", p)
		}
	}
}

// errorLines are the messages that the handler logs as errors.
func errorLines(t *testing.T) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "handler"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall {
				return true
			}
			f, isMethod := call.Fun.(*ast.SelectorExpr)
			if !isMethod || f.Sel.Name != "ErrorContext" && !(f.Sel.Name == "Error" && len(call.Args) > 1) {
				return true
			}
			ast.Inspect(call.Args[min(len(call.Args)-1, map[string]int{"ErrorContext": 1}[f.Sel.Name])], func(n ast.Node) bool {
				if lit, isLiteral := n.(*ast.BasicLit); isLiteral && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					lines = append(lines, text)
				}
				return true
			})
			return true
		})
		return nil
	})
	if err != nil || len(lines) < 15 {
		t.Fatalf("%d errors found in the handler: %v", len(lines), err)
	}
	return lines
}

// TestAlertCountsOurOwnErrors: the host records requests, too, among them 500s that
// any stranger can cause. The connector's rows are known by the product's name.
func TestAlertCountsOurOwnErrors(t *testing.T) {
	if !literals(t, "handler/internal/telemetry")["xarchive"] {
		t.Error("telemetry's product is not called xarchive any more")
	}
	for name, r := range rules(t) {
		if q := query(r); strings.Contains(q, "AppRequests") && !strings.Contains(q, `SDKVersion startswith "xarchive:"`) {
			t.Errorf("%s counts the host's requests: %s", name, q)
		}
	}
}

// A rule that counts must always have a row: else silence is nothing, and not 0. One
// that measures must keep the column, and those that it is split by.
func TestAlertsMeasureWhatTheySay(t *testing.T) {
	for name, r := range rules(t) {
		c := criterion(r)
		kql, measure := query(r), c.text("metricMeasureColumn")
		if measure == "Count" {
			if !regexp.MustCompile(`\| summarize Count = count(if\(.*\)|\(\))$`).MatchString(kql) {
				t.Errorf("%s does not always give one row: %s", name, kql)
			}
			continue
		}
		_, columns, _ := strings.Cut(kql, "| project ")
		wants := []string{"TimeGenerated", measure}
		for _, d := range list(c.at("dimensions")) {
			wants = append(wants, d.text("name"))
		}
		for _, want := range wants {
			if !regexp.MustCompile(`(^|, )` + want + `( = |,|$)`).MatchString(columns) {
				t.Errorf("%s has no column %s: %s", name, want, kql)
			}
		}
	}
}

// has finds whole words. Azure's names of operations are one word each.
func TestAlertsFindWholeWords(t *testing.T) {
	for name, r := range rules(t) {
		for _, m := range regexp.MustCompile(`(\w+) has "([^"]*)"`).FindAllStringSubmatch(query(r), -1) {
			if m[1] != "Message" {
				t.Errorf("%s: %s: it finds %q as a word of its own only", name, m[0], m[2])
			}
		}
	}
}

// The archive's own log: a blob of this account and this container, deleted by anybody
// or written by anybody but the connector.
func TestArchiveTouched(t *testing.T) {
	all := snapshot(t, "default")
	q := query(rules(t)["archive-touched"])
	account := one(t, all, "Microsoft.Storage/storageAccounts", "starch").text("name")
	wantText(t, q, `AccountName == "`+account+`"`, `ObjectKey startswith "/`+account+`/archive/"`, `Category == "StorageDelete"`, "userAssignedIdentities/id-")
	logs := map[string]bool{}
	for _, l := range list(one(t, all, "Microsoft.Insights/diagnosticSettings", account).at("properties", "logs")) {
		logs[l.text("category")] = l["enabled"] == true
	}
	if !logs["StorageDelete"] || !logs["StorageWrite"] {
		t.Errorf("the account does not log what the rule reads: %v", logs)
	}
}

// What Azure records of roles and of protection rings, in this resource group, once for
// each change that succeeded.
func TestChangesRing(t *testing.T) {
	var operations []string
	for _, r := range of(snapshot(t, "default"), "Microsoft.Insights/activityLogAlerts") {
		if got := code(r.at("properties", "scopes")); got != `["/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-prod"]` {
			t.Errorf("%s looks at %s", r.text("name"), got)
		}
		conditions := list(r.at("properties", "condition", "allOf"))
		if got := code(conditions[:2]); got != `[{"equals":"Administrative","field":"category"},{"equals":"Succeeded","field":"status"}]` {
			t.Errorf("%s: %s", r.text("name"), got)
		}
		for _, c := range list(conditions[2]["anyOf"]) {
			operations = append(operations, c.text("equals"))
		}
	}
	for _, want := range []string{"Microsoft.Authorization/roleAssignments/write",
		"Microsoft.Storage/storageAccounts/delete", "Microsoft.Storage/storageAccounts/blobServices/write",
		"Microsoft.Storage/storageAccounts/blobServices/containers/delete",
		"Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/delete"} {
		if !slices.Contains(operations, want) {
			t.Errorf("%s rings nothing", want)
		}
	}
}

// Every alert goes to whoever is named, and is explained under its name.
func TestAlertsAreExplainedAndSent(t *testing.T) {
	explained := read(t, "docs/operations.md")
	private := snapshot(t, "private")
	group := one(t, private, "Microsoft.Insights/actionGroups", "").text("id")
	for _, kind := range []string{"Microsoft.Insights/scheduledQueryRules", "Microsoft.Insights/activityLogAlerts"} {
		for _, r := range of(private, kind) {
			name := r.text("name")[:strings.LastIndex(r.text("name"), "-")]
			if !strings.Contains(explained, "\n### "+name+" ") {
				t.Errorf("docs/operations.md does not explain %s", name)
			}
			if !strings.Contains(code(r.at("properties", "actions")), group) {
				t.Errorf("%s goes to nobody: %s", name, code(r.at("properties", "actions")))
			}
		}
	}
	if len(of(snapshot(t, "default"), "Microsoft.Insights/actionGroups")) != 0 {
		t.Error("an action group without anybody in it is made")
	}
}

// The day's logs are bounded, and a rule says when they are full.
func TestLogsAreBounded(t *testing.T) {
	if got := code(one(t, snapshot(t, "default"), "Microsoft.OperationalInsights/workspaces", "").at("properties", "workspaceCapping", "dailyQuotaGb")); got != "1" {
		t.Errorf("daily cap: %s GB", got)
	}
	wantText(t, query(rules(t)["log-cap"]), "_LogOperation", "OverQuota")
}
