package browser

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

// TestStatus is what an administrator sees of an archive at work, and of one in
// trouble.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := world(t)
	now := time.Now().UTC()
	recent := 0
	for day := range 28 { // so many that the chart has a shape
		for n := range (day*day + 3) % 11 {
			post(t, s, corpus.PressAccount, now.AddDate(0, 0, -day).Add(-time.Duration(n+1)*time.Minute), n)
			recent++
		}
	}
	jobs := map[string]string{"job-press": corpus.PressAccount, "job-help": corpus.SupportAccount}
	for job, account := range jobs {
		if err := s.Connect(t.Context(), job, account); err != nil {
			t.Fatal(err)
		}
	}
	p := newTab(t, s)
	p.open("/Status")
	p.signIn(sandbox.APISecretKey)
	p.sees("Starting", "The first run begins at the timer's next tick")

	window := importservice.Task{JobID: "job-press", TaskID: "task-week", Start: now.AddDate(0, 0, -7), End: now.Add(-time.Hour)}
	if status, answer, err := s.Import.Request(t.Context(), window); status != 200 || err != nil {
		t.Fatalf("OnDownloadRequest: %d %s %v", status, answer, err)
	}
	p.open("/Status")
	p.sees("Waiting", "It is delivered once the archive covers its window.")
	tick(t, s)
	event, err := s.Import.WaitEvent(t.Context(), "job-press", "task-week")
	if err != nil || event.Status != importservice.Success || len(event.Items) == 0 {
		t.Fatalf("the task's event: %+v, %v", event, err)
	}

	p.open("/Status")
	p.sees("Read from X", "Delivered "+fmt.Sprint(len(event.Items))+" items", "task-week")
	p.sees("Posts archived " + strconv.Itoa(len(s.Corpus.All(corpus.PressAccount))))
	p.sees("Posts archived " + strconv.Itoa(len(s.Corpus.All(corpus.SupportAccount))))

	t.Log("the chart's bars and the table say the same")
	type counts struct{ Bars, Days, Sum int }
	got := ask[counts](p, `(() => {
		const card = [...document.querySelectorAll("article")].find(a => a.innerText.includes("job-press"));
		const cells = [...card.querySelectorAll("td.num")].map(td => Number(td.textContent));
		return {Bars: [...card.querySelectorAll("rect.bar")].filter(b => b.height.baseVal.value > 0).length, Days: cells.length, Sum: cells.reduce((a, b) => a + b, 0)};
	})()`)
	if got.Sum != recent || got.Bars != got.Days || got.Bars < 20 {
		t.Errorf("the chart has %d bars, its table %d days with %d posts; want %d posts", got.Bars, got.Days, got.Sum, recent)
	}
	p.press("As a table")
	p.sees("Day (UTC)")
	p.look("status")
	p.press("Overview")
	p.heading("Working on it")
	p.sees("Not asked for yet")
	p.look("overview")

	t.Log("trouble, in words")
	s.X.Down(true)
	if status, answer, err := s.Import.Request(t.Context(), importservice.Task{JobID: "job-help", TaskID: "task-later", Start: now.AddDate(0, 0, -1), End: now.Add(time.Hour)}); status != 200 || err != nil {
		t.Fatalf("OnDownloadRequest: %d %s %v", status, answer, err)
	}
	if _, err := s.Host.Tick(t.Context(), "ingest"); err == nil {
		t.Error("a run without X did not fail")
	}
	p.open("/Status")
	p.sees("Last run failed", "X cannot be reached. The connector tries again by itself, and then reads what was posted since.")
	p.look("status-x-down")
	p.press("Overview")
	p.heading("Working on it")
	p.look("overview-x-down")
	s.X.Down(false)
	tick(t, s)
	p.open("/Status")
	p.sees("Read from X")
	if ask[bool](p, `document.body.innerText.includes("Last run failed")`) {
		t.Error("the trouble is over and still shown")
	}
}
