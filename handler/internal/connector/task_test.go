package connector

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/state"
)

const sas = "https://ingest1.blob.core.windows.net/task-17?sv=2024-11-04&sr=c&sp=rcwl&se=2026-02-01T00%3A00%3A00Z&sig=aGlkZGVu%3D"

// request is a good request, changed member by member; a nil value takes one away.
func request(changes ...any) string {
	members := map[string]any{"JobId": "j-1", "TaskId": "t-1", "StartTime": "2026-01-01T00:00:00", "EndTime": "2026-01-02T00:00:00Z",
		"DirtyEntities": nil, "BlobSasUri": sas}
	for i := 0; i < len(changes); i += 2 {
		delete(members, changes[i].(string))
		if changes[i+1] != nil {
			members[changes[i].(string)] = changes[i+1]
		}
	}
	body, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(body)
}

func TestDownloadRequest(t *testing.T) {
	w := newWorld(t)
	w.state.jobs["j-1"] = state.Job{ID: "j-1"}
	body := request("DirtyEntities", []any{"12", "34", "12", json.RawMessage("56")}, "Unknown", map[string]int{"x": 1})
	w.expect("POST", "/data/OnDownloadRequest", body, 200, "")
	task, ok := w.state.tasks["t-1"]
	if !ok {
		t.Fatal("answered 200, but there is no task")
	}
	if !task.Start.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) || !task.End.Equal(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)) ||
		task.JobID != "j-1" || !slices.Equal(task.Dirty, []string{"12", "34", "56"}) || task.BlobSASURI != sas || !task.ReceivedAt.Equal(w.now) {
		t.Errorf("%+v", task)
	}
	w.expect("POST", "/data/OnDownloadRequest", body, 200, "")
	if len(w.state.tasks) != 1 {
		t.Errorf("the same task twice is %d tasks", len(w.state.tasks))
	}
	// Names in any case, after a byte order mark, as .NET takes them.
	lower := strings.NewReplacer(`"JobId"`, `"jobid"`, `"TaskId"`, `"taskId"`, `"BlobSasUri"`, `"blobSasUri"`, "t-1", "t-2").Replace(request())
	w.expect("POST", "/data/OnDownloadRequest", "\ufeff "+lower, 200, "")
	if w.state.tasks["t-2"].JobID != "j-1" {
		t.Error("the second task is missing")
	}
	if strings.Contains(w.log.String(), "aGlkZGVu") {
		t.Errorf("the log holds the signature: %s", w.log)
	}
}

func TestDownloadRequestRefused(t *testing.T) {
	w := newWorld(t)
	w.state.jobs["j-1"] = state.Job{ID: "j-1"}
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{"", 400, "JSON object"},
		{"null", 400, "JSON object"},
		{"[]", 400, "JSON object"},
		{"{", 400, "well-formed"},
		{request() + "{}", 400, "well-formed"},
		{request("JobId", 7), 400, "JobID cannot be a JSON number"},
		{request("JobId", nil), 400, "JobId is missing"},
		{request("JobId", "../x"), 400, "JobId must"},
		{request("JobId", "j-2"), 404, "no such job"},
		{request("TaskId", nil), 400, "TaskId is missing"},
		{request("TaskId", ".."), 400, "TaskId must"},
		{request("StartTime", nil), 400, "StartTime is missing"},
		{request("StartTime", "yesterday"), 400, "StartTime must"},
		{request("EndTime", "2026-01-02"), 400, "EndTime must"},
		{request("StartTime", "2026-01-03T00:00:00Z"), 400, "after"},
		{request("DirtyEntities", "12"), 400, "DirtyEntities"},
		{request("DirtyEntities", []any{"12", nil}), 400, "DirtyEntities"},
		{request("DirtyEntities", []string{"12", "1x"}), 400, "DirtyEntities"},
		{request("DirtyEntities", []string{""}), 400, "DirtyEntities"},
		{request("DirtyEntities", []any{1.5}), 400, "DirtyEntities"},
		{request("DirtyEntities", []any{-1}), 400, "DirtyEntities"},
		{request("BlobSasUri", nil), 400, "BlobSasUri is missing"},
		{request("BlobSasUri", "https://example.com/task-17?sig=x"), 400, "Azure storage account"},
		{request("More", strings.Repeat("x", maxBody)), 413, "longer than"},
	} {
		w.expect("POST", "/data/OnDownloadRequest", c.body, c.status, c.want)
	}
	w.state.failure = errors.New("storage is down")
	w.expect("POST", "/data/OnDownloadRequest", request(), 500, "reference")
	if len(w.state.tasks) != 0 {
		t.Errorf("something was stored: %v", w.state.tasks)
	}
}

