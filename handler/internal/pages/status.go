package pages

import (
	"fmt"
	"net/http"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
)

// statusPage is how the archive is doing.
type statusPage struct {
	Jobs    []jobHealth
	Tasks   []taskLine
	Problem string
}

// shownTasks is how many recent tasks are listed.
const shownTasks = 25

// status is /Status.
func (q *request) status() {
	if !q.enter() {
		return
	}
	var page statusPage
	jobs, err := q.jobs()
	if err == nil {
		page.Jobs = jobs
		page.Tasks, err = q.tasks(shownTasks)
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

// tasks are the tasks that changed last.
func (q *request) tasks(n int) ([]taskLine, error) {
	list, err := q.pages.opt.Records.RecentTasks(q.r.Context(), n)
	if err != nil {
		return nil, err
	}
	now := q.pages.opt.Now().UTC()
	lines := make([]taskLine, 0, len(list))
	for _, t := range list {
		lines = append(lines, newTaskLine(t, now))
	}
	return lines, nil
}

func newTaskLine(t state.Task, now time.Time) taskLine {
	line := taskLine{Task: t, Level: "wait", Summary: "Waiting", Detail: "It is delivered once the archive covers its window."}
	switch {
	case !t.EndedAt.IsZero() && t.Verdict != nil:
		line.Summary, line.Detail, line.Level = taskState(t.Verdict.Status), plural(len(t.Verdict.Items), "item"), "good"
		if t.Verdict.Status != 0 {
			line.Level = "bad"
			line.Detail += ". " + t.Verdict.Reason
		}
	case !t.EndedAt.IsZero():
		line.Summary, line.Detail = "Ended", ""
	case t.Verdict != nil:
		line.Summary, line.Detail = "Reporting", "All items are uploaded; the Import service has yet to be problem."
	case failed(t.LastError):
		line.Summary, line.Detail = fmt.Sprintf("Trying again, %s failed", plural(t.Attempts, "attempt")), problemWords(storedCause(t.LastError))
		if t.NotBefore.After(now) {
			line.Detail += " Next attempt in " + span(t.NotBefore.Sub(now)) + "."
		}
	case len(t.Uploaded) > 0:
		line.Summary, line.Detail = "Uploading", plural(len(t.Uploaded), "item")+" so far"
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
func problemWords(c fault.Cause) string { return c.Meaning().Words() }

// TODO(merge): state.Account.LastError and state.Task.LastError are still texts
// without a cause. With state.Problem, failed is `p != nil`, storedCause is
// `p.Cause`, and both functions go.
func failed(text string) bool { return text != "" }

func storedCause(string) fault.Cause { return fault.Other }
