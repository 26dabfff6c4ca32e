// Package functionshost stands in for the Azure Functions host where Azure
// Functions Core Tools are not to be had. It runs a staged app, a folder with
// host.json and one folder for each function, whose program is a custom handler:
// https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers
//
// [Start] reads the app and checks it as the host would, starts the handler with
// the host's environment, waits until it answers HTTP, and then
//
//   - serves HTTP at [Host.URL]: what a function's route matches is forwarded as
//     the host does it, all else the handler never sees;
//   - fires timers by their schedules, and on [Host.Tick];
//   - starts a handler that died anew, up to the host's limit.
//
// It is as strict as the host, and where the host is lenient about what a handler
// answers, stricter: a wrong answer is a failed invocation with a reason. How the
// host changes a request on its way is modelled closely, because what an attacker
// can make of it matters: the path is decoded, matched and then written anew
// (see forwardedPath), headers of the host's names are added to forged ones, and
// a body without a Content-Length is dropped.
//
// What is not here: other triggers and bindings, extension bundles, function keys,
// the admin API, invocations of HTTP functions in an envelope, and state of
// schedules that outlives the host.
package functionshost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Version is the host's version as the handler sees it.
const Version = "4.1036.2.23924"

// Options says what to run. Only Dir is required.
type Options struct {
	// Dir is the staged app.
	Dir string
	// Env are the app's settings. The handler gets them, the host's own variables,
	// and of this process's environment only what every program needs (PATH, HOME …).
	// The host itself heeds AzureWebJobsDisableHomepage,
	// AzureWebJobs.<function>.Disabled (a disabled timer runs on Tick only),
	// AzureFunctionsJobHost__functionTimeout, and what %NAME% stands for.
	Env map[string]string
	// Port to listen on, on loopback; 0 takes a free one.
	Port int
	// NoFrontEnd leaves out what Azure's front end adds to requests from the
	// Internet, as when Core Tools run the app locally.
	NoFrontEnd bool
	// PublicHost is the app's host name as the front end tells it to the handler.
	// Empty keeps the name the caller used.
	PublicHost string
	// NoTimers has no timer fire by itself: they run on Tick only.
	NoTimers bool
	// Stdout and Stderr get the handler's output, line by line. Without a Stdout it
	// goes to Stderr; without both it is dropped.
	Stdout, Stderr io.Writer
	// Log gets what the host has to say; nil drops it.
	Log *slog.Logger
	// CrashLimit is the crash at which the handler is given up; 0 is 3, as the host
	// has it. (In Azure the platform would then start a new host.)
	CrashLimit int
}

// Host is a running host. Its methods may be called at once.
type Host struct {
	app        *app
	env        map[string]string
	options    Options
	log        *slog.Logger
	client     *http.Client
	server     *http.Server
	address    string
	stdout     *lines
	stderr     *lines
	crashLimit int
	readyLimit time.Duration
	backoff    time.Duration
	frontLimit time.Duration
	restarts   atomic.Int64
	forwarded  atomic.Int64
	timers     map[string]*timer

	mu      sync.Mutex
	worker  *worker
	gone    error
	changed chan struct{} // closed when worker or gone change, or an invocation ended

	cancel     context.CancelFunc
	stopping   chan struct{}
	stopOnce   sync.Once
	stopErr    error
	supervised chan struct{}
	running    sync.WaitGroup // timers' loops and invocations
}

// errStopped is the cause with which everything ends at Stop.
var errStopped = errors.New("the host is stopping")

// Start runs an app and returns when its handler is ready. ctx bounds the start
// only; the caller must call Stop. The error names every fault of the app, or
// says what kept the handler from starting.
func Start(ctx context.Context, o Options) (*Host, error) {
	a, err := loadApp(o.Dir, o.Env)
	if err != nil {
		return nil, fmt.Errorf("the Functions app cannot be run: %w", err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return nil, fmt.Errorf("the Functions host cannot listen (choose another port, or end what uses it): %w", err)
	}
	h := newHost(a, o, listener.Addr().String())
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	first := make(chan error, 1)
	go h.supervise(running, first)
	select {
	case err = <-first:
	case <-ctx.Done():
		err = fmt.Errorf("starting the handler: %w", context.Cause(ctx))
	}
	if err != nil {
		_ = listener.Close()
		ended, cancel := context.WithCancel(context.Background())
		cancel() // it never served; there is nothing to wait for
		_ = h.Stop(ended)
		return nil, fmt.Errorf("the Functions app cannot be run: %w", err)
	}
	h.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
	}
	h.running.Go(func() { _ = h.server.Serve(listener) })
	for _, t := range h.timers {
		if !t.function.disabled && !o.NoTimers {
			h.running.Go(func() { t.loop(running) })
		}
	}
	return h, nil
}