func TestTimes(t *testing.T) {
	at := func(h, m, s, ns int) time.Time { return time.Date(2026, 1, 31, h, m, s, ns, time.UTC) }
	for text, want := range map[string]time.Time{
		"2026-01-31T13:45:06":          at(13, 45, 6, 0),
		"2026-01-31T13:45:06Z":         at(13, 45, 6, 0),
		"2026-01-31T13:45:06.1":        at(13, 45, 6, 100_000_000),
		"2026-01-31T13:45:06.1234567Z": at(13, 45, 6, 123_456_700),
		"2026-01-31T13:45:06.1234567":  at(13, 45, 6, 123_456_700),
		"2026-01-31T13:45:06+00:00":    at(13, 45, 6, 0),
		"2026-01-31T13:45:06.5-05:30":  at(19, 15, 6, 500_000_000),
		"0001-01-01T00:00:00":          time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
		"9999-12-31T23:59:59.9999999":  time.Date(9999, 12, 31, 23, 59, 59, 999_999_900, time.UTC),
	} {
		got, err := parseTime("StartTime", text)
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q: want %v, got %v, %v", text, want, got, err)
		}
	}
	for _, wrong := range []string{
		"2026-02-29T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T13:45:06.12345678Z", "2026-01-31T13:45:06.Z",
		"2026-01-31T13:45:06,5Z", "2026-01-31T13:45Z", "2026-01-31 13:45:06Z", "2026-01-31T13:45:06z", "2026-01-31T13:45:06+0100",
		"2026-01-31T13:45:06 +01:00", "2026-01-31T13:45:06Z\n", "31.01.2026 13:45:06", "2026-01-31", "２０２６-01-31T13:45:06Z",
		"0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "/Date(1769867106000)/", "Sat, 31 Jan 2026 13:45:06 GMT",
	} {
		if got, err := parseTime("StartTime", wrong); err == nil {
			t.Errorf("%q was taken for %v", wrong, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("2026-01-31T13:45:06.1234567+01:00")
	f.Add("0001-01-01T00:00:00")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTime("StartTime", text)
		if err != nil {
			return
		}
		if _, err := got.MarshalJSON(); err != nil {
			t.Fatalf("%q cannot be stored: %v", text, err)
		}
		again, err := parseTime("StartTime", got.Format("2006-01-02T15:04:05.0000000"))
		if err != nil || !again.Equal(got) {
			t.Errorf("%q is %v, which reads as %v, %v", text, got, again, err)
		}
	})
}

