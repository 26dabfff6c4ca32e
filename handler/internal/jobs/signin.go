package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// A sign-in with X is OAuth 1.0a's three steps: a request token, the person at X,
// and the exchange of what X gave the browser for the account's token. Between the
// first step and the last the request token's secret is kept, sealed (seal.go),
// because another instance may have to end what this one began.
//
// A page's sign-in is bound to its browser and its job. A call's (signincall.go)
// is bound to its redirect URL only, since the Compliance Center says no more.

// SignInLife is how long a sign-in may take.
const SignInLife = 10 * time.Minute

var errBeginAgain = bad("This sign-in has run out or was used already. Begin it again.")

// SignIn is a sign-in that a page begins: for what, and in which browser.
type SignIn struct {
	JobID    string
	Browser  string // a secret of the browser that began it
	Callback string // where X sends the browser; registered with the app, to the letter
}

func (in SignIn) boundTo() string {
	return strings.Join([]string{"page", in.Callback, in.JobID, in.Browser}, "\n")
}

// BeginSignIn gets a request token from X. The browser goes to address next. The
// sign-in can be ended once, within [SignInLife], with the same SignIn.
func (j *Jobs) BeginSignIn(ctx context.Context, in SignIn) (token, address string, err error) {
	request, err := j.begin(ctx, state.SignIn{RedirectURL: in.Callback, Page: true}, in.boundTo())
	if err != nil {
		return "", "", err
	}
	return request.Token, twitter.AuthenticateURL(j.opt.XAPIURL, request), nil
}

// begin gets a request token and keeps it, until the sign-in ends, with its secret
// sealed for what it is bound to.
func (j *Jobs) begin(ctx context.Context, in state.SignIn, boundTo string) (twitter.Token, error) {
	if err := j.opt.Secrets.Writable(); err != nil {
		return twitter.Token{}, err // the sign-in could not be saved in the end
	}
	app, key, err := j.signInKeys(ctx)
	if err != nil {
		return twitter.Token{}, err
	}
	request, err := twitter.RequestToken(ctx, j.opt.HTTP, j.opt.XAPIURL, app, in.RedirectURL)
	if err != nil {
		return twitter.Token{}, troubleAtX(err)
	}
	in.Sealed, err = seal(key, request.Token, boundTo, request.Secret)
	if err != nil {
		return twitter.Token{}, fmt.Errorf("sealing a sign-in: %w", err)
	}
	now := j.opt.Now().UTC()
	in.Token, in.CreatedAt, in.ExpiresAt = request.Token, now, now.Add(SignInLife)
	return request, j.opt.State.PutSignIn(ctx, in)
}

// signInKeys are what every step of a sign-in needs: the app's keys, read again,
// since somebody is setting the connector up and may just have corrected them; and
// the secret under which the request token's secret is sealed.
func (j *Jobs) signInKeys(ctx context.Context) (app twitter.App, sealKey string, err error) {
	j.keys.ForgetApp()
	if app, err = j.keys.App(ctx); err != nil {
		return app, "", err
	}
	sealKey, err = j.opt.Secrets.Get(ctx, secrets.APISecretKey)
	return app, sealKey, err
}

