package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// findTools returns the program of Core Tools 4, "" if there is none; why says why
// not, unless none are installed at all. Version 5 has no way to run a custom handler
// from a folder, and may be installed beside version 4 under another name.
func findTools(ctx context.Context) (program, why string) {
	for _, name := range []string{"func", "func4"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		version := strings.TrimSpace(string(out))
		if err == nil && strings.HasPrefix(version, "4.") {
			return path, ""
		}
		why = fmt.Sprintf("%s is version %q of Core Tools, this app needs 4 (npm install -g azure-functions-core-tools@4). Going on with the stand-in for it.", path, version)
	}
	return "", why
}

// toolsEnv is the environment for Core Tools. A variable of the shell would win over
// the same setting of local.settings.json, so those are left out, and with a proxy
// among the settings whatever else the shell says of proxies.
func toolsEnv(environ []string, values map[string]string) []string {
	drop := map[string]bool{}
	for name := range values {
		drop[strings.ToUpper(name)] = true
	}
	if drop["HTTPS_PROXY"] {
		drop["NO_PROXY"], drop["HTTP_PROXY"], drop["ALL_PROXY"] = true, true, true
	}
	var env []string
	for _, entry := range environ {
		if name, _, _ := strings.Cut(entry, "="); !drop[strings.ToUpper(name)] {
			env = append(env, entry)
		}
	}
	return env
}

// runTools runs the app by Core Tools until they end. They are in this process's
// group: the terminal's Ctrl-C reaches them, and they end by themselves.
func runTools(ctx context.Context, program, app string, s settings, out io.Writer) error {
	cmd := exec.Command(program, "start", "--script-root", app)
	cmd.Env = toolsEnv(os.Environ(), s.Values)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting Core Tools: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	listening := make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go waitListening(watching, s.port(), listening)
	for {
		select {
		case <-listening:
			listening = nil
			// Their own list shows the routes' regular expressions, which nobody can open.
			fmt.Fprint(out, addresses(s))
		case err := <-ended:
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("Core Tools ended: %w", err)
			}
			return nil
		}
	}
}

// waitListening closes done once somebody listens on a port of this machine.
func waitListening(ctx context.Context, port int, done chan<- struct{}) {
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
			close(done)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}
