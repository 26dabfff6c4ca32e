package pages

import (
	"net/http"
	"slices"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
)

// homePage is the overview.
type homePage struct {
	Public  string       // the connector's address
	Level   health.Level // of the whole; before the first job it is next
	Verdict string
	Detail  string // what the verdict is derived from
	Todo    []todo // what is missing or wrong, the next step first
	Jobs    []jobHealth
	Known   int       // losses that somebody has acknowledged
	Posts   int       // archived, of all accounts
	Last    time.Time // the latest run
	LastRun string
}

// todo is something to be done.
type todo struct {
	Level                    health.Level
	Title, Text, Link, Label string
	Address                  string // to be copied
}

// home is /. To strangers, the Functions host among them, it says only that the
// connector is there, and reads nothing to answer them.
func (q *request) home() {
	stranger := func() { q.show(http.StatusOK, "home", "X archive connector", nil) }
	if q.cookie(sessionCookie) == "" {
		stranger()
		return
	}
	signer := q.signer()
	if signer == nil {
		return
	}
	if !q.findSession(signer) {
		stranger()
		return
	}
	q.show(http.StatusOK, "home", "Overview", q.overview())
}

// overview looks at everything, and says what it cannot see.
func (q *request) overview() homePage {
	page := homePage{Public: q.public()}
	report, err := q.pages.opt.Health.Report(q.r.Context())
	for _, f := range report.Settings {
		page.Todo = append(page.Todo, todo{Level: f.Level, Title: f.Title, Text: f.Text, Link: "/Configure", Label: "Open settings"})
	}
	if len(report.Damaged) > 0 {
		page.Todo = append(page.Todo, todo{Level: health.NeedsYou, Title: "A record cannot be read", Text: damagedWords, Link: "/Status", Label: "See status"})
	}
	if err != nil {
		page.Todo = append(page.Todo, todo{Level: health.NeedsYou, Title: "The archive's state cannot be read", Text: q.explain("reading the archive's state", err).Message, Link: "/Configure#test", Label: "Test connections"})
	} else if len(report.Jobs) == 0 {
		page.Todo = append(page.Todo, todo{Level: next, Title: "Create a job in the Compliance Center", Address: page.Public,
			Text: "Add a custom connector there, with the address below and the APISecretKey. It then opens the set-up page, where the account signs in with X."})
	}
	page.Jobs = q.shown(report)
	for _, h := range page.Jobs {
		page.Posts += h.Account.PostsTotal
		if h.Account.LastRun.After(page.Last) {
			page.Last = h.Account.LastRun
		}
		for _, f := range h.Findings() {
			if f.Known != nil {
				page.Known++
				continue
			}
			page.Todo = append(page.Todo, newTodo(h, f))
		}
	}
	if f := report.Events; f != nil && f.Level != health.Well {
		page.Todo = append(page.Todo, todo{Level: f.Level, Title: f.Title, Text: f.Text, Link: "/Status", Label: "See status"})
	}
	if f := report.Timer; f.Level == health.NeedsYou || f.Level == health.Working && page.Last.IsZero() {
		page.Todo = append(page.Todo, todo{Level: f.Level, Title: f.Title, Text: f.Text})
	}
	page.LastRun = lasting(report.At, page.Last)
	page.sumUp()
	return page
}

// newTodo puts a finding of a job on the overview.
func newTodo(h jobHealth, f health.Finding) todo {
	t := todo{Level: f.Level, Title: h.Name() + ": " + f.Title, Text: f.Text, Link: h.Page, Label: "See the account"}
	if f.Acknowledgeable() {
		t.Label = "See and acknowledge"
	}
	switch f.Do {
	case health.SignIn:
		t.Title, t.Link, t.Label = h.Name()+" must sign in again", h.SetUp, "Sign in with X"
	case health.Settings:
		t.Link, t.Label = "/Configure#test", "Test connections"
	}
	return t
}

// damagedWords says what a record that cannot be read means.
var damagedWords = fault.StateDamaged.Meaning().Words()

// next is the level of what is to be done before the first job.
const next health.Level = "next"

// sumUp says how the whole stands. That all is well is derived from how far every
// account is read and delivered, and said with it.
func (page *homePage) sumUp() {
	count := map[health.Level]int{}
	for _, t := range page.Todo {
		count[t.Level]++
	}
	slices.SortStableFunc(page.Todo, func(a, b todo) int { return health.Worse(a.Level, b.Level) })
	switch {
	case count[health.NeedsYou] == 1:
		page.Level, page.Verdict = health.NeedsYou, "One thing needs you"
	case count[health.NeedsYou] > 1:
		page.Level, page.Verdict = health.NeedsYou, health.Number(count[health.NeedsYou])+" things need you"
	case len(page.Jobs) == 0:
		page.Level, page.Verdict = next, "Ready for the first job"
	case count[health.Lost] > 0:
		page.Level, page.Verdict = health.Lost, "Something cannot be had any more"
		page.Detail = "Nobody can undo it; know it, and read below what it is."
	case count[health.Working] > 0:
		page.Level, page.Verdict = health.Working, "Working on it"
		page.Detail = "It goes on by itself."
	default:
		page.Level, page.Verdict = health.Well, "All is well"
		if page.Known > 0 {
			page.Verdict = "All is well, but for what is known to be lost"
		}
		read, delivered := page.Jobs[0].Read.Until, page.Jobs[0].Deliver.Until
		for _, h := range page.Jobs[1:] {
			read, delivered = earlier(read, h.Read.Until), earlier(delivered, h.Deliver.Until)
		}
		page.Detail = "Read from X up to " + moment(read) + ". Delivered to Microsoft 365 up to " + moment(delivered) + ", as far as it was asked for. Nothing needs you."
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
