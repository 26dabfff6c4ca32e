package connector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/loopback"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

const (
	// signInLife is how long a sign-in may take.
	signInLife = 10 * time.Minute

	// maxTries is how many sign-ins under way are tried with a verifier that does
	// not say which one it is for.
	maxTries = 5
)

var errBeginAgain = bad("This sign-in has run out or was used already. Begin it again.")

// oauthURL is GET /api/ConnectorSetup/OAuthUrl?jobType=Twitter&redirectUrl=: it
// begins a sign-in and says where the browser is to go.
func (a *API) oauthURL(r *http.Request) (any, error) {
	if err := checkJobType(r); err != nil {
		return nil, err
	}
	redirect := query(r, "redirectUrl")
	if err := checkRedirect(redirect); err != nil {
		return nil, err
	}
	request, err := a.begin(r.Context(), redirect, redirect, redirect)
	if err != nil {
		return nil, err
	}
	return twitter.AuthenticateURL(a.XAPIURL, request), nil
}

// begin gets a request token and keeps it, until the sign-in ends, under the name
// kept, sealed for what it is bound to (see seal.go).
func (a *API) begin(ctx context.Context, callback, kept, boundTo string) (twitter.Token, error) {
	if err := a.Secrets.Writable(); err != nil {
		return twitter.Token{}, err // the sign-in could not be saved in the end
	}
	app, key, err := a.keys(ctx)
	if err != nil {
		return twitter.Token{}, err
	}
	request, err := twitter.RequestToken(ctx, a.HTTP, a.XAPIURL, app, callback)
	if err != nil {
		return twitter.Token{}, err
	}
	sealed, err := seal(key, request.Token, boundTo, request.Secret)
	if err != nil {
		return twitter.Token{}, fmt.Errorf("sealing a sign-in: %w", err)
	}
	now := a.Now().UTC()
	err = a.State.PutSignIn(ctx, state.SignIn{Token: request.Token, Sealed: sealed, RedirectURL: kept, CreatedAt: now, ExpiresAt: now.Add(signInLife)})
	return request, err
}

// keys are what every step of a sign-in needs: the app's keys, read anew, since
// somebody is setting the connector up and may just have put them right; and the
// secret under which the step is sealed.
func (a *API) keys(ctx context.Context) (app twitter.App, seal string, err error) {
	a.Secrets.ForgetX("")
	if app, err = a.Secrets.XApp(ctx); err != nil {
		return app, "", err
	}
	seal, err = a.Secrets.Get(ctx, secrets.APISecretKey)
	return app, seal, err
}

// storeToken is POST /api/ConnectorSetup/StoreToken: it ends a sign-in and keeps
// the account's token for the job.
func (a *API) storeToken(r *http.Request) (any, error) {
	var in struct{ TemporaryAccessCode, RedirectURL, JobID string }
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := checkID("jobId", in.JobID); err != nil {
		return nil, err
	}
	if err := checkRedirect(in.RedirectURL); err != nil {
		return nil, err
	}
	token, verifier, err := parseAccessCode(in.TemporaryAccessCode)
	if err != nil {
		return nil, err
	}
	if err := a.Secrets.Writable(); err != nil {
		return nil, err
	}
	ctx := r.Context()
	signIns, err := a.State.SignIns(ctx)
	if err != nil {
		return nil, err
	}
	account, err := a.exchange(ctx, candidates(signIns, token, in.RedirectURL, a.Now()), verifier)
	if err != nil {
		return nil, err
	}
	return true, a.keepAccount(ctx, in.JobID, account)
}

// keepAccount keeps the token of an account that has signed in for a job.
func (a *API) keepAccount(ctx context.Context, jobID string, account twitter.Account) error {
	if err := a.Secrets.SetXAccount(ctx, jobID, account); err != nil {
		return err
	}
	a.Log.InfoContext(ctx, "account signed in", "job", jobID, "account", account.UserID, "handle", account.ScreenName)
	return a.signedInAgain(ctx, jobID, account)
}

// signedInAgain notes that a job that exists has its account back. With another
// account the job stays as it is until SavePage says that it is meant.
func (a *API) signedInAgain(ctx context.Context, jobID string, account twitter.Account) error {
	job, err := a.State.Job(ctx, jobID)
	if errors.Is(err, state.ErrNotFound) {
		return nil // the job is still being set up
	}
	if err != nil {
		return err
	}
	if job.AccountID != account.UserID {
		a.Log.WarnContext(ctx, "a job's sign-in was with another account than the job's", "job", jobID, "account", account.UserID, "jobAccount", job.AccountID)
		return nil
	}
	if !job.SignInNeeded {
		return nil
	}
	job.SignInNeeded = false
	return a.State.PutJob(ctx, job)
}

