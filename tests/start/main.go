// Command start is `make start`: it stages the app for this machine and runs it, with
// the settings of local.settings.json, by Azure Functions Core Tools ('func', version
// 4) where they are installed, else by the stand-in host, which does the same as far
// as a developer sees it. The timer fires by its schedule. Ctrl-C ends it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"xarchive/scripts/appfolder"
	"xarchive/tests/coretools"
	"xarchive/tests/sandbox/functionshost"
)

func main() {
	app := flag.String("app", "build/native", "folder for the staged app")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, *app); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(ctx context.Context, app string) error {
	s, err := readSettings("local.settings.json")
	if err != nil {
		return err
	}
	// Before anything is staged: a host that runs there must not notice.
	if err := portIsFree(s.port()); err != nil {
		return err
	}
	if err := appfolder.Local(ctx, ".", app); err != nil {
		return err
	}
	if err := copySettings("local.settings.json", app); err != nil {
		return err
	}
	if missing := unanswered(s.Values); missing != "" {
		fmt.Printf("Nothing answers at %s: is 'make sandbox' running in another terminal? Going on without.\n", missing)
	}
	tools, why := coretools.Find(ctx)
	if why != "" {
		fmt.Println(why, "Going on with the stand-in for it.")
	}
	if tools != "" {
		return runTools(ctx, tools, app, s, os.Stdout)
	}
	context.AfterFunc(ctx, func() { signal.Reset() }) // the next signal has its usual effect
	return run(ctx, app, s, os.Stdout, os.Stderr)
}

// portIsFree reports an error if somebody listens on a port of this machine.
func portIsFree(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("port %d is taken, perhaps by another 'make start': end that first, or have it listen on another one with \"Host\": {\"LocalHttpPort\": %d} in local.settings.json: %w", port, max(port, defaultPort)+1, err)
	}
	return listener.Close()
}

// unanswered is an address on this machine that the settings name and nobody listens
// on, "" if there is none.
func unanswered(values map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		u, err := url.Parse(values[name])
		if err != nil || u.Port() == "" || u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
			continue
		}
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", u.Port()))
		if err != nil {
			return values[name] + " (" + name + ")"
		}
		_ = conn.Close()
	}
	return ""
}

// copySettings puts the settings beside the app, where Core Tools look for them.
func copySettings(from, app string) error {
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(filepath.Join(app, "local.settings.json"), content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("copying the local settings: %w", err)
	}
	return nil
}

// run runs the app by the stand-in host until ctx ends. out gets what people need to
// know, log what the host and the handler have to say.
func run(ctx context.Context, app string, s settings, out, log io.Writer) error {
	env := map[string]string{"WEBSITE_HOSTNAME": "localhost:" + strconv.Itoa(s.port())}
	for name, value := range s.Values {
		env[name] = value
	}
	host, err := functionshost.Start(ctx, functionshost.Options{
		Dir: app, Env: env, Port: s.port(), NoFrontEnd: true, Terminal: true, Stdout: log, Stderr: log, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\nFunctions:\n\n")
	for _, f := range host.Functions() {
		fmt.Fprintf(out, "\t%s\n\n", describe(address(s), f))
	}
	fmt.Fprint(out, addresses(s))
	<-ctx.Done()
	fmt.Fprintln(out, "Ending …")
	// What is running gets its time; the host bounds it.
	return host.Stop(context.WithoutCancel(ctx))
}

func address(s settings) string { return "http://localhost:" + strconv.Itoa(s.port()) }

// addresses are where a person goes from here.
func addresses(s settings) string {
	return fmt.Sprintf("\nOverview: %[1]s/\nSettings: %[1]s/Configure\nStatus:   %[1]s/Status\nThe app's settings are those of local.settings.json; what you change there counts from the next 'make start' on.\nCtrl-C ends it.\n", address(s))
}

// describe is a function's line.
func describe(url string, f functionshost.Function) string {
	if f.Timer != "" {
		return fmt.Sprintf("%s: timerTrigger, %s", f.Name, f.Timer)
	}
	return fmt.Sprintf("%s: [%s] %s/%s", f.Name, strings.Join(f.Methods, ","), url, strings.TrimPrefix(f.Route, "/"))
}
