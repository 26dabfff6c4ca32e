package twitter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dghubble/oauth1"
	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"
)

// A sign-in is OAuth 1.0a's three-legged flow (RFC 5849, section 2):
// [RequestToken], the browser at [AuthenticateURL], then [AccessToken] with
// what X gave the browser for the way back.
// https://docs.x.com/resources/fundamentals/authentication/oauth-1-0a/obtaining-user-access-tokens

// Account is an account of X that has signed in.
type Account struct {
	Token      Token // access token
	UserID     string
	ScreenName string // handle, without @
}

// SignInError is a step of the sign-in that X refuses.
type SignInError struct {
	Kind   error  // [ErrUnauthorized], [ErrForbidden] or [ErrInvalid]
	Code   int    // X's error code; 0 if it gave none
	Said   string // what X said, on one line
	Advice string // a sentence on what to do, for people
}

func (e *SignInError) Error() string { return fmt.Sprintf("%v: %s. %s", e.Kind, e.Said, e.Advice) }

func (e *SignInError) Unwrap() error { return e.Kind }

// FaultCause implements [fault.Caused].
func (e *SignInError) FaultCause() fault.Cause {
	if e.Code == codeClock {
		return fault.Clock
	}
	return fault.XSignIn
}

// codeClock is X's "Timestamp out of bounds."
const codeClock = 135

// RequestToken begins a sign-in. X will send the browser back to callback, which
// must be registered with the app, character for character. It returns a
// [*SignInError] if X refuses, [ErrClock] if it does so because this machine's
// clock is wrong, a [*RateLimitError], or [ErrUnavailable].
func RequestToken(ctx context.Context, hc *http.Client, baseURL string, app App, callback string) (Token, error) {
	var token Token
	_, err := signInStep(ctx, hc, baseURL, app, callback, func(c *oauth1.Config) (err error) {
		token.Token, token.Secret, err = c.RequestToken()
		return err
	})
	if err != nil {
		return Token{}, fmt.Errorf("beginning a sign-in with X: %w", err)
	}
	return token, nil
}

// AuthenticateURL returns where the browser goes to sign in, for a request token.
func AuthenticateURL(baseURL string, request Token) string {
	return baseURL + "/oauth/authenticate?" + url.Values{"oauth_token": {request.Token}}.Encode()
}

// AccessToken ends a sign-in: it exchanges the request token and the verifier that
// X gave the browser for the account's access token, which X does once. It returns
// a [*SignInError] if X refuses, [ErrClock], a [*RateLimitError], or
// [ErrUnavailable].
func AccessToken(ctx context.Context, hc *http.Client, baseURL string, app App, request Token, verifier string) (Account, error) {
	var token Token
	body, err := signInStep(ctx, hc, baseURL, app, "", func(c *oauth1.Config) (err error) {
		token.Token, token.Secret, err = c.AccessToken(request.Token, request.Secret, verifier)
		return err
	})
	if err != nil {
		return Account{}, fmt.Errorf("ending a sign-in with X: %w", err)
	}
	// The oauth1 library drops whose token it is.
	answer, err := url.ParseQuery(strings.TrimSpace(string(body)))
	account := Account{Token: token, UserID: answer.Get("user_id"), ScreenName: answer.Get("screen_name")}
	if err != nil || post.CheckID(account.UserID) != nil { // blobs are named by it
		return Account{}, fmt.Errorf("ending a sign-in with X: %w: it does not say whose token it gave", ErrUnavailable)
	}
	return account, nil
}

// Me asks X whose token it is. It returns [ErrUnauthorized] if X does not accept
// the token or the keys, [ErrForbidden] if the app has no read permission or the
// account is suspended, or another of this package's errors. X bills the read of a user.
func Me(ctx context.Context, hc *http.Client, baseURL string, app App, token Token, count Counter) (User, error) {
	const what = "asking X whose token it is"
	c := NewClient(hc, baseURL, app, token).Counting(count)
	rec, err := call(ctx, what, func(ctx context.Context) error {
		_, err := c.api.AuthUserLookup(ctx, gotwitter.UserLookupOpts{})
		return err
	})
	if err != nil {
		return User{}, err
	}
	if err := c.counted(ctx, rec, Users, dataIDs(rec.body)); err != nil {
		return User{}, fmt.Errorf("%s: counting what X sent: %w", what, err)
	}
	u, err := readUser(rec.body)
	if err == nil && post.CheckID(u.ID) != nil {
		err = fmt.Errorf("%w: it names no account", ErrIncomplete)
	}
	if err != nil {
		return User{}, fmt.Errorf("%s: %w", what, err)
	}
	return User{ID: u.ID, Name: u.Name, Username: u.Username}, nil
}

// nobodys is an id that X gave no post.
const nobodys = "1"

// Try makes a read that costs nothing: X bills what it sends, and sends nothing of a
// post that there is not. It returns nil if X answers, else [ErrUnauthorized],
// [ErrForbidden], a [*RateLimitError] or another of this package's errors: X refuses
// whom it serves nothing before it looks for the post.
func Try(ctx context.Context, hc *http.Client, baseURL string, app App, token Token) error {
	_, err := NewClient(hc, baseURL, app, token).Lookup(ctx, []string{nobodys})
	if err != nil {
		return fmt.Errorf("trying a read: %w", err)
	}
	return nil
}

