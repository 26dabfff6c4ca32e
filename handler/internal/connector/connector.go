// Package connector is the API that Microsoft's Compliance Center calls: it sets
// up jobs, signs accounts in with X, and hands over the tasks that say which
// posts to deliver. It only writes down what is asked for; package ingest's two
// loops do the work.
//
// The calls are those of Microsoft's sample connector, by path and by JSON name.
// As in ASP.NET, which the sample is made with, the case of a path, of a query's
// names and of a JSON member's name does not matter. Every call needs
// authorization, Basic or Bearer; a caller whose attempts fail is slowed.
//
// What people see in a browser is package pages, which uses this package's
// exported methods: they are the calls' own insides.
package connector

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// State keeps jobs, tasks and sign-ins under way; *state.Store.
type State interface {
	Job(ctx context.Context, id string) (state.Job, error) // state.ErrNotFound
	Jobs(ctx context.Context) ([]state.Job, error)
	PutJob(ctx context.Context, job state.Job) error
	DeleteJob(ctx context.Context, id string) error // with its open tasks; state.ErrNotFound

	// AddTask returns once the task is durable. added is false if it was known.
	AddTask(ctx context.Context, task state.Task) (added bool, err error)

	PutSignIn(ctx context.Context, in state.SignIn) error
	SignIns(ctx context.Context) ([]state.SignIn, error) // those that have not expired
	// DeleteSignIn returns state.ErrNotFound when another took it first.
	DeleteSignIn(ctx context.Context, token string) error
}

// Secrets gives and keeps secrets; *secrets.Store, whose errors it returns.
type Secrets interface {
	Get(ctx context.Context, name string) (string, error)
	Refresh(ctx context.Context, name string) (string, error)
	Writable() error // secrets.ErrReadOnly where nothing can be saved

	XApp(ctx context.Context) (twitter.App, error)
	XAccount(ctx context.Context, jobID string) (twitter.Account, error)
	SetXAccount(ctx context.Context, jobID string, a twitter.Account) error
	DeleteXAccount(ctx context.Context, jobID string) error
	ForgetX(jobID string)

	Set(ctx context.Context, name, value string) error // a new version
	Describe(ctx context.Context, names ...string) ([]secrets.Info, error)
}

// Options is what the API needs.
type Options struct {
	TenantID string // GUID, the only tenant served
	XAPIURL  string // without trailing slash
	State    State
	Secrets  Secrets
	Bearer   Bearer       // nil: only Basic is let in
	HTTP     *http.Client // for calls to X
	Now      func() time.Time
	Log      *slog.Logger

	// AllowLoopbackBlobs lets a task's container be on this machine: for an
	// emulator, where the connector's own storage is one too.
	AllowLoopbackBlobs bool
}

// API answers the Compliance Center.
type API struct {
	Options
	auth   *auth
	routes map[string]route // by path, lower case and without trailing slash
}

// route is what a path's methods do.
type route map[string]call

// call returns the answer's JSON value; nil for an empty answer.
type call func(*http.Request) (any, error)

// allow is the Allow header's value. HEAD goes wherever GET does.
func (r route) allow() string {
	var methods []string
	for method := range r {
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// New returns the API. Nothing is sent yet.
func New(o Options) *API {
	a := &API{Options: o, auth: newAuth(o)}
	a.routes = map[string]route{
		"/setup/validate":                 {http.MethodGet: a.validate},
		"/job/iscreated":                  {http.MethodGet: a.isCreated},
		"/job/ondeleted":                  {http.MethodDelete: a.onDeleted},
		"/job/onremediation":              {http.MethodGet: a.onRemediation},
		"/data/ondownloadrequest":         {http.MethodPost: a.onDownloadRequest},
		"/api/configuration":              {http.MethodGet: a.configuration, http.MethodPost: a.configure},
		"/api/connectorsetup/oauthurl":    {http.MethodGet: a.oauthURL},
		"/api/connectorsetup/storetoken":  {http.MethodPost: a.storeToken},
		"/api/connectorsetup/getentities": {http.MethodGet: a.getEntities},
		"/api/connectorsetup/savepage":    {http.MethodPost: a.savePage},
		"/api/connectorsetup/deletetoken": {http.MethodGet: a.deleteToken},
	}
	return a
}

// ServeHTTP answers one call.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := a.Now()
	path := strings.ToLower(r.URL.Path)
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	route, known := a.routes[path]
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	call, allowed := route[method]
	switch {
	case !known:
		a.fail(w, r, "", &refusal{http.StatusNotFound, "There is nothing here."})
		return
	case !allowed:
		w.Header().Set("Allow", route.allow())
		a.fail(w, r, path, &refusal{http.StatusMethodNotAllowed, "This call is made with " + route.allow() + "."})
		return
	}
	if err := a.auth.check(r); err != nil {
		a.fail(w, r, path, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	value, err := call(r)
	if err != nil {
		a.fail(w, r, path, err)
		return
	}
	answer(w, http.StatusOK, value)
	a.Log.InfoContext(r.Context(), "call answered", "call", path, "seconds", a.Now().Sub(started).Seconds())
}
