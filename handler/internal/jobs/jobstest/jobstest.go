// Package jobstest gives tests what stands around package jobs: the state on Blob
// Storage in memory, and the stand-ins for Key Vault and X.
package jobstest

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/secrets/secretstest"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// What the world has at its beginning.
const (
	Tenant   = "0f8fad5b-d9cb-469f-a165-70867728950e"
	Secret   = "s3cret:with <colon>, 32 characters long" // shared with the Compliance Center
	Callback = "https://contoso.azurewebsites.net/Views/TwitterOAuth"
	XKey     = "the app's key"

	Press       = corpus.PressAccount // @ContosoEnergy
	PressName   = "Contoso Energy ⚡"
	PressHandle = "ContosoEnergy"
	Help        = corpus.SupportAccount // @ContosoHelp
	HelpHandle  = "ContosoHelp"
)

// World is a connector's jobs and what stands around them.
type World struct {
	T                *testing.T
	Blobs            *blobs.Server
	State            *state.Store
	Audit            *audit.Log
	StateContainer   *blob.Container
	ArchiveContainer *blob.Container
	Vault            *secretstest.Vault
	X                *x.Server
	XURL             string
	HTTP             *http.Client // for X
	Access           *access.Access
	Jobs             *jobs.Jobs
	Keys             *jobs.Keys
	Log              *Log
	Logger           *slog.Logger

	mu  sync.Mutex
	now time.Time
}

// New makes a world: nobody has signed in, there is no job, the app's keys are set.
func New(t *testing.T) *World {
	t.Helper()
	w := &World{T: t, Log: &Log{}, now: time.Now().UTC().Truncate(time.Second)}
	w.Logger = slog.New(slog.NewTextHandler(w.Log, nil))
	w.Blobs = blobs.New(blobs.Options{})
	account := blob.Account{ConnectionString: w.Blobs.ConnectionString(), HTTP: w.Blobs.Client()}
	w.StateContainer, w.ArchiveContainer = account.Container("state"), account.Container("archive")
	w.State = state.New(w.StateContainer)
	w.Audit = audit.New(account.Container("archive"), w.Now)
	w.Vault = secretstest.New(t, map[string]string{
		secrets.APISecretKey: Secret, secrets.TwitterAPIKey: XKey, secrets.TwitterAPISecretKey: "hush app"})
	posts, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	w.X = x.New(x.Options{Corpus: posts, ConsumerKey: XKey, ConsumerSecret: "hush app", CallbackURLs: []string{Callback}})
	server := httptest.NewServer(w.X)
	t.Cleanup(server.Close)
	w.XURL, w.HTTP = server.URL, server.Client()
	w.Access, w.Jobs, w.Keys = w.Instance(nil)
	return w
}

// Instance makes another instance of the connector in the same world. With an
// environment it has no vault and takes its secrets from there.
func (w *World) Instance(environment map[string]string) (*access.Access, *jobs.Jobs, *jobs.Keys) {
	w.T.Helper()
	store := w.Vault.Store(w.Now, w.Logger)
	if environment != nil {
		store = secretstest.Environment(w.T, environment)
	}
	return access.New(access.Options{TenantID: Tenant, Secrets: store, Now: w.Now}),
		jobs.New(jobs.Options{TenantID: Tenant, XAPIURL: w.XURL, State: w.State, Secrets: store, HTTP: w.HTTP, Now: w.Now, Log: w.Logger, Audit: w.Audit}),
		jobs.NewKeys(store)
}

// WithoutVault is an environment whose access token is Press's.
func (w *World) WithoutVault() map[string]string {
	token, secret := w.X.Token(Press)
	return map[string]string{"API_SECRET_KEY": Secret, "TWITTER_API_KEY": XKey, "TWITTER_API_SECRET_KEY": "hush app",
		"TWITTER_ACCESS_TOKEN": token, "TWITTER_ACCESS_TOKEN_SECRET": secret}
}

// Now is the connector's time. X and the blob server have their own.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Pass lets time pass for the connector.
func (w *World) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// BreakState makes the blob server refuse every call, with a word that is for the
// log only, until it is called with false.
func (w *World) BreakState(broken bool) {
	if !broken {
		w.Blobs.Before(nil)
		return
	}
	w.Blobs.Before(func(blobs.Op) error { return &blobs.Answer{Status: http.StatusBadRequest, Code: InnerDetail} })
}

// InnerDetail is what nobody but the log may be told.
const InnerDetail = "InnerDetail"

// Save saves a job as it is given.
func (w *World) Save(job state.Job) {
	w.T.Helper()
	if job.CreatedAt.IsZero() {
		job.CreatedAt = w.Now()
	}
	if err := w.State.UpdateJob(w.T.Context(), job.ID, func(j *state.Job) error { *j = job; return nil }); err != nil {
		w.T.Fatal(err)
	}
	if err := w.State.TakeAccount(w.T.Context(), job.AccountID, job.ID, w.Now()); err != nil {
		w.T.Fatal(err)
	}
}

// Job reads a job; found is false if there is none.
func (w *World) Job(id string) (job state.Job, found bool) {
	w.T.Helper()
	list, _, err := w.State.Jobs(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	for _, j := range list {
		if j.ID == id {
			return j, true
		}
	}
	return state.Job{}, false
}

// SignIns is how many sign-ins are kept.
func (w *World) SignIns() int {
	w.T.Helper()
	list, err := w.State.SignIns(w.T.Context(), w.Now())
	if err != nil {
		w.T.Fatal(err)
	}
	return len(list)
}

// Account is the id of the account that has signed in for a job, "" if none has.
func (w *World) Account(jobID string) string {
	w.T.Helper()
	w.Keys.ForgetAccount(jobID)
	account, err := w.Keys.Account(w.T.Context(), jobID)
	if err != nil {
		return ""
	}
	return account.UserID
}

// Exchanges is how often X was asked to exchange a verifier.
func (w *World) Exchanges() int { return w.X.Stats().ByPath["POST /oauth/access_token"] }

// SignInURL is where the browser goes for a request token.
func (w *World) SignInURL(token string) string {
	return w.XURL + "/oauth/authenticate?" + url.Values{"oauth_token": {token}}.Encode()
}

// AtX is a person who signs in at X as an account; it returns where X sends the
// browser, and the verifier in it.
func (w *World) AtX(token, account string) (back, verifier string) {
	w.T.Helper()
	back, err := x.SignIn(w.T.Context(), http.DefaultClient, w.SignInURL(token), account)
	if err != nil {
		w.T.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		w.T.Fatal(err)
	}
	return back, u.Query().Get("oauth_verifier")
}

// RefuseVerifiers has X refuse every exchange as it refuses a wrong verifier.
func (w *World) RefuseVerifiers(refuse bool) {
	if !refuse {
		w.X.Fail(nil)
		return
	}
	w.X.Fail(func(r *http.Request) x.Fault {
		if strings.HasSuffix(r.URL.Path, "/oauth/access_token") {
			return x.Fault{Status: http.StatusUnauthorized, Body: "Error processing your OAuth request: Invalid oauth_verifier parameter"}
		}
		return x.Fault{}
	})
}

// Log is a log that may be written at once.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