// WhatIsRefused says what X refuses after a call ended with [ErrUnauthorized], which
// does not tell: [ErrKeys] or [ErrToken]. It begins a sign-in that nobody will end,
// which costs nothing and takes the app's keys alone; that its callback is not
// registered does not matter. Where X does not say, the error is unauthorized's own.
func (c *Client) WhatIsRefused(ctx context.Context, unauthorized error) error {
	_, err := RequestToken(ctx, c.http, c.base, c.app, "oob")
	switch {
	case err == nil, errors.Is(err, ErrForbidden):
		return fmt.Errorf("%w: %w", ErrToken, unauthorized)
	case errors.Is(err, ErrUnauthorized):
		return fmt.Errorf("%w: %w", ErrKeys, unauthorized)
	}
	return unauthorized
}

// signInTimeout bounds one step; a person is waiting for it.
const signInTimeout = 20 * time.Second

// signInStep makes one call with the oauth1 library and returns the answer's
// body. The library knows no context, reads an answer of any length and hides the
// status, so the client given to it brings all three.
func signInStep(ctx context.Context, hc *http.Client, baseURL string, app App, callback string, do func(*oauth1.Config) error) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
	defer cancel()
	var rec record
	client := recording(hc, "")
	client.Transport = withContext{context.WithValue(ctx, recordKey{}, &rec), client.Transport}
	err := do(&oauth1.Config{
		ConsumerKey: app.Key, ConsumerSecret: app.Secret, CallbackURL: callback, HTTPClient: client,
		Endpoint: oauth1.Endpoint{RequestTokenURL: baseURL + "/oauth/request_token", AccessTokenURL: baseURL + "/oauth/access_token"},
	})
	switch {
	case err == nil:
		return rec.body, nil
	case rec.status == 0:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case rec.status/100 == 2:
		return nil, fmt.Errorf("%w: its answer holds no token", ErrUnavailable)
	}
	return nil, signInError(rec, callback)
}

// withContext sends requests under a context of its own. It keeps the context
// because the oauth1 library takes a client and none: it lives for one step.
type withContext struct {
	ctx  context.Context
	base http.RoundTripper
}

func (t withContext) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.base.RoundTrip(req.WithContext(t.ctx))
}

// xCode and xMessage find X's error code and words in either form that the OAuth
// endpoints answer in:
//
//	{"errors":[{"code":32,"message":"Could not authenticate you."}]}
//	<errors><error code="415">Callback URL not approved for this client application.</error></errors>
var (
	xCode    = regexp.MustCompile(`"code"\s*:\s*([0-9]{1,6})|\bcode="([0-9]{1,6})"`)
	xMessage = regexp.MustCompile(`<error[^s][^>]*>([^<]*)</error>`)
)

func oneLine(text []byte) string { return strings.Join(strings.Fields(string(text)), " ") }

// signInError says what a refused step means and what to do about it.
// https://docs.x.com/x-api/fundamentals/response-codes-and-errors
func signInError(rec record, callback string) error {
	err := statusError(rec, time.Now())
	refused := &SignInError{Said: explain(rec.body)}
	for _, kind := range []error{ErrUnauthorized, ErrForbidden, ErrInvalid} {
		if errors.Is(err, kind) {
			refused.Kind = kind
		}
	}
	if refused.Kind == nil {
		return err
	}
	if m := xCode.FindSubmatch(rec.body); m != nil {
		refused.Code, _ = strconv.Atoi(string(m[1]) + string(m[2]))
	}
	if m := xMessage.FindSubmatch(rec.body); m != nil {
		refused.Said = fmt.Sprintf("code %d: %s", refused.Code, oneLine(m[1]))
	} else if plain := oneLine(rec.body); plain != "" && len(plain) < 200 && !strings.ContainsAny(plain[:1], "{[<") {
		refused.Said = plain
	}
	switch {
	case refused.Code == 415 || refused.Code == 0 && callback != "" && refused.Kind == ErrForbidden:
		refused.Advice = "Register this callback URL with the app in X's developer portal (User authentication settings), exactly as it is written here: " + callback
	case refused.Code == codeClock:
		refused.Advice = "The clock of the machine that runs the connector differs from X's: set it right"
	case refused.Code == 416:
		refused.Advice = "X has suspended the app: look into X's developer portal"
	case callback == "" && (refused.Code == 89 || refused.Code == 0):
		refused.Advice = "The sign-in has run out or was used already: begin it again"
	case refused.Kind == ErrUnauthorized:
		refused.Advice = "Enter the app's API Key and API Secret Key under Settings (secrets twitter-api-key and twitter-api-secret-key; X's developer portal, Keys and tokens), then sign in again"
	default:
		refused.Advice = "Look into the app's settings in X's developer portal (User authentication settings), then sign in again"
	}
	return refused
}
