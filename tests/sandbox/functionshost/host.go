// Package functionshost stands in for the Azure Functions host where Azure
// Functions Core Tools are not to be had. It runs a staged app, a folder with
// host.json and one folder for each function, whose program is a custom handler:
// https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers
//
// [Start] reads the app and checks it, starts the handler with the host's
// environment, waits until it answers HTTP, and then
//
//   - serves HTTP at [Host.URL]: what a function's route matches is forwarded as
//     the host does it, all else the handler never sees;
//   - fires timers by their schedules, and on [Host.Tick], also while one runs;
//   - starts a handler that ended again, at once and on the same port, unless it
//     ended with 0 or for the third time; after that the host ends, too.
//
// It does what was seen in the real host, version 4.1037, with the harder case where
// that depends on chance. How the host changes a request on its way is modelled
// closely, because what an attacker can make of it matters: the path is decoded,
// matched and then written again (see forwardedPath), and headers of the host's names
// are added to forged ones. What the real host fails to hand on it refuses, too (see
// unforwardable); an answer that comes before the whole body was sent becomes a 500;
// a request that gets no answer is sent up to four times; answers are buffered.
//
// It differs where the real host would only hide a fault from a test:
//
//   - after an empty 200 the real host waits for ever; here the invocation fails, as
//     it does for unknown outputs;
//   - a function with faults stops the start, unless [Options.LeaveOutFaulty] is set;
//   - a handler whose tick outlasts the host's end is killed and not left behind as an
//     orphan, and where the kernel can it dies with the host;
//   - headers of more than about 40 KiB, or more than the web server's limits in
//     number, get the answer of Go's own server.
//
// What is not here: other triggers and bindings, extension bundles, function keys,
// the admin API, invocations of HTTP functions in an envelope, answers that stream
// (enableProxyingHttpRequest), and state of schedules that outlives the host.
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
	// Stdout and Stderr get the handler's output, line by line, as far as host.json
	// lets it pass. Without a Stdout it goes to Stderr; without both it is dropped.
	Stdout, Stderr io.Writer
	// Console, if set, gets the same lines with the level that the host gives them,
	// which is what goes to Application Insights. Calls follow one another.
	Console func(level slog.Level, line string)
	// LeaveOutFaulty leaves out functions with faults, a timer with a faulty schedule
	// among them, and serves the rest, as the real host does. Otherwise Start names
	// the faults and fails.
	LeaveOutFaulty bool
	// Terminal leaves the handler in this process's group, so that a Ctrl-C in the
	// terminal reaches it too, as with Core Tools.
	Terminal bool
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
	console    *lines
	port       int // the handler's
	crashLimit int
	readyLimit time.Duration
	frontLimit time.Duration
	restarts   atomic.Int64
	forwarded  atomic.Int64
	timers     map[string]*timer

	mu      sync.Mutex
	worker  *worker
	gone    error
	ticking int           // invocations under way
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
	if a != nil && o.LeaveOutFaulty && err != nil && o.Log != nil {
		o.Log.ErrorContext(ctx, "functions are left out", "faults", err.Error())
	}
	if err != nil && (a == nil || !o.LeaveOutFaulty) {
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
		crashLimit: o.CrashLimit, readyLimit: readyLimit, frontLimit: frontEndLimit,
		timers: map[string]*timer{}, changed: make(chan struct{}), stopping: make(chan struct{}), supervised: make(chan struct{}),
	}
	stderr := writerOr(o.Stderr, io.Discard)
	h.console = &lines{stdout: writerOr(o.Stdout, stderr), stderr: stderr, from: a.console, line: o.Console}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.crashLimit == 0 {
		h.crashLimit = crashLimit
	}
	h.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    maxRequestLine + maxHeaders,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelWarn),
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

// tickLimit is how long Stop waits for invocations that run.
const tickLimit = 16 * time.Second

// Stop ends timers and HTTP and kills the handler (SIGKILL), which gets no other
// sign; invocations that run have until ctx's end, or 16 seconds. When it returns,
// nothing is left running. The error says that an invocation did not end by itself:
// the real host would then leave the handler behind, at work and listening. A second
// call returns the same.
func (h *Host) Stop(ctx context.Context) error {
	h.stopOnce.Do(func() { h.stopErr = h.stop(ctx) })
	return h.stopErr
}

func (h *Host) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tickLimit)
	defer cancel()
	close(h.stopping)
	h.cancel()
	<-h.supervised
	err := h.awaitInvocations(ctx)
	h.mu.Lock()
	w := h.worker
	h.mu.Unlock()
	if w != nil {
		err = errors.Join(err, w.kill())
	}
	if shutdownErr := h.server.Shutdown(ctx); shutdownErr != nil {
		_ = h.server.Close()
	}
	h.running.Wait()
	return err
}

// awaitInvocations waits until none runs, or ctx ends.
func (h *Host) awaitInvocations(ctx context.Context) error {
	for {
		h.mu.Lock()
		ticking, changed, w := h.ticking, h.changed, h.worker
		h.mu.Unlock()
		if ticking == 0 || w == nil || w.gone() {
			return nil
		}
		select {
		case <-changed:
		case <-w.exited:
		case <-ctx.Done():
			return fmt.Errorf("an invocation still runs; the real host would leave the handler (process %d) behind: %w", w.pid(), context.Cause(ctx))
		}
	}
}
