package pages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"net/http"
	"time"
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
		"number": number, "day": day, "minute": minute, "moment": moment, "iso": iso,
	}).ParseFS(web, "web/layout.html"))
	for _, name := range []string{"enter", "fault", "home", "configure", "setup", "leaving", "returned", "status"} {
		t.pages[name] = template.Must(template.Must(layout.Clone()).ParseFS(web, "web/"+name+".html"))
	}
	for _, name := range []string{"style.css", "page.js", "icon.svg"} {
		data, err := web.ReadFile("web/" + name)
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
	Style, Script  string
	Action         string // where the page's forms go: to the page itself
	Now            time.Time
	Leave          string // where the browser is to go at once
	Data           any
}

// show answers with a page.
func (v *visit) show(status int, name, title string, data any) {
	v.render(status, view{Name: name, Title: title, Data: data})
}

func (v *visit) render(status int, page view) {
	page.CSRF, page.SignedIn, page.Action, page.Now = v.csrf, v.who != nil, v.r.URL.RequestURI(), v.Now().UTC()
	page.Style = "/Views/style.css?v=" + v.templates.tags["style.css"]
	page.Script = "/Views/page.js?v=" + v.templates.tags["page.js"]
	var body bytes.Buffer
	if err := v.templates.pages[page.Name].ExecuteTemplate(&body, "layout.html", page); err != nil {
		v.Log.ErrorContext(v.r.Context(), "a page cannot be made", "page", page.Name, "error", err.Error())
		http.Error(v.w, "The page cannot be made; the connector's log says why.", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = body.WriteTo(v.w) // the connection is gone if it fails
}

// fault answers with a page that says what is wrong and what to do.
func (v *visit) fault(status int, title, advice string) {
	v.show(status, "fault", title, advice)
}

// asset answers with the style or the script. Pages link to them by their content,
// so that they can be kept for long.
func (p *Pages) asset(name, contentType string) func(*visit) {
	return func(v *visit) {
		h := v.w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"`+p.templates.tags[name]+`"`)
		if v.query("v") == p.templates.tags[name] {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		http.ServeContent(v.w, v.r, name, time.Time{}, bytes.NewReader(p.templates.files[name]))
	}
}
