package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/functionshost"
)

// app is the staged app, built once.
var app string

// The test binary under the name of func is Core Tools, as far as the demo uses them, and
// under the name of demo it is the demo.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "demo":
		main()
		return
	case "func":
		if err := coreTools(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(sandbox.RunStaged(m, "../..", &app))
}

// coreTools is `func --version` and `func start`, by the stand-in host. As with the
// real ones, what the environment has of a setting wins over local.settings.json.
func coreTools(args []string) error {
	if args[0] == "--version" {
		fmt.Println("4.14.0")
		return nil
	}
	flags := flag.NewFlagSet("func start", flag.ContinueOnError)
	root, port := flags.String("script-root", "", ""), flags.Int("port", 7071, "")
	if err := flags.Parse(args[1:]); err != nil || args[0] != "start" {
		return fmt.Errorf("want start, got %q: %w", args, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := localSettings(*root)
	if err != nil {
		return err
	}
	for name := range settings {
		if value := os.Getenv(name); value != "" {
			settings[name] = value
		}
	}
	host, err := functionshost.Start(ctx, functionshost.Options{Dir: *root, Env: settings, Port: *port, NoFrontEnd: true, Stderr: os.Stderr})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return host.Stop(context.Background())
}

// localSettings reads the settings beside an app.
func localSettings(app string) (map[string]string, error) {
	content, err := os.ReadFile(filepath.Join(app, "local.settings.json"))
	if err != nil {
		return nil, err
	}
	var file struct {
		IsEncrypted *bool
		Values      map[string]string
	}
	err = json.Unmarshal(content, &file)
	if err == nil && (file.IsEncrypted == nil || *file.IsEncrypted) {
		err = errors.New("Core Tools would take it for encrypted")
	}
	return file.Values, err
}

// someAccount is a corpus of one account with three posts.
func someAccount(t *testing.T) *corpus.Corpus {
	t.Helper()
	dir := t.TempDir()
	var posts []map[string]any
	for i := range 3 {
		when := time.Date(2025, 5, 1, 9, i, 0, 0, time.UTC)
		id := corpus.NewID(when, 1)
		posts = append(posts, map[string]any{"id": id, "author_id": "7770001", "text": fmt.Sprint("Post ", i), "conversation_id": id,
			"edit_history_tweet_ids": []string{id}, "created_at": when.Format("2006-01-02T15:04:05.000Z")})
	}
	content, err := json.Marshal(map[string]any{"data": posts, "includes": map[string]any{"users": []map[string]string{{"id": "7770001", "name": "Contoso", "username": "contoso"}}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "posts.json"), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// output collects what the demo prints, and says when some words are there.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	awaited string
	seen    chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.awaited != "" && strings.Contains(o.text.String(), o.awaited) {
		o.awaited = ""
		close(o.seen)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wantReport checks what the demo leaves.
func wantReport(t *testing.T, d *demo) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(d.dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	if r.Posts != 3 || r.Items != 3 || r.XPostReads != 3 || len(r.Events) != 1 || r.Events[0].Status != 0 {
		t.Errorf("%s", content)
	}
	if mail, _ := filepath.Glob(filepath.Join(d.dir, "mail", "*.eml")); len(mail) != 3 {
		t.Errorf("%d messages", len(mail))
	}
	if log, err := os.ReadFile(filepath.Join(d.dir, "handler.log")); err != nil || d.host != "" && d.host != "func" != (len(log) == 0) {
		t.Errorf("handler.log has %d bytes, %v", len(log), err)
	}
}

// TestCoreTools: HOST=func does the whole job through Core Tools, whatever the shell's
// variables say, and leaves nothing running.
func TestCoreTools(t *testing.T) {
	t.Setenv("FUNC", "")
	folder := t.TempDir()
	if err := os.Symlink(os.Args[0], filepath.Join(folder, "func")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9") // of a company
	t.Setenv("TENANT_ID", "another")
	d := &demo{app: app, host: "func", posts: someAccount(t), dir: filepath.Join(t.TempDir(), "demo"), out: &output{}}
	if err := d.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, d.out)
	}
	wantReport(t, d)
	_, after, _ := strings.Cut(fmt.Sprint(d.out), "Starting Core Tools (")
	_, after, _ = strings.Cut(after, "http://")
	address, _, _ := strings.Cut(after, " ")
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("Core Tools still listen")
	}
	if !strings.Contains(fmt.Sprint(d.out), "make demo KEEP=1") {
		t.Errorf("it does not say what to do next:\n%s", d.out)
	}
}

// TestAnyHost: HOST=<address> waits for a host that somebody starts with what it has
// written: here the stand-in, with the settings that a shell reads.
func TestAnyHost(t *testing.T) {
	port := port(t)
	out := &output{awaited: "set -a", seen: make(chan struct{})}
	d := &demo{app: app, host: "http://localhost:" + strconv.Itoa(port), posts: someAccount(t), dir: filepath.Join(t.TempDir(), "it's demo"), out: out}
	ended := make(chan error, 1)
	go func() { ended <- d.run(t.Context()) }()
	select {
	case <-out.seen:
	case err := <-ended:
		t.Fatalf("%v\n%s", err, out)
	}
	shell := exec.Command("sh", "-c", `set -a; . "$0"; env`, filepath.Join(d.dir, "host.env"))
	shell.Env = []string{"PATH=" + os.Getenv("PATH")}
	text, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		settings[name] = value
	}
	root := settings["AzureWebJobsScriptRoot"]
	beside, err := localSettings(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range beside {
		if settings[name] != value {
			t.Errorf("%s is %q for the shell and %q for Core Tools", name, settings[name], value)
		}
	}
	host, err := functionshost.Start(t.Context(), functionshost.Options{Dir: root, Env: settings, Port: port, NoFrontEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Stop(context.Background()) }()
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantReport(t, d)
}

// TestHostNotThere: what cannot work is said before anything is started.
func TestHostNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := &http.Server{}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	t.Setenv("FUNC", "")
	t.Setenv("PATH", t.TempDir())
	for host, want := range map[string]string{
		"func":                               "azure-functions-core-tools@4",
		"https://func-1.azurewebsites.net":   "on this machine",
		"http://localhost":                   "on this machine",
		"http://" + listener.Addr().String(): "end it first",
	} {
		d := &demo{app: app, host: host, posts: someAccount(t), dir: filepath.Join(t.TempDir(), "demo"), out: io.Discard}
		if err := d.run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", host, want, err)
		}
	}
}

// port is one that nobody listens on.
func port(t *testing.T) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