func newHost(a *app, o Options, address string) *Host {
	h := &Host{
		app: a, env: o.Env, options: o, log: o.Log, address: address,
		stderr:     &lines{to: writerOr(o.Stderr, io.Discard)},
		crashLimit: o.CrashLimit, readyLimit: readyLimit, backoff: 100 * time.Millisecond, frontLimit: frontEndLimit,
		timers: map[string]*timer{}, changed: make(chan struct{}), stopping: make(chan struct{}), supervised: make(chan struct{}),
	}
	h.stdout = h.stderr
	if o.Stdout != nil {
		h.stdout = &lines{to: o.Stdout}
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.crashLimit == 0 {
		h.crashLimit = crashLimit
	}
	h.client = &http.Client{
		// No jar: cookies are not kept. Redirects go to the caller as they are.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableCompression: true, // the handler's bytes go through as they are
			DisableKeepAlives:  true, // no connection outlives its handler
		},
	}
	for _, f := range a.functions {
		if f.timer != nil {
			h.timers[f.name] = newTimer(h, f)
		}
	}
	return h
}

func writerOr(w, other io.Writer) io.Writer {
	if w != nil {
		return w
	}
	return other
}

// URL is where the app is served, without a slash at the end.
func (h *Host) URL() string { return "http://" + h.address }

// PID is the id of the handler's process, 0 while there is none.
func (h *Host) PID() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.worker == nil {
		return 0
	}
	return h.worker.pid()
}

// WaitReady waits until a handler is running and ready. One that was killed a
// moment ago may still count as running: WaitRestarts waits for the next.
func (h *Host) WaitReady(ctx context.Context) error {
	_, err := h.await(ctx)
	return err
}

// Restarts is how often a handler was started anew.
func (h *Host) Restarts() int { return int(h.restarts.Load()) }

// WaitRestarts waits until a handler was started anew n times, counted from Start,
// and is ready. The error wraps ErrHandlerGone if it will not come to that. A test
// that kills a handler calls it before it goes on: until the host has noticed, it
// would send to the dead one.
func (h *Host) WaitRestarts(ctx context.Context, n int) error {
	return h.wait(ctx, fmt.Sprintf("restart %d of the handler", n), func() (bool, error) {
		return h.worker != nil && h.Restarts() >= n, h.gone
	})
}

// wait waits until done, which is asked whenever something has changed, with mu
// held.
func (h *Host) wait(ctx context.Context, what string, done func() (bool, error)) error {
	for {
		h.mu.Lock()
		ok, err := done()
		changed := h.changed
		h.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-h.stopping:
			return errStopped
		}
	}
}

// notify wakes who waits for a change. The caller holds mu.
func (h *Host) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Forwarded is how many HTTP requests were handed to the handler.
func (h *Host) Forwarded() int { return int(h.forwarded.Load()) }

// Function describes a function for people.
type Function struct {
	Name    string
	Methods []string // of an HTTP function
	Route   string   // of an HTTP function, without a slash at the front
	Timer   string   // a timer's schedule
}

// Functions lists the app's functions, by name.
func (h *Host) Functions() []Function {
	var all []Function
	for _, f := range h.app.functions {
		d := Function{Name: f.name}
		if f.http != nil {
			d.Methods, d.Route = f.http.methods, f.http.route.template
		} else {
			d.Timer = f.timer.schedule.text
		}
		all = append(all, d)
	}
	return all
}

// stopLimit is how long Stop waits for a handler to end by itself.
const stopLimit = 20 * time.Second

// Stop ends timers and HTTP, asks the handler to end (SIGTERM), and kills it if it
// has not by ctx's end, or after 20 seconds. When it returns, nothing is left
// running. The error says what did not end by itself; a second call returns the
// same.
func (h *Host) Stop(ctx context.Context) error {
	h.stopOnce.Do(func() { h.stopErr = h.stop(ctx) })
	return h.stopErr
}

func (h *Host) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	close(h.stopping)
	h.cancel()
	<-h.supervised
	h.mu.Lock()
	w := h.worker
	h.mu.Unlock()
	var err error
	if w != nil {
		err = w.terminate(ctx)
	}
	if h.server != nil {
		if shutdownErr := h.server.Shutdown(ctx); shutdownErr != nil {
			_ = h.server.Close()
		}
	}
	h.running.Wait()
	return err
}
