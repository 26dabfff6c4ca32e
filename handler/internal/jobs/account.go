package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/twitter"
)

// Candidate is an account that a job can archive.
type Candidate struct {
	User twitter.User
	Used bool // another job archives it
}

// Candidate asks X for the account that has signed in for a job: it is the one to
// choose.
func (j *Jobs) Candidate(ctx context.Context, jobID string) (Candidate, error) {
	account, err := j.account(ctx, jobID)
	if err != nil {
		return Candidate{}, err
	}
	user, err := j.ask(ctx, account.Token)
	if err != nil {
		return Candidate{}, err
	}
	other, err := j.usedBy(ctx, jobID, user.ID)
	return Candidate{user, other != ""}, err
}

// DeleteToken removes the token of a job's account. It is no error if there is
// none.
func (j *Jobs) DeleteToken(ctx context.Context, jobID string) error {
	return j.change(ctx, audit.Change{What: audit.TokenDeleted, JobID: jobID}, func() error {
		return j.keys.DeleteAccount(ctx, jobID)
	})
}

// account reads a job's account from where it is kept: another instance may have
// signed it in a moment ago.
func (j *Jobs) account(ctx context.Context, jobID string) (twitter.Account, error) {
	j.keys.ForgetApp()
	j.keys.ForgetAccount(jobID)
	return j.keys.Account(ctx, jobID)
}

// userForJob returns the account that has signed in for a job, by id, name and
// handle. While X cannot say its name, the name is "".
func (j *Jobs) userForJob(ctx context.Context, jobID string) (twitter.User, error) {
	account, err := j.account(ctx, jobID)
	if err != nil {
		return twitter.User{}, err
	}
	user, err := j.ask(ctx, account.Token)
	if err != nil && account.UserID != "" {
		j.opt.Log.WarnContext(ctx, "X does not say the account's name", "job", jobID, "account", account.UserID, "error", err.Error())
		return twitter.User{ID: account.UserID, Username: account.ScreenName}, nil
	}
	return user, err
}

// ask asks X which account a token belongs to.
func (j *Jobs) ask(ctx context.Context, token twitter.Token) (twitter.User, error) {
	app, err := j.keys.App(ctx)
	if err != nil {
		return twitter.User{}, err
	}
	user, err := twitter.Me(ctx, j.opt.HTTP, j.opt.XAPIURL, app, token, j.opt.Count)
	switch {
	case errors.Is(err, twitter.ErrUnauthorized):
		return twitter.User{}, fault.RefuseWith(fault.BadRequest, "X refuses the account's token or the app's keys. Sign in again; if that does not help, enter the app's API Key and API Secret Key under Settings (secrets twitter-api-key and twitter-api-secret-key).", err)
	case errors.Is(err, twitter.ErrForbidden):
		return twitter.User{}, noReadPermission(err)
	}
	return user, troubleAtX(err)
}

// noReadPermission says that X does not let the app read, for what reason it gives.
func noReadPermission(err error) error {
	if fault.CauseOf(err) != fault.XForbidden {
		return fault.RefuseWith(fault.BadRequest, fault.Of(err).Words(), err)
	}
	return fault.RefuseWith(fault.BadRequest, "X forbids the app to read the account. Give the app read permission in X's developer portal (User authentication settings) and sign in again.", err)
}

// troubleAtX gives a failure of X the sentence for a person who is waiting for the
// answer.
func troubleAtX(err error) error {
	var limited *twitter.RateLimitError
	switch {
	case refusedSignIn(err) != nil:
		return fault.RefuseWith(fault.CauseOf(err), refusalOfX(refusedSignIn(err)), err)
	case errors.As(err, &limited) && limited.Why == nil:
		return fault.RefuseWith(fault.XRateLimit, "X's rate limit is used up. Try again after "+limited.Reset.UTC().Format(time.RFC3339)+".", err)
	case errors.Is(err, twitter.ErrUnavailable):
		return fault.RefuseWith(fault.XUnavailable, "X cannot be reached. Try again later.", err)
	}
	return err
}

func refusedSignIn(err error) *twitter.SignInError {
	var refused *twitter.SignInError
	if errors.As(err, &refused) {
		return refused
	}
	return nil
}

func refusalOfX(e *twitter.SignInError) string {
	return fmt.Sprintf("X refuses the sign-in (%s). %s.", e.Said, e.Advice)
}
