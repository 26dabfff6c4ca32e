package pages

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// memoryState keeps state in memory. Tasks are not its business.
type memoryState struct {
	mu       sync.Mutex
	jobs     map[string]state.Job
	accounts map[string]state.Account
	activity map[string]Activity
	tasks    []state.Task
	signIns  map[string]state.SignIn
	failure  error
	asked    int
}

func (m *memoryState) lock() func() {
	m.mu.Lock()
	m.asked++
	return m.mu.Unlock
}

func (m *memoryState) Job(_ context.Context, id string) (state.Job, error) {
	defer m.lock()()
	job, ok := m.jobs[id]
	if !ok && m.failure == nil {
		return job, state.ErrNotFound
	}
	return job, m.failure
}

func (m *memoryState) Jobs(context.Context) ([]state.Job, error) {
	defer m.lock()()
	return slices.Collect(maps.Values(m.jobs)), m.failure
}

func (m *memoryState) Account(_ context.Context, id string) (state.Account, error) {
	defer m.lock()()
	a := m.accounts[id]
	a.ID = id
	return a, m.failure
}

func (m *memoryState) RecentTasks(_ context.Context, n int) ([]state.Task, error) {
	defer m.lock()()
	return m.tasks[:min(n, len(m.tasks))], m.failure
}

func (m *memoryState) PutJob(_ context.Context, job state.Job) error {
	defer m.lock()()
	m.jobs[job.ID] = job
	return m.failure
}

func (m *memoryState) DeleteJob(_ context.Context, id string) error {
	defer m.lock()()
	delete(m.jobs, id)
	return m.failure
}

func (m *memoryState) AddTask(context.Context, state.Task) (bool, error) {
	return false, errors.New("no page adds tasks")
}

func (m *memoryState) PutSignIn(_ context.Context, in state.SignIn) error {
	defer m.lock()()
	m.signIns[in.Token] = in
	return m.failure
}

func (m *memoryState) SignIns(context.Context) ([]state.SignIn, error) {
	defer m.lock()()
	return slices.Collect(maps.Values(m.signIns)), m.failure
}

func (m *memoryState) DeleteSignIn(_ context.Context, token string) error {
	defer m.lock()()
	if _, ok := m.signIns[token]; !ok {
		return state.ErrNotFound
	}
	delete(m.signIns, token)
	return m.failure
}

// memorySecrets is a vault in memory.
type memorySecrets struct {
	mu       sync.Mutex
	values   map[string]string
	accounts map[string]twitter.Account
	failure  error            // of everything but the shared secret
	locked   error            // of the shared secret
	failures map[string]error // of Set, by name
	readOnly bool
	asked    int
}

func (m *memorySecrets) lock() func() {
	m.mu.Lock()
	m.asked++
	return m.mu.Unlock
}

func (m *memorySecrets) Get(_ context.Context, name string) (string, error) {
	defer m.lock()()
	switch {
	case name == secrets.APISecretKey && m.locked != nil:
		return "", m.locked
	case name != secrets.APISecretKey && m.failure != nil:
		return "", m.failure
	case m.values[name] == "":
		return "", secrets.ErrNotSet
	}
	return m.values[name], nil
}

func (m *memorySecrets) Refresh(ctx context.Context, name string) (string, error) {
	return m.Get(ctx, name)
}

func (m *memorySecrets) Writable() error {
	if m.readOnly {
		return secrets.ErrReadOnly
	}
	return nil
}

func (m *memorySecrets) XApp(context.Context) (twitter.App, error) {
	return twitter.App{Key: "key", Secret: "app secret"}, m.failure
}

func (m *memorySecrets) XAccount(_ context.Context, jobID string) (twitter.Account, error) {
	defer m.lock()()
	account, ok := m.accounts[jobID]
	if !ok {
		return account, secrets.ErrNotSet
	}
	return account, m.failure
}

func (m *memorySecrets) SetXAccount(_ context.Context, jobID string, a twitter.Account) error {
	defer m.lock()()
	m.accounts[jobID] = a
	return nil
}

func (m *memorySecrets) DeleteXAccount(_ context.Context, jobID string) error {
	defer m.lock()()
	delete(m.accounts, jobID)
	return nil
}

