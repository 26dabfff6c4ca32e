package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/jobs/jobstest"
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

// task is the only open task.
func (w *world) task() state.Task {
	w.T.Helper()
	tasks, _, err := w.State.OpenTasks(w.T.Context())
	if err != nil || len(tasks) != 1 {
		w.T.Fatalf("there are %d tasks, %v; want one", len(tasks), err)
	}
	task, err := w.State.OpenTask(w.T.Context(), tasks[0].JobID, tasks[0].TaskID)
	if err != nil {
		w.T.Fatal(err)
	}
	task.Asks = 0 // it is not stored
	return task
}

func TestDownloadRequest(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: jobstest.Press})
	body := request("DirtyEntities", []any{"12", "34", "12", json.RawMessage("56")}, "Unknown", map[string]int{"x": 1})
	for range 2 { // the same task twice is one task
		w.expect("POST", "/data/OnDownloadRequest", body, 200, "")
		task := w.task()
		if !task.Start.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) || !task.End.Equal(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)) ||
			task.JobID != "j-1" || task.AccountID != jobstest.Press || !slices.Equal(task.Dirty, []string{"12", "34", "56"}) || task.BlobSASURI != sas || !task.ReceivedAt.Equal(w.Now()) {
			t.Errorf("the task is %+v", task)
		}
	}
	// Names in any case, after a byte order mark, as .NET takes them.
	lower := strings.NewReplacer(`"JobId"`, `"jobid"`, `"TaskId"`, `"taskId"`, `"BlobSasUri"`, `"blobSasUri"`, "t-1", "t-2").Replace(request())
	w.expect("POST", "/data/OnDownloadRequest", "\ufeff "+lower, 200, "")
	if tasks, _, err := w.State.OpenTasks(t.Context()); err != nil || len(tasks) != 2 {
		t.Errorf("there are %d tasks, %v; want two", len(tasks), err)
	}
	if strings.Contains(w.Log.String(), "aGlkZGVu") {
		t.Errorf("the log holds the signature: %s", w.Log)
	}
}

// TestTaskThatIsBeingDelivered: its new container cannot be noted now, and the
// Compliance Center is told to send it again.
func TestTaskThatIsBeingDelivered(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: jobstest.Press})
	w.expect("POST", "/data/OnDownloadRequest", request(), 200, "")
	claim, err := w.State.ClaimTask(t.Context(), "j-1", "t-1")
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Release()
	w.expect("POST", "/data/OnDownloadRequest", request(), 200, "")
	w.expect("POST", "/data/OnDownloadRequest", request("BlobSasUri", strings.Replace(sas, "task-17", "task-18", 1)), 503, "The task is being delivered just now.")
}

// posts are ids of n posts.
func posts(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint(1_800_000_000_000_000_000+i))
	}
	return ids
}

// TestLargestDownloadRequest: what is just within the bounds is taken; .NET's earliest
// time is the beginning.
func TestLargestDownloadRequest(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: jobstest.Press})
	end := w.Now().Add(24 * time.Hour).Truncate(time.Second)
	w.expect("POST", "/data/OnDownloadRequest", request("StartTime", "0001-01-01T00:00:00", "EndTime", end.Format(time.RFC3339), "DirtyEntities", posts(5000)), 200, "")
	if task := w.task(); task.Start.Year() != 2006 || !task.End.Equal(end) || len(task.Dirty) != 5000 {
		t.Errorf("the task is from %s to %s and asks about %d posts", task.Start, task.End, len(task.Dirty))
	}
}

func TestDownloadRequestRefused(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: jobstest.Press})
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
		{request("EndTime", "9999-12-31T23:59:59.9999999"), 400, "later than a day"},
		{request("EndTime", w.Now().Add(25*time.Hour).Format(time.RFC3339)), 400, "later than a day"},
		{request("StartTime", "0001-01-01T00:00:00", "EndTime", "2005-12-31T23:59:59"), 400, "before 2006"},
		{request("DirtyEntities", posts(5001)), 400, "5001 posts"},
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
	if tasks, _, err := w.State.OpenTasks(t.Context()); err != nil || len(tasks) != 0 {
		t.Errorf("something was stored: %v, %v", tasks, err)
	}
	w.BreakState(true)
	w.expect("POST", "/data/OnDownloadRequest", request(), 503, "reference")
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
