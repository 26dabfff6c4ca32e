package jobs

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/loopback"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// maxTries is how many sign-ins are tried with a verifier that does not say which
// one it is for.
const maxTries = 5

// OAuthURL begins a sign-in for a call and returns where the browser is to go. X
// sends the browser to redirectURL afterwards.
func (j *Jobs) OAuthURL(ctx context.Context, redirectURL string) (string, error) {
	if err := checkRedirect(redirectURL); err != nil {
		return "", err
	}
	request, err := j.begin(ctx, state.SignIn{RedirectURL: redirectURL}, redirectURL)
	if err != nil {
		return "", err
	}
	return twitter.AuthenticateURL(j.opt.XAPIURL, request), nil
}

// StoreToken ends a sign-in that a call began, and keeps the account's token for
// the job. code is what X gave the browser: the whole query, or the verifier alone.
func (j *Jobs) StoreToken(ctx context.Context, jobID, redirectURL, code string) error {
	if err := checkRedirect(redirectURL); err != nil {
		return err
	}
	token, verifier, err := parseAccessCode(code)
	if err != nil {
		return err
	}
	if err := j.opt.Secrets.Writable(); err != nil {
		return err
	}
	begun, err := j.candidates(ctx, token, redirectURL)
	if err != nil {
		return err
	}
	account, err := j.exchangeOneOf(ctx, begun, verifier)
	if err != nil {
		return err
	}
	return j.keepAccount(ctx, jobID, account)
}

// candidates are the sign-ins that a verifier may be for: the one that token names,
// or else the newest with this redirect URL.
func (j *Jobs) candidates(ctx context.Context, token, redirectURL string) ([]state.SignIn, error) {
	if token == "" {
		all, err := j.opt.State.SignIns(ctx, j.opt.Now())
		return choose(all, redirectURL), err
	}
	in, err := j.opt.State.SignIn(ctx, token, j.opt.Now())
	if errors.Is(err, state.ErrNotFound) || err == nil && in.Token != token {
		return nil, nil
	}
	return choose([]state.SignIn{in}, redirectURL), err
}

// choose returns the newest calls' sign-ins with this redirect URL.
func choose(all []state.SignIn, redirectURL string) []state.SignIn {
	fit := slices.DeleteFunc(slices.Clone(all), func(in state.SignIn) bool {
		return in.Page || !strings.EqualFold(in.RedirectURL, redirectURL)
	})
	slices.SortFunc(fit, func(x, y state.SignIn) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return fit[:min(len(fit), maxTries)]
}

// exchangeOneOf ends the first of the sign-ins for which X takes the verifier.
func (j *Jobs) exchangeOneOf(ctx context.Context, begun []state.SignIn, verifier string) (twitter.Account, error) {
	if len(begun) == 0 {
		return twitter.Account{}, errBeginAgain
	}
	app, key, err := j.signInKeys(ctx)
	if err != nil {
		return twitter.Account{}, err
	}
	last := errBeginAgain
	for _, in := range begun {
		account, err := j.exchange(ctx, in, in.RedirectURL, app, key, verifier)
		switch {
		case err == nil:
			return account, nil
		case refusedSignIn(err) != nil:
			last = fault.RefuseWith(fault.BadRequest, refusalOfX(refusedSignIn(err)), err)
		case errors.Is(err, state.ErrNotFound), errors.Is(err, errSeal):
			// taken by another, or begun before the shared secret was changed
		default:
			return twitter.Account{}, troubleAtX(err)
		}
	}
	return twitter.Account{}, last
}

// parseAccessCode reads what X gave the browser: the whole query, which names the
// sign-in, or the bare verifier.
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