func TestContainerSAS(t *testing.T) {
	const q = "?sv=2024-11-04&sr=c&sp=rcwl&sig=aGlkZGVu"
	for _, good := range []string{
		sas,
		"https://ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net:443/task-17" + q,
		"https://INGEST1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.usgovcloudapi.net/task-17" + q,
		"https://ingest1.blob.core.chinacloudapi.cn/task-17" + q,
		"https://ingest1.z17.blob.storage.azure.net/task-17" + q,
		"https://ingest1.blob.core.windows.net/abc?sig=x",
		"https://ingest1.blob.core.windows.net/abc?sig=x&sp=c",
		"https://ingest1.blob.core.windows.net/" + strings.Repeat("a", 63) + q,
	} {
		if err := checkContainerSAS(good, false); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, wrong := range []string{
		"task-17" + q,
		"//ingest1.blob.core.windows.net/task-17" + q,
		"http://ingest1.blob.core.windows.net/task-17" + q,
		"ftp://ingest1.blob.core.windows.net/task-17" + q,
		"https:ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net:8443/task-17" + q,
		"https://ingest1.blob.core.windows.net./task-17" + q,
		"https://a.b.blob.core.windows.net/task-17" + q,
		"https://in_gest.blob.core.windows.net/task-17" + q,
		"https://.blob.core.windows.net/task-17" + q,
		"https://blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net.example.com/task-17" + q,
		"https://example.com/ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.file.core.windows.net/task-17" + q,
		"https://ingest1.table.core.windows.net/task-17" + q,
		"https://user@ingest1.blob.core.windows.net/task-17" + q,
		"https://example.com@ingest1.blob.core.windows.net/task-17" + q,
		"https://ingest1.blob.core.windows.net@example.com/task-17" + q,
		`https://example.com\@ingest1.blob.core.windows.net/task-17` + q,
		"https://ingest1.blob.core.windows.net/task-17" + q + "#x",
		"https://ingest1.blob.core.windows.net/task-17" + q + "#",
		"https://ingest1.blob.core.windows.net/" + q,
		"https://ingest1.blob.core.windows.net" + q,
		"https://ingest1.blob.core.windows.net/task-17/" + q,
		"https://ingest1.blob.core.windows.net/task-17/a.json" + q,
		"https://ingest1.blob.core.windows.net//task-17" + q,
		"https://ingest1.blob.core.windows.net/task%2D17" + q,
		"https://ingest1.blob.core.windows.net/task-17%2Fx" + q,
		"https://ingest1.blob.core.windows.net/Task-17" + q,
		"https://ingest1.blob.core.windows.net/task--17" + q,
		"https://ingest1.blob.core.windows.net/-task" + q,
		"https://ingest1.blob.core.windows.net/ab" + q,
		"https://ingest1.blob.core.windows.net/" + strings.Repeat("a", 64) + q,
		"https://ingest1.blob.core.windows.net/$web" + q,
		"https://ingest1.blob.core.windows.net/task-17",
		"https://ingest1.blob.core.windows.net/task-17?sig=",
		"https://ingest1.blob.core.windows.net/task-17?sig=a&sig=b",
		"https://ingest1.blob.core.windows.net/task-17?sr=b&sig=aGlkZGVu",
		"https://ingest1.blob.core.windows.net/task-17?sr=c&sr=b&sig=aGlkZGVu",
		"https://ingest1.blob.core.windows.net/task-17?sp=rl&sig=aGlkZGVu",
		"https://ingest1.blob.core.windows.net/task-17?sig=%zz",
		"https://169.254.169.254/task-17" + q,
		"https://127.0.0.1:10000/devstoreaccount1/task-17" + q,
		"http://localhost:10000/devstoreaccount1/task-17" + q,
		"https://ingest1.blob.core.windows.net/task-17\n" + q,
	} {
		err := checkContainerSAS(wrong, false)
		if err == nil {
			t.Errorf("%s was taken", wrong)
		} else if strings.Contains(err.Error(), "aGlkZGVu") {
			t.Errorf("the error holds the signature: %v", err)
		}
	}
	for text, good := range map[string]bool{
		"http://127.0.0.1:10000/importsvc/task-17" + q:  true,
		"https://localhost:10000/importsvc/task-17" + q: true,
		"http://[::1]:10000/importsvc/task-17" + q:      true,
		sas:                                  true,
		"http://127.0.0.1:10000/task-17" + q: false,
		"http://127.0.0.1:10000/importsvc/task-17/x" + q:             false,
		"http://127.0.0.1:10000/import_svc/task-17" + q:              false,
		"http://127.0.0.1:10000/importsvc/task-17":                   false,
		"http://10.0.0.1:10000/importsvc/task-17" + q:                false,
		"http://127.0.0.1.example.com/importsvc/task-17" + q:         false,
		"http://ingest1.blob.core.windows.net/task-17" + q:           false,
		"ftp://127.0.0.1:10000/importsvc/task-17" + q:                false,
		"http://127.0.0.1:10000/importsvc/task-17?sr=b&sig=aGlkZGVu": false,
	} {
		if err := checkContainerSAS(text, true); (err == nil) != good {
			t.Errorf("on loopback, %s: %v", text, err)
		}
	}
}

// Whatever is accepted leads to Azure's blob storage, over TLS, as any reader of
// URLs sees it.
func FuzzContainerSAS(f *testing.F) {
	f.Add(sas)
	f.Add("https://example.com@ingest1.blob.core.windows.net/task-17?sig=x")
	f.Add("https://ingest1.z1.blob.storage.azure.net:443/abc?sp=w&sig=x")
	f.Fuzz(func(t *testing.T, text string) {
		if checkContainerSAS(text, false) != nil {
			return
		}
		authority, rest, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(text), "https://"), "/")
		container, query, _ := strings.Cut(rest, "?")
		account, zone, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(authority, ":443"), ":"), ".")
		ok := slices.ContainsFunc([]string{"blob.core.windows.net", "blob.core.usgovcloudapi.net", "blob.core.chinacloudapi.cn"}, func(s string) bool { return s == zone }) ||
			strings.HasSuffix(zone, ".blob.storage.azure.net") && strings.HasPrefix(zone, "z")
		if !ok || strings.ContainsAny(account+container, "/\\@%?#:. \t\n") || !strings.Contains(query, "sig=") && !strings.Contains(query, "%") {
			t.Errorf("%q was taken", text)
		}
	})
}
