package pages

import (
	"bytes"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/connector"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

const (
	tenant = "0f8fad5b-d9cb-469f-a165-70867728950e"
	secret = "s3cret:with <colon>"
	jobURL = "/preview/OnJobCreating?jobId=j-1&tenantId=" + tenant
)

// world is the pages, served over HTTP with the real connector behind them.
type world struct {
	t       *testing.T
	server  *httptest.Server
	state   *memoryState
	secrets *memorySecrets
	x       *fakeX
	check   *fakeChecker
	log     *lockedBuffer

	mu   sync.Mutex
	time time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &lockedBuffer{}, time: time.Now().UTC().Truncate(time.Second), check: &fakeChecker{}}
	w.state = &memoryState{jobs: map[string]state.Job{}, accounts: map[string]state.Account{}, signIns: map[string]state.SignIn{}}
	w.secrets = &memorySecrets{values: map[string]string{secrets.APISecretKey: secret}, accounts: map[string]twitter.Account{}, failures: map[string]error{}}
	w.x = newFakeX(t)
	// The handler is needed before its address is known.
	var handler http.Handler
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(w.server.Close)
	w.x.callback = w.server.URL + "/Views/TwitterOAuth"
	handler = w.pages()
	return w
}

func (w *world) pages(change ...func(*Options)) *Pages {
	log := slog.New(slog.NewTextHandler(w.log, nil))
	o := Options{TenantID: tenant, XAPIURL: w.x.URL, Records: w.state, Checker: w.check, Now: w.now, Log: log,
		API: connector.New(connector.Options{TenantID: tenant, XAPIURL: w.x.URL, State: w.state, Secrets: w.secrets, HTTP: w.x.Client(), Now: w.now, Log: log}),
		Activity: func(a state.Account) Activity {
			w.state.mu.Lock()
			defer w.state.mu.Unlock()
			return w.state.activity[a.ID]
		}}
	for _, f := range change {
		f(&o)
	}
	return New(o)
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
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
		w.t.Fatal(err)
	}
	return &browser{world: w, http: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) send(method, uri, body string, header ...string) int {
	b.t.Helper()
	if !strings.HasPrefix(uri, "http") {
		uri = b.server.URL + uri
	}
	req, err := http.NewRequest(method, uri, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	b.resp, err = b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer b.resp.Body.Close()
	data, err := io.ReadAll(b.resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.page = string(data)
	return b.resp.StatusCode
}

// get opens a page and expects a status and parts of the page.
func (b *browser) get(uri string, status int, parts ...string) {
	b.t.Helper()
	if got := b.send("GET", uri, ""); got != status {
		b.t.Errorf("GET %s: want %d, got %d %s", uri, status, got, b.text())
	}
	b.has(parts...)
}

func (b *browser) has(parts ...string) {
	b.t.Helper()
	for _, part := range parts {
		if !strings.Contains(b.text(), part) {
			b.t.Errorf("the page lacks %q: %s", part, b.text())
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
	b.t.Helper()
	m := token.FindStringSubmatch(b.page)
	if m == nil {
		b.t.Fatalf("the page has no form: %s", b.text())
	}
	return m[1]
}

// post sends a form of the page that was last shown.
func (b *browser) post(uri string, status int, fields ...string) {
	b.t.Helper()
	form := url.Values{"csrf": {b.csrf()}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	if got := b.send("POST", uri, form.Encode()); got != status {
		b.t.Errorf("POST %s: want %d, got %d %s", uri, status, got, b.text())
	}
}

func (b *browser) location() string { return b.resp.Header.Get("Location") }

// signIn signs in to the pages.
func (b *browser) signIn(uri string) {
	b.t.Helper()
	b.get(uri, 200, "APISecretKey")
	b.post(uri, 303, "do", "enter", "tenantId", tenant, "secret", secret)
	b.get(b.location(), 200)
}

// toX sends the job's form and goes to X, as the browser does; it returns the
// request token.
func (b *browser) toX(uri string, fields ...string) string {
	b.t.Helper()
	b.get(uri, 200)
	b.post(uri, 200, append([]string{"do", "sign-in"}, fields...)...)
	m := regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]+)"`).FindStringSubmatch(b.page)
	if m == nil {
		b.t.Fatalf("the browser is not sent on: %s", b.page)
	}
	b.get(html.UnescapeString(m[1]), 302)
	request, ok := strings.CutPrefix(b.location(), b.x.URL+"/oauth/authenticate?oauth_token=")
	if !ok {
		b.t.Fatalf("the browser is sent to %s", b.location())
	}
	return request
}

// lockedBuffer is a log that may be written at once.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
