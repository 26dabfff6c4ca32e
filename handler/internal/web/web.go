// Package web is the one router in front of the connector's API and its pages:
// net/http's ServeMux, with paths compared as ASP.NET does, which Microsoft's
// sample connector is made with.
package web

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Mux routes requests by the patterns of [http.ServeMux], whose rules for methods,
// HEAD and the Allow header are its own. The case of a path and one slash at its
// end do not matter. A path that ServeMux would redirect to a cleaner one is not
// found.
type Mux struct {
	mux    *http.ServeMux
	refuse Refuse
	routes []string
}

// Refuse answers a request that no route takes: status is 404, or 405 with the
// Allow header set.
type Refuse func(w http.ResponseWriter, r *http.Request, status int)

// New returns a Mux without routes.
func New(refuse Refuse) *Mux { return &Mux{mux: http.NewServeMux(), refuse: refuse} }

// Handle adds a route, as in "GET /job/IsCreated". It panics if it is there already.
func (m *Mux) Handle(pattern string, h http.HandlerFunc) {
	m.routes = append(m.routes, pattern)
	method, route, _ := strings.Cut(pattern, " ")
	m.mux.HandleFunc(method+" "+strings.ToLower(route), h)
}

// Routes lists the patterns that were added.
func (m *Mux) Routes() []string { return slices.Clone(m.routes) }

// ServeHTTP answers a request. Its handler gets it as it came.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	look := *r
	look.URL = &url.URL{Path: canonical(r.URL.Path)}
	handler, pattern := m.mux.Handler(&look)
	if pattern != "" && look.URL.Path == path.Clean(look.URL.Path) {
		r.Pattern = pattern
		handler.ServeHTTP(w, r)
		return
	}
	answer := refusal{header: http.Header{}, status: http.StatusNotFound}
	if pattern == "" {
		handler.ServeHTTP(&answer, &look) // the mux says which, 404 or 405
	}
	if allow := answer.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
	}
	m.refuse(w, r, answer.status)
}

// canonical is a path in the form in which routes are kept.
func canonical(p string) string {
	p = strings.ToLower(p)
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return p
}

// refusal takes the mux's own answer, of which only status and Allow are used.
type refusal struct {
	header http.Header
	status int
}

func (a *refusal) Header() http.Header         { return a.header }
func (a *refusal) WriteHeader(status int)      { a.status = status }
func (a *refusal) Write(b []byte) (int, error) { return len(b), nil }

// Query returns a parameter of the query, whatever the case of its name; "" if
// there is none.
func Query(r *http.Request, name string) string {
	for key, values := range r.URL.Query() {
		if strings.EqualFold(key, name) {
			return values[0]
		}
	}
	return ""
}
