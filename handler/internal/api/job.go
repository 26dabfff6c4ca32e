package api

import (
	"net/http"
	"strings"

	"xarchive/handler/internal/web"
)

// validate is GET /setup/Validate: the connector is there and the caller may call.
func (a *API) validate(*http.Request) (any, error) {
	return struct {
		Status  bool
		Message *string
	}{Status: true}, nil
}

// isCreated is GET /job/IsCreated?jobId=: whether the job's set-up came to its end.
func (a *API) isCreated(r *http.Request) (any, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	created, err := a.jobs.IsCreated(r.Context(), id)
	return struct {
		IsJobCreated bool
		Reason       *string
	}{IsJobCreated: created}, err
}

// onDeleted is DELETE /job/OnDeleted?jobId=.
func (a *API) onDeleted(r *http.Request) (any, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	return nil, a.jobs.Delete(r.Context(), id)
}

// onRemediation is GET /job/OnRemediation?jobId=&remediationType=Relogin: the
// account is about to sign in again.
func (a *API) onRemediation(r *http.Request) (any, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(web.Query(r, "remediationType"), "Relogin") {
		return nil, bad("remediationType must be Relogin.")
	}
	return nil, a.jobs.RequireSignIn(r.Context(), id)
}
