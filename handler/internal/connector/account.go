package connector

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

var (
	errSignInFirst      = bad("No account has signed in with X for this job. Sign in first.")
	errNoReadPermission = bad("X forbids the app to read the account. Give the app read permission in X's developer portal (User authentication settings) and sign in again.")
)

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
	if err := checkJobType(r); err != nil {
		return nil, err
	}
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	me, err := a.askX(ctx, id)
	if err != nil {
		return nil, err
	}
	used, err := a.usedByAnother(ctx, id, me.ID)
	if err != nil {
		return nil, err
	}
	return []entity{{ID: me.ID, Name: me.Name, AlreadyUsed: used != ""}}, nil
}

// savePage is POST /api/ConnectorSetup/SavePage?jobId=&tenantId=: the account is
// chosen, and the job exists from now on. It answers false for an account that
// another job archives.
func (a *API) savePage(r *http.Request) (any, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(query(r, "tenantId"), a.TenantID) {
		return nil, bad("tenantId is not the tenant that this connector serves.")
	}
	var in struct{ ID, Name string }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if !postIDForm.MatchString(in.ID) {
		return nil, bad("Id must be the id of an account, as GetEntities gives it.")
	}
	return a.SaveJob(r.Context(), id, in.ID, in.Name)
}

// SaveJob makes or changes a job, which archives the account that has signed in
// for it from now on. accountID is what was shown to who decides, and must be that
// account; name may be empty. It is false, and nothing is saved, where another job
// archives the account.
func (a *API) SaveJob(ctx context.Context, id, accountID, name string) (bool, error) {
	signedIn, err := a.signedIn(ctx, id)
	if err != nil {
		return false, err
	}
	if accountID != signedIn.ID {
		return false, bad("Id is not the account that has signed in for this job.")
	}
	other, err := a.usedByAnother(ctx, id, accountID)
	if err != nil || other != "" {
		return false, err
	}
	job, err := a.State.Job(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		job, err = state.Job{ID: id, CreatedAt: a.Now().UTC()}, nil
	}
	if err != nil {
		return false, err
	}
	job.TenantID, job.AccountID, job.AccountName, job.SignInNeeded = a.TenantID, accountID, name, false
	if name := []rune(name); len(name) == 0 || len(name) > 200 {
		job.AccountName = signedIn.Username
	}
	if err := a.State.PutJob(ctx, job); err != nil {
		return false, err
	}
	a.Log.InfoContext(ctx, "job saved", "job", id, "account", accountID)
	return true, nil
}

// deleteToken is GET /api/ConnectorSetup/DeleteToken?jobType=Twitter&jobId=.
func (a *API) deleteToken(r *http.Request) (any, error) {
	if err := checkJobType(r); err != nil {
		return nil, err
	}
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	if err := a.Secrets.DeleteXAccount(r.Context(), id); err != nil {
		return nil, err
	}
	return true, nil
}

// usedByAnother is the id of a job other than this one that archives an account;
// "" if there is none.
func (a *API) usedByAnother(ctx context.Context, jobID, accountID string) (string, error) {
	jobs, err := a.State.Jobs(ctx)
	for _, job := range jobs {
		if job.ID != jobID && job.AccountID == accountID {
			return job.ID, err
		}
	}
	return "", err
}

// signedIn is the account that has signed in for a job. X is asked only where the
// sign-in did not say: for a token out of the environment.
func (a *API) signedIn(ctx context.Context, jobID string) (twitter.User, error) {
	account, err := a.account(ctx, jobID)
	if err != nil {
		return twitter.User{}, err
	}
	if account.UserID == "" {
		return a.askX(ctx, jobID)
	}
	return twitter.User{ID: account.UserID, Username: account.ScreenName}, nil
}

// account reads a job's account anew: another instance may have signed it in.
func (a *API) account(ctx context.Context, jobID string) (twitter.Account, error) {
	a.Secrets.ForgetX(jobID)
	account, err := a.Secrets.XAccount(ctx, jobID)
	if errors.Is(err, secrets.ErrNotSet) && a.Secrets.Writable() == nil {
		return twitter.Account{}, errSignInFirst
	}
	return account, err
}

// askX asks X which account a job's token belongs to.
func (a *API) askX(ctx context.Context, jobID string) (twitter.User, error) {
	account, err := a.account(ctx, jobID)
	if err != nil {
		return twitter.User{}, err
	}
	app, err := a.Secrets.XApp(ctx)
	if err != nil {
		return twitter.User{}, err
	}
	me, err := twitter.Me(ctx, a.HTTP, a.XAPIURL, app, account.Token)
	switch {
	case errors.Is(err, twitter.ErrUnauthorized):
		return twitter.User{}, bad("X refuses the account's token or the app's keys. Sign in again; if that does not help, set the secrets twitter-api-key and twitter-api-secret-key to the app's.")
	case errors.Is(err, twitter.ErrForbidden):
		return twitter.User{}, errNoReadPermission
	}
	return me, err
}
