// Package connection tries the connector's connections for the settings page: X,
// Entra, storage and Key Vault, each by a real call that changes nothing. What is
// wrong is said in sentences for the administrator: what failed, and what to do.
package connection

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/twitter"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Secrets gives the secrets as they are now; *secrets.Store.
type Secrets interface {
	Refresh(ctx context.Context, name string) (string, error)
	Writable() error
}

// Options is what a Checker needs.
type Options struct {
	TenantID     string
	XAPIURL      string       // without trailing slash
	XHTTP        *http.Client // for X
	AuthorityURL string       // Entra's, without trailing slash
	EntraHTTP    *http.Client // for Entra
	Secrets      Secrets
	// Reach tries both containers; its error is shown in part, see Storage.
	Reach func(ctx context.Context) error
}

// Checker tries connections. It implements pages.Checker.
type Checker struct{ Options }

// New returns a checker. Nothing is sent yet.
func New(o Options) *Checker { return &Checker{o} }

// X begins a sign-in that nobody will end: X then judges the app's keys and whether
// the callback address is registered. Where the settings have an access token, X is
// also asked whose it is.
func (c *Checker) X(ctx context.Context, callback string) error {
	values, err := c.read(ctx, secrets.TwitterAPIKey, secrets.TwitterAPISecretKey)
	if err != nil {
		return err
	}
	app := twitter.App{Key: values[0], Secret: values[1]}
	if _, err := twitter.RequestToken(ctx, c.XHTTP, c.XAPIURL, app, callback); err != nil {
		return x(err)
	}
	values, err = c.read(ctx, secrets.TwitterAccessToken, secrets.TwitterAccessTokenSecret)
	if errors.Is(err, secrets.ErrNotSet) {
		return nil // each job has its own
	}
	if err != nil {
		return err
	}
	_, err = twitter.Me(ctx, c.XHTTP, c.XAPIURL, app, twitter.Token{Token: values[0], Secret: values[1]})
	switch {
	case errors.Is(err, twitter.ErrUnauthorized):
		return says(err, "X accepts the app's keys but not the Access Token of the settings. Create it anew in X's developer portal (Keys and tokens), after the API Key, and enter both of its parts.")
	case errors.Is(err, twitter.ErrForbidden):
		return says(err, "X does not let the app read. Give the app read permission in X's developer portal (User authentication settings), then create the Access Token anew.")
	case err != nil:
		return x(err)
	}
	return nil
}

func x(err error) error {
	var (
		refused *twitter.SignInError
		limited *twitter.RateLimitError
	)
	switch {
	case errors.As(err, &refused):
		return says(err, fmt.Sprintf("X refuses (%s). %s.", strings.TrimRight(refused.Said, "."), refused.Advice))
	case errors.As(err, &limited):
		return says(err, "X's rate limit is used up. Try again after "+limited.Reset.UTC().Format("15:04")+" UTC.")
	}
	return says(err, "X cannot be reached. Try again later; if it stays so, see that the app may make outbound calls to X.")
}

// Entra gets a token for the Import service with the app's id and secret.
func (c *Checker) Entra(ctx context.Context) error {
	values, err := c.read(ctx, secrets.AADApplicationID, secrets.AADApplicationSecret)
	if err != nil {
		return err
	}
	credential, err := importer.App{TenantID: c.TenantID, AuthorityURL: c.AuthorityURL, HTTP: c.EntraHTTP, ID: values[0], Secret: values[1]}.
		Credential(policy.RetryOptions{MaxRetries: 1, RetryDelay: 300 * time.Millisecond, TryTimeout: 10 * time.Second})
	if err != nil {
		return says(err, "The Application (client) ID or the client secret cannot be right. Copy both again from the app registration.")
	}
	_, err = credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{importer.Scope}})
	if err != nil {
		return entra(err)
	}
	if _, err := c.read(ctx, secrets.AADApplicationURI); err != nil {
		return err
	}
	return nil
}

var aadsts = regexp.MustCompile(`AADSTS([0-9]{4,8})`)