// EndSignIn exchanges the verifier that X gave the browser for the account's token
// and keeps that for the job, in place of an earlier one; the account's cursor
// stays. A verifier that X refuses ends the sign-in too, and nothing is kept of an
// account that the app may not read. While X cannot be reached it may be tried again.
func (j *Jobs) EndSignIn(ctx context.Context, in SignIn, token, verifier string) (twitter.Account, error) {
	begun, err := j.opt.State.SignIn(ctx, token, j.opt.Now())
	if errors.Is(err, state.ErrNotFound) || err == nil && !(begun.Token == token && begun.Page && begun.RedirectURL == in.Callback) {
		return twitter.Account{}, errBeginAgain
	}
	if err != nil {
		return twitter.Account{}, err
	}
	app, key, err := j.signInKeys(ctx)
	if err != nil {
		return twitter.Account{}, err
	}
	account, err := j.exchange(ctx, begun, in.boundTo(), app, key, verifier)
	switch {
	case errors.Is(err, state.ErrNotFound), errors.Is(err, errSeal):
		return twitter.Account{}, fault.RefuseWith(fault.BadRequest, errBeginAgain.Error(), err)
	case refusedSignIn(err) != nil:
		if abandonErr := j.AbandonSignIn(ctx, token); abandonErr != nil {
			j.opt.Log.WarnContext(ctx, "a sign-in that X refused stays until it expires", "error", abandonErr.Error())
		}
		return twitter.Account{}, fault.RefuseWith(fault.BadRequest, refusalOfX(refusedSignIn(err)), err)
	case err != nil:
		return twitter.Account{}, troubleAtX(err)
	}
	// An app without read permission can sign accounts in, and read nothing.
	_, err = twitter.Me(ctx, j.opt.HTTP, j.opt.XAPIURL, app, account.Token, j.opt.Count)
	if errors.Is(err, twitter.ErrForbidden) {
		return twitter.Account{}, noReadPermission(err)
	}
	if err != nil {
		j.opt.Log.WarnContext(ctx, "it could not be tried whether the account can be read", "job", in.JobID, "error", err.Error())
	}
	return account, j.keepAccount(ctx, in.JobID, account)
}

// exchange takes a sign-in, so that no other instance does, and ends it. It is
// put back where X does not take it: it may be another person's, or X be down.
func (j *Jobs) exchange(ctx context.Context, in state.SignIn, boundTo string, app twitter.App, key, verifier string) (twitter.Account, error) {
	if err := j.opt.State.TakeSignIn(ctx, in.Token); err != nil {
		return twitter.Account{}, err
	}
	secret, err := unseal(key, in.Token, boundTo, in.Sealed)
	if err != nil {
		return twitter.Account{}, err
	}
	account, err := twitter.AccessToken(ctx, j.opt.HTTP, j.opt.XAPIURL, app, twitter.Token{Token: in.Token, Secret: secret}, verifier)
	if err == nil {
		return account, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if putErr := j.opt.State.PutSignIn(ctx, in); putErr != nil {
		j.opt.Log.WarnContext(ctx, "a sign-in is lost and has to be begun again", "error", putErr.Error())
	}
	return twitter.Account{}, err
}

// AbandonSignIn forgets a sign-in. It is no error if there is none.
func (j *Jobs) AbandonSignIn(ctx context.Context, token string) error {
	if err := j.opt.State.TakeSignIn(ctx, token); err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	return nil
}

// keepAccount keeps the token of an account that has signed in for a job, and notes
// that a job that exists has its account back. With another account the job stays as
// it is until it is saved with that one.
func (j *Jobs) keepAccount(ctx context.Context, jobID string, account twitter.Account) error {
	err := j.change(ctx, audit.Change{What: audit.SignedInWithX, JobID: jobID, Account: account.UserID}, func() error {
		return j.keys.SaveAccount(ctx, jobID, account)
	})
	if err != nil {
		return err
	}
	j.opt.Log.InfoContext(ctx, "account signed in", "job", jobID, "account", account.UserID, "handle", account.ScreenName)
	job, err := j.opt.State.Job(ctx, jobID)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil // the job is still being set up
	case err != nil:
		return err
	case job.AccountID != account.UserID:
		j.opt.Log.WarnContext(ctx, "a job's sign-in was with another account than the job's", "job", jobID, "account", account.UserID, "jobAccount", job.AccountID)
		return nil
	}
	err = j.opt.State.UpdateJob(ctx, jobID, func(job *state.Job) error {
		if job.AccountID != account.UserID {
			return errChanged
		}
		job.SignInNeeded, job.SignedInAt = false, j.opt.Now().UTC()
		return nil
	})
	if errors.Is(err, errChanged) {
		return nil
	}
	return err
}

// errChanged: the job was deleted, or turned to another account, meanwhile.
var errChanged = errors.New("the job is another by now")
