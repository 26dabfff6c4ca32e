package pages

import (
	"net/http"
	"net/url"
	"strings"

	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
)

// setupPage is the set-up of a job, as far as it has come.
type setupPage struct {
	JobID   string
	Setup   jobs.Setup
	Problem string // why the last step did not work

	Stage      string // "sign-in", "used", "save", "again" (the account must sign in again) or "done"
	Handle     string // of the account that has signed in: @name, or its id
	JobAccount string // the account that the job archives now; "" before it is saved
	Changes    bool   // saving makes the job archive another account than now

	Standing health.Standing // of a job that is set up
}

func (q *request) setupURL(jobID string) string {
	return "/preview/OnJobCreating?" + url.Values{"jobId": {jobID}, "tenantId": {q.pages.opt.TenantID}}.Encode()
}

// setUp is /preview/OnJobCreating?jobId=&tenantId=: the Compliance Center opens it
// in the administrator's browser. Password, sign-in with X, save.
func (q *request) setUp() {
	jobID := q.query("jobId")
	if err := jobs.CheckID("jobId", jobID); err != nil {
		q.fault(http.StatusBadRequest, "Which job is this for?", "This page is opened by the Compliance Center, which says for which job. Go back there and begin the connector's set-up again. "+q.explain("opening the set-up page", err).Message)
		return
	}
	if !strings.EqualFold(q.query("tenantId"), q.pages.opt.TenantID) {
		q.fault(http.StatusBadRequest, "This connector serves another tenant", "The address names a tenant (tenantId) that is not the one the connector was deployed for (its setting TENANT_ID). Check the connector's address in the Compliance Center.")
		return
	}
	if !q.enter() {
		return
	}
	problem, status := "", http.StatusOK
	if q.r.Method == http.MethodPost {
		switch q.field("do") {
		case "sign-in":
			q.beginSignIn(jobID)
			return
		case "save":
			saved, err := q.pages.opt.Jobs.Save(q.r.Context(), jobID, q.field("account"))
			if err == nil && saved {
				q.redirect(q.setupURL(jobID))
				return
			}
			if err != nil {
				p := q.explain("saving a job", err)
				problem, status = p.Message, p.Status
			}
		}
	}
	var setup jobs.Setup
	err := q.pages.opt.Health.Reach(q.r.Context())
	if err == nil {
		setup, err = q.pages.opt.Jobs.Setup(q.r.Context(), jobID)
	}
	if err != nil {
		p := q.explain("setting up a job", err)
		if problem == "" {
			problem = p.Message
		}
		if status == http.StatusOK {
			status = p.Status
		}
	}
	page := newSetupPage(jobID, setup)
	if page.Stage == "done" {
		var err error
		page.Standing, err = q.pages.opt.Health.Job(q.r.Context(), *setup.Job)
		if err != nil && problem == "" {
			p := q.explain("reading how the job stands", err)
			problem, status = p.Message, p.Status
		}
		if err == nil && page.Standing.Asks(health.SignIn) {
			page.Stage = "again"
		}
	}
	page.Problem = problem
	q.show(status, "setup", page.title(), page)
}

// newSetupPage finds out which step is next.
func newSetupPage(jobID string, s jobs.Setup) setupPage {
	page := setupPage{JobID: jobID, Setup: s, Handle: s.Account.ID}
	if s.Account.Username != "" {
		page.Handle = "@" + s.Account.Username
	}
	if s.Job != nil {
		page.JobAccount = accountName(*s.Job)
	}
	same := s.Job != nil && s.Job.AccountID == s.Account.ID
	page.Changes = s.Job != nil && !same
	switch {
	case s.Account.ID == "":
		page.Stage = "sign-in"
	case s.UsedBy != "":
		page.Stage = "used"
	case !same:
		page.Stage = "save"
	case s.Job.SignInNeeded:
		page.Stage = "again"
	default:
		page.Stage = "done"
	}
	return page
}

func (s setupPage) title() string {
	return map[string]string{"sign-in": "Sign in with X", "used": "This account is archived already", "save": "Is this the account?",
		"again": "Sign in with X again", "done": "The job is set up"}[s.Stage]
}

// Step is the number of the step that is next: 2 or 3, and 4 when all is done.
func (s setupPage) Step() int {
	switch s.Stage {
	case "done":
		return 4
	case "save":
		return 3
	}
	return 2
}
