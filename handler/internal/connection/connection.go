// Package connection tries the connector's connections, for the settings page and
// for the terminal: X, Entra, storage and Key Vault, each by a real call that
// changes nothing. Package fault says what an error means to the administrator.
package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/twitter"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Secrets gives the secrets as they are now; *secrets.Store, with its errors.
type Secrets interface {
	Refresh(ctx context.Context, name string) (string, error)
	Writable() error // not nil: there is no Key Vault
}

// Options is what a Checker needs.
type Options struct {
	TenantID     string
	XAPIURL      string       // without trailing slash
	XHTTP        *http.Client // for X
	AuthorityURL string       // Entra's, without trailing slash
	EntraHTTP    *http.Client // for Entra
	Secrets      Secrets
	// Reach tries both containers.
	Reach func(ctx context.Context) error
	// Events asks X whether it sends its events here; nil: it is not to.
	Events func(ctx context.Context) error
}

// Checker tries connections.
type Checker struct{ opt Options }

// New returns a checker. Nothing is sent yet.
func New(o Options) *Checker { return &Checker{o} }

// Test is one of the connector's connections, and how it is tried.
type Test struct {
	Name string
	Good string // what is said when it works
	// Try returns nil, or an error that says with [fault.Of] what failed and what to
	// do. Neither holds a secret.
	Try func(context.Context) error
}

// Names are the names of the tests, in their order.
func Names() []string { return []string{"X", "Microsoft Entra", "Storage", "Key Vault"} }

// Tests returns all tests. callback is the address that must be registered with
// the app at X.
func (c *Checker) Tests(callback string) []Test {
	vault := "Secrets can be read."
	if c.opt.Secrets.Writable() != nil {
		vault = "No Key Vault is set; secrets come from the environment."
	}
	name := Names()
	tests := []Test{
		{name[0], "X accepts the app's keys, and the callback address is registered. The test costs nothing.", func(ctx context.Context) error { return c.x(ctx, callback) }},
		{name[1], "Entra gives a token for the Office 365 Import service.", c.entra},
		{name[2], "Both containers can be reached.", c.storage},
		{name[3], vault, c.keyVault},
	}
	if c.opt.Events != nil {
		tests = append(tests, Test{"X's events", "X sends its events here.", c.opt.Events})
	}
	return tests
}

// Words compares the names that X is asked for with X's published specification. It
// needs no keys. What it says is a sentence; wrong reports whether a name is missing,
// unknown whether X's specification could not be had.
func (c *Checker) Words(ctx context.Context) (sentence string, wrong, unknown bool) {
	got, err := twitter.Compare(ctx, c.opt.XHTTP, c.opt.XAPIURL)
	switch {
	case err != nil:
		return "Not compared with X's specification: it cannot be reached at " + c.opt.XAPIURL + "/2/openapi.json.", false, true
	case len(got.Unknown) > 0:
		return fmt.Sprintf("X's specification %s does not have these names, which X is asked for: %s. X leaves out in silence what it does not know. Look for a newer version of the connector.",
			got.Version, strings.Join(got.Unknown, ", ")), true, false
	}
	words := map[post.Vocabulary]string{post.TweetWords: "the older words (tweet)", post.PostWords: "the newer words (post)"}
	var spoken []string
	for _, v := range got.Vocabularies {
		spoken = append(spoken, words[v])
	}
	return fmt.Sprintf("X's specification %s has every name that X is asked for, in %s.", got.Version, strings.Join(spoken, " and ")), false, false
}

// x begins a sign-in that nobody will end: X then judges the app's keys and whether
// the callback address is registered. Where the settings have an access token, a read
// is tried with it, too. Neither costs anything.
func (c *Checker) x(ctx context.Context, callback string) error {
	values, err := c.read(ctx, secrets.TwitterAPIKey, secrets.TwitterAPISecretKey)
	if err != nil {
		return err
	}
	app := twitter.App{Key: values[0], Secret: values[1]}
	if _, err := twitter.RequestToken(ctx, c.opt.XHTTP, c.opt.XAPIURL, app, callback); err != nil {
		return troubleAtX(err)
	}
	values, err = c.read(ctx, secrets.TwitterAccessToken, secrets.TwitterAccessTokenSecret)
	if errors.Is(err, secrets.ErrNotSet) {
		return nil // each job has its own
	}
	if err != nil {
		return err
	}
	err = twitter.Try(ctx, c.opt.XHTTP, c.opt.XAPIURL, app, twitter.Token{Token: values[0], Secret: values[1]})
	switch {
	case errors.Is(err, twitter.ErrUnauthorized):
		return fault.RefuseWith(fault.XUnauthorized, "X accepts the app's keys but not the Access Token of the settings. Create it again in X's developer portal (Keys and tokens), after the API Key, and enter both of its parts.", err)
	case errors.Is(err, twitter.ErrForbidden) && fault.CauseOf(err) == fault.XForbidden:
		return fault.RefuseWith(fault.XForbidden, "X does not let the app read. Give the app read permission in X's developer portal (User authentication settings), then create the Access Token again.", err)
	case err != nil:
		return troubleAtX(err)
	}
	return nil
}

