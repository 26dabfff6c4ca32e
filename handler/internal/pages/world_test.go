package pages

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/access"
	"xarchive/handler/internal/api"
	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/browse"
	"xarchive/handler/internal/connection"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/statement"
	"xarchive/handler/internal/web"
	"xarchive/tests/sandbox/x"
)

const (
	tenant = jobstest.Tenant
	secret = jobstest.Secret
	jobURL = "/preview/OnJobCreating?jobId=j-1&tenantId=" + tenant
)

// world is the pages, served over HTTP beside the API as the handler does, with what
// stands around them.
type world struct {
	*jobstest.World
	server   *httptest.Server
	callback string // where X sends browsers back to
	handler  http.Handler

	fails map[string]error // connections, by name
	tried string           // the callback that the connections were tried with
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: jobstest.New(t), fails: map[string]error{}}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }))
	t.Cleanup(w.server.Close)
	w.callback = w.server.URL + "/Views/TwitterOAuth"
	w.X.Register(w.callback)
	w.serve(w.Access, w.Jobs)
	return w
}

// serve puts an instance behind the server.
func (w *world) serve(guard *access.Access, work *jobs.Jobs, change ...func(*Options)) {
	o := Options{TenantID: tenant, XAPIURL: w.XURL, Access: guard, Jobs: work, Changes: w.Audit, Records: w.State, Health: health.Judge{Records: w.State, Settings: work.Settings, Now: w.Now}, Connections: w.connections, Version: "1.2.3-test", Now: w.Now, Log: w.Logger,
		Archive:   browse.Browser{Archive: archive.New(w.ArchiveContainer), Manifests: manifest.New(w.ArchiveContainer), Version: "test", Now: w.Now},
		Statement: statement.Maker{State: w.State, Archive: archive.New(w.ArchiveContainer), Manifests: manifest.New(w.ArchiveContainer), Now: w.Now}.Make}
	for _, f := range change {
		f(&o)
	}
	p := New(o)
	a := api.New(api.Options{TenantID: tenant, Access: guard, Jobs: work, Now: w.Now, Log: w.Logger})
	mux := web.New(p.Refuse)
	p.Register(mux)
	a.Register(mux)
	w.handler = mux
}

// withoutVault serves an instance that has its secrets from the environment.
func (w *world) withoutVault() {
	guard, work, _ := w.Instance(w.WithoutVault())
	w.serve(guard, work)
}

func (w *world) connections(callback string) []connection.Test {
	w.tried = callback
	var tests []connection.Test
	for _, name := range connection.Names() {
		tests = append(tests, connection.Test{Name: name, Good: name + " is fine.", Try: func(context.Context) error { return w.fails[name] }})
	}
	return tests
}

// atX is a person signing in at X as an account; it returns the way back.
func (w *world) atX(requestToken, account string) (back string) {
	back, _ = w.AtX(requestToken, account)
	return back
}

// fail has X answer requests of one path with a status.
func (w *world) fail(path string, status int, body string) {
	w.X.Fail(func(r *http.Request) x.Fault {
		if r.URL.Path == path {
			return x.Fault{Status: status, Body: body}
		}
		return x.Fault{}
	})
}

// account saves an account's record as it is given.
func (w *world) account(a state.Account) {
	w.T.Helper()
	record, err := w.State.LoadAccount(w.T.Context(), a.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	record.Account = a
	if err := record.Save(w.T.Context()); err != nil {
		w.T.Fatal(err)
	}
}

// task saves a task as it is given, open or ended.
func (w *world) task(task state.Task) {
	w.T.Helper()
	open := task
	open.EndedAt = time.Time{}
	if _, err := w.State.AddTask(w.T.Context(), open); err != nil {
		w.T.Fatal(err)
	}
	claim, err := w.State.ClaimTask(w.T.Context(), task.JobID, task.TaskID)
	if err != nil {
		w.T.Fatal(err)
	}
	defer claim.Release()
	claim.Task = task
	if task.EndedAt.IsZero() {
		err = claim.Save(w.T.Context())
	} else {
		err = claim.End(w.T.Context(), task.EndedAt)
	}
	if err != nil {
		w.T.Fatal(err)
	}
}

// exchanges wants so many exchanges at X.
func (w *world) exchanges(want int) {
	w.T.Helper()
	if got := w.Exchanges(); got != want {
		w.T.Errorf("X was asked for %d exchanges, want %d", got, want)
	}
}

// browser keeps cookies and follows no redirect by itself.
type browser struct {
	*world
	http *http.Client
	page string // the last answer's body
	resp *http.Response
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return &browser{world: w, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) send(method, uri, body string, header ...string) int {
	b.T.Helper()
	if !strings.HasPrefix(uri, "http") {
		uri = b.server.URL + uri
	}
	req, err := http.NewRequest(method, uri, strings.NewReader(body))
	if err != nil {
		b.T.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	b.resp, err = b.http.Do(req)
	if err != nil {
		b.T.Fatal(err)
	}
	defer b.resp.Body.Close()
	data, err := io.ReadAll(b.resp.Body)
	if err != nil {
		b.T.Fatal(err)
	}
	b.page = string(data)
	return b.resp.StatusCode
}

// get opens a page and expects a status and parts of the page.
func (b *browser) get(uri string, status int, parts ...string) {
	b.T.Helper()
	if got := b.send("GET", uri, ""); got != status {
		b.T.Errorf("GET %s: want %d, got %d %s", uri, status, got, b.text())
	}
	b.has(parts...)
}

func (b *browser) has(parts ...string) {
	b.T.Helper()
	for _, part := range parts {
		if !strings.Contains(b.text(), part) {
			b.T.Errorf("the page lacks %q: %s", part, b.text())
		}
	}
}

var (
	tag   = regexp.MustCompile(`<[^>]*>`)
	token = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
)

// text is what the page says, without its markup.
func (b *browser) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(b.page, " "))), " ")
}

func (b *browser) csrf() string {
	b.T.Helper()
	m := token.FindStringSubmatch(b.page)
	if m == nil {
		b.T.Fatalf("the page has no form: %s", b.text())
	}
	return m[1]
}

// post sends a form of the page that was last shown.
func (b *browser) post(uri string, status int, fields ...string) {
	b.T.Helper()
	form := url.Values{"csrf": {b.csrf()}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	if got := b.send("POST", uri, form.Encode()); got != status {
		b.T.Errorf("POST %s: want %d, got %d %s", uri, status, got, b.text())
	}
}

func (b *browser) location() string { return b.resp.Header.Get("Location") }

// signIn signs in to the pages.
func (b *browser) signIn(uri string) {
	b.T.Helper()
	b.get(uri, 200, "APISecretKey")
	b.post(uri, 303, "do", "enter", "tenantId", tenant, "secret", secret)
	b.get(b.location(), 200)
}

// toX sends the job's form and goes to X, as the browser does; it returns the
// request token.
func (b *browser) toX(uri string, fields ...string) string {
	b.T.Helper()
	b.get(uri, 200)
	b.post(uri, 200, append([]string{"do", "sign-in"}, fields...)...)
	m := regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]+)"`).FindStringSubmatch(b.page)
	if m == nil {
		b.T.Fatalf("the browser is not sent on: %s", b.page)
	}
	b.get(html.UnescapeString(m[1]), 302)
	request, ok := strings.CutPrefix(b.location(), b.XURL+"/oauth/authenticate?oauth_token=")
	if !ok {
		b.T.Fatalf("the browser is sent to %s", b.location())
	}
	return request
}
