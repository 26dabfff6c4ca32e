package pages

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/state"
)

// statusPage is how the archive is doing.
type statusPage struct {
	Jobs    []jobHealth
	Tasks   []taskLine
	Newer   string // address of the page of newer tasks; "" if there is none
	Older   string
	Damaged []string // names of records that cannot be read
	Problem string
	Refused string // why an acknowledgement was not kept
	Timer   health.Finding
	Events  *health.Finding // how X sends its events; nil if it is not to
	Money   money
}

// shownTasks is how many recent tasks are listed.
const shownTasks = 25

// status is /Status.
func (q *request) status() {
	if !q.enter() {
		return
	}
	var page statusPage
	code := http.StatusOK
	if q.r.Method == http.MethodPost && q.field("do") == "acknowledge" {
		err := q.acknowledge()
		if err == nil {
			q.redirect("/Status#job-" + q.field("job"))
			return
		}
		problem := q.explain("acknowledging a loss", err)
		page.Refused, code = problem.Message, problem.Status
	}
	report, err := q.pages.opt.Health.Report(q.r.Context())
	if err == nil {
		page.Jobs, page.Damaged, page.Timer, page.Events = q.shown(report), report.Damaged, report.Timer, report.Events
		var damaged []string
		damaged, err = q.gone(page.Jobs)
		page.Damaged = append(page.Damaged, damaged...)
	}
	if err == nil {
		var damaged []string
		damaged, err = q.tasks(&page, report.Jobs)
		page.Damaged = append(page.Damaged, damaged...)
	}
	if err == nil {
		var damaged []string
		page.Money, damaged, err = q.money(page.Jobs)
		page.Damaged = append(page.Damaged, damaged...)
	}
	if err != nil {
		problem := q.explain("reading the archive's state", err)
		page.Problem, code = problem.Message, problem.Status
	}
	q.show(code, "status", "Status", page)
}

// errChanged: what a person acknowledged is not what there is.
var errChanged = fault.Refuse(fault.BadRequest, "What you acknowledged has changed meanwhile, or somebody else has acknowledged it. Nothing was kept; look again.")

// acknowledge keeps that a person knows of a loss: of the very one that was shown.
func (q *request) acknowledge() error {
	ctx := q.r.Context()
	if err := q.pages.opt.Health.Reach(ctx); err != nil {
		return err
	}
	if err := jobs.CheckID("job", q.field("job")); err != nil {
		return err
	}
	standing, err := q.pages.opt.Health.JobOf(ctx, q.field("job"))
	if err != nil {
		return err
	}
	for _, f := range standing.Findings() {
		if f.Acknowledgeable() && f.ID() == q.field("finding") {
			return q.pages.opt.Jobs.Acknowledge(ctx, state.Acknowledgement{AccountID: standing.Job.AccountID, Losses: f.Losses,
				What: f.Title + ". " + f.Text, By: q.byWhom(), Reason: q.field("reason")})
		}
	}
	return errChanged
}

// byWhom is who acknowledges: whom Entra names, or what somebody with the shared secret says.
func (q *request) byWhom() string {
	if p := q.session.Person; p.Known() {
		return strings.TrimSpace(p.Name + " (" + cmp.Or(p.User, p.ObjectID) + ")")
	}
	return q.field("by")
}

// taskLine is a task in the list of recent ones.
type taskLine struct {
	Task                   state.Task
	Account                string // whose posts were asked for
	Level, Summary, Detail string
}

// maxSkip bounds how far one goes back in the list of tasks.
const maxSkip = 100000

// tasks puts a page of tasks, those that changed last first, on the status page. It
// returns the names of those that cannot be read.
func (q *request) tasks(page *statusPage, jobs []health.Standing) ([]string, error) {
	skip, _ := strconv.Atoi(q.query("tasks"))
	skip = min(max(0, skip), maxSkip)
	list, more, damaged, err := q.pages.opt.Records.RecentTasks(q.r.Context(), skip, shownTasks)
	if err != nil {
		return nil, err
	}
	at := func(skip int) string { return "/Status?tasks=" + strconv.Itoa(skip) + "#tasks" }
	if more {
		page.Older = at(skip + shownTasks)
	}
	if skip > 0 {
		page.Newer = at(max(0, skip-shownTasks))
	}
	now := q.pages.opt.Now().UTC()
	names := map[string]string{}
	for _, s := range jobs {
		names[s.Job.AccountID] = s.Name()
	}
	for _, t := range list {
		page.Tasks = append(page.Tasks, newTaskLine(t, cmp.Or(names[t.AccountID], t.AccountID), now))
	}
	return damagedNames(damaged), nil
}

func newTaskLine(t state.Task, account string, now time.Time) taskLine {
	line := taskLine{Task: t, Account: account, Level: "wait", Summary: "Waiting", Detail: "It is delivered once the archive covers its window."}
	problem := ""
	if t.Problem != nil {
		problem = " " + t.Problem.Cause.Meaning().Words()
		if t.NotBefore.After(now) {
			problem += " Next attempt in " + health.Span(t.NotBefore.Sub(now)) + "."
		}
	}
	items := 0
	if t.Verdict != nil {
		items = max(t.Uploads, len(t.Verdict.Items))
	}
	switch {
	case !t.EndedAt.IsZero() && t.Verdict != nil:
		line.Summary, line.Detail, line.Level = taskState(*t.Verdict), health.Plural(items, "item")+".", "good"
		if reason := health.Reason(t); t.Verdict.Status != 0 || t.Verdict.Refusal != "" {
			line.Level = "bad"
			line.Detail += " " + reason
		} else if reason != "" {
			line.Detail += " " + reason
		}
	case !t.EndedAt.IsZero():
		line.Summary, line.Detail = "Ended", ""
	case t.Verdict != nil && t.Verdict.Status == 0:
		line.Summary, line.Detail = "Reporting", "All items are uploaded ("+health.Number(items)+"); the Import service has yet to take the report."+problem
	case t.Verdict != nil:
		line.Summary, line.Detail = "Reporting a failure", health.Reason(t)+" "+health.Plural(items, "item")+" uploaded; the Import service has yet to take the report."+problem
	case t.Problem != nil:
		line.Summary, line.Detail = fmt.Sprintf("Trying again, %s failed", health.Plural(t.Attempts, "attempt")), strings.TrimSpace(problem)
	case t.Uploads > 0:
		line.Summary, line.Detail = "Uploading", health.Plural(t.Uploads, "item")+" so far"
	}
	return line
}

// taskState says how a task that has ended went.
func taskState(v state.Verdict) string {
	switch {
	case v.Refusal != "":
		return "Refused"
	case v.Status == 0:
		return "Delivered"
	case v.Status == 1:
		return "Failed for now"
	}
	return "Failed"
}

func damagedNames(damaged []state.Damaged) []string {
	var out []string
	for _, d := range damaged {
		out = append(out, d.Name)
	}
	return out
}
