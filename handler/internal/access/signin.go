package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// People sign in with Microsoft Entra by the authorization code flow of OpenID Connect, with
// PKCE, state and nonce, as the connector's own app:
//
//	browser ─► BeginSignIn ─► Entra's page ─► browser comes back with a code ─► EndSignIn
//
// What they may do is an app role of that app, which Entra puts into the ID token.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
// https://learn.microsoft.com/entra/identity-platform/howto-add-app-roles-in-apps

// Role is what a person may do.
type Role string

// The roles, in the words of the ID token's claim roles. They are stored in the log of
// changes: none changes its meaning.
const (
	Reader        Role = "Reader"        // sees everything but secrets, changes nothing
	Administrator Role = "Administrator" // may do everything
)

// Person is who has signed in.
type Person struct {
	// ObjectID, User and Name are Entra's: id in the directory, user principal name (the name,
	// or else the id, where there is none), and what the person is called. "" for somebody who knows the shared secret.
	ObjectID string `json:"o,omitempty"`
	User     string `json:"u,omitempty"`
	Name     string `json:"n,omitempty"`
	Role     Role   `json:"r"` // "": none, so that there is no session
}

// Known reports whether it is known who it is: not of somebody with the shared secret.
func (p Person) Known() bool { return p.ObjectID != "" }

// SignIn is what the browser keeps between the beginning and the end of a sign-in with
// Entra. Only this browser can end it.
type SignIn struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE, RFC 7636
	Ends     int64  `json:"e"` // Unix seconds
}

// EntraSignInLife is how long a sign-in with Entra may take.
const EntraSignInLife = 10 * time.Minute

// maxName bounds what is kept of a person's names, in characters.
const maxName = 100

// EntraOffered reports whether people can sign in with Entra: whether the id and the secret of
// the connector's app are known.
func (a *Access) EntraOffered(ctx context.Context) bool {
	_, err := a.client(ctx, "")
	return err == nil
}

// errNoEntra: there is no app with which people could sign in.
var errNoEntra = fault.Refuse(fault.Settings, "Signing in with Microsoft is not set up: the Entra app's ID or secret is missing.")

// client is the connector's app at Entra, without endpoints.
func (a *Access) client(ctx context.Context, callback string) (*oauth2.Config, error) {
	if a.tokens == nil {
		return nil, errNoEntra
	}
	id, err := a.opt.Secrets.Get(ctx, secrets.AADApplicationID)
	var secret string
	if err == nil {
		secret, err = a.opt.Secrets.Get(ctx, secrets.AADApplicationSecret)
	}
	switch {
	case errors.Is(err, secrets.ErrNotSet), err == nil && (id == "" || secret == ""):
		return nil, errNoEntra
	case err != nil:
		return nil, errors.Join(ErrUndecided, err)
	}
	return &oauth2.Config{ClientID: strings.ToLower(id), ClientSecret: secret, RedirectURL: callback, Scopes: []string{oidc.ScopeOpenID, "profile"}}, nil
}

// errEntraDown says that Entra cannot be asked.
func errEntraDown(err error) error {
	return fault.RefuseWith(fault.UnknownAuthority, "Microsoft Entra cannot be reached, so nobody can sign in with it now. Try again in a minute, or sign in with the APISecretKey.", err)
}

func (a *Access) clientAtEntra(ctx context.Context, callback string) (*oauth2.Config, error) {
	config, err := a.client(ctx, callback)
	if err != nil {
		return nil, err
	}
	if config.Endpoint, err = a.tokens.keys.signIn(ctx); err != nil {
		return nil, errEntraDown(err)
	}
	return config, nil
}

// BeginSignIn returns where a browser goes to sign in, and what it must keep. callback is
// where Entra sends it back to; it must be registered with the app. Errors know their cause.
func (a *Access) BeginSignIn(ctx context.Context, callback string) (address string, kept SignIn, err error) {
	config, err := a.clientAtEntra(ctx, callback)
	if err != nil {
		return "", SignIn{}, fmt.Errorf("beginning a sign-in with Entra: %w", err)
	}
	kept = SignIn{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Ends: a.opt.Now().Add(EntraSignInLife).Unix()}
	return config.AuthCodeURL(kept.State, oidc.Nonce(kept.Nonce), oauth2.S256ChallengeOption(kept.Verifier),
		oauth2.SetAuthURLParam("prompt", "select_account")), kept, nil
}

// Began reports whether a state that comes back is that of a sign-in, in time.
func (a *Access) Began(kept SignIn, state string) bool {
	return kept.State != "" && kept.Nonce != "" && kept.Verifier != "" && same(kept.State, state) && a.opt.Now().Unix() < kept.Ends
}