func (m *memorySecrets) ForgetX(string) {}

func (m *memorySecrets) Set(_ context.Context, name, value string) error {
	defer m.lock()()
	if err := m.failures[name]; err != nil {
		return err
	}
	m.values[name] = value
	return nil
}

func (m *memorySecrets) Describe(_ context.Context, names ...string) ([]secrets.Info, error) {
	defer m.lock()()
	var infos []secrets.Info
	for _, name := range names {
		info := secrets.Info{Name: name, Set: m.values[name] != "", From: "Key Vault contoso.vault.azure.net"}
		if info.Set {
			info.Changed = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		}
		infos = append(infos, info)
	}
	return infos, m.failure
}

// fakeChecker finds what the test says.
type fakeChecker struct {
	x, entra, storage, vault error
	callback                 string
}

func (c *fakeChecker) X(_ context.Context, callback string) error {
	c.callback = callback
	return c.x
}
func (c *fakeChecker) Entra(context.Context) error    { return c.entra }
func (c *fakeChecker) Storage(context.Context) error  { return c.storage }
func (c *fakeChecker) KeyVault(context.Context) error { return c.vault }

// fakeX is X's sign-in. Each request token has one verifier.
type fakeX struct {
	*httptest.Server
	mu        sync.Mutex
	callback  string // the one that is registered
	issued    int
	verifiers map[string]string // by request token
	accounts  map[string]string // user ids, by request token
	exchanges int
	down      bool
	refuse    string // body of a 401 to everything
	unread    bool   // the app may not read
}

func newFakeX(t *testing.T) *fakeX {
	x := &fakeX{verifiers: map[string]string{}, accounts: map[string]string{}}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		defer x.mu.Unlock()
		p := map[string]string{}
		for pair := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "OAuth "), ", ") {
			name, value, _ := strings.Cut(pair, "=")
			p[name], _ = url.PathUnescape(strings.Trim(value, `"`))
		}
		refuse := func(status int, body string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		switch {
		case x.down:
			refuse(503, "")
		case x.refuse != "":
			refuse(401, x.refuse)
		case r.URL.Path == "/oauth/request_token" && p["oauth_callback"] != x.callback:
			refuse(403, `<errors><error code="415">Callback URL not approved for this client application.</error></errors>`)
		case r.URL.Path == "/oauth/request_token":
			x.issued++
			token := "request-" + string(rune('a'+x.issued-1))
			_, _ = io.WriteString(w, url.Values{"oauth_token": {token}, "oauth_token_secret": {"hush " + token}, "oauth_callback_confirmed": {"true"}}.Encode())
		case r.URL.Path == "/oauth/access_token":
			x.exchanges++
			token := p["oauth_token"]
			if x.verifiers[token] == "" || x.verifiers[token] != p["oauth_verifier"] {
				refuse(401, "Invalid oauth_verifier parameter")
				return
			}
			delete(x.verifiers, token)
			id := x.accounts[token]
			_, _ = io.WriteString(w, url.Values{"oauth_token": {id + "-access-" + token}, "oauth_token_secret": {"hush " + id}, "user_id": {id}, "screen_name": {"user" + id}}.Encode())
		case r.URL.Path == "/2/users/me" && x.unread:
			refuse(403, `{"title":"Forbidden","detail":"Your client app is not configured with the appropriate oauth1 app permissions for this endpoint."}`)
		case r.URL.Path == "/2/users/me":
			_, _ = io.WriteString(w, `{"data":{"id":"77","name":"User 77","username":"user77"}}`)
		default:
			t.Errorf("X was asked for %s %s", r.Method, r.URL)
		}
	}))
	t.Cleanup(x.Close)
	return x
}

// signIn is a person signing in at X as an account; it returns the way back.
func (x *fakeX) signIn(requestToken, userID string) (callback string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.accounts[requestToken], x.verifiers[requestToken] = userID, "verifier-of-"+requestToken
	return x.callback + "?" + url.Values{"oauth_token": {requestToken}, "oauth_verifier": {x.verifiers[requestToken]}}.Encode()
}