// troubleAtX says what a failure of X means to somebody who tests the connection.
func troubleAtX(err error) error {
	var (
		refused *twitter.SignInError
		limited *twitter.RateLimitError
	)
	switch {
	case errors.As(err, &refused):
		return fault.RefuseWith(refused.FaultCause(), fmt.Sprintf("X refuses (%s). %s.", strings.TrimRight(refused.Said, "."), refused.Advice), err)
	case errors.As(err, &limited) && limited.Why == nil:
		return fault.RefuseWith(fault.XRateLimit, "X's rate limit is used up. Try again after "+limited.Reset.UTC().Format("15:04")+" UTC.", err)
	case fault.CauseOf(err) != fault.XUnavailable && fault.CauseOf(err) != fault.XIncomplete && fault.CauseOf(err) != fault.XRefused:
		return err // it has words of its own
	}
	return fault.RefuseWith(fault.XUnavailable, "X cannot be reached. Try again later; if it stays so, check that the app may make outbound calls to X.", err)
}

// entra gets a token for the Import service with the app's id and secret.
func (c *Checker) entra(ctx context.Context) error {
	values, err := c.read(ctx, secrets.AADApplicationID, secrets.AADApplicationSecret)
	if err != nil {
		return err
	}
	credential, err := importer.App{TenantID: c.opt.TenantID, AuthorityURL: c.opt.AuthorityURL, HTTP: c.opt.EntraHTTP, ID: values[0], Secret: values[1]}.
		Credential(policy.RetryOptions{MaxRetries: 1, RetryDelay: 300 * time.Millisecond, TryTimeout: 10 * time.Second})
	if err != nil {
		return fault.RefuseWith(fault.EntraSignIn, "The Application (client) ID or the client secret cannot be right. Copy both again from the app registration.", err)
	}
	_, err = credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{importer.Scope}})
	if err != nil {
		return troubleAtEntra(err)
	}
	_, err = c.read(ctx, secrets.AADApplicationURI)
	return err
}

// troubleAtEntra says what a failure of Entra means, by the first code in its answer.
func troubleAtEntra(err error) error {
	var (
		failed *azidentity.AuthenticationFailedError
		answer struct {
			Codes []int `json:"error_codes"`
		}
	)
	if errors.As(err, &failed) && failed.RawResponse != nil {
		body, readErr := runtime.Payload(failed.RawResponse)
		if readErr == nil && json.Unmarshal(body, &answer) == nil && len(answer.Codes) > 0 {
			return fault.RefuseWith(fault.EntraSignIn, fault.EntraRefusal(answer.Codes[0]), err)
		}
	}
	return fault.RefuseWith(fault.EntraSignIn, "Entra cannot be reached, or gives no reason. Try again later; check that the app may make outbound calls to it.", err)
}

// storage tries both containers.
func (c *Checker) storage(ctx context.Context) error {
	err := c.opt.Reach(ctx)
	var answer *blob.StatusError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrNotFound):
		return fault.RefuseWith(fault.Storage, "A container is not there. Create those that ARCHIVE_CONTAINER and STATE_CONTAINER name, or let the connector's identity create containers.", err)
	case errors.As(err, &answer) && fault.CauseOf(err) == fault.StorageAccess:
		return fault.RefuseWith(fault.StorageAccess, fault.Of(err).Words()+" ("+answer.Code+")", err)
	case errors.As(err, &answer):
		return fault.RefuseWith(fault.Storage, fmt.Sprintf("The storage account answers with status %d (%s). Try again later.", answer.Status, answer.Code), err)
	}
	return fault.RefuseWith(fault.Storage, "The storage account cannot be reached. Check STORAGE_ACCOUNT_URL or STORAGE_CONNECTION_STRING, and the network between the app and the account.", err)
}

// keyVault reads a secret from the vault. Without a vault there is nothing to try.
func (c *Checker) keyVault(ctx context.Context) error {
	if c.opt.Secrets.Writable() != nil {
		return nil
	}
	values, err := c.read(ctx, secrets.APISecretKey)
	if err == nil && utf8.RuneCountInString(values[0]) < secrets.LeastSharedSecret {
		return fault.Refuse(fault.Settings, fmt.Sprintf("The secret %s has fewer than %d characters and could be guessed, so that nobody is let in with it. Set a longer one, and enter it in the Compliance Center.", secrets.APISecretKey, secrets.LeastSharedSecret))
	}
	return err
}

// read reads secrets as they are now: they may just have been corrected.
func (c *Checker) read(ctx context.Context, names ...string) ([]string, error) {
	var values []string
	for _, name := range names {
		value, err := c.opt.Secrets.Refresh(ctx, name)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}