// EndSignIn exchanges the code that a browser came back with for the ID token, and returns
// who it is. A person without a role is no error. Errors: [ErrUnauthorized] if Entra or the
// connector refuses, [fault.TooManyAttempts] for a caller that has failed often and may not
// make Entra be asked, and others that know their cause where it cannot be told now.
func (a *Access) EndSignIn(r *http.Request, callback, code string, kept SignIn) (p Person, err error) {
	if wait := a.throttle.spent(Caller(r)); wait > 0 {
		return Person{}, slowed{wait}
	}
	err = a.attempt(r, func() error {
		p, err = a.endSignIn(r.Context(), callback, code, kept)
		return err
	})
	if err != nil {
		return Person{}, fmt.Errorf("ending a sign-in with Entra: %w", err)
	}
	return p, nil
}

func (a *Access) endSignIn(ctx context.Context, callback, code string, kept SignIn) (Person, error) {
	config, err := a.clientAtEntra(ctx, callback)
	if err != nil {
		return Person{}, err
	}
	hc := &http.Client{Transport: a.opt.HTTP.Transport, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	token, err := config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, hc), code, oauth2.VerifierOption(kept.Verifier))
	if err != nil {
		return Person{}, refusedAtEntra(err)
	}
	text, _ := token.Extra("id_token").(string)
	p, err := a.tokens.person(ctx, text, config.ClientID, kept.Nonce)
	if err != nil && !errors.Is(err, ErrUndecided) {
		return Person{}, fmt.Errorf("%w: the ID token is refused: %w", ErrUnauthorized, err)
	}
	return p, err
}

// refusedAtEntra says what it means that Entra gives no token for a code.
func refusedAtEntra(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil || refused.Response.StatusCode >= 500 {
		return errEntraDown(err)
	}
	var answer struct {
		Codes []int `json:"error_codes"`
	}
	_ = json.Unmarshal(refused.Body, &answer) // not every answer has them
	switch refused.ErrorCode {
	case "invalid_client", "unauthorized_client":
		sentence := "Entra does not accept the connector's client secret. Make a new one in the app registration, and enter it under Settings."
		if len(answer.Codes) > 0 {
			sentence = fault.EntraRefusal(answer.Codes[0])
		}
		return fault.RefuseWith(fault.EntraSignIn, sentence+" Until then, sign in with the APISecretKey.", err)
	}
	return fmt.Errorf("%w: Entra refuses the code: %w", ErrUnauthorized, err)
}

// person judges an ID token that Entra gave the connector's app for one sign-in.
// https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
func (v *verifier) person(ctx context.Context, token, app, nonce string) (Person, error) {
	if token == "" || len(token) > maxToken {
		return Person{}, errors.New("there is none, or it is too long")
	}
	verified, err := oidc.NewVerifier(v.issuer2(), v.keys, &oidc.Config{
		SupportedSigningAlgs: []string{oidc.RS256},
		ClientID:             app,
		Now:                  func() time.Time { return v.now().Add(-skew) },
	}).Verify(ctx, token)
	if err != nil {
		return Person{}, fmt.Errorf("%w%w", v.keys.undecided(ctx), err)
	}
	var c struct {
		Tenant   string `json:"tid"`
		ObjectID string `json:"oid"`
		User     string `json:"preferred_username"`
		Name     string `json:"name"`
		Roles    []Role `json:"roles"`
	}
	if err := verified.Claims(&c); err != nil {
		return Person{}, fmt.Errorf("its claims cannot be read: %w", err)
	}
	switch {
	case nonce == "" || !same(verified.Nonce, nonce):
		return Person{}, errors.New("it is of another sign-in (nonce)")
	case len(verified.Audience) != 1:
		return Person{}, fmt.Errorf("it is for others, too (aud): %.200q", verified.Audience)
	case !strings.EqualFold(c.Tenant, v.tenantID):
		return Person{}, fmt.Errorf("it is of another tenant (tid): %.100q", c.Tenant)
	case c.ObjectID == "" || len(c.ObjectID) > maxName:
		return Person{}, errors.New("it does not say who it is (oid)")
	case v.now().Add(skew).Before(verified.IssuedAt):
		return Person{}, fmt.Errorf("it was made at %s; if that has passed, this machine's clock is wrong", verified.IssuedAt.UTC().Format(time.RFC3339))
	}
	p := Person{ObjectID: c.ObjectID, User: cmp.Or(short(c.User), short(c.Name), c.ObjectID), Name: short(c.Name)}
	for _, role := range []Role{Administrator, Reader} {
		if slices.Contains(c.Roles, role) {
			p.Role = role
			break
		}
	}
	return p, nil
}

// short bounds a name, and leaves out what is not to be shown: control characters, and those
// that would put what the log of changes says beside the name in another order. Joiners stay, of
// which some scripts' names are made.
func short(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) && !unicode.IsSpace(r) && r != '\u200c' && r != '\u200d' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	name = strings.Join(strings.Fields(name), " ")
	for utf8.RuneCountInString(name) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}
