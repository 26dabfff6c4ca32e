package state_test

import (
	"testing"
	"time"

	"xarchive/handler/internal/state"
)

// The tasks that changed last come first, open and ended together, without what is
// secret. The storage service keeps times to the second, so the test changes a task
// until its second is a later one than the others'.
func TestRecentTasks(t *testing.T) {
	ctx, s := t.Context(), newStore(t)
	if tasks, err := s.RecentTasks(ctx, 3); err != nil || len(tasks) != 0 {
		t.Fatalf("%+v, %v", tasks, err)
	}
	for _, id := range []string{"a", "b"} {
		if _, err := s.AddTask(ctx, state.Task{JobID: "j", TaskID: id, BlobSASURI: "https://x?sig=hush"}); err != nil {
			t.Fatal(err)
		}
	}
	claim, err := s.ClaimTask(ctx, "j", "a")
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Release()
	for newest := ""; newest != "a"; {
		if err := claim.Save(ctx); err != nil {
			t.Fatal(err)
		}
		tasks, err := s.RecentTasks(ctx, 1)
		if err != nil || len(tasks) != 1 {
			t.Fatalf("%+v, %v", tasks, err)
		}
		newest = tasks[0].TaskID
	}
	if err := claim.End(ctx, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	tasks, err := s.RecentTasks(ctx, 10)
	if err != nil || len(tasks) != 2 || tasks[0].TaskID != "a" || tasks[0].EndedAt.IsZero() || tasks[1].TaskID != "b" || tasks[1].BlobSASURI != "" {
		t.Errorf("%+v, %v", tasks, err)
	}
}
