package functionshost

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	goodHost = `{"version":"2.0","extensions":{"http":{"routePrefix":""}},"customHandler":{"description":{"defaultExecutablePath":"handler"},"enableForwardingHttpRequest":true}}`
	goodHTTP = `{"type":"httpTrigger","direction":"in","name":"req","authLevel":"anonymous","methods":["get"],"route":"x"}`
	goodOut  = `{"type":"http","direction":"out","name":"res"}`
)

func bindings(elements ...string) string {
	return `{"bindings":[` + strings.Join(elements, ",") + `]}`
}

// Every fault is found, and said.
func TestFaultsOfAnApp(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"bad host.json":        {map[string]string{"host.json": `{"version":`}, "host.json: is not valid"},
		"version 1":            {map[string]string{"host.json": `{}`}, `must be "2.0"`},
		"no handler":           {map[string]string{"host.json": `{"version":"2.0"}`}, "defaultExecutablePath is missing"},
		"no forwarding":        {map[string]string{"host.json": strings.Replace(goodHost, "true", "false", 1)}, "enableForwardingHttpRequest"},
		"no executable":        {map[string]string{"host.json": strings.Replace(goodHost, `"handler"`, `"other"`, 1)}, "is not there"},
		"bad timeout":          {map[string]string{"host.json": `{"functionTimeout":"ten",` + goodHost[1:]}, "functionTimeout"},
		"short timeout":        {map[string]string{"host.json": `{"functionTimeout":"00:00:00.5",` + goodHost[1:]}, "one second"},
		"bad function.json":    {map[string]string{"f/function.json": `[`}, "is not valid"},
		"no bindings":          {map[string]string{"f/function.json": bindings()}, "no trigger"},
		"no direction":         {map[string]string{"f/function.json": bindings(`{"type":"httpTrigger","name":"req"}`, goodOut)}, "direction"},
		"wrong direction":      {map[string]string{"f/function.json": bindings(goodHTTP, `{"type":"http","direction":"in","name":"res"}`)}, "direction"},
		"no name":              {map[string]string{"f/function.json": bindings(`{"type":"httpTrigger","direction":"in"}`, goodOut)}, "name"},
		"same name":            {map[string]string{"f/function.json": bindings(goodHTTP, `{"type":"http","direction":"out","name":"req"}`)}, "taken"},
		"unknown binding":      {map[string]string{"f/function.json": bindings(`{"type":"queueTrigger","direction":"in","name":"q"}`)}, "no such binding"},
		"two triggers":         {map[string]string{"f/function.json": bindings(goodHTTP, strings.Replace(goodHTTP, "req", "b", 1), goodOut)}, "one trigger"},
		"no output":            {map[string]string{"f/function.json": bindings(goodHTTP)}, "output binding"},
		"bad authLevel":        {map[string]string{"f/function.json": bindings(strings.Replace(goodHTTP, "anonymous", "all", 1), goodOut)}, "authLevel"},
		"bad route":            {map[string]string{"f/function.json": bindings(strings.Replace(goodHTTP, `"x"`, `"{x"`, 1), goodOut)}, "braces"},
		"reserved route":       {map[string]string{"f/function.json": bindings(strings.Replace(goodHTTP, `"x"`, `"/Admin/x"`, 1), goodOut)}, "admin and runtime"},
		"bad function name":    {map[string]string{"1f/function.json": bindings(goodHTTP, goodOut)}, "not a valid function name"},
		"no schedule":          {map[string]string{"f/function.json": bindings(`{"type":"timerTrigger","direction":"in","name":"t"}`)}, "schedule is missing"},
		"bad schedule":         {map[string]string{"f/function.json": bindings(`{"type":"timerTrigger","direction":"in","name":"t","schedule":"every day"}`)}, "neither NCRONTAB"},
		"unresolved setting":   {map[string]string{"f/function.json": bindings(`{"type":"timerTrigger","direction":"in","name":"t","schedule":"%NOT_SET%"}`)}, "set NOT_SET"},
		"clash of routes":      {map[string]string{"f/function.json": bindings(goodHTTP, goodOut), "g/function.json": bindings(strings.Replace(goodHTTP, `"x"`, `"/X/"`, 1), goodOut)}, "conflicts with that"},
		"clash with all verbs": {map[string]string{"f/function.json": bindings(goodHTTP, goodOut), "g/function.json": bindings(strings.Replace(goodHTTP, `["get"]`, `[]`, 1), goodOut)}, "conflicts with that"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadApp(stage(t, c.files), settings())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
		})
	}
	if _, err := loadApp(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "host.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := loadApp(stage(t, map[string]string{"f/function.json": "{", "g/function.json": "{"}), settings("INGEST_SCHEDULE", ""))
	for _, want := range []string{"f/function.json", "g/function.json", "INGEST_SCHEDULE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestExecutableBit(t *testing.T) {
	dir := stage(t, nil)
	file := filepath.Join(dir, "handler")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadApp(dir, settings()); err == nil || !strings.Contains(err.Error(), "executable bit") {
		t.Error(err)
	}
}

// Routes that only overlap are no clash, as with the host.
func TestRoutesOfSeveralFunctions(t *testing.T) {
	a, err := loadApp(stage(t, map[string]string{
		"host.json":       strings.Replace(goodHost, `"routePrefix":""`, `"x":1`, 1), // so: api
		"f/function.json": bindings(goodHTTP, goodOut),
		"g/function.json": bindings(strings.Replace(goodHTTP, `"get"`, `"post"`, 1), goodOut),
		"h/function.json": bindings(`{"type":"httpTrigger","direction":"in","name":"req","authLevel":"function"}`, goodOut),
	}), settings())
	if err != nil {
		t.Fatal(err)
	}
	for want, request := range map[string][2]string{"f": {"GET", "/api/x"}, "g": {"POST", "/api/X"}, "h": {"PUT", "/api/h"}} {
		if f := a.find(request[0], request[1]); f == nil || f.name != want {
			t.Errorf("%s: %+v", request, f)
		}
	}
	if f := a.find("DELETE", "/api/x"); f != nil {
		t.Errorf("found %s", f.name)
	}
}

func TestSchedules(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ expression, after, want string }{
		{"0 */5 * * * *", "2026-01-01 00:02:00", "2026-01-01 00:05:00"},
		{"*/30 * * * * *", "2026-01-01 00:00:30", "2026-01-01 00:01:00"},
		{"30 9 * * 1-5", "2026-01-02 10:00:00", "2026-01-05 09:30:00"}, // five fields; a Friday
		{"0 0 0 * January,Feb Monday", "2026-02-24 00:00:00", "2027-01-04 00:00:00"},
		{"5/20 * * * * *", "2026-01-01 00:00:00", "2026-01-01 00:00:05"},
		// Both day fields must fit, unlike cron: Friday the 13th.
		{"0 0 0 13 * 5", "2026-01-01 00:00:00", "2026-02-13 00:00:00"},
		{"00:00:05", "2026-01-01 00:00:00", "2026-01-01 00:00:05"},
		{"1.02:00:00", "2026-01-01 00:00:00", "2026-01-02 02:00:00"},
		{"24:00:00", "2026-01-01 00:00:00", "2026-01-25 00:00:00"}, // .NET: 24 days
	} {
		s, err := parseSchedule(c.expression)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := s.next(at(c.after)); !got.Equal(at(c.want)) {
			t.Errorf("%s after %s: want %s, got %s", c.expression, c.after, c.want, got)
		}
	}
	for _, bad := range []string{"", "* * * *", "* * * * * * *", "60 * * * * *", "* * * * * 7", "? * * * * *", "* * * ? * *", "@every 5s", "@daily", "TZ=UTC * * * * *",
		"00:00:00", "00:60:00", "abc", "5", "0 0 0 0 * *"} {
		if _, err := parseSchedule(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for expression, want := range map[string]bool{"*/30 * * * * *": true, "0 * * * * *": false, "0,30 * * * * *": true, "* 5 * * * *": false, "00:00:59": true, "00:01:00": false} {
		s, err := parseSchedule(expression)
		if err != nil {
			t.Error(err)
		} else if got := s.frequent(at("2026-01-01 00:00:10")); got != want {
			t.Errorf("%s: frequent is %v", expression, got)
		}
	}
}

func TestResolveSettings(t *testing.T) {
	env := map[string]string{"A": "1", "B": "2", "EMPTY": ""}
	for text, want := range map[string]string{"%A%": "1", "x": "x", "%A%-%B%": "1-2"} {
		if got, err := resolveSettings(text, env); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"%C%", "%EMPTY%", "%A", "5%"} {
		if got, err := resolveSettings(text, env); err == nil {
			t.Errorf("%s gave %s", text, got)
		}
	}
}
