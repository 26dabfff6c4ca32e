// Package pages is what people see of the connector in a browser: an overview, the
// settings, the set-up of a job with its sign-in with X, and how the archive is
// doing.
//
//	/                        home.go: overview; says nothing to strangers
//	/Configure               configure.go: settings, and a test of every connection
//	/Status                  status.go: jobs, posts per day, tasks, acknowledgements
//	/Status/Account          account.go: all about one account
//	/Status/History          history.go: older posts of an account, counted and read
//	/Archive                 archive.go: search, verify and take out messages
//	/Archive/Message, /Body, /File  archive.go: one message, what it says, its bytes
//	/preview/OnJobCreating   setup.go: set-up of a job; the Compliance Center opens it
//	/Views/TwitterOAuth      signin.go: to X (?loginUrl=), and back from X
//	/Views/Changes           changes.go: who changed what
//	/Views/SignIn, /SignOut  session.go
//	/Views/Entra, /Return    entra.go: to Microsoft's sign-in (?to=), and back from it
//	/Views/style.css, /Views/page.js, /Views/icon.svg
//
// A person who signs in with Microsoft Entra and has a role there, or knows the tenant's id
// and the secret shared with the Compliance Center, is let in, for half an hour (package
// access). A Reader sees every page; no form of one is taken (enter). Pages work without JavaScript; with it, the
// sign-in with X runs in a window of its own. Nothing is loaded from elsewhere, and
// no page can be framed.
package pages

import (
	"cmp"
	"context"
	"embed"
	"log/slog"
	"net/http"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/browse"
	"xarchive/handler/internal/connection"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/statement"
	"xarchive/handler/internal/web"
)

//go:embed assets
var files embed.FS

// Records is what the pages read of the state; *state.Store.
type Records interface {
	// SignOut ends a session, by its id, for all instances.
	SignOut(ctx context.Context, session string, now time.Time) error
	// SignedOut reports whether a session has been ended.
	SignedOut(ctx context.Context, session string) (bool, error)

	// Gone lists the archived posts of an account that X no longer gave.
	Gone(ctx context.Context, accountID string) (state.Gone, error)
	// History returns what was asked for of an account's older posts; state.ErrNotFound if
	// nothing was.
	History(ctx context.Context, accountID string) (state.History, error)
	// RecentTasks returns n of the tasks that changed last, the newest first, behind
	// those that are skipped.
	RecentTasks(ctx context.Context, skip, n int) (list []state.Task, more bool, damaged []state.Damaged, err error)
	// AllReads returns what was read of X, account by account.
	AllReads(ctx context.Context) (list []state.Reads, damaged []state.Damaged, err error)
}

// Changes is the log of who changed what; *audit.Log.
type Changes interface {
	jobs.Audit
	// Newest returns the n records before a number, the newest first; 0 begins with the
	// last. broken is what is wrong with them.
	Newest(ctx context.Context, before, n int) (list []audit.Record, broken []error, err error)
}

// Options is what the pages need.
type Options struct {
	TenantID string // GUID, the only tenant served
	XAPIURL  string // without trailing slash
	// PublicURL is where browsers reach the connector, without trailing slash. ""
	// takes it from each request, and lets nobody sign in with Entra.
	PublicURL string

	Access  *access.Access
	Changes Changes
	Jobs    *jobs.Jobs
	Health  health.Judge // how everything stands
	Records Records
	Archive browse.Browser
	// Statement states of a month what the archive holds of an account.
	Statement func(ctx context.Context, month statement.Month, account string) (statement.Statement, error)
	// ReadsLimit is how many posts may be read of X in a month; 0 is no limit.
	ReadsLimit int
	// Connections returns the tests of the settings page; callback is the address
	// that must be registered at X.
	Connections func(callback string) []connection.Test
	Version     string // of the connector; people who have signed in see it
	Now         func() time.Time
	Log         *slog.Logger
	// Strangers is the log of what is refused to people who have not signed in; nil: Log.
	Strangers *slog.Logger
}

// Pages answers browsers.
type Pages struct {
	opt         Options
	templates   templates
	crossOrigin *http.CrossOriginProtection
}

// New returns the pages. Nothing is sent yet.
func New(o Options) *Pages {
	o.Strangers = cmp.Or(o.Strangers, o.Log)
	crossOrigin := http.NewCrossOriginProtection()
	if err := crossOrigin.AddTrustedOrigin(o.PublicURL); err != nil && o.PublicURL != "" {
		o.Log.Warn("the pages' own address cannot be compared with where forms come from", "error", err.Error())
	}
	return &Pages{o, parseTemplates(), crossOrigin}
}

// Register adds the pages to a router.
func (p *Pages) Register(m *web.Mux) {
	for pattern, answer := range map[string]func(*request){
		"GET /{$}":                    (*request).home,
		"GET /Configure":              (*request).configure,
		"POST /Configure":             (*request).configure,
		"GET /Status":                 (*request).status,
		"POST /Status":                (*request).status,
		"GET /Status/Account":         (*request).account,
		"POST /Status/Account":        (*request).account,
		"GET /Status/History":         (*request).history,
		"POST /Status/History":        (*request).history,
		"GET /Archive":                (*request).archive,
		"POST /Archive":               (*request).archive,
		"GET /Archive/Message":        (*request).message,
		"POST /Archive/Message":       (*request).message, // a sign-in comes back to the page it was asked on
		"GET /Archive/Body":           (*request).body,
		"POST /Archive/Body":          (*request).body,
		"GET /Archive/File":           (*request).fileOf,
		"POST /Archive/File":          (*request).fileOf,
		"GET /preview/OnJobCreating":  (*request).setUp,
		"POST /preview/OnJobCreating": (*request).setUp,
		"GET /Views/TwitterOAuth":     (*request).twitterOAuth,
		"GET /Views/Entra":            (*request).toEntra,
		"GET /Views/Entra/Return":     (*request).fromEntra,
		"GET /Views/Changes":          (*request).changes,
		"POST /Views/Changes":         (*request).changes,
		"GET /Views/SignIn":           (*request).signIn,
		"POST /Views/SignIn":          (*request).signIn,
		"POST /Views/SignOut":         (*request).signOut,
		"GET /Views/style.css":        asset("style.css", "text/css; charset=utf-8"),
		"GET /Views/icon.svg":         asset("icon.svg", "image/svg+xml"),
		"GET /Views/page.js":          asset("page.js", "text/javascript; charset=utf-8"),
	} {
		m.Handle(pattern, func(w http.ResponseWriter, r *http.Request) {
			by := audit.Actor{Who: audit.Nobody, Door: "page", From: access.Caller(r)} // until a session is found
			q := p.request(w, r.WithContext(audit.By(r.Context(), by)))
			if r.Method == http.MethodPost && !q.readForm() {
				return
			}
			answer(q)
		})
	}
}

// Refuse answers a request that no route takes, with 404 or 405.
func (p *Pages) Refuse(w http.ResponseWriter, r *http.Request, status int) {
	q := p.request(w, r)
	if status == http.StatusMethodNotAllowed {
		q.fault(status, "This page cannot be used like that", "Open it by its address in the browser.")
		return
	}
	q.fault(status, "There is nothing here", "The address is not one of the connector's.")
}
