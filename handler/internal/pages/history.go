package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/reads"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// historyPage is how far the older posts of an account are counted or read, and what is
// to be decided next.
type historyPage struct {
	Name    string // of the account
	Account string // address of its page
	Self    string // address of this one
	Problem string // why it cannot be shown
	Refused string // why what was asked for was not done
	Stage   string // "ask", "counting", "counted", "confirm", "reading" or "ended"
	Decides bool   // reading, or more of it, can be decided

	History   state.History
	Asked     string // names what was asked for, in forms
	Months    []historyMonth
	Counted   int // months that X has counted
	Posts     int // that X counts in them
	Given     int // posts that X has given
	New       int // of them, those that were not archived
	Cost      string
	Waits     string // why it does not go on
	Most      int    // posts that may be read, as suggested or chosen
	MostCost  string
	Left      string // of X_READS_PER_MONTH: a sentence; "" without that limit
	CountCost string // of one month
	From, To  string // as they were entered
}

type historyMonth struct {
	state.HistoryMonth
	Level, Word string
}

func historyURL(jobID string) string {
	return "/Status/History?" + url.Values{"job": {jobID}}.Encode()
}

// history is /Status/History?job=.
func (q *request) history() {
	if !q.enter() {
		return
	}
	ctx, id := q.r.Context(), q.query("job")
	page, code := historyPage{Self: historyURL(id), Account: accountURL(id), CountCost: dollars(reads.Price(string(twitter.Counts)))}, http.StatusOK
	confirm := false
	err := jobs.CheckID("job", id)
	if err == nil {
		err = q.pages.opt.Health.Reach(ctx)
	}
	if err == nil && q.r.Method == http.MethodPost {
		done, refused := q.decide(id)
		switch {
		case refused != nil:
			problem := q.explain("deciding about an account's older posts", refused)
			page.Refused, code = problem.Message, problem.Status
			page.From, page.To = q.field("from"), q.field("to")
		case done:
			q.redirect(page.Self)
			return
		default:
			confirm = true
		}
	}
	var job state.Job
	if err == nil {
		job, err = q.pages.opt.Health.Records.Job(ctx, id)
	}
	if err == nil {
		page.Name = accountName(job)
		var h state.History
		if h, err = q.pages.opt.Records.History(ctx, job.AccountID); errors.Is(err, state.ErrNotFound) || err == nil && h.JobID != id {
			h, err = state.History{}, nil
		}
		page.fill(h, q.pages.opt.Now().UTC())
		page.limit(q.pages.opt.ReadsLimit)
		if confirm && page.Decides {
			page.Stage = "confirm"
			page.Most, _ = strconv.Atoi(strings.TrimSpace(q.field("most")))
			page.MostCost = dollars(float64(page.Most) * reads.Price(string(twitter.History)))
		}
	}
	if err != nil {
		problem := q.explain("reading how far an account's older posts are read", err)
		page.Problem, code = problem.Message, problem.Status
	}
	q.show(code, "history", "Older posts", page)
}

var (
	errNumber = fault.Refuse(fault.BadRequest, "Say how many posts may be read, in digits: "+strconv.Itoa(jobs.LeastReads)+" or more.")
	errDay    = fault.Refuse(fault.BadRequest, "A day must be written like 2026-11-30.")
)

// days reads the days from and to, inclusive, as the time between two moments, the second
// exclusive; zero where nothing is entered.
func days(first, last string) (from, to time.Time, err error) {
	if from, err = dayOf(first); err != nil {
		return from, to, err
	}
	if to, err = dayOf(last); err == nil && !to.IsZero() {
		to = to.AddDate(0, 0, 1)
	}
	return from, to, err
}

func dayOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return at, errDay
	}
	return at, nil
}

// decide does what a form asks for. done is false where it asks only to be shown again
// what is decided.
func (q *request) decide(jobID string) (done bool, err error) {
	ctx, work := q.r.Context(), q.pages.opt.Jobs
	most, number := strconv.Atoi(strings.TrimSpace(q.field("most")))
	asked, _ := time.Parse(time.RFC3339Nano, q.field("asked")) // the zero time is no history's
	switch q.field("do") {
	case "count":
		from, to, err := days(q.field("from"), q.field("to"))
		if err != nil {
			return false, err
		}
		return true, work.CountHistory(ctx, jobID, from, to)
	case "review":
		if number != nil || most < jobs.LeastReads {
			return false, errNumber
		}
		return false, nil
	case "read":
		return true, work.ReadHistory(ctx, jobID, asked, most)
	case "stop":
		return true, work.StopHistory(ctx, jobID, asked)
	}
	return true, nil
}

// fill says how far a history is.
func (p *historyPage) fill(h state.History, now time.Time) {
	p.History, p.Asked = h, h.Asked.Format(time.RFC3339Nano)
	posts, whole := h.Estimated()
	p.Posts, p.Cost = posts, dollars(float64(posts)*reads.Price(string(twitter.History)))
	for _, m := range h.Months {
		p.Given, p.New = p.Given+m.Found, p.New+m.New
		shown := historyMonth{m, "off", "not read yet"}
		if m.Counted >= 0 {
			p.Counted++
		}
		switch {
		case m.Complete():
			shown.Level, shown.Word = "good", "complete"
		case m.Done:
			shown.Level, shown.Word = "bad", "fewer than X counts"
		case m.Found > 0:
			shown.Level, shown.Word = "wait", "begun"
		}
		p.Months = append(p.Months, shown)
	}
	switch {
	case h.Asked.IsZero():
		p.Stage = "ask"
	case !h.Ended.IsZero():
		p.Stage, p.Decides = "ended", whole && h.Stopped != ""
	case !whole:
		p.Stage = "counting"
	case h.MaxReads == 0:
		p.Stage, p.Decides = "counted", true
	default:
		p.Stage = "reading"
	}
	// X gives the posts of a page's last second again.
	p.Most = max(jobs.LeastReads, h.MaxReads, posts+posts/50+2*jobs.LeastReads)
	if h.Problem != nil && h.Ended.IsZero() {
		p.Waits = h.Problem.Cause.Meaning().Words()
		if h.Until.After(now) {
			p.Waits += " It goes on after " + moment(h.Until) + "."
		}
	}
}

// limit says what a limit on reads means to a history.
func (p *historyPage) limit(most int) {
	if most > 0 {
		p.Left = "It stops where X_READS_PER_MONTH (" + health.Number(most) + ") keeps the rest of the month for new posts, and goes on in the next month."
	}
}
