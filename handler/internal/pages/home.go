package pages

import (
	"net/http"
	"time"

	"xarchive/handler/internal/fault"
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
	page := homePage{Public: q.public(), Todo: q.missingSettings()}
	list, damaged, err := q.jobs()
	if len(damaged) > 0 {
		page.Todo = append(page.Todo, todo{Level: "bad", Title: "A record cannot be read", Text: damagedWords, Link: "/Status", Label: "See status"})
	}
	if err != nil {
		page.Todo = append(page.Todo, todo{Level: "bad", Title: "The archive's state cannot be read", Text: q.explain("reading jobs", err).Message, Link: "/Configure#test", Label: "Test connections"})
	} else if len(list) == 0 {
		page.Todo = append(page.Todo, todo{Level: "next", Title: "Create a job in the Compliance Center", Address: page.Public,
			Text: "Add a custom connector there, with the address below and the APISecretKey. It then opens the set-up page, where the account signs in with X."})
	}
	page.Jobs = list
	for _, h := range list {
		page.Posts += h.Account.PostsTotal
		if h.Account.LastRun.After(page.Last) {
			page.Last = h.Account.LastRun
		}
		switch {
		case h.Job.SignInNeeded:
			page.Todo = append(page.Todo, todo{Level: "bad", Title: h.Name + " must sign in again", Text: h.Advice, Link: h.SetUp, Label: "Sign in with X"})
		case h.Level != "good":
			page.Todo = append(page.Todo, todo{Level: h.Level, Title: h.Name + ": " + h.Summary, Text: h.Advice, Link: "/Status#job-" + h.Job.ID, Label: "See status"})
		}
	}
	if last, err := q.pages.opt.Records.LastTick(q.r.Context()); err == nil { // what keeps it from being read is said above
		if words, bad := TimerHealth(last, q.pages.opt.Now().UTC()); bad {
			page.Todo = append(page.Todo, todo{Level: "bad", Title: "The timer does not tick", Text: words})
		} else if last.IsZero() && page.Last.IsZero() {
			page.Todo = append(page.Todo, todo{Level: "next", Title: "Waiting for the timer", Text: words})
		}
	}
	page.LastRun = lasting(q.pages.opt.Now().UTC(), page.Last)
	page.sumUp()
	return page
}

// damagedWords says what a record that cannot be read means.
var damagedWords = fault.StateDamaged.Meaning().Words()

// missingSettings is what has to be entered under Settings.
func (q *request) missingSettings() []todo {
	infos, err := q.pages.opt.Jobs.Settings(q.r.Context())
	if err != nil {
		return []todo{{Level: "bad", Title: "Settings cannot be read", Text: q.explain("reading settings", err).Message, Link: "/Configure", Label: "Open settings"}}
	}
	set := map[string]bool{}
	for _, info := range infos {
		set[info.Name] = info.Set
	}
	var list []todo
	if !(set[secrets.TwitterAPIKey] && set[secrets.TwitterAPISecretKey]) {
		list = append(list, todo{Level: "bad", Title: "Enter the keys of your X app", Text: "Without them nobody can sign in with X and nothing is read.", Link: "/Configure", Label: "Open settings"})
	}
	if !(set[secrets.AADApplicationID] && set[secrets.AADApplicationSecret] && set[secrets.AADApplicationURI]) {
		list = append(list, todo{Level: "bad", Title: "Enter the Entra app's ID, secret and URI", Text: "Without them nothing can be handed to Microsoft 365. Posts are archived in your storage all the same.", Link: "/Configure", Label: "Open settings"})
	}
	return list
}

// sumUp says how the whole is doing.
func (page *homePage) sumUp() {
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
	case len(page.Jobs) == 0:
		page.Level, page.Verdict = "next", "Ready for the first job"
	case len(page.Todo) > 0:
		page.Level, page.Verdict = "wait", "Working on it"
	default:
		page.Level, page.Verdict = "good", "Everything is archived"
	}
}
