// Package setup is the whole life of a job as the Compliance Center and an
// administrator lead it, over the Functions host's stand-in: from the first
// Validate to OnDeleted. The pages are used without a browser; package browser has
// one.
package setup

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"

	"xarchive/tests/sandbox"

	"golang.org/x/net/html"
)

// app is the staged app, built once.
var app string

func TestMain(m *testing.M) { os.Exit(sandbox.RunStaged(m, "../..", &app)) }

// administrator is a person with a browser: cookies, the page that is open, its forms.
type administrator struct {
	t    *testing.T
	http *http.Client
	at   *url.URL
	page *html.Node
}

func newAdministrator(t *testing.T) *administrator {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &administrator{t: t, http: &http.Client{Jar: jar}}
}

// open goes to an address and follows where it leads.
func (a *administrator) open(address string) {
	a.t.Helper()
	a.ask(http.MethodGet, address, nil)
}

// maxPage bounds a page, in bytes.
const maxPage = 4 << 20

func (a *administrator) ask(method, address string, form url.Values) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := html.Parse(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		a.t.Fatal(err)
	}
	a.at, a.page = resp.Request.URL, page
}

// submit sends the form that has a button with this text, and fields besides those
// that are hidden in it.
func (a *administrator) submit(button string, fields url.Values) {
	a.t.Helper()
	for form := range elements(a.page, "form") {
		found := false
		for b := range elements(form, "button") {
			found = found || text(b) == button
		}
		if !found {
			continue
		}
		all := url.Values{}
		for input := range elements(form, "input") {
			if attribute(input, "type") == "hidden" {
				all.Set(attribute(input, "name"), attribute(input, "value"))
			}
		}
		for name, values := range fields {
			all[name] = values
		}
		target, err := a.at.Parse(attribute(form, "action"))
		if err != nil {
			a.t.Fatal(err)
		}
		a.ask(http.MethodPost, target.String(), all)
		return
	}
	a.t.Fatalf("there is no button %q on: %s", button, text(a.page))
}

// link is where the link with this text leads.
func (a *administrator) link(label string) string {
	a.t.Helper()
	for link := range elements(a.page, "a") {
		if text(link) == label {
			target, err := a.at.Parse(attribute(link, "href"))
			if err != nil {
				a.t.Fatal(err)
			}
			return target.String()
		}
	}
	a.t.Fatalf("there is no link %q on: %s", label, text(a.page))
	return ""
}

// sees wants texts on the page.
func (a *administrator) sees(texts ...string) {
	a.t.Helper()
	said := text(a.page)
	for _, want := range texts {
		if !strings.Contains(said, want) {
			a.t.Fatalf("the page lacks %q: %s", want, said)
		}
	}
}

// elements are those of a kind below a node.
func elements(below *html.Node, name string) func(yield func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		for n := range below.Descendants() {
			if n.Type == html.ElementNode && n.Data == name && !yield(n) {
				return
			}
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is what a node says, with single spaces.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
