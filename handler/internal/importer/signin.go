package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Scope is what a token for the event API is for: the Import service's resource
// https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac in the
// words of Entra's v2 endpoint.
const Scope = "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac/.default"

// ErrSignIn says that Entra refuses to give the connector's app a token. It is an
// ErrNotTaken that a person must mend. If Entra cannot be reached, the error is
// a plain ErrNotTaken.
var ErrSignIn = fault.Kind(ErrNotTaken, fault.EntraSignIn, "Entra gives no token for the Office 365 Import service")

// App is the connector's app at Entra, and where it signs in.
type App struct {
	TenantID     string
	AuthorityURL string // Entra's, without trailing slash
	HTTP         *http.Client
	ID, Secret   string
}

// Credential returns a credential that signs the app in with its secret. Nothing is
// sent yet. It returns an error if the app's or the tenant's id cannot be one.
func (a App) Credential(retry policy.RetryOptions) (azcore.TokenCredential, error) {
	return azidentity.NewClientSecretCredential(a.TenantID, a.ID, a.Secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: policy.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: a.AuthorityURL},
			Transport: a.HTTP,
			Retry:     retry,
		},
		// The authority is the one that is set; Microsoft need not vouch for it.
		DisableInstanceDiscovery: true,
	})
}

// Secrets gives the connector's app at Entra. GetAll may keep what it has read;
// Forget makes it read again. *secrets.Store is one.
type Secrets interface {
	GetAll(ctx context.Context, names ...string) (map[string]string, error)
	Forget(names ...string)
}

// EventsOptions is what Events needs. Every member is required.
type EventsOptions struct {
	BaseURL      string // of the event API, without trailing slash; http is for tests on this machine
	AuthorityURL string // Entra's, without trailing slash
	TenantID     string
	HTTP         *http.Client // its redirects are not followed
	Secrets      Secrets
}

// Events is the event API of the Import service. Its methods may be called at
// once.
type Events struct {
	options EventsOptions

	mu       sync.Mutex
	app      App // the app that signedIn is for
	signedIn *runtime.Pipeline
}

// NewEvents returns the event API. Nothing is sent yet.
func NewEvents(o EventsOptions) *Events {
	client := *o.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTP = &client
	return &Events{options: o}
}

// pipeline returns the way to the event API, which gets tokens for the app and
// keeps them until they are about to expire. It is the same as long as the app's
// id and secret are. With fresh they are read again first.
func (e *Events) pipeline(ctx context.Context, fresh bool) (runtime.Pipeline, error) {
	names := []string{secrets.AADApplicationID, secrets.AADApplicationSecret}
	if fresh {
		e.signOut()
	}
	values, err := e.options.Secrets.GetAll(ctx, names...)
	if err != nil {
		return runtime.Pipeline{}, err
	}
	app := App{TenantID: e.options.TenantID, AuthorityURL: e.options.AuthorityURL, HTTP: e.options.HTTP,
		ID: values[secrets.AADApplicationID], Secret: values[secrets.AADApplicationSecret]}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.signedIn != nil && e.app == app {
		return *e.signedIn, nil
	}
	credential, err := app.Credential(policy.RetryOptions{MaxRetries: 2, RetryDelay: 500 * time.Millisecond})
	if err != nil {
		return runtime.Pipeline{}, fmt.Errorf("%w: %s", ErrSignIn, oneLine(err.Error()))
	}
	bearer := runtime.NewBearerTokenPolicy(explained{credential, app.Secret}, []string{Scope}, &policy.BearerTokenOptions{
		InsecureAllowCredentialWithHTTP: strings.HasPrefix(e.options.BaseURL, "http://"), // the settings allow it on loopback alone
	})
	pipeline := runtime.NewPipeline("", "", runtime.PipelineOptions{
		PerRetry: []policy.Policy{bearer, policyFunc(hideChallenge)},
	}, &policy.ClientOptions{
		Transport: e.options.HTTP,
		Telemetry: policy.TelemetryOptions{Disabled: true},
		Retry:     policy.RetryOptions{MaxRetries: -1}, // the next tick is soon enough
	})
	e.signedIn, e.app = &pipeline, app
	return pipeline, nil
}

// signOut drops the token and what is kept of the app's keys.
func (e *Events) signOut() {
	e.options.Secrets.Forget(secrets.AADApplicationID, secrets.AADApplicationSecret)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.signedIn = nil
}

// explained is a credential whose errors are ErrSignIn or ErrNotTaken, on one line
// and without the secret.
type explained struct {
	credential azcore.TokenCredential
	secret     string
}

func (c explained) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.credential.GetToken(ctx, o)
	if err == nil {
		return token, nil
	}
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		return azcore.AccessToken{}, fmt.Errorf("%w: Entra cannot be reached: %s", ErrNotTaken, c.hide(oneLine(err.Error())))
	}
	kind := ErrSignIn
	switch status := failed.RawResponse.StatusCode; {
	case status/100 != 4, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		kind = ErrNotTaken
	}
	return azcore.AccessToken{}, fmt.Errorf("%w: Entra answers with %s", kind, c.hide(entraText(failed.RawResponse)))
}

func (c explained) hide(text string) string {
	if c.secret == "" {
		return text
	}
	return strings.ReplaceAll(text, c.secret, "…")
}

// entraText is what Entra says of a refusal: error_description, which begins with
// a code such as AADSTS7000215, up to the lines about tracing.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func entraText(resp *http.Response) string {
	var said struct {
		Description string `json:"error_description"`
	}
	if body, err := runtime.Payload(resp); err == nil {
		_ = json.Unmarshal(body, &said) // the status is enough
	}
	description, _, _ := strings.Cut(said.Description, "\n")
	description, _, _ = strings.Cut(description, " Trace ID:")
	return answerText(resp.StatusCode, oneLine(description))
}
