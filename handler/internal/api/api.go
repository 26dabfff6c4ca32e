// Package api answers the calls of Microsoft's Compliance Center: it sets up jobs,
// signs accounts in with X, and hands over the tasks that say which posts to
// deliver. It decodes a call, has package jobs do it, and answers.
//
// The calls are those of Microsoft's sample connector, by path and by JSON name.
// As in ASP.NET, which the sample is made with, the case of a path, of a query's
// names and of a JSON member's name does not matter. Every call but GET /api/health,
// which is for probes, needs authorization (package access). A failure is answered with {"Message":"…"}; its
// status and its sentence are those of package fault.
package api

import (
	"cmp"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/web"
)

// Options is what the API needs.
type Options struct {
	TenantID string // GUID, the only tenant served
	Access   *access.Access
	Jobs     *jobs.Jobs
	Health   health.Judge // how everything stands
	Now      func() time.Time
	Log      *slog.Logger
	// Strangers is the log of what is refused to callers who have not shown who they are;
	// nil: Log.
	Strangers *slog.Logger
}

// API answers the Compliance Center.
type API struct {
	tenantID string
	access   *access.Access
	jobs     *jobs.Jobs
	judged   health.Judge
	now      func() time.Time
	log      *slog.Logger

	lastHealth kept
	strangers  *slog.Logger
}

// New returns the API. Nothing is sent yet.
func New(o Options) *API {
	return &API{tenantID: o.TenantID, access: o.Access, jobs: o.Jobs, judged: o.Health, now: o.Now, log: o.Log, strangers: cmp.Or(o.Strangers, o.Log)}
}

// Register adds the calls to a router.
func (a *API) Register(m *web.Mux) {
	for pattern, do := range map[string]call{
		"GET /setup/Validate":          a.validate,
		"GET /job/IsCreated":           a.isCreated,
		"DELETE /job/OnDeleted":        a.onDeleted,
		"GET /job/OnRemediation":       a.onRemediation,
		"GET /api/Configuration":       a.configuration,
		"POST /api/Configuration":      a.configure,
		"POST /data/OnDownloadRequest": a.onDownloadRequest,

		"GET /api/ConnectorSetup/OAuthUrl":    a.oauthURL,
		"POST /api/ConnectorSetup/StoreToken": a.storeToken,
		"GET /api/ConnectorSetup/GetEntities": a.getEntities,
		"POST /api/ConnectorSetup/SavePage":   a.savePage,
		"GET /api/ConnectorSetup/DeleteToken": a.deleteToken,
	} {
		m.Handle(pattern, a.handler(do))
	}
	m.Handle("GET /api/health", a.health)
}

// call returns the answer's JSON value; nil for an empty answer.
type call func(*http.Request) (any, error)

// changing are the calls with GET that change something. A HEAD must not.
var changing = map[string]bool{"/job/onremediation": true, "/api/connectorsetup/oauthurl": true, "/api/connectorsetup/deletetoken": true}

// own refuses what a browser sends that another site has told to: it may hold
// credentials, or a token in a proxy, of somebody who knows nothing of the call. A
// form can only send types other than JSON; scripts of other sites name their origin.
func own(r *http.Request) error {
	if web.OfAnotherSite(r) {
		return fault.Refuse(fault.OtherSite, "Another site has told the browser to send this. Nothing was done.")
	}
	if kind := r.Header.Get("Content-Type"); kind != "" && r.Method == http.MethodPost {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" && media != "text/json" && !strings.HasSuffix(media, "+json") {
			return bad("The body must be JSON, and its Content-Type application/json.")
		}
	}
	return nil
}

// handler answers a call of somebody who may call.
func (a *API) handler(do call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		started := a.now()
		err := own(r)
		if err == nil {
			err = a.access.Call(r)
		}
		if err != nil {
			a.fail(w, r, a.strangers, err)
			return
		}
		if _, path, _ := strings.Cut(r.Pattern, " "); r.Method == http.MethodHead && changing[path] {
			w.Header().Set("Allow", http.MethodGet)
			a.Refuse(w, r, http.StatusMethodNotAllowed)
			return
		}
		who := audit.SharedSecret
		if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "bearer") {
			who = audit.ImportService
		}
		r = r.WithContext(audit.By(r.Context(), audit.Actor{Who: who, Door: "call", From: access.Caller(r)}))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		value, err := do(r)
		if err != nil {
			a.fail(w, r, a.log, err)
			return
		}
		answer(w, http.StatusOK, value)
		a.log.InfoContext(r.Context(), "call answered", "call", r.Pattern, "seconds", a.now().Sub(started).Seconds())
	}
}

// fail answers {"Message":…}. An error that is not meant for the caller goes to
// the log alone, under a reference that the caller is given.
//
// A browser is not asked for Basic credentials: it would keep them, and send them with
// whatever other sites make it ask for.
func (a *API) fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	problem := web.Explain(r.Context(), log, r.Pattern, err)
	if problem.Status == http.StatusUnauthorized {
		if !web.ByBrowser(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="connector", charset="UTF-8"`)
		}
		w.Header().Add("WWW-Authenticate", "Bearer")
	}
	problem.SetRetry(w.Header())
	answer(w, problem.Status, failure{problem.Message})
}

// failure is the body of every failure.
type failure struct{ Message string }

// Refuse answers a request that no route takes, with 404 or 405.
func (a *API) Refuse(w http.ResponseWriter, r *http.Request, status int) {
	message := "There is nothing here."
	if allow := w.Header().Get("Allow"); status == http.StatusMethodNotAllowed {
		message = "This call is made with " + allow + "."
	}
	a.strangers.InfoContext(r.Context(), "no route takes the request", "method", r.Method, "path", strings.ToLower(r.URL.Path), "status", status)
	answer(w, status, failure{message})
}