// entra says what Entra's error code means.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func entra(err error) error {
	m := aadsts.FindStringSubmatch(err.Error())
	if m == nil {
		return says(err, "Entra cannot be reached, or gives no reason. Try again later; see that the app may make outbound calls to it.")
	}
	advice, known := map[string]string{
		"700016":  "Entra knows no app with this Application (client) ID in the tenant. Copy the ID again from the app registration, and see that it is in this tenant.",
		"7000215": "The client secret is wrong. Enter the secret's Value, not its Secret ID; if the value was not kept, make a new secret.",
		"7000222": "The client secret has expired. Make a new one in the app registration (Certificates & secrets) and enter its Value.",
		"7000112": "The app is disabled in the tenant. Enable it in Entra (Enterprise applications, Properties).",
		"7000229": "The app has no service principal in the tenant. Open the app registration and create it (Managed application in local directory).",
		"90002":   "Entra knows no such tenant. Set TENANT_ID to the id of your Microsoft 365 tenant.",
		"500011":  "The Office 365 Import service has no consent in the tenant. A global administrator opens Microsoft's consent page, below on this page, and accepts.",
		"650057":  "The Office 365 Import service has no consent in the tenant. A global administrator opens Microsoft's consent page, below on this page, and accepts.",
		"65001":   "The Office 365 Import service has no consent in the tenant. A global administrator opens Microsoft's consent page, below on this page, and accepts.",
		"501051":  "The app is not assigned to the Import service. A global administrator opens Microsoft's consent page, below on this page, and accepts.",
		"53003":   "A conditional access policy of the tenant blocks the app. Exclude the app from it.",
		"700024":  "The clock of the machine that runs the connector is wrong. Set it right.",
		"90033":   "Entra is out of order for the moment. Try again later.",
	}[m[1]]
	if !known {
		advice = "Entra refuses to give a token for the Import service. Look the code up in Microsoft's list of Entra error codes."
	}
	return says(err, advice+" (AADSTS"+m[1]+")")
}

// Storage tries both containers.
func (c *Checker) Storage(ctx context.Context) error {
	err := c.Reach(ctx)
	if err == nil {
		return nil
	}
	var answer *azcore.ResponseError
	switch {
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusForbidden || answer.StatusCode == http.StatusUnauthorized):
		return says(err, "The storage account refuses the connector ("+answer.ErrorCode+"). Give its identity the role Storage Blob Data Contributor on the account, and let the account's network rules admit it. A new role takes some minutes.")
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return says(err, "A container is not there ("+answer.ErrorCode+"). Create those that ARCHIVE_CONTAINER and STATE_CONTAINER name, or let the connector's identity create containers.")
	case errors.As(err, &answer):
		return says(err, fmt.Sprintf("The storage account answers with status %d (%s). Try again later.", answer.StatusCode, answer.ErrorCode))
	}
	return says(err, "The storage account cannot be reached. Check STORAGE_ACCOUNT_URL or STORAGE_CONNECTION_STRING, and the network between the app and the account.")
}

// KeyVault reads a secret anew. Without a vault there is nothing to try.
func (c *Checker) KeyVault(ctx context.Context) error {
	if c.Secrets.Writable() != nil {
		return nil
	}
	_, err := c.read(ctx, secrets.APISecretKey)
	return err
}

// read reads secrets anew: they may just have been put right.
func (c *Checker) read(ctx context.Context, names ...string) ([]string, error) {
	var values []string
	for _, name := range names {
		value, err := c.Secrets.Refresh(ctx, name)
		switch {
		case errors.Is(err, secrets.ErrNotSet):
			return nil, says(err, "The secret "+name+" is not set. Enter it above and save.")
		case errors.Is(err, secrets.ErrForbidden):
			return nil, says(err, "The Key Vault refuses the connector. Give its identity the role Key Vault Secrets Officer on the vault, and let the vault's network rules admit it. A new role takes some minutes.")
		case err != nil:
			return nil, says(err, "The Key Vault cannot be reached. Check KEY_VAULT_URL, and the network between the app and the vault.")
		}
		values = append(values, value)
	}
	return values, nil
}

// finding is an error in words for the administrator.
type finding struct {
	words string
	cause error
}

func says(cause error, words string) error { return &finding{words, cause} }

func (f *finding) Error() string { return f.words }
func (f *finding) Unwrap() error { return f.cause }
