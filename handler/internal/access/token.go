package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"xarchive/handler/internal/secrets"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// ImportService is the application id of Microsoft's Office 365 Import service, the
// same in every tenant. Nothing else calls with a token.
const ImportService = "570d0bec-d001-4c4e-985e-3ab17fdc3073"

// skew is by how much the clocks of Entra and this machine may differ.
const skew = 2 * time.Minute

// maxToken bounds a token, in bytes; Entra's have some 2,000.
const maxToken = 16 << 10

// verifier judges the access tokens that Microsoft's Office 365 Import service calls
// the connector with.
//
// A token is let in when Entra signed it (RS256, with a key that its discovery
// document leads to), for this tenant, for this connector (aud), on behalf of the
// Import service (appid or azp), and when now is within its time. Everything but
// the signature is looked at first, so that only a token that is right in all else
// makes the connector ask Entra for keys. Entra is asked for them once in five seconds
// at most, whatever arrives: an unknown key id or a bad signature cannot make the
// connector hammer it, and a key that Entra began to sign with a moment ago is known soon.
//
// While Entra does not answer, keys that were read before go on serving for up to two days;
// a token that they do not fit is neither let in nor called wrong.
//
// https://learn.microsoft.com/entra/identity-platform/access-tokens
type verifier struct {
	tenantID     string // lower case
	authorityURL string
	secrets      Secrets
	now          func() time.Time
	keys         *keySet
}

func newVerifier(o Options) *verifier {
	v := &verifier{tenantID: strings.ToLower(o.TenantID), authorityURL: o.AuthorityURL, secrets: o.Secrets, now: o.Now}
	v.keys = newKeySet(v.issuer2(), o.HTTP, o.Now)
	return v
}

func (v *verifier) issuer1() string { return "https://sts.windows.net/" + v.tenantID + "/" }
func (v *verifier) issuer2() string { return v.authorityURL + "/" + v.tenantID + "/v2.0" }

// claims are the parts of an access token that decide.
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
type claims struct {
	Issuer    string           `json:"iss"`
	Audience  jwt.Audience     `json:"aud"`
	Tenant    string           `json:"tid"`
	Expiry    *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf"`
	AppID     string           `json:"appid"` // version 1.0
	AZP       string           `json:"azp"`   // version 2.0
}

// verify returns nil for a token that may call, and otherwise [ErrUnauthorized] or
// [ErrUndecided], with the reason for the log.
func (v *verifier) verify(ctx context.Context, token string) error {
	err := v.judge(ctx, token)
	if err == nil || errors.Is(err, ErrUndecided) {
		return err
	}
	return fmt.Errorf("%w: the token is refused: %w", ErrUnauthorized, err)
}

// judge says what is wrong with a token; ErrUndecided does not say that it is wrong.
func (v *verifier) judge(ctx context.Context, token string) error {
	if len(token) > maxToken {
		return fmt.Errorf("the token is longer than %d bytes", maxToken)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return fmt.Errorf("it is not a JWT signed with RS256: %w", err)
	}
	var c claims
	if err := parsed.UnsafeClaimsWithoutVerification(&c); err != nil {
		return fmt.Errorf("its claims cannot be read: %w", err)
	}
	if parsed.Headers[0].KeyID == "" {
		return errors.New("it names no key (kid)")
	}
	if err := v.check(ctx, c); err != nil {
		return err
	}
	verified, err := oidc.NewVerifier(c.Issuer, v.keys, &oidc.Config{
		SupportedSigningAlgs: []string{oidc.RS256},
		SkipClientIDCheck:    true, // there are two; check has seen to it
		Now:                  func() time.Time { return v.now().Add(-skew) },
	}).Verify(ctx, token)
	if err != nil {
		return fmt.Errorf("%w%w", v.keys.undecided(ctx), err)
	}
	c = claims{}
	if err := verified.Claims(&c); err != nil {
		return fmt.Errorf("its claims cannot be read: %w", err)
	}
	return v.check(ctx, c) // now of what is signed
}

// check judges everything but the signature.
func (v *verifier) check(ctx context.Context, c claims) error {
	app := c.AppID
	switch c.Issuer {
	case v.issuer1():
	case v.issuer2():
		app = c.AZP
	default:
		return fmt.Errorf("it is of another issuer: %.200q", c.Issuer)
	}
	now := v.now()
	switch {
	case !strings.EqualFold(c.Tenant, v.tenantID):
		return fmt.Errorf("it is of another tenant (tid): %.100q", c.Tenant)
	case app != ImportService, c.AppID != "" && c.AppID != app, c.AZP != "" && c.AZP != app:
		return fmt.Errorf("it is another application's (appid, azp): %.100q", app)
	case c.Expiry == nil:
		return errors.New("it has no end (exp)")
	case !now.Add(-skew).Before(c.Expiry.Time()):
		return fmt.Errorf("it ended at %s; if that is still to come, this machine's clock is wrong", c.Expiry.Time().UTC().Format(time.RFC3339))
	case c.NotBefore != nil && now.Add(skew).Before(c.NotBefore.Time()):
		return fmt.Errorf("it begins at %s; if that has passed, this machine's clock is wrong", c.NotBefore.Time().UTC().Format(time.RFC3339))
	}
	return v.checkAudience(ctx, c.Audience)
}

// checkAudience wants one of the connector's own ids. One that is not set fits nothing.
func (v *verifier) checkAudience(ctx context.Context, audience jwt.Audience) error {
	var unset []string
	for _, name := range []string{secrets.AADApplicationURI, secrets.AADApplicationID} {
		id, err := v.secrets.Get(ctx, name)
		switch {
		case errors.Is(err, secrets.ErrNotSet), err == nil && id == "":
			unset = append(unset, name)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrUndecided, err)
		default:
			for _, one := range audience {
				if one == id || name == secrets.AADApplicationID && strings.EqualFold(one, id) {
					return nil
				}
			}
		}
	}
	if len(unset) > 0 {
		return fmt.Errorf("it is for %.200q, which no secret names (not set: %s)", audience, strings.Join(unset, ", "))
	}
	return fmt.Errorf("it is for another application (aud): %.200q", audience)
}
