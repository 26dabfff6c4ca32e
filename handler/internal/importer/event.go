package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"xarchive/handler/internal/secrets"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Status is a task's outcome in the event API.
type Status int

const (
	Success          Status = 0
	TemporaryFailure Status = 1
	PermanentFailure Status = 2
)

// Completion tells the Import service how a task went.
type Completion struct {
	TaskID string
	Status Status
	Items  []ItemMetadata // any order; sent oldest first
}

// ItemMetadata is one item in the task's container.
type ItemMetadata struct {
	ID       string
	Modified time.Time
	FileName string
}

// Resource is what a token for the event API is for.
const Resource = "https://microsoft.onmicrosoft.com/4e476d41-2395-42be-89ff-34cb9186a1ac"

// Scope is the same in the words of Entra's v2 endpoint.
const Scope = Resource + "/.default"

// App is the connector's app at Entra, and where it signs in.
type App struct {
	TenantID     string
	AuthorityURL string // Entra's, without trailing slash
	HTTP         *http.Client
	ID, Secret   string
}

// Credential signs the app in with its secret. Nothing is sent yet; the error is of
// an id that cannot be one.
func (a App) Credential(retry policy.RetryOptions) (azcore.TokenCredential, error) {
	return azidentity.NewClientSecretCredential(a.TenantID, a.ID, a.Secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: policy.ClientOptions{
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: a.AuthorityURL},
			Transport: a.HTTP,
			Retry:     retry,
		},
		// The authority is the one that is set; who it is need not be asked of Microsoft.
		DisableInstanceDiscovery: true,
	})
}

var (
	// ErrSignIn: Entra gives the connector no token for the Import service.
	ErrSignIn = errors.New("Entra gives no token for the Office 365 Import service")
	// ErrNotTaken: the Import service did not take the event.
	ErrNotTaken = errors.New("the Office 365 Import service did not take the event")
)

// Secrets gives the connector's app at Entra; *secrets.Store.
type Secrets interface {
	GetAll(ctx context.Context, names ...string) (map[string]string, error)
	Forget(names ...string)
}

// EventsOptions is what Events needs.
type EventsOptions struct {
	BaseURL      string // of the event API, without trailing slash
	AuthorityURL string // Entra's, without trailing slash
	TenantID     string
	HTTP         *http.Client
	Secrets      Secrets
}

// Events tells the Import service how tasks went.
type Events struct {
	EventsOptions

	mu         sync.Mutex
	app        map[string]string // id and secret that the credential is made of
	credential azcore.TokenCredential
}

// NewEvents returns the event API. Nothing is sent yet.
func NewEvents(o EventsOptions) *Events {
	hc := *o.HTTP
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTP = &hc
	return &Events{EventsOptions: o}
}

// eventTimeout bounds one event, a new token included.
const eventTimeout = 2 * time.Minute

// Complete sends a task's completion. It is nil only after a 2xx answer. ErrSignIn,
// ErrNotTaken, or an error of secrets; all of them may pass.
func (e *Events) Complete(ctx context.Context, jobID string, c Completion) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	body, err := json.Marshal(wire(c))
	if err != nil {
		return fmt.Errorf("writing the event of task %s: %w", c.TaskID, err)
	}
	address := e.BaseURL + "/api/data/ondownloadcomplete/?" + url.Values{"jobId": {jobID}}.Encode()
	// Keys that were changed are asked for again, once.
	for again := false; ; again = true {
		token, err := e.token(ctx, again)
		if errors.Is(err, ErrSignIn) && !again {
			continue
		}
		if err != nil {
			return err
		}
		status, said, err := e.post(ctx, address, token, body)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrNotTaken, err)
		case status/100 == 2:
			return nil
		case status == http.StatusUnauthorized && !again:
			continue
		}
		return fmt.Errorf("%w: status %d %s", ErrNotTaken, status, said)
	}
}

type wireCompletion struct {
	TaskID string     `json:"taskId"`
	Status Status     `json:"status"`
	Items  []wireItem `json:"itemMetadata"`
}

type wireItem struct {
	ID       string `json:"id"`
	Modified string `json:"modificationTimestampUtc"`
	FileName string `json:"fileName"`
}

// wire is a completion as it goes over the wire, oldest item first.
func wire(c Completion) wireCompletion {
	items := slices.Clone(c.Items)
	slices.SortStableFunc(items, func(a, b ItemMetadata) int { return a.Modified.Compare(b.Modified) })
	w := wireCompletion{TaskID: c.TaskID, Status: c.Status, Items: []wireItem{}}
	for _, i := range items {
		w.Items = append(w.Items, wireItem{i.ID, formatTime(i.Modified), i.FileName})
	}
	return w
}

// token returns a token for the event API, kept by the credential until it is
// about to run out. anew reads the app's id and secret again first.
func (e *Events) token(ctx context.Context, anew bool) (string, error) {
	credential, err := e.signIn(ctx, anew)
	if err != nil {
		return "", err
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{Scope}})
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s", ErrSignIn, explain(err))
	}
	return token.Token, nil
}

// signIn returns the credential of the app at Entra, the same as long as its id
// and secret are.
func (e *Events) signIn(ctx context.Context, anew bool) (azcore.TokenCredential, error) {
	names := []string{secrets.AADApplicationID, secrets.AADApplicationSecret}
	if anew {
		e.Secrets.Forget(names...)
	}
	app, err := e.Secrets.GetAll(ctx, names...)
	if err != nil {
		return nil, err
	}
	id, secret := app[secrets.AADApplicationID], app[secrets.AADApplicationSecret]
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.credential != nil && !anew && e.app[secrets.AADApplicationID] == id && e.app[secrets.AADApplicationSecret] == secret {
		return e.credential, nil
	}
	credential, err := App{TenantID: e.TenantID, AuthorityURL: e.AuthorityURL, HTTP: e.HTTP, ID: id, Secret: secret}.
		Credential(policy.RetryOptions{MaxRetries: 2, RetryDelay: 500 * time.Millisecond})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrSignIn, oneLine(err.Error()))
	}
	e.credential, e.app = credential, app
	return credential, nil
}

// post sends an event; said is the beginning of the answer, on one line.
func (e *Events) post(ctx context.Context, address, token string, body []byte) (status int, said string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 2000)) // only for the log
	return resp.StatusCode, oneLine(strings.ReplaceAll(string(answer), token, "…")), nil
}

// aadsts finds Entra's own words in the SDK's error, which runs over many lines.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var aadsts = regexp.MustCompile(`AADSTS[0-9]+: [^"\\]+`)

func explain(err error) string {
	if said := aadsts.FindString(err.Error()); said != "" {
		return oneLine(said)
	}
	return oneLine(err.Error())
}

// oneLine shortens a text to one line of bounded length.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 400 {
		return string(r[:400]) + "…"
	}
	return text
}
