package pages

import (
	"net/http"
	"strings"

	"xarchive/handler/internal/connector"
)

// setupPage is the set-up of a job, as far as it has come.
type setupPage struct {
	JobID   string
	Setup   connector.Setup
	Problem string // why the last step did not work

	Stage   string // "sign-in", "used", "save", "again" (the account must sign in again) or "done"
	Handle  string // of who has signed in, or of the job's account: @name, or its id
	Changes bool   // saving makes the job archive another account than now
}

// setUp is /preview/OnJobCreating?jobId=&tenantId=: the Compliance Center opens it
// in the administrator's browser. Password, sign-in at X, save.
func (p *Pages) setUp(v *visit) {
	jobID := v.query("jobId")
	if err := connector.CheckJobID(jobID); err != nil {
		v.fault(http.StatusBadRequest, "Which job is this for?", "This page is opened by the Compliance Center, which says for which job. Go back there and begin the connector's set-up again. "+p.API.Explain(v.r.Context(), "page "+v.path, err).Message)
		return
	}
	if !strings.EqualFold(v.query("tenantId"), p.TenantID) {
		v.fault(http.StatusBadRequest, "This connector serves another tenant", "The address names a tenant (tenantId) that is not the one the connector was deployed for (its setting TENANT_ID). Check the connector's address in the Compliance Center.")
		return
	}
	if !v.enter() {
		return
	}
	problem, status := "", http.StatusOK
	if v.r.Method == http.MethodPost {
		switch v.field("do") {
		case "sign-in":
			v.leave(jobID)
			return
		case "save":
			saved, err := p.API.SaveJob(v.r.Context(), jobID, v.field("account"), v.field("name"))
			if err == nil && saved {
				v.redirect(v.setupURL(jobID))
				return
			}
			if err != nil {
				told := p.API.Explain(v.r.Context(), "saving a job", err)
				problem, status = told.Message, told.Status
			}
		}
	}
	setup, err := p.API.Setup(v.r.Context(), jobID)
	if err != nil {
		told := p.API.Explain(v.r.Context(), "setting up a job", err)
		if problem == "" {
			problem = told.Message
		}
		if status == http.StatusOK {
			status = told.Status
		}
	}
	page := newSetupPage(jobID, setup)
	page.Problem = problem
	v.show(status, "setup", page.title(), page)
}

// newSetupPage finds out which step is next.
func newSetupPage(jobID string, s connector.Setup) setupPage {
	page := setupPage{JobID: jobID, Setup: s, Handle: s.Account.ID}
	if s.Account.Username != "" {
		page.Handle = "@" + s.Account.Username
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
