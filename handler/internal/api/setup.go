package api

import (
	"net/http"
	"regexp"
	"strings"

	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/web"
)

// oauthURL is GET /api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl=: it
// begins a sign-in and answers where the browser is to go.
func (a *API) oauthURL(r *http.Request) (any, error) {
	if err := checkJobType(r); err != nil {
		return nil, err
	}
	return a.jobs.OAuthURL(r.Context(), web.Query(r, "redirectUrl"))
}

// storeToken is POST /api/ConnectorSetup/StoreToken: it ends a sign-in and keeps
// the account's token for the job.
func (a *API) storeToken(r *http.Request) (any, error) {
	var in struct{ TemporaryAccessCode, RedirectURL, JobID string }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := jobs.CheckID("jobId", in.JobID); err != nil {
		return nil, err
	}
	return true, a.jobs.StoreToken(r.Context(), in.JobID, in.RedirectURL, in.TemporaryAccessCode)
}

// entity is an account that a job can archive.
type entity struct {
	ID             string `json:"Id"`
	Name           string
	AdditionalInfo *string
	AlreadyUsed    bool // by another job
}

// getEntities is GET /api/ConnectorSetup/GetEntities?jobType=Twitter&jobId=: the
// accounts to choose from, which is the one that has signed in.
func (a *API) getEntities(r *http.Request) (any, error) {
	id, err := twitterJobID(r)
	if err != nil {
		return nil, err
	}
	account, err := a.jobs.Candidate(r.Context(), id)
	return []entity{{ID: account.User.ID, Name: account.User.Name, AlreadyUsed: account.Used}}, err
}

var accountIDForm = regexp.MustCompile(`^[0-9]{1,20}$`)

// savePage is POST /api/ConnectorSetup/SavePage?jobId=&tenantId=: the account is
// chosen, and the job exists from now on. It answers false for an account that
// another job archives. The name in the body is what GetEntities said; X says it
// again when the job is saved.
func (a *API) savePage(r *http.Request) (any, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(web.Query(r, "tenantId"), a.tenantID) {
		return nil, bad("tenantId is not the tenant that this connector serves.")
	}
	var in struct{ ID, Name string }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if !accountIDForm.MatchString(in.ID) {
		return nil, bad("Id must be the id of an account, as GetEntities gives it.")
	}
	return a.jobs.Save(r.Context(), id, in.ID)
}

// deleteToken is GET /api/ConnectorSetup/DeleteToken?jobType=Twitter&jobId=.
func (a *API) deleteToken(r *http.Request) (any, error) {
	id, err := twitterJobID(r)
	if err != nil {
		return nil, err
	}
	return true, a.jobs.DeleteToken(r.Context(), id)
}
