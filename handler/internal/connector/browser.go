package connector

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// What package pages needs of the API, for people in front of a browser.

// Admit is nil for somebody who knows the tenant's id and the secret shared with
// the Compliance Center. Callers that fail often are slowed, on pages and calls
// together. Its errors are for Explain.
func (a *API) Admit(r *http.Request, tenantID, secret string) error {
	return a.auth.admit(r, tenantID, secret)
}

// Key is a key of 32 bytes for one purpose, derived (HKDF, RFC 5869) from the
// secret shared with the Compliance Center. Every instance has the same, and once
// the secret is changed it is another. Errors as secrets.Store.Get's.
func (a *API) Key(ctx context.Context, purpose string) ([]byte, error) {
	key, err := a.Secrets.Get(ctx, secrets.APISecretKey)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, []byte(key), nil, "xarchive "+purpose, 32)
}

// CheckJobID refuses what cannot be a job's id.
func CheckJobID(id string) error { return checkID("jobId", id) }

// SignIn is a sign-in with X as a page does it: who began it, and for what.
type SignIn struct {
	JobID    string
	Browser  string // a secret of the browser that began it
	Callback string // where X sends the browser; registered with the app, to the letter
}

// pageMark sets sign-ins of pages apart from those of calls, whose redirect URL
// has no fragment: no call can take a page's sign-in, even by a bare verifier.
const pageMark = "#page"

func (in SignIn) kept() string { return in.Callback + pageMark }
func (in SignIn) boundTo() string {
	return strings.Join([]string{in.kept(), in.JobID, in.Browser}, "\n")
}

// BeginSignIn gets a request token from X. The browser goes to signInURL next. The
// sign-in lives for ten minutes and can be ended once, by who knows all of SignIn.
// Errors: secrets.ErrReadOnly and those of twitter.RequestToken.
func (a *API) BeginSignIn(ctx context.Context, in SignIn) (token, signInURL string, err error) {
	request, err := a.begin(ctx, in.Callback, in.kept(), in.boundTo())
	if err != nil {
		return "", "", err
	}
	return request.Token, twitter.AuthenticateURL(a.XAPIURL, request), nil
}

// EndSignIn exchanges the verifier that X gave the browser for the account's token
// and keeps that for the job, in place of one from before; the account's cursor
// stays. A verifier that X refuses ends the sign-in too, and nothing is kept of an
// account that the app may not read. While X cannot be reached it may be tried again.
func (a *API) EndSignIn(ctx context.Context, in SignIn, token, verifier string) (twitter.Account, error) {
	begun, err := a.begun(ctx, in, token)
	if err != nil {
		return twitter.Account{}, err
	}
	app, key, err := a.keys(ctx)
	if err != nil {
		return twitter.Account{}, err
	}
	account, err := a.exchangeOne(ctx, begun, in.boundTo(), app, key, verifier)
	var refused *twitter.SignInError
	switch {
	case errors.Is(err, state.ErrNotFound), errors.Is(err, errSeal):
		return twitter.Account{}, fmt.Errorf("%w: %w", errBeginAgain, err)
	case errors.As(err, &refused):
		return twitter.Account{}, errors.Join(bad("X refuses the sign-in (%s). %s.", refused.Said, refused.Advice), a.AbandonSignIn(ctx, token))
	case err != nil:
		return twitter.Account{}, err
	}
	// An app without read permission can sign accounts in, and read nothing.
	_, err = twitter.Me(ctx, a.HTTP, a.XAPIURL, app, account.Token)
	if errors.Is(err, twitter.ErrForbidden) {
		return twitter.Account{}, fmt.Errorf("%w: %w", errNoReadPermission, err)
	}
	if err != nil {
		a.Log.WarnContext(ctx, "it could not be tried whether the account can be read", "job", in.JobID, "error", err.Error())
	}
	return account, a.keepAccount(ctx, in.JobID, account)
}

// begun finds a sign-in that a page began.
func (a *API) begun(ctx context.Context, in SignIn, token string) (state.SignIn, error) {
	signIns, err := a.State.SignIns(ctx)
	if err != nil {
		return state.SignIn{}, err
	}
	for _, s := range signIns {
		if s.Token == token && s.RedirectURL == in.kept() && a.Now().Before(s.ExpiresAt) {
			return s, nil
		}
	}
	return state.SignIn{}, errBeginAgain
}

// AbandonSignIn forgets a sign-in; it is no error if there is none.
func (a *API) AbandonSignIn(ctx context.Context, token string) error {
	if err := a.State.DeleteSignIn(ctx, token); err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	return nil
}

// Setup is how far a job's set-up has come.
type Setup struct {
	Job      *state.Job   // nil: it has not been saved yet
	Account  twitter.User // who has signed in for it; no ID: nobody
	UsedBy   string       // the other job that archives this account; "" if none does
	ReadOnly bool         // the account is the one in the environment; nobody can sign in
}

// Setup tells how far a job's set-up has come; with an error, as far as is known. X
// is asked only where the account comes out of the environment.
func (a *API) Setup(ctx context.Context, jobID string) (Setup, error) {
	setup := Setup{ReadOnly: a.Secrets.Writable() != nil}
	job, err := a.State.Job(ctx, jobID)
	switch {
	case err == nil:
		setup.Job = &job
	case !errors.Is(err, state.ErrNotFound):
		return setup, err
	}
	setup.Account, err = a.signedIn(ctx, jobID)
	if errors.Is(err, errSignInFirst) {
		return setup, nil
	}
	if err != nil {
		return setup, err
	}
	setup.UsedBy, err = a.usedByAnother(ctx, jobID, setup.Account.ID)
	return setup, err
}

// ReadOnly tells whether settings come from the environment, so that nothing can
// be saved and nobody can sign in with X.
func (a *API) ReadOnly() bool { return a.Secrets.Writable() != nil }
