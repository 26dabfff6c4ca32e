package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"xarchive/tests/coretools"
)

// coreTools is the test binary under the name of func: it says what it was given,
// listens, and ends once somebody has connected.
func coreTools() {
	if os.Args[1] == "--version" {
		fmt.Println(os.Getenv("TOOLS_VERSION"))
		return
	}
	fmt.Println("args:", strings.Join(os.Args[1:], " "))
	for _, entry := range os.Environ() {
		fmt.Println("env:", entry)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("TOOLS_PORT"))
	if err != nil {
		panic(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	_ = conn.Close()
	// It ends when its output has nobody left who reads it, or is told to.
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func install(t *testing.T, version string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(os.Args[0], filepath.Join(dir, "func")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("TOOLS_VERSION", version)
	t.Setenv("FUNC", "")
}

// said collects an output and says when something stands in it.
type said struct {
	mu      sync.Mutex
	text    strings.Builder
	awaited string
	once    sync.Once
	seen    chan struct{}
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if strings.Contains(s.text.String(), s.awaited) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(p), nil
}

// TestRunTools: func gets the app's folder and no variable of the shell that would win
// over a setting; the addresses are printed once it listens.
func TestRunTools(t *testing.T) {
	port := freePort(t)
	install(t, "4.14.0")
	t.Setenv("TOOLS_PORT", fmt.Sprint(port))
	t.Setenv("HTTPS_PROXY", "http://company.example")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	stdin := os.Stdin
	os.Stdin = read
	defer func() { os.Stdin = stdin }()
	s := settings{Values: map[string]string{"HTTPS_PROXY": "http://127.0.0.1:7186"}}
	s.Host.LocalHTTPPort = &port
	program, _ := coretools.Find(t.Context())
	out := &said{awaited: fmt.Sprintf("Status:   http://localhost:%d/Status", port), seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- runTools(t.Context(), program, "build/x", s, out) }()
	select {
	case <-out.seen:
	case err := <-ended:
		t.Fatalf("it ended: %v\n%s", err, out.text.String())
	}
	_ = write.Close() // func ends
	if err := <-ended; err != nil {
		t.Error(err)
	}
	text := out.text.String()
	if !strings.Contains(text, "args: start --script-root build/x\n") || strings.Contains(text, "company.example") {
		t.Errorf("%s", text)
	}
}

// TestPortIsTaken: a second start says so before it touches anything.
func TestPortIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	t.Chdir(t.TempDir())
	content := fmt.Sprintf(`{"IsEncrypted":false,"Values":{"A":"x"},"Host":{"LocalHttpPort":%d}}`, port)
	if err := os.WriteFile("local.settings.json", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(t.Context(), "app"); err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat("app"); err == nil {
		t.Error("it has staged an app")
	}
}
