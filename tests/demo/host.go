package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"xarchive/tests/coretools"
	"xarchive/tests/sandbox/process"
)

// functionsHost is a real Functions host: Core Tools that the demo starts, or whatever
// somebody starts at an address.
type functionsHost struct {
	url     string
	program string // of Core Tools; "" where others start the host
	child   *process.Child
}

// otherHost is the host that was asked for, nil for the stand-in.
func (d *demo) otherHost(ctx context.Context) (*functionsHost, error) {
	switch d.host {
	case "":
		return nil, nil
	case "func":
		program, why := coretools.Find(ctx)
		if program == "" {
			if why == "" {
				why = "Azure Functions Core Tools are not installed: " + coretools.Install + "."
			}
			return nil, errors.New(why + " Without HOST=func a stand-in runs the app")
		}
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		return &functionsHost{url: "http://127.0.0.1:" + strconv.Itoa(port), program: program}, nil
	}
	u, err := url.Parse(d.host)
	if err != nil || u.Scheme != "http" || u.Port() == "" || u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		return nil, fmt.Errorf("HOST is %q: it can be func, or an address on this machine like http://localhost:7071 (the stand-ins answer on this machine only)", d.host)
	}
	if conn, err := net.Dial("tcp", "127.0.0.1:"+u.Port()); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("something listens on port %s already, which cannot know the demo's settings: end it first, and start the host when the demo asks for it", u.Port())
	}
	return &functionsHost{url: "http://127.0.0.1:" + u.Port()}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a port for Core Tools: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// start writes the app and its settings for the host, starts it or says what is to be
// started, and waits until the connector answers there. storage is the blob endpoint.
func (h *functionsHost) start(ctx context.Context, d *demo, settings map[string]string, storage string, log io.Writer) error {
	app, err := filepath.Abs(filepath.Join(d.dir, "app"))
	if err != nil {
		return err
	}
	if err := os.CopyFS(app, os.DirFS(d.app)); err != nil {
		return fmt.Errorf("copying the app for the host: %w", err)
	}
	settings = maps.Clone(settings)
	settings["AzureWebJobsStorage"] = hostStorage(settings["STORAGE_CONNECTION_STRING"], storage)
	variables := filepath.Join(d.dir, "host.env")
	if err := writeSettings(app, variables, settings); err != nil {
		return fmt.Errorf("writing the host's settings: %w", err)
	}
	ended := make(<-chan struct{})
	if h.program != "" {
		fmt.Fprintf(d.out, "Starting Core Tools (%s) at %s …\n", h.program, h.url)
		h.child, err = process.Start(ctx, process.Command{
			Name: "Core Tools", Path: h.program, Args: []string{"start", "--script-root", app, "--port", h.url[strings.LastIndex(h.url, ":")+1:]},
			Env: coretools.Environment(os.Environ(), settings), Log: log,
		})
		if err != nil {
			return err
		}
		ended = h.child.Done()
	} else {
		fmt.Fprintf(d.out, `Waiting for a Functions host at %s; start one there with
  the app              %s
  and these settings   %s   (for Core Tools)
                       %s   (for a shell: set -a; . %[4]s)
`, h.url, app, filepath.Join(app, "local.settings.json"), variables)
	}
	if err := waitForConnector(ctx, h.url, ended); err != nil {
		if h.child != nil {
			err = fmt.Errorf("%w\n%s", err, h.child.Output())
		}
		return errors.Join(err, h.stop())
	}
	return nil
}

// stop ends what start started.
func (h *functionsHost) stop() error {
	if h.child == nil {
		return nil
	}
	return h.child.Stop()
}

// hostStorage is the connection string of the host's own storage. The host looks for
// the other services, too, which are not there: better on this machine, as with
// UseDevelopmentStorage=true, than in Azure.
func hostStorage(connection, blobs string) string {
	_, account, _ := strings.Cut(strings.TrimPrefix(blobs, "http://"), "/")
	return strings.TrimSuffix(connection, ";") + ";QueueEndpoint=http://127.0.0.1:10001/" + account + ";TableEndpoint=http://127.0.0.1:10002/" + account + ";"
}

// writeSettings writes the app's settings in two forms: beside the app as Core Tools
// read them, and as a shell reads variables.
func writeSettings(app, variables string, settings map[string]string) error {
	if err := writeLocalSettings(filepath.Join(app, "local.settings.json"), settings, 0); err != nil {
		return err
	}
	var lines strings.Builder
	quote := func(name, value string) {
		fmt.Fprintf(&lines, "%s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	quote("AzureWebJobsScriptRoot", app)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		quote(name, settings[name])
	}
	return os.WriteFile(variables, []byte(lines.String()), 0o600)
}

// writeLocalSettings writes a settings file of Core Tools, with the port that they listen
// on unless that is 0.
func writeLocalSettings(file string, values map[string]string, port int) error {
	all := map[string]any{"IsEncrypted": false, "Values": values}
	if port != 0 {
		all["Host"] = map[string]int{"LocalHttpPort": port}
	}
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) { // 'make start' leaves one
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o600)
}

// waitForConnector waits until the connector, and not just somebody, answers: it is
// asked without a secret, which it refuses.
func waitForConnector(ctx context.Context, address string, ended <-chan struct{}) error {
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/setup/Validate", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusUnauthorized {
				return nil
			}
		}
		select {
		case <-look.C:
		case <-ended:
			return errors.New("the Functions host ended before the connector answered")
		case <-ctx.Done():
			return fmt.Errorf("waiting for the Functions host: %w", ctx.Err())
		}
	}
}
