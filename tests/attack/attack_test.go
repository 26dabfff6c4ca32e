// Package attack tries the running connector's doors as a stranger would, and as somebody
// would who has its shared secret: with thousands of requests made up at random, through
// the stand-in for the Functions host. While it works (an account signs in, posts are
// archived, a task is delivered, a person is signed in to the pages), nothing may panic,
// nobody without credentials may get anything, and no secret may be in any answer, log
// line, blob or metric.
//
// `make attack` sends 20,000 requests; by itself the test sends some hundred, so that
// every test run has it. The seed is in the output: -seed repeats a run.
package attack

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
)

var (
	requests = flag.Int("requests", 1200, "how many requests are made up")
	seed     = flag.Uint64("seed", 0, "of the random numbers; 0 takes one from the clock")
)

// app is the staged app, built once.
var app string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(sandbox.RunStaged(m, "../..", &app))
}

const job = "job-attacked"

// recorder is whatever somebody writes or sends, to be searched.
type recorder struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// ServeHTTP makes a recorder a collector of telemetry.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(r, req.Body)
	for name, values := range req.Header {
		_, _ = fmt.Fprintln(r, name, values)
	}
	w.WriteHeader(http.StatusOK)
}

// world is the connector under attack.
type world struct {
	*sandbox.Sandbox
	t       *testing.T
	log     recorder
	metrics recorder
	secrets map[string]string // by what they are; they must be nowhere
}

func start(t *testing.T) *world {
	w := &world{t: t}
	collector := httptest.NewServer(&w.metrics)
	t.Cleanup(collector.Close)
	s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), App: app, InMemory: true, FrontEnd: true, Stderr: &w.log,
		Env: map[string]string{"LOG_LEVEL": "debug", "WEBSITE_HOSTNAME": "connector.example", "X_ACTIVITY": "true", "INGEST_MENTIONS": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log.String())
	}
	w.Sandbox = s
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// know collects the secrets that there are by now.
func (w *world) know() {
	w.secrets = map[string]string{"the shared secret": sandbox.APISecretKey, "the X app's secret": "sandbox-x-api-secret-key",
		"the Entra app's secret": "sandbox-aad-application-secret"}
	for _, account := range w.Corpus.Accounts() {
		if token, secret := w.X.Token(account); secret != "" {
			w.secrets["the access token of "+account], w.secrets["its secret, of "+account] = token, secret
		}
	}
	if key, ok := w.Vault.Get("pages-key"); ok {
		w.secrets["the pages' key"] = key
	} else {
		w.t.Error("nobody has signed in to the pages")
	}
	w.secrets["the shared secret as Basic"] = base64.StdEncoding.EncodeToString([]byte(sandbox.TenantID + ":" + sandbox.APISecretKey))
}

// leaks names the secrets in a text.
func (w *world) leaks(text string) (found []string) {
	for what, secret := range w.secrets {
		if strings.Contains(text, secret) {
			found = append(found, what)
		}
	}
	return found
}