// parseAccessCode reads what the page got back from X: the whole query, which names
// the sign-in, or the bare verifier.
func parseAccessCode(code string) (token, verifier string, err error) {
	code = strings.TrimPrefix(strings.TrimSpace(code), "?")
	verifier = code
	if strings.Contains(code, "=") {
		values, err := url.ParseQuery(code)
		if err != nil {
			return "", "", bad("temporaryAccessCode is neither a verifier nor a query.")
		}
		if values.Has("denied") {
			return "", "", bad("The sign-in was cancelled at X. Begin it again.")
		}
		token, verifier = values.Get("oauth_token"), values.Get("oauth_verifier")
	}
	if verifier == "" || len(verifier) > 512 || len(token) > 512 {
		return "", "", bad("temporaryAccessCode must be the oauth_verifier that X gave, or oauth_token=…&oauth_verifier=….")
	}
	return token, verifier, nil
}

// candidates are the sign-ins under way that a verifier may be for: the one it
// names, or else those with its redirect URL, the newest first.
func candidates(signIns []state.SignIn, token, redirectURL string, now time.Time) []state.SignIn {
	signIns = slices.DeleteFunc(slices.Clone(signIns), func(in state.SignIn) bool {
		return !now.Before(in.ExpiresAt) || !strings.EqualFold(in.RedirectURL, redirectURL) || token != "" && in.Token != token
	})
	slices.SortFunc(signIns, func(x, y state.SignIn) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return signIns[:min(len(signIns), maxTries)]
}

// exchange ends the first of the sign-ins for which X takes the verifier.
func (a *API) exchange(ctx context.Context, signIns []state.SignIn, verifier string) (twitter.Account, error) {
	if len(signIns) == 0 {
		return twitter.Account{}, errBeginAgain
	}
	app, key, err := a.keys(ctx)
	if err != nil {
		return twitter.Account{}, err
	}
	last := errBeginAgain
	for _, in := range signIns {
		account, err := a.exchangeOne(ctx, in, in.RedirectURL, app, key, verifier)
		var refused *twitter.SignInError
		switch {
		case err == nil:
			return account, nil
		case errors.As(err, &refused):
			last = bad("X refuses the sign-in (%s). %s.", refused.Said, refused.Advice)
		case errors.Is(err, state.ErrNotFound), errors.Is(err, errSeal):
			// taken by another, or begun before the shared secret was changed
		default:
			return twitter.Account{}, err
		}
	}
	return twitter.Account{}, last
}

// exchangeOne takes a sign-in, so that no other instance does, and ends it. It is
// put back where X does not take it: it may be another person's, or X be down.
func (a *API) exchangeOne(ctx context.Context, in state.SignIn, boundTo string, app twitter.App, key, verifier string) (twitter.Account, error) {
	if err := a.State.DeleteSignIn(ctx, in.Token); err != nil {
		return twitter.Account{}, err
	}
	secret, err := unseal(key, in.Token, boundTo, in.Sealed)
	if err != nil {
		return twitter.Account{}, err
	}
	account, err := twitter.AccessToken(ctx, a.HTTP, a.XAPIURL, app, twitter.Token{Token: in.Token, Secret: secret}, verifier)
	if err == nil {
		return account, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if putErr := a.State.PutSignIn(ctx, in); putErr != nil {
		a.Log.WarnContext(ctx, "a sign-in is lost and has to be begun again", "error", putErr.Error())
	}
	return twitter.Account{}, err
}

// checkRedirect refuses what cannot be the connector's page for X's callback.
func checkRedirect(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return bad("redirectUrl is missing.")
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "",
		u.Scheme != "https" && !(u.Scheme == "http" && loopback.Host(u.Hostname())),
		!strings.HasSuffix(strings.ToLower(u.Path), "/views/twitteroauth"):
		return bad("redirectUrl must be https://<the connector's host>/Views/TwitterOAuth.")
	}
	return nil
}

func checkJobType(r *http.Request) error {
	if !strings.EqualFold(query(r, "jobType"), "Twitter") {
		return bad("jobType must be Twitter.")
	}
	return nil
}
