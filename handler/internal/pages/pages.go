// Package pages is what people see of the connector in a browser: an overview, the
// settings, the set-up of a job with its sign-in at X, and how the archive is doing.
//
//	/                        overview; says nothing to strangers
//	/Configure               settings, and a test of every connection
//	/Status                  jobs, posts per day, tasks
//	/preview/OnJobCreating   set-up of a job; the Compliance Center opens it
//	/Views/TwitterOAuth      to X (?loginUrl=), and back from X
//	/Views/SignOut
//	/Views/style.css, /Views/page.js, /Views/icon.svg
//
// Everything else is the Compliance Center's and goes to package connector, whose
// insides the pages use. Paths are told apart without regard to case.
//
// Who knows the tenant's id and the secret shared with the Compliance Center is let
// in, for half an hour (session.go). Pages work without JavaScript; with it, the
// sign-in at X runs in a window of its own. Nothing is loaded from elsewhere, and
// no page can be framed.
package pages

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"xarchive/handler/internal/connector"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

//go:embed web
var web embed.FS

// Connector does what the pages ask for; *connector.API, whose methods say what
// they promise.
type Connector interface {
	http.Handler
	Admit(r *http.Request, tenantID, secret string) error
	Explain(ctx context.Context, doing string, err error) connector.Told
	Key(ctx context.Context, purpose string) ([]byte, error)

	Settings(ctx context.Context) ([]connector.SettingInfo, error)
	ReadOnly() bool
	SaveSettings(ctx context.Context, values map[string]string) (saved int, err error)

	BeginSignIn(ctx context.Context, in connector.SignIn) (token, signInURL string, err error)
	EndSignIn(ctx context.Context, in connector.SignIn, token, verifier string) (twitter.Account, error)
	AbandonSignIn(ctx context.Context, token string) error
	Setup(ctx context.Context, jobID string) (connector.Setup, error)
	SaveJob(ctx context.Context, id, accountID, name string) (bool, error)
}

// Records is what the archive's state says of itself; *state.Store.
type Records interface {
	Jobs(ctx context.Context) ([]state.Job, error)
	Account(ctx context.Context, id string) (state.Account, error)
	RecentTasks(ctx context.Context, n int) ([]state.Task, error)
}

// Rate is how many requests X still answers for an account; Limit 0: not known.
type Rate struct {
	Limit, Remaining int
	Reset            time.Time // UTC; when Remaining is Limit again
}

// Activity is what an account's record says of its days and of X's limits.
type Activity struct {
	Daily map[string]int // posts archived, by the UTC date of the post, 2006-01-02
	Rate  Rate
}

// Options is what the pages need.
type Options struct {
	TenantID string // GUID, the only tenant served
	XAPIURL  string // without trailing slash
	// PublicURL is where browsers reach the connector, without trailing slash. ""
	// takes it from each request.
	PublicURL string

	API      Connector
	Records  Records
	Activity func(state.Account) Activity
	Checker  Checker
	Now      func() time.Time
	Log      *slog.Logger
}

// Pages answers browsers, and passes on what is not for them.
type Pages struct {
	Options
	templates templates
	routes    map[string]methods // by path, lower case and without trailing slash
}

// methods is what a path's methods do. HEAD goes wherever GET does.
type methods map[string]func(*visit)

// New returns the pages. Nothing is sent yet.
func New(o Options) *Pages {
	p := &Pages{Options: o, templates: parseTemplates()}
	p.routes = map[string]methods{
		"/":                      {"GET": p.home},
		"/configure":             {"GET": p.configure, "POST": p.configure},
		"/status":                {"GET": p.status, "POST": p.status},
		"/preview/onjobcreating": {"GET": p.setUp, "POST": p.setUp},
		"/views/twitteroauth":    {"GET": p.twitterOAuth},
		"/views/signout":         {"POST": p.signOut},
		"/views/style.css":       {"GET": p.asset("style.css", "text/css; charset=utf-8")},
		"/views/icon.svg":        {"GET": p.asset("icon.svg", "image/svg+xml")},
		"/views/page.js":         {"GET": p.asset("page.js", "text/javascript; charset=utf-8")},
	}
	return p
}

// maxForm bounds a form, in bytes.
const maxForm = 64 << 10

// ServeHTTP answers one request.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.ToLower(r.URL.Path)
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	route, known := p.routes[path]
	if !known {
		p.API.ServeHTTP(w, r)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	v := &visit{Pages: p, w: w, r: r, path: path, secure: p.secure(r)}
	v.protect()
	answer, allowed := route[method]
	if !allowed {
		w.Header().Set("Allow", route.allow())
		v.fault(http.StatusMethodNotAllowed, "This page cannot be used like that", "Open it by its address in the browser.")
		return
	}
	if r.Method == http.MethodPost && !v.readForm() {
		return
	}
	answer(v)
}

func (m methods) allow() string {
	var names []string
	for name := range m {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// visit is one request and its answer.
type visit struct {
	*Pages
	w      http.ResponseWriter
	r      *http.Request
	path   string
	secure bool
	csrf   string // for the forms of the page; set by session and visitor
	who    *session
}

// protect sets the headers that every page has. Nothing but the connector's own
// style and script is loaded, no page is framed, none is kept by a cache.
func (v *visit) protect() {
	h := v.w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	if v.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// readForm reads a form that was sent from one of the connector's own pages. What
// a browser says of where a form comes from only adds to the form's token.
func (v *visit) readForm() bool {
	if site := v.r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		v.fault(http.StatusForbidden, "This form came from another site", "Nothing was done. Open the page by its address and try again.")
		return false
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		v.fault(http.StatusBadRequest, "The form cannot be read", "Nothing was done. Go back, reload the page and try again.")
		return false
	}
	return true
}

// query returns a parameter of the address, whatever the case of its name.
func (v *visit) query(name string) string {
	for key, values := range v.r.URL.Query() {
		if strings.EqualFold(key, name) {
			return values[0]
		}
	}
	return ""
}

// field returns a form's field.
func (v *visit) field(name string) string { return v.r.PostForm.Get(name) }

// redirect sends the browser on, to be asked for with GET.
func (v *visit) redirect(to string) { http.Redirect(v.w, v.r, to, http.StatusSeeOther) }