// client is a caller behind Azure's front end that follows nothing.
var client = &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// TestAttack is the suite.
func TestAttack(t *testing.T) {
	w := start(t)
	if err := w.Connect(t.Context(), job, corpus.SupportAccount); err != nil {
		t.Fatal(err)
	}
	person := w.signIn()
	w.tick()
	newest := w.Corpus.All(corpus.SupportAccount)[0].CreatedAt
	for _, p := range w.Corpus.All(corpus.SupportAccount) {
		if p.CreatedAt.After(newest) {
			newest = p.CreatedAt
		}
	}
	task := importservice.Task{JobID: job, TaskID: "legitimate", Start: time.Date(2006, 3, 1, 0, 0, 0, 0, time.UTC), End: newest}
	if status, answer, err := w.Import.Request(t.Context(), task); err != nil || status != 200 {
		t.Fatalf("requesting a task: %d %s %v", status, answer, err)
	}
	w.tick()
	w.know()
	archived := len(w.Memory.Names("archive"))
	keys := map[string]string{}
	for _, name := range []string{"twitter-api-key", "twitter-api-secret-key"} {
		keys[name], _ = w.Vault.Get(name)
	}

	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d requests, seed %d", *requests, *seed)
	w.everyCall()
	const workers = 8
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() {
			f := &fuzzer{Rand: rand.New(rand.NewPCG(*seed, uint64(n))), w: w, session: person}
			for range *requests / workers {
				f.request()
			}
		})
	}
	all.Wait()
	// Some requests have the right secret, and may have saved other keys of the app. The tick
	// that finds out fails; with the right keys all is well again.
	for name, value := range keys {
		if err := w.Vault.Set(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = w.Host.Tick(t.Context(), "ingest")
	w.tick()
	w.afterwards(archived)
}

// everyCall makes each call with all that it needs but the right to make it.
func (w *world) everyCall() {
	f := &fuzzer{Rand: rand.New(rand.NewPCG(*seed, 0)), w: w}
	const query = "?jobId=" + job + "&tenantId=" + sandbox.TenantID + "&jobType=Twitter&remediationType=Relogin&redirectUrl=" + sandbox.CallbackURL
	const body = `{"Id":"` + corpus.SupportAccount + `","Name":"x","TwitterApiKeyValue":"stolen","JobId":"` + job + `","TaskId":"t","StartTime":"2024-01-01T00:00:00","EndTime":"2024-02-01T00:00:00","BlobSasUri":"https://example.blob.core.windows.net/container?sv=2024-11-04&sr=c&sp=wc&sig=c2ln"}`
	for _, path := range calls {
		for _, method := range []string{"GET", "POST", "DELETE", "HEAD"} {
			for range 4 {
				req, err := http.NewRequest(method, w.Host.URL()+path+query, strings.NewReader(body))
				if err != nil {
					w.t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				if a := f.authorization(); !strings.ContainsAny(a, "\x00\r\n") {
					req.Header.Set("Authorization", a)
				}
				resp, err := client.Do(req)
				if err != nil {
					w.t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode/100 == 2 {
					w.t.Errorf("%s %s: a stranger gets %d", method, path, resp.StatusCode)
				}
			}
		}
	}
}

// tick fires the timer, which must succeed.
func (w *world) tick() {
	w.t.Helper()
	inv, err := w.Host.Tick(w.t.Context(), "ingest")
	if err = errors.Join(err, inv.Err); err != nil {
		w.t.Fatalf("%v\n%s", err, w.log.String())
	}
}

// afterwards looks at what the attack has left.
func (w *world) afterwards(archived int) {
	w.t.Helper()
	log := w.log.String()
	for _, word := range []string{"level=ERROR msg=panic", "panic:", "runtime error", "goroutine ", "fatal error"} {
		if i := strings.Index(log, word); i >= 0 {
			w.t.Errorf("the log has %q: %s", word, log[max(0, i-300):min(len(log), i+1500)])
		}
	}
	if n := strings.Count(log, "listening for the Functions host"); n != 1 {
		w.t.Errorf("the connector was started %d times", n)
	}
	for what, text := range map[string]string{"the log": log, "telemetry": w.metrics.String()} {
		if text == "" {
			w.t.Errorf("%s is empty: nothing was looked at", what)
		}
		for _, secret := range w.leaks(text) {
			w.t.Errorf("%s holds %s", what, secret)
		}
	}
	looked := 0
	for _, server := range []*blobs.Server{w.Memory, w.Tasks} {
		for _, container := range server.Containers() {
			for _, name := range server.Names(container) {
				b, _ := server.Get(container, name)
				looked++
				for _, secret := range w.leaks(name + string(b.Content) + fmt.Sprint(b.Metadata)) {
					w.t.Errorf("blob %s/%s holds %s", container, name, secret)
				}
				if !strings.HasPrefix(name, "tasks/open/") && strings.Contains(string(b.Content), "sig=") {
					w.t.Errorf("blob %s/%s holds a container's signature", container, name)
				}
			}
		}
	}
	if looked < archived {
		w.t.Errorf("%d blobs were looked at", looked)
	}
	// It still works, and what was archived is there.
	req, err := http.NewRequest("GET", w.Host.URL()+"/setup/Validate", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(sandbox.TenantID, sandbox.APISecretKey)
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		w.t.Errorf("the right secret after the attack: %d", resp.StatusCode)
	}
	if n := len(w.Memory.Names("archive")); n < archived {
		w.t.Errorf("%d blobs in the archive, %d before", n, archived)
	}
}

var csrf = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// signIn signs a person in to the pages, and returns the cookies.
func (w *world) signIn() string {
	w.t.Helper()
	resp, err := client.Get(w.Host.URL() + "/Configure")
	if err != nil {
		w.t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	m := csrf.FindSubmatch(page)
	if m == nil {
		w.t.Fatalf("no form: %s", page)
	}
	form := url.Values{"do": {"enter"}, "csrf": {string(m[1])}, "tenantId": {sandbox.TenantID}, "secret": {sandbox.APISecretKey}}
	req, err := http.NewRequest("POST", w.Host.URL()+"/Configure", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range resp.Cookies() {
		req.Header.Add("Cookie", c.Name+"="+c.Value)
	}
	resp, err = client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	var cookies []string
	for _, c := range resp.Cookies() {
		if c.MaxAge >= 0 && c.Value != "" {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
	}
	if resp.StatusCode != http.StatusSeeOther || len(cookies) == 0 {
		w.t.Fatalf("signing in: %d, cookies %v", resp.StatusCode, cookies)
	}
	return strings.Join(cookies, "; ")
}

// readRaw reads an answer that came over a connection of one's own.
func readRaw(conn net.Conn) (status int, text string, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, fmt.Sprint(resp.Header) + string(body), err
}
