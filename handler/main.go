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
	"xarchive/handler/internal/parent"
	"xarchive/handler/internal/telemetry"
)

// The exit codes that the Functions host tells apart. It starts a handler again
// after any code but 0. After three crashes within half an hour it ends itself;
// exitRestart is no crash. After 0 it never starts the handler again and answers
// every request with 500, so 0 is only right when the host itself is gone.
// (azure-functions-host: WorkerProcess.OnProcessExited)
const (
	exitHostGone = 0
	exitFailed   = 1
	exitRestart  = 200
)

// linesForStrangers is how many lines a minute the log has of what is refused to callers
// who have not shown who they are. Anybody can send requests, and each line costs money.
const linesForStrangers = 60

func main() {
	if len(os.Args) > 1 {
		os.Exit(command(os.Args[1:]))
	}
	os.Exit(run())
}

// run is the handler's whole life; it returns the process's exit code.
func run() int {
	cfg, err := config.Load(os.Getenv)
	log := logging.New(os.Stdout, os.Stderr, cfg.LogLevel)
	if errors.Is(err, config.ErrNoPort) {
		log.Error("cannot start", "error", err.Error())
		return exitFailed
	}
	report, faulty := telemetry.New(telemetry.Options{Getenv: os.Getenv, Log: log, Version: release})
	log = report.Logger(os.Stdout, os.Stderr, cfg.LogLevel)
	if faulty != nil {
		log.Error("settings of telemetry are faulty; everything else works", "faults", faulty.Error())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx, cancel := parent.Context(ctx)
	defer cancel()
	defer report.Shutdown(ctx)
	if err := serve(ctx, cfg, err, log, report); err != nil {
		log.Error("ended with an error", "error", err.Error())
		return exitFailed
	}
	if errors.Is(context.Cause(ctx), parent.ErrGone) {
		log.Warn("ended: the Functions host is gone")
		return exitHostGone
	}
	return exitRestart
}

// serve answers the host until ctx ends. With faulty settings it answers too, so
// that the host and whoever calls learn that the connector is there and is not
// set up; the log says what is wrong.
func serve(ctx context.Context, cfg config.Config, faults error, log *slog.Logger, report *telemetry.Telemetry) error {
	strangers := logging.Bounded(log, linesForStrangers)
	var front http.Handler = customhandler.Unavailable(strangers)
	tick := func(context.Context) error { return faults }
	if faults == nil {
		app, err := newApp(cfg, os.Getenv, log, strangers, report)
		if err == nil {
			front, tick = app.front, report.Tick("ingest", app.ingest.Tick)
		}
		faults = err
	}
	if faults != nil {
		log.Error("the settings are faulty; nothing works until they are put right", "faults", faults.Error())
	}
	server := customhandler.New(customhandler.Options{Port: cfg.Port, HTTP: report.HTTP(front), Log: log, Strangers: strangers, Telemetry: report})
	server.Timer("ingest", "timer", func(ctx context.Context, _ customhandler.Invocation) (customhandler.Result, error) {
		return customhandler.Result{}, tick(ctx)
	})
	return server.Serve(ctx)
}
