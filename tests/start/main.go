// Command start runs a staged app as 'func start' of Azure Functions Core Tools
// does, for 'make start' where Core Tools are not installed. The app's settings
// are those of local.settings.json in the app's folder and nothing else; the
// timer fires by its schedule. Ctrl-C ends it in order, a second one at once.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"xarchive/tests/sandbox/functionshost"
)

func main() {
	app := flag.String("app", "build/native", "folder of the staged app, with its local.settings.json")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on, the next one has its usual effect.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, *app, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run runs the app until ctx ends. out gets what people need to know, log what
// the host and the handler have to say.
func run(ctx context.Context, app string, out, log io.Writer) error {
	s, err := readSettings(filepath.Join(app, "local.settings.json"))
	if err != nil {
		return err
	}
	host, err := functionshost.Start(ctx, functionshost.Options{
		Dir: app, Env: s.Values, Port: s.port(), NoFrontEnd: true, Stderr: log, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\nFunctions:\n\n")
	for _, f := range host.Functions() {
		fmt.Fprintf(out, "\t%s\n\n", describe(host.URL(), f))
	}
	fmt.Fprintf(out, "Overview: %s/\nCtrl-C ends it.\n", host.URL())
	<-ctx.Done()
	fmt.Fprintln(out, "Ending …")
	// What is running gets its time; the host bounds it.
	return host.Stop(context.WithoutCancel(ctx))
}

// describe is a function's line.
func describe(url string, f functionshost.Function) string {
	if f.Timer != "" {
		return fmt.Sprintf("%s: timerTrigger, %s", f.Name, f.Timer)
	}
	return fmt.Sprintf("%s: [%s] %s/%s", f.Name, strings.Join(f.Methods, ","), url, strings.TrimPrefix(f.Route, "/"))
}
