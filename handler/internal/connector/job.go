package connector

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
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
	_, err = a.State.Job(r.Context(), id)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	return struct {
		IsJobCreated bool
		Reason       *string
	}{IsJobCreated: err == nil}, nil
}

// onDeleted is DELETE /job/OnDeleted?jobId=: the job, its open tasks and its
// account's token go; the archive stays. The token goes first, so that after a
// failure the call can be repeated; it goes even if the job never came to be.
func (a *API) onDeleted(r *http.Request) (any, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	// A token in the environment belongs to the connector, not to the job.
	if err := a.Secrets.DeleteXAccount(ctx, id); err != nil && !errors.Is(err, secrets.ErrReadOnly) {
		return nil, err
	}
	if err := a.State.DeleteJob(ctx, id); err != nil {
		return nil, unknownJob(err)
	}
	a.Log.InfoContext(ctx, "job deleted; its archive stays", "job", id)
	return nil, nil
}

// onRemediation is GET /job/OnRemediation?jobId=&remediationType=Relogin: the
// account is about to sign in again.
func (a *API) onRemediation(r *http.Request) (any, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	if kind := query(r, "remediationType"); !strings.EqualFold(kind, "Relogin") {
		return nil, bad("remediationType must be Relogin.")
	}
	ctx := r.Context()
	job, err := a.State.Job(ctx, id)
	if err != nil {
		return nil, unknownJob(err)
	}
	job.SignInNeeded = true
	if err := a.State.PutJob(ctx, job); err != nil {
		return nil, err
	}
	a.Secrets.ForgetX(id)
	return nil, nil
}

// idForm is what ids of jobs and tasks look like; they become parts of blob names.
var idForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// checkID refuses what cannot be part of a blob's name. Azure wants no part that
// ends in a dot. https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
func checkID(name, id string) error {
	switch {
	case id == "":
		return bad("%s is missing.", name)
	case !idForm.MatchString(id) || strings.HasSuffix(id, "."):
		return bad("%s must be 1 to 128 letters, digits, '.', '_' or '-', and not end in '.'.", name)
	}
	return nil
}

func jobID(r *http.Request) (string, error) {
	id := query(r, "jobId")
	return id, checkID("jobId", id)
}

func unknownJob(err error) error {
	if errors.Is(err, state.ErrNotFound) {
		return errUnknownJob
	}
	return err
}
