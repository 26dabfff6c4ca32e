package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The test binary is also the handler, told so by the app's settings.
const role = "START_TEST_ROLE"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "func" {
		coreTools()
		return
	}
	if os.Getenv(role) == "" {
		os.Exit(m.Run())
	}
	_ = http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, os.Getenv("LOG_LEVEL")+" "+os.Getenv("WEBSITE_HOSTNAME")+" "+os.Getenv("FROM_SHELL")+r.URL.Path)
	}))
}

// stage puts an app with the repository's functions together.
func stage(t *testing.T) string {
	t.Helper()
	dir, root := t.TempDir(), filepath.Join("..", "..")
	for to, from := range map[string]string{
		"host.json": "host.json", "connector/function.json": "functions/connector/function.json", "ingest/function.json": "functions/ingest/function.json",
	} {
		content, err := os.ReadFile(filepath.Join(root, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), content, 0o644); err != nil {
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

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// parse reads settings from a text.
func parse(t *testing.T, text string) (settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "local.settings.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readSettings(path)
}

func TestRun(t *testing.T) {
	t.Setenv("FROM_SHELL", "shell")
	t.Setenv("LOG_LEVEL", "error")
	port := freePort(t)
	s, err := parse(t, `{"IsEncrypted":false,"Values":{"`+role+`":"handler","LOG_LEVEL":"warn","INGEST_SCHEDULE":"0 0 0 1 1 *","AzureWebJobsDisableHomepage":"true"},"Host":{"LocalHttpPort":`+strconv.Itoa(port)+`}}`)
	if err != nil {
		t.Fatal(err)
	}
	dir := stage(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, dir, s, write, io.Discard)
		_ = write.CloseWithError(errors.Join(io.EOF, err))
		ended <- err
	}()
	said := ""
	for piece := make([]byte, 4096); !strings.Contains(said, "Ctrl-C"); {
		n, err := read.Read(piece)
		said += string(piece[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, said)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	for _, want := range []string{"connector: [GET,POST,DELETE,HEAD] http://localhost:", "ingest: timerTrigger, 0 0 0 1 1 *", "/Configure\n", "/Status\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in:\n%s", want, said)
		}
	}
	_, after, _ := strings.Cut(said, "Overview: ")
	url, _, _ := strings.Cut(after, "\n")
	resp, err := http.Get(url + "Status")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || string(body) != "warn localhost:"+strconv.Itoa(port)+" /Status" {
		t.Errorf("want the settings' value and nothing of the shell's, got %q, %v", body, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
}

func TestFaultySettings(t *testing.T) {
	for content, want := range map[string]string{
		"{": "not JSON",
		"{\"IsEncrypted\": false,\n\"Values\": {\n\"A\": \"hush-hush\" \"B\"}}":  "line 3",
		`{"IsEncrypted":false,"Values":{"API_SECRET_KEY":{"a":98765432109876}}}`: "in quotes",
		`{"Values":{"A":"x"}}`:                    `"IsEncrypted": false`,
		`{"IsEncrypted":true,"Values":{"A":"x"}}`: "encrypted",
		`{"IsEncrypted":false}`:                   "no Values",
		`{"IsEncrypted":false,"Values":{"A":"x"},"Host":{"LocalHttpPort":70000}}`:        "65535",
		`{"IsEncrypted":false,"Values":{"A":"x"},"Host":{"LocalHttpPort":0}}`:            "7071",
		`{"IsEncrypted":false,"Values":{"A":"hush-hush"},"Host":{"LocalHttpPort":"no"}}`: "LocalHttpPort",
	} {
		_, err := parse(t, content)
		// The error names the file, whose folder has a number of up to ten digits.
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "98765432109876") {
			t.Errorf("%s: want an error with %q, got %v", content, want, err)
		}
	}
	if _, err := readSettings(filepath.Join(t.TempDir(), "none.json")); err == nil || !strings.Contains(err.Error(), "cp local.settings.json.sample") {
		t.Errorf("%v", err)
	}
	for values, want := range map[string]string{`{"A":"x"}`: "INGEST_SCHEDULE", `{"INGEST_SCHEDULE":"x"}`: "NCRONTAB"} {
		s, err := parse(t, `{"IsEncrypted":false,"Values":`+values+`,"Host":{"LocalHttpPort":`+strconv.Itoa(freePort(t))+`,"CORS":"*"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), stage(t), s, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", values, want, err)
		}
	}
}

// TestLenientSettings: what Core Tools accept.
func TestLenientSettings(t *testing.T) {
	s, err := parse(t, "\ufeff"+`{ // a comment
  "IsEncrypted": false, /* another, } */
  "Values": {"N": 7, "B": true, "Z": null, "URL": "http://a//b", "Q": "a\"//,}", "C": "/* no */", },
}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"N": "7", "B": "true", "Z": "", "URL": "http://a//b", "Q": `a"//,}`, "C": "/* no */"} {
		if s.Values[name] != want {
			t.Errorf("%s: want %q, got %q", name, want, s.Values[name])
		}
	}
}

// The sample is what a newcomer copies.
func TestSample(t *testing.T) {
	s, err := readSettings(filepath.Join("..", "..", "local.settings.json.sample"))
	if err != nil || s.port() != 7071 || s.Values["INGEST_SCHEDULE"] == "" || s.Values["AzureWebJobsDisableHomepage"] != "true" {
		t.Errorf("%+v %v", s, err)
	}
}

// TestUnanswered: settings for a sandbox that does not run.
func TestUnanswered(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	values := map[string]string{"X_API_URL": "http://" + listener.Addr().String(), "AAD_AUTHORITY_URL": "https://login.microsoftonline.com", "TENANT_ID": "t"}
	if got := unanswered(values); got != "" {
		t.Errorf("%q", got)
	}
	values["KEY_VAULT_URL"] = "https://localhost:" + strconv.Itoa(freePort(t))
	if got := unanswered(values); got != values["KEY_VAULT_URL"]+" (KEY_VAULT_URL)" {
		t.Errorf("%q", got)
	}
}
