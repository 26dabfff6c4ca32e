package pages

import (
	"net/http"
	"time"

	"xarchive/handler/internal/secrets"
)

// homePage is the overview.
type homePage struct {
	Public  string // the connector's address
	Level   string // of the whole: "good", "wait", "bad" or, before the first job, "next"
	Verdict string
	Todo    []todo // what is missing or wrong, the next step first
	Jobs    []jobHealth
	Posts   int       // archived, of all accounts
	Last    time.Time // the latest run
	LastRun string
}

// todo is something to be done.
type todo struct {
	Level, Title, Text, Link, Label string
	Address                         string // to be copied
}

// home is /. To strangers, the Functions host among them, it says only that the
// connector is there, and asks nobody anything for it.
func (p *Pages) home(v *visit) {
	if v.cookie(sessionCookie) == "" {
		v.show(http.StatusOK, "home", "X archive connector", nil)
		return
	}
	key := v.key()
	if key == nil {
		return
	}
	if !v.signedIn(key) {
		v.show(http.StatusOK, "home", "X archive connector", nil)
		return
	}
	v.show(http.StatusOK, "home", "Overview", v.overview())
}

// overview looks at everything, and says what it cannot see.
func (v *visit) overview() homePage {
	ctx := v.r.Context()
	page := homePage{Public: v.public(), Level: "good"}
	infos, err := v.API.Settings(ctx)
	if err != nil {
		page.Todo = append(page.Todo, todo{Level: "bad", Title: "Settings cannot be read", Text: v.API.Explain(ctx, "reading settings", err).Message, Link: "/Configure", Label: "Open settings"})
	}
	set := map[string]bool{}
	for _, info := range infos {
		set[info.Secret] = info.Set
	}
	if err == nil && !(set[secrets.TwitterAPIKey] && set[secrets.TwitterAPISecretKey]) {
		page.Todo = append(page.Todo, todo{Level: "bad", Title: "Enter the keys of your X app", Text: "Without them nobody can sign in with X and nothing is read.", Link: "/Configure", Label: "Open settings"})
	}
	if err == nil && !(set[secrets.AADApplicationID] && set[secrets.AADApplicationSecret] && set[secrets.AADApplicationURI]) {
		page.Todo = append(page.Todo, todo{Level: "bad", Title: "Enter the Entra app's ID, secret and URI", Text: "Without them nothing can be handed to Microsoft 365. Posts are archived in your storage all the same.", Link: "/Configure", Label: "Open settings"})
	}
	jobs, err := v.jobs(ctx)
	if err != nil {
		page.Todo = append(page.Todo, todo{Level: "bad", Title: "The archive's state cannot be read", Text: v.API.Explain(ctx, "reading jobs", err).Message, Link: "/Configure#test", Label: "Test connections"})
	} else if len(jobs) == 0 {
		page.Todo = append(page.Todo, todo{Level: "next", Title: "Create a job in the Compliance Center", Address: page.Public,
			Text: "Add a custom connector there, with the address below and the APISecretKey. It then opens the set-up page, where the account signs in with X."})
	}
	page.Jobs = jobs
	for _, job := range jobs {
		page.Posts += job.Account.PostsTotal
		if job.Account.LastRun.After(page.Last) {
			page.Last = job.Account.LastRun
		}
		switch {
		case job.SignInNeeded:
			page.Todo = append(page.Todo, todo{Level: "bad", Title: job.Name() + " must sign in again", Text: job.Advice, Link: job.SetUp, Label: "Sign in with X"})
		case job.Level != "good":
			page.Todo = append(page.Todo, todo{Level: job.Level, Title: job.Name() + ": " + job.Summary, Text: job.Advice, Link: "/Status#job-" + job.ID, Label: "See status"})
		}
	}
	page.LastRun = lasting(v.Now().UTC(), page.Last)
	page.Verdict = "Everything is archived"
	bad := 0
	for _, t := range page.Todo {
		if t.Level == "bad" {
			bad++
		}
	}
	switch {
	case bad == 1:
		page.Level, page.Verdict = "bad", "One thing needs you"
	case bad > 1:
		page.Level, page.Verdict = "bad", number(bad)+" things need you"
	case len(jobs) == 0:
		page.Level, page.Verdict = "next", "Ready for the first job"
	case len(page.Todo) > 0:
		page.Level, page.Verdict = "wait", "Working on it"
	}
	return page
}

// statusPage is how the archive is doing.
type statusPage struct {
	Jobs    []jobHealth
	Tasks   []taskLine
	Problem string
}

// shownTasks is how many recent tasks are listed.
const shownTasks = 25

// status is /Status.
func (p *Pages) status(v *visit) {
	if !v.enter() {
		return
	}
	ctx := v.r.Context()
	var page statusPage
	jobs, err := v.jobs(ctx)
	if err == nil {
		page.Jobs = jobs
		page.Tasks, err = v.tasks(ctx, shownTasks)
	}
	code := http.StatusOK
	if err != nil {
		told := p.API.Explain(ctx, "reading the archive's state", err)
		page.Problem, code = told.Message, told.Status
	}
	v.show(code, "status", "Status", page)
}
