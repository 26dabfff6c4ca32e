package functionshost

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the handler and, for one test, a host of its own.
const role = "FUNCTIONSHOST_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "handler":
		runHandler()
	case "host":
		runHost()
	}
}

// runHandler is a custom handler that shows what it was sent, and misbehaves
// when told to.
func runHandler() {
	if os.Getenv("START") == "crash" {
		fmt.Fprintln(os.Stderr, "no such setting")
		os.Exit(3)
	}
	if os.Getenv("START") == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	}
	if os.Getenv("START") == "mute" {
		time.Sleep(time.Hour) // a bare select would be found to be a deadlock
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	release := make(chan struct{})
	var mu sync.Mutex
	var now, most int
	count := func(d int) {
		mu.Lock()
		defer mu.Unlock()
		now += d
		most = max(most, now)
	}
	fmt.Fprintf(os.Stderr, "port %s\nlast words without a line's end", os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	fmt.Fprintln(os.Stderr)
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/crash":
			os.Exit(5)
		case "/api/quit":
			fmt.Fprint(os.Stderr, "bye") // no line's end
			os.Exit(0)
		case "/api/again":
			os.Exit(exitIntentional)
		case "/api/redirect":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
			http.Redirect(w, r, "/api/Configuration", http.StatusFound)
		case "/api/release":
			release <- struct{}{}
		case "/api/most":
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprint(w, most)
		case "/api/env":
			_ = json.NewEncoder(w).Encode(os.Environ())
		case "/api/cut": // the connection is closed without an answer
			fmt.Fprintln(os.Stderr, "cut", r.Method, r.Header.Get("X-Azure-Functions-InvocationId"))
			panic(http.ErrAbortHandler)
		case "/api/hasty": // answers without reading the body
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case "/api/pieces":
			for _, piece := range []string{"one ", "two"} {
				fmt.Fprint(w, piece)
				_ = http.NewResponseController(w).Flush()
			}
		case "/api/out":
			fmt.Println("news")
		case "/api/errors":
			fmt.Fprint(os.Stderr, "fatal: it broke\nlevel=WARN be careful\n")
		case "/api/broken":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "half")
		case "/ingest":
			count(1)
			defer count(-1)
			body, _ := io.ReadAll(r.Body)
			kind := os.Getenv("ANSWER")
			fmt.Fprintln(os.Stderr, "started", string(body))
			if kind == "block" {
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
			timerAnswer(w, kind)
		default:
			body, _ := io.ReadAll(r.Body)
			_ = json.NewEncoder(w).Encode(echo{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.TransferEncoding})
		}
	})))
}

type echo struct {
	Method, URI, Host, Body string
	Header                  http.Header
	TransferEncoding        []string
}

const goodAnswer = `{"Outputs":{},"Logs":["one","two"],"ReturnValue":null}`

// timerAnswer answers an invocation; kind is "", "block", "<status>", or a body.
func timerAnswer(w http.ResponseWriter, kind string) {
	status, contentType, body := 200, "application/json; charset=utf-8", goodAnswer
	switch {
	case strings.HasPrefix(kind, "text"):
		contentType = "text/plain"
	case strings.HasPrefix(kind, "status "):
		fmt.Sscan(kind[7:], &status)
	case kind != "" && kind != "block":
		body = kind
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// runHost starts a host and leaves it to be killed.
func runHost() {
	h, err := Start(context.Background(), Options{
		Dir: os.Getenv("APP"), Stderr: os.Stdout,
		Env: map[string]string{role: "handler", "INGEST_SCHEDULE": "0 0 0 1 1 *"},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("pid", h.PID())
	select {}
}

// stage makes an app of the repository's own host.json and functions, with the
// test binary as its handler. change may alter files first.
func stage(t testing.TB, change map[string]string) string {
	t.Helper()
	dir, root := t.TempDir(), filepath.Join("..", "..", "..")
	files := map[string]string{}
	for _, name := range []string{"host.json", "connector/function.json", "ingest/function.json"} {
		source := filepath.Join(root, "functions", name)
		if name == "host.json" {
			source = filepath.Join(root, name)
		}
		content, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
	}
	for name, content := range change {
		files[name] = content
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "handler")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// settings are an app's; pairs override.
func settings(pairs ...string) map[string]string {
	env := map[string]string{role: "handler", "INGEST_SCHEDULE": "0 0 0 1 1 *", "AzureWebJobsDisableHomepage": "true"}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

// output collects lines that a handler writes.
type output struct{ lines chan string }

func newOutput() *output { return &output{make(chan string, 1000)} }

func (o *output) Write(p []byte) (int, error) {
	for _, line := range strings.Split(strings.TrimSuffix(string(p), "\n"), "\n") {
		select {
		case o.lines <- line:
		default: // a test that cares reads them
		}
	}
	return len(p), nil
}

// wait returns the first line with that prefix.
func (o *output) wait(t *testing.T, prefix string) string {
	t.Helper()
	for {
		select {
		case line := <-o.lines:
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-t.Context().Done():
			t.Fatal("the test ended")
		case <-time.After(30 * time.Second):
			t.Fatalf("no line beginning with %q", prefix)
		}
	}
}

func run(t *testing.T, o Options) *Host {
	t.Helper()
	if o.Dir == "" {
		o.Dir = stage(t, nil)
	}
	if o.Env == nil {
		o.Env = settings()
	}
	h, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	return h
}

// send makes a raw request, because a client library would tidy its path.
func (h *Host) send(t *testing.T, method, target, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := method + " " + target + " HTTP/1.1\r\nConnection: close\r\n"
	if !strings.Contains(strings.Join(headers, "\n"), "Host:") {
		request += "Host: caller.example\r\n"
	}
	for _, header := range headers {
		request += header + "\r\n"
	}
	if body != "" && !strings.Contains(request, "Transfer-Encoding") {
		request += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(conn, request+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest(method, "http://"+h.address, nil)
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, "broken off"
	}
	return resp, string(answer)
}

func (h *Host) echo(t *testing.T, method, target, body string, headers ...string) echo {
	t.Helper()
	resp, answer := h.send(t, method, target, body, headers...)
	var e echo
	if err := json.Unmarshal([]byte(answer), &e); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s %s: status %d %q", method, target, resp.StatusCode, answer)
	}
	return e
}
