package pages

import (
	"net/http"
	"net/url"
	"strings"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/loopback"
	"xarchive/handler/internal/web"
)

// request is one request of a browser, and its answer.
type request struct {
	pages   *Pages
	w       http.ResponseWriter
	r       *http.Request
	secure  bool            // the browser speaks TLS
	session *access.Session // nil: there is none
	csrf    string          // for the forms of the page; set with the session, or by visitor
	to      string          // the page that was asked for, at the end of a sign-in; "": this one
}

func (p *Pages) request(w http.ResponseWriter, r *http.Request) *request {
	q := &request{pages: p, w: w, r: r, secure: p.secure(r)}
	q.protect()
	return q
}

// protect sets the headers that every page has. Nothing but the connector's own
// style and script is loaded, no page is framed, none is kept by a cache.
func (q *request) protect() {
	h := q.w.Header()
	q.policy("")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	if q.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// policy says what the page may load; more is added to what every page may.
func (q *request) policy(more string) {
	policy := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if more != "" {
		policy += "; " + more
	}
	q.w.Header().Set("Content-Security-Policy", policy)
}

// maxForm bounds a form, in bytes.
const maxForm = 64 << 10

// readForm reads a form that was sent from one of the connector's own pages. What
// a browser says about where a form comes from only adds to the form's token.
func (q *request) readForm() bool {
	look := *q.r
	look.Host = web.Host(q.r) // the browser's, which Azure's front end may have replaced
	if err := q.pages.crossOrigin.Check(&look); err != nil {
		q.fault(http.StatusForbidden, "This form came from another site", "Nothing was done. Open the page by its address and try again.")
		return false
	}
	q.r.Body = http.MaxBytesReader(q.w, q.r.Body, maxForm)
	if err := q.r.ParseForm(); err != nil {
		q.fault(http.StatusBadRequest, "The form cannot be read", "Nothing was done. Go back, reload the page and try again.")
		return false
	}
	return true
}

// query returns a parameter of the address, whatever the case of its name.
func (q *request) query(name string) string { return web.Query(q.r, name) }

// field returns a form's field.
func (q *request) field(name string) string { return q.r.PostForm.Get(name) }

// redirect sends the browser on, to be asked for with GET.
func (q *request) redirect(to string) { http.Redirect(q.w, q.r, to, http.StatusSeeOther) }

// explain returns what the person is told of an error, which goes to the log.
func (q *request) explain(doing string, err error) web.Problem {
	log := q.pages.opt.Log
	if q.session == nil {
		log = q.pages.opt.Strangers
	}
	return web.Explain(q.r.Context(), log, doing, err)
}

// secure reports whether the browser speaks TLS to Azure's front end. Only a request
// to this machine may be plain, for local work; whatever a header says, another
// host is never served cookies that travel in clear.
func (p *Pages) secure(r *http.Request) bool {
	if strings.HasPrefix(p.opt.PublicURL, "https://") {
		return true
	}
	return web.Secure(r)
}

// public is where the browser reaches the connector. A request that lies about its
// host gains nothing: X sends browsers only to addresses that are registered.
func (q *request) public() string {
	if q.pages.opt.PublicURL != "" {
		return q.pages.opt.PublicURL
	}
	u := url.URL{Scheme: "http", Host: web.Host(q.r)}
	if q.secure {
		u.Scheme = "https"
	}
	return u.String()
}

// PublicURL is the address of the app whose host name Azure, or Core Tools on a
// developer's machine, gives in WEBSITE_HOSTNAME; "" for "".
func PublicURL(websiteHostname string) string {
	switch {
	case websiteHostname == "":
		return ""
	case loopback.Host(web.Hostname(websiteHostname)):
		return "http://" + websiteHostname
	}
	return "https://" + websiteHostname
}

// Callback is the address that must be registered with the app at X, for a
// connector that browsers reach at publicURL.
func Callback(publicURL string) string {
	return strings.TrimRight(publicURL, "/") + "/Views/TwitterOAuth"
}

func (q *request) callback() string { return Callback(q.public()) }
