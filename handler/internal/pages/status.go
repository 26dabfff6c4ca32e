package pages

import (
	"fmt"
	"net/http"
	"time"

	"xarchive/handler/internal/health"
	"xarchive/handler/internal/state"
)

// statusPage is how the archive is doing.
type statusPage struct {
	Jobs    []jobHealth
	Tasks   []taskLine
	Damaged []string // names of records that cannot be read
	Problem string
	Timer   health.Finding
}

// shownTasks is how many recent tasks are listed.
const shownTasks = 25

// status is /Status.
func (q *request) status() {
	if !q.enter() {
		return
	}
	var page statusPage
	report, err := q.pages.opt.Health.Report(q.r.Context())
	if err == nil {
		page.Jobs, page.Damaged, page.Timer = q.shown(report), report.Damaged, report.Timer
		var damaged []string
		page.Tasks, damaged, err = q.tasks(shownTasks)
		page.Damaged = append(page.Damaged, damaged...)
	}
	code := http.StatusOK
	if err != nil {
		problem := q.explain("reading the archive's state", err)
		page.Problem, code = problem.Message, problem.Status
	}
	q.show(code, "status", "Status", page)
}

// taskLine is a task in the list of recent ones.
type taskLine struct {
	Task                   state.Task
	Level, Summary, Detail string
}

// tasks are the tasks that changed last, and the names of those that cannot be read.
func (q *request) tasks(n int) ([]taskLine, []string, error) {
	list, damaged, err := q.pages.opt.Records.RecentTasks(q.r.Context(), n)
	if err != nil {
		return nil, nil, err
	}
	now := q.pages.opt.Now().UTC()
	lines := make([]taskLine, 0, len(list))
	for _, t := range list {
		lines = append(lines, newTaskLine(t, now))
	}
	return lines, names(damaged), nil
}

func newTaskLine(t state.Task, now time.Time) taskLine {
	line := taskLine{Task: t, Level: "wait", Summary: "Waiting", Detail: "It is delivered once the archive covers its window."}
	switch {
	case !t.EndedAt.IsZero() && t.Verdict != nil:
		line.Summary, line.Detail, line.Level = taskState(t.Verdict.Status), health.Plural(max(t.Uploads, len(t.Verdict.Items)), "item"), "good"
		if t.Verdict.Status != 0 {
			line.Level = "bad"
			line.Detail += ". " + t.Verdict.Reason
		}
	case !t.EndedAt.IsZero():
		line.Summary, line.Detail = "Ended", ""
	case t.Verdict != nil:
		line.Summary, line.Detail = "Reporting", health.Plural(t.Uploads, "item")+" uploaded; the Import service has yet to take the report."
	case t.Problem != nil:
		line.Summary, line.Detail = fmt.Sprintf("Trying again, %s failed", health.Plural(t.Attempts, "attempt")), problemWords(t.Problem)
		if t.NotBefore.After(now) {
			line.Detail += " Next attempt in " + health.Span(t.NotBefore.Sub(now)) + "."
		}
	case t.Uploads > 0:
		line.Summary, line.Detail = "Uploading", health.Plural(t.Uploads, "item")+" so far"
	}
	return line
}

// taskState says how a task that has ended went.
func taskState(status int) string {
	switch status {
	case 0:
		return "Delivered"
	case 1:
		return "Failed for now"
	}
	return "Failed"
}

// problemWords says what a failure that was written down means to an administrator,
// and what to do.
func problemWords(p *state.Problem) string { return p.Cause.Meaning().Words() }

func names(damaged []state.Damaged) []string {
	var out []string
	for _, d := range damaged {
		out = append(out, d.Name)
	}
	return out
}
