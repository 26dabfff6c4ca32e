package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"net/http"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/health"
)

// templates are the pages, each with the layout around it, and what the layout
// links to.
type templates struct {
	pages map[string]*template.Template
	files map[string][]byte // style and script
	tags  map[string]string // of these files' contents, by name
}

func parseTemplates() templates {
	t := templates{pages: map[string]*template.Template{}, files: map[string][]byte{}, tags: map[string]string{}}
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"number": health.Number, "number64": func(n int64) string { return health.Number(int(n)) }, "day": day, "minute": minute, "month": month, "moment": moment, "plural": health.Plural, "iso": iso,
	}).ParseFS(files, "assets/layout.html", "assets/parts.html"))
	for _, name := range []string{"enter", "fault", "home", "configure", "setup", "opening", "returned", "status", "account", "history", "archive", "message", "changes", "norole"} {
		t.pages[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "assets/"+name+".html"))
	}
	for _, name := range []string{"style.css", "page.js", "icon.svg"} {
		data, err := files.ReadFile("assets/" + name)
		if err != nil {
			panic(err) // it is embedded
		}
		sum := sha256.Sum256(data)
		t.files[name], t.tags[name] = data, hex.EncodeToString(sum[:6])
	}
	return t
}

// view is what a page is made of.
type view struct {
	Title, Name    string
	CSRF           string
	SignedIn, Bare bool // Bare: a window of its own, without navigation
	Person         access.Person
	MayChange      bool // forms that change something are shown
	Style, Script  string
	Action         string // where the page's forms go: to the page itself
	Now            time.Time
	Version        string // of the connector, for people who have signed in
	GoTo           string // where the browser is to go at once
	Data           any
}

// show answers with a page.
func (q *request) show(status int, name, title string, data any) {
	q.render(status, view{Name: name, Title: title, Data: data})
}

func (q *request) render(status int, page view) {
	page.CSRF, page.SignedIn, page.Action, page.Now = q.csrf, q.session != nil, q.r.URL.RequestURI(), q.pages.opt.Now().UTC()
	if page.SignedIn {
		page.Version, page.Person, page.MayChange = q.pages.opt.Version, q.session.Person, q.mayChange()
	}
	t := q.pages.templates
	page.Style = "/Views/style.css?v=" + t.tags["style.css"]
	page.Script = "/Views/page.js?v=" + t.tags["page.js"]
	var body bytes.Buffer
	if err := t.pages[page.Name].ExecuteTemplate(&body, "layout.html", page); err != nil {
		q.pages.opt.Log.ErrorContext(q.r.Context(), "a page cannot be made", "page", page.Name, "error", err.Error())
		http.Error(q.w, "The page cannot be made; the connector's log says why.", http.StatusInternalServerError)
		return
	}
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	q.w.WriteHeader(status)
	_, _ = body.WriteTo(q.w) // the connection is gone if it fails
}

// fault answers with a page that says what is wrong and what to do.
func (q *request) fault(status int, title, advice string) {
	q.show(status, "fault", title, advice)
}

// asset answers with the style or the script. Pages link to them by their content,
// so that they can be kept for long.
func asset(name, contentType string) func(*request) {
	return func(q *request) {
		t := q.pages.templates
		h := q.w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"`+t.tags[name]+`"`)
		if q.query("v") == t.tags[name] {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		http.ServeContent(q.w, q.r, name, time.Time{}, bytes.NewReader(t.files[name]))
	}
}
