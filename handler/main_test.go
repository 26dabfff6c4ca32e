package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"xarchive/tests/sandbox"
)

// The test binary is also the handler, and a host that starts it and is killed.
const role = "HANDLER_TEST_ROLE"

// staged is the folder of the staged app, built once: commands are run as the very
// binary that is deployed.
var staged string

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "handler":
		os.Exit(run())
	case "host":
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), role+"=handler")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		_ = cmd.Wait()
	default:
		os.Exit(sandbox.RunStaged(m, "..", &staged))
	}
}

// process is the test binary in a role, with its output.
type process struct {
	*exec.Cmd
	port  string
	lines *bufio.Scanner
}

// play starts the test binary in a role and waits until the handler listens. Its
// settings are faulty, which must make no difference to how it lives and ends.
func play(t *testing.T, as string) process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	_ = listener.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{role + "=" + as, "FUNCTIONS_CUSTOMHANDLER_PORT=" + port}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	p := process{cmd, port, bufio.NewScanner(read)}
	p.until(t, "listening for the Functions host")
	return p
}

func (p process) until(t *testing.T, text string) {
	t.Helper()
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), text) {
			return
		}
	}
	_ = p.Process.Kill()
	t.Fatalf("it ended without a line that says %q", text)
}

// TestExitCode: after 0 the host would never start the handler again.
func TestExitCode(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := play(t, "handler")
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		p.until(t, "msg=ending")
		_ = p.Wait()
		if code := p.ProcessState.ExitCode(); code != 200 {
			t.Errorf("after %v: want exit code 200, got %d", signal, code)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for port, want := range map[string]int{"": 1, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port): 1} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{role + "=handler", "FUNCTIONS_CUSTOMHANDLER_PORT=" + port}
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("with the port %q: want exit code %d, got %d", port, want, code)
		}
	}
}

// TestOrphan: a handler whose host was killed ends, and frees its port.
func TestOrphan(t *testing.T) {
	p := play(t, "host")
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.until(t, "the Functions host is gone")
	for p.lines.Scan() { // until the handler has closed its output
	}
	if conn, err := net.Dial("tcp", "127.0.0.1:"+p.port); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
	_ = p.Wait()
}
