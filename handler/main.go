// Command handler is the connector: an Azure Functions custom handler. The
// Functions host starts it, forwards the Compliance Center's calls to it, and
// calls its timer function, ingest.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"xarchive/handler/internal/config"
	"xarchive/handler/internal/customhandler"
	"xarchive/handler/internal/logging"
)

func main() {
	cfg, err := config.Load(os.Getenv)
	log := logging.New(os.Stderr, cfg.LogLevel)
	if errors.Is(err, config.ErrNoPort) {
		log.Error("cannot start", "error", err.Error())
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, cfg, err, log); err != nil {
		log.Error("ended with an error", "error", err.Error())
		os.Exit(1)
	}
}

// serve answers the host until ctx ends. With faulty settings it answers too, so
// that the host and whoever calls learn that the connector is there and is not
// set up; the log says what is wrong.
func serve(ctx context.Context, cfg config.Config, faults error, log *slog.Logger) error {
	var web http.Handler = customhandler.Unavailable(log)
	tick := func(context.Context) error { return faults }
	if faults == nil {
		app, err := newApp(cfg, os.Getenv, log)
		if err == nil {
			web, tick = app.web, app.ingest.Tick
		}
		faults = err
	}
	if faults != nil {
		log.Error("the settings are faulty; nothing works until they are put right", "faults", faults.Error())
	}
	server := customhandler.New(customhandler.Options{Port: cfg.Port, HTTP: web, Log: log})
	server.Timer("ingest", "timer", func(ctx context.Context, _ customhandler.Invocation) (customhandler.Result, error) {
		return customhandler.Result{}, tick(ctx)
	})
	return server.Serve(ctx)
}
