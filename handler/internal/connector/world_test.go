package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// world is the API, served over HTTP, with what stands around it.
type world struct {
	t       *testing.T
	server  *httptest.Server
	state   *memoryState
	secrets *memorySecrets
	x       *fakeX
	bearer  Bearer
	log     *bytes.Buffer
	now     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, x: newFakeX(t), log: &bytes.Buffer{}, now: time.Now().UTC()}
	w.state = &memoryState{jobs: map[string]state.Job{}, tasks: map[string]state.Task{}, signIns: map[string]state.SignIn{}}
	w.secrets = &memorySecrets{values: map[string]string{secrets.APISecretKey: secret}, accounts: map[string]twitter.Account{}}
	w.server = w.instance()
	return w
}

// instance starts one more instance of the connector in the same world.
func (w *world) instance() *httptest.Server {
	server := httptest.NewServer(New(Options{
		TenantID: tenant, XAPIURL: w.x.URL, State: w.state, Secrets: w.secrets, Bearer: w.bearer, HTTP: w.x.Client(),
		Now: func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}))
	w.t.Cleanup(server.Close)
	return server
}

// call makes an authorized call; header pairs replace what it would send.
func (w *world) call(method, uri, body string, header ...string) (status int, answer string, h http.Header) {
	w.t.Helper()
	return w.callAt(w.server, method, uri, body, header...)
}

func (w *world) callAt(server *httptest.Server, method, uri, body string, header ...string) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequest(method, server.URL+uri, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(tenant, secret)
	for i := 0; i < len(header); i += 2 {
		req.Header.Del(header[i])
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(answer)), resp.Header
}

// expect makes a call and compares its answer, JSON by value. A refusal is
// {"Message":…}; want is then a part of the message.
func (w *world) expect(method, uri, body string, status int, want string) {
	w.t.Helper()
	gotStatus, got, header := w.call(method, uri, body)
	if gotStatus != status {
		w.t.Errorf("%s %s: want %d, got %d %s", method, uri, status, gotStatus, got)
		return
	}
	if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
		w.t.Errorf("%s %s: headers %v", method, uri, header)
	}
	if status == 200 {
		if got != want {
			w.t.Errorf("%s %s: want %s, got %s", method, uri, want, got)
		}
		return
	}
	var refused map[string]string
	if err := json.Unmarshal([]byte(got), &refused); err != nil || len(refused) != 1 || !strings.Contains(refused["Message"], want) {
		w.t.Errorf("%s %s: want a Message with %q, got %s", method, uri, want, got)
	}
}

// memoryState keeps state in memory.
type memoryState struct {
	mu      sync.Mutex
	jobs    map[string]state.Job
	tasks   map[string]state.Task
	signIns map[string]state.SignIn
	failure error
}

func (m *memoryState) Job(_ context.Context, id string) (state.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, ok := m.jobs[id]
	if !ok && m.failure == nil {
		return job, state.ErrNotFound
	}
	return job, m.failure
}

func (m *memoryState) Jobs(context.Context) ([]state.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.jobs)), m.failure
}

func (m *memoryState) PutJob(_ context.Context, job state.Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[job.ID] = job
	return m.failure
}

func (m *memoryState) DeleteJob(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.jobs[id]; !ok {
		return state.ErrNotFound
	}
	delete(m.jobs, id)
	return m.failure
}

func (m *memoryState) AddTask(_ context.Context, task state.Task) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return false, m.failure
	}
	_, known := m.tasks[task.TaskID]
	if !known {
		m.tasks[task.TaskID] = task
	}
	return !known, nil
}

func (m *memoryState) PutSignIn(_ context.Context, in state.SignIn) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.signIns[in.Token] = in
	return m.failure
}

func (m *memoryState) SignIns(context.Context) ([]state.SignIn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.signIns)), m.failure
}

func (m *memoryState) DeleteSignIn(_ context.Context, token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.signIns[token]; !ok {
		return state.ErrNotFound
	}
	delete(m.signIns, token)
	return m.failure
}

// memorySecrets is a vault whose values the test changes; cached ones stay until
// they are refreshed.
type memorySecrets struct {
	mu         sync.Mutex
	values     map[string]string
	cached     map[string]string
	accounts   map[string]twitter.Account
	forgotten  []string
	refreshed  int
	failure    error
	setFailure error // of what writes
	readOnly   bool

	setFailures map[string]error // of Set, by name
	written     []string
}

func (m *memorySecrets) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

func (m *memorySecrets) Get(_ context.Context, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value, ok := m.cached[name]; ok {
		return value, nil
	}
	return m.read(name)
}

func (m *memorySecrets) Refresh(_ context.Context, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refreshed++
	value, err := m.read(name)
	if err == nil {
		delete(m.cached, name)
	}
	return value, err
}

func (m *memorySecrets) read(name string) (string, error) {
	if m.failure != nil {
		return "", m.failure
	}
	if m.values[name] == "" {
		return "", secrets.ErrNotSet
	}
	return m.values[name], nil
}

func (m *memorySecrets) Writable() error {
	if m.readOnly {
		return secrets.ErrReadOnly
	}
	return nil
}

func (m *memorySecrets) XApp(context.Context) (twitter.App, error) {
	return twitter.App{Key: xKey, Secret: "app secret"}, m.failure
}

func (m *memorySecrets) XAccount(_ context.Context, jobID string) (twitter.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	account, ok := m.accounts[jobID]
	if !ok {
		return account, secrets.ErrNotSet
	}
	return account, m.failure
}

func (m *memorySecrets) SetXAccount(_ context.Context, jobID string, a twitter.Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.setFailure == nil {
		m.accounts[jobID] = a
	}
	return m.setFailure
}

func (m *memorySecrets) DeleteXAccount(_ context.Context, jobID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readOnly {
		return secrets.ErrReadOnly
	}
	if m.setFailure == nil {
		delete(m.accounts, jobID)
	}
	return m.setFailure
}

func (m *memorySecrets) ForgetX(jobID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgotten = append(m.forgotten, jobID)
}

func (m *memorySecrets) Set(_ context.Context, name, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.readOnly:
		return secrets.ErrReadOnly
	case m.setFailures[name] != nil:
		return m.setFailures[name]
	}
	m.values[name] = value
	m.written = append(m.written, name)
	return nil
}

func (m *memorySecrets) Describe(_ context.Context, names ...string) ([]secrets.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var infos []secrets.Info
	for _, name := range names {
		infos = append(infos, secrets.Info{Name: name, Set: m.values[name] != "", From: "a vault"})
	}
	return infos, m.failure
}
