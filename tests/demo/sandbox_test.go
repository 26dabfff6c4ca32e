package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/functionshost"
)

// serve runs a sandbox as `make sandbox` does, on ports that are free.
func serve(t *testing.T, root string) (first int, stop func() error) {
	t.Helper()
	for {
		first := port(t) // and the seven after it, with luck
		ctx, cancel := context.WithCancel(t.Context())
		out := &output{awaited: "Ctrl-C", seen: make(chan struct{})}
		ended := make(chan error, 1)
		go func() { ended <- serveSandbox(ctx, someAccount(t), root, first, out) }()
		select {
		case <-out.seen:
			return first, func() error { cancel(); return <-ended }
		case err := <-ended:
			cancel()
			if !errors.Is(err, sandbox.ErrTaken) {
				t.Fatal(err)
			}
		}
	}
}

// TestSecondSandbox: it says how to choose other ports and leaves the first one's
// certificates alone; those are the same again after an end and a start. The settings
// that it writes for other ports work.
func TestSecondSandbox(t *testing.T) {
	root := t.TempDir()
	first, stop := serve(t, root)
	folder, _ := filepath.Glob(filepath.Join(root, "sandbox-*"))
	if len(folder) != 1 {
		t.Fatalf("%v", folder)
	}
	authority := read(t, filepath.Join(folder[0], "ca.pem"))
	if err := serveSandbox(t.Context(), someAccount(t), root, first, &output{}); !errors.Is(err, sandbox.ErrTaken) || !strings.Contains(err.Error(), "PORTS=") {
		t.Errorf("want an error that says how to choose others, got %v", err)
	}
	if read(t, filepath.Join(folder[0], "ca.pem")) != authority {
		t.Error("the second has spoiled the first one's certificates")
	}

	var settings struct {
		IsEncrypted *bool
		Values      map[string]string
		Host        struct{ LocalHttpPort int }
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(folder[0], "local.settings.json"))), &settings); err != nil {
		t.Fatal(err)
	}
	if settings.IsEncrypted == nil || *settings.IsEncrypted || settings.Host.LocalHttpPort != first {
		t.Errorf("%+v", settings)
	}
	host, err := functionshost.Start(t.Context(), functionshost.Options{Dir: app, Env: settings.Values, NoFrontEnd: true, NoTimers: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Stop(context.Background()) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, host.URL()+"/setup/Validate", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(sandbox.TenantID, sandbox.APISecretKey) // compared with Key Vault's
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("with the settings for these ports: status %d", resp.StatusCode)
	}

	if err := stop(); err != nil {
		t.Errorf("the end of a sandbox is an error: %v", err)
	}
	again, stopAgain := context.WithCancel(t.Context())
	out := &output{awaited: "Ctrl-C", seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- serveSandbox(again, someAccount(t), root, first, out) }()
	select {
	case <-out.seen:
	case err := <-ended:
		t.Fatal(err)
	}
	if read(t, filepath.Join(folder[0], "ca.pem")) != authority {
		t.Error("after a new start programs that run would trust nobody")
	}
	stopAgain()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestCtrlC: somebody who ends the sandbox or the demo has done nothing wrong, and make
// shall not say so. That it was ended shows in what is printed.
func TestCtrlC(t *testing.T) {
	program, err := filepath.Abs(filepath.Join(t.TempDir(), "demo"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	// run interrupts the program once it has said something.
	run := func(args []string, awaited string) (said string, taken bool, err error) {
		out := &output{awaited: awaited, seen: make(chan struct{})}
		cmd := exec.Command(program, args...)
		cmd.Dir = t.TempDir()
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-out.seen:
			_ = cmd.Process.Signal(os.Interrupt)
		case err := <-ended:
			if strings.Contains(out.String(), "is taken") {
				return "", true, nil
			}
			t.Fatalf("%q: it ended by itself: %v\n%s", args, err, out)
		}
		err = <-ended
		return out.String(), false, err
	}
	for {
		said, taken, err := run([]string{"-serve", "-ports", strconv.Itoa(port(t))}, "Ctrl-C ends")
		if err != nil {
			t.Errorf("the sandbox, after Ctrl-C: %v\n%s", err, said)
		}
		if !taken {
			break
		}
	}
	if said, _, err := run([]string{"-app", app}, "has asked for everything"); err != nil || !strings.Contains(said, "Stopped.") {
		t.Errorf("the demo, after Ctrl-C: %v\n%s", err, said)
	}
}
