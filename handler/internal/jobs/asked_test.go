package jobs_test

import (
	"testing"
	"time"

	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/state"
)

// TestAsked: a job says, to within an hour, when the Compliance Center last asked for
// a task. That it cannot be noted does not fail the request.
func TestAsked(t *testing.T) {
	w := jobstest.New(t)
	made := w.Now()
	w.Save(state.Job{ID: "j-1", TenantID: jobstest.Tenant, AccountID: jobstest.Press, CreatedAt: made})
	job, _ := w.Job("j-1")
	if !job.AskedAt.IsZero() || !job.Asked().Equal(made) {
		t.Errorf("before any task: asked %v, and %v", job.AskedAt, job.Asked())
	}
	ask := func(task string) time.Time {
		t.Helper()
		err := w.Jobs.AddTask(t.Context(), state.Task{JobID: "j-1", TaskID: task, Start: made.Add(-time.Hour), End: made,
			BlobSASURI: "https://account.blob.core.windows.net/container?sv=2024-11-04&sr=c&sp=w&se=2099-01-01T00%3A00%3A00Z&sig=c2ln"})
		if err != nil {
			t.Fatal(err)
		}
		job, _ := w.Job("j-1")
		return job.Asked()
	}
	first := w.Now()
	if got := ask("t-1"); !got.Equal(first) {
		t.Errorf("asked at %v, want %v", got, first)
	}
	w.Pass(time.Hour)
	if got := ask("t-2"); !got.Equal(first) {
		t.Errorf("within the hour it is written again: %v", got)
	}
	w.Pass(time.Minute)
	if got := ask("t-3"); !got.Equal(w.Now()) {
		t.Errorf("asked at %v, want %v", got, w.Now())
	}
}
