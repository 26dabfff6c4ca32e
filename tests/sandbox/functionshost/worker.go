package functionshost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
)

const (
	// readyLimit is how long a handler may take until it answers HTTP.
	readyLimit = 30 * time.Second
	// readyPause is between two looks at whether it does.
	readyPause = 25 * time.Millisecond
	// exitIntentional is the exit code of a handler that wants to be restarted.
	exitIntentional = 200
)

// worker is one process of the handler.
type worker struct {
	cmd    *exec.Cmd
	url    string        // http://127.0.0.1:<port>
	exited chan struct{} // closed once the process is gone and its output copied
	err    error         // of Wait; read after exited

	ownGroup bool // it leads a process group

	mu       sync.Mutex
	recycled bool // ended by the host itself: that is no crash
}

// startWorker runs the handler's executable. The process does not end with a
// context: kill or terminate ends it.
func startWorker(a *app, env map[string]string, port int, ownGroup bool, console *lines) (*worker, error) {
	w := &worker{url: "http://127.0.0.1:" + strconv.Itoa(port), exited: make(chan struct{}), ownGroup: ownGroup}
	w.cmd = exec.Command(a.executable, a.arguments...)
	w.cmd.Dir = a.workingDir
	w.cmd.Env = workerEnv(a, env, port)
	out, errs := &lineWriter{lines: console, level: stdoutLevel}, &lineWriter{lines: console, level: stderrLevel, errors: true}
	w.cmd.Stdout, w.cmd.Stderr = out, errs
	w.cmd.SysProcAttr = processAttributes(ownGroup)
	// A descendant that keeps the output open must not make Wait hang.
	w.cmd.WaitDelay = 2 * time.Second
	started := make(chan error)
	go func() {
		// The kernel's "parent" is the thread that started the child. Locked, it
		// lives until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := w.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		w.err = w.cmd.Wait()
		out.flush()
		errs.flush()
		close(w.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the handler: %w", err)
	}
	return w, nil
}

// workerEnv is the handler's environment: the app's settings, the few variables
// that every process needs, and those the host sets.
// https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers
func workerEnv(a *app, settings map[string]string, port int) []string {
	all := map[string]string{}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "USER", "LANG", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			all[name] = v
		}
	}
	for name, v := range settings {
		all[name] = v
	}
	id := uuid.NewString()
	for name, v := range map[string]string{
		"FUNCTIONS_CUSTOMHANDLER_PORT":      strconv.Itoa(port),
		"FUNCTIONS_CUSTOMHANDLER_WORKER_ID": id,
		"FUNCTIONS_HTTPWORKER_PORT":         strconv.Itoa(port),
		"FUNCTIONS_HTTPWORKER_ID":           id,
		"FUNCTIONS_APP_ROOT_PATH":           a.dir,
	} {
		all[name] = v
	}
	env := make([]string, 0, len(all))
	for name, v := range all {
		env = append(env, name+"="+v)
	}
	return env
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a port for the handler: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitReady polls GET / until any HTTP answer comes.
func (w *worker) waitReady(ctx context.Context, client *http.Client, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not answer HTTP within %s", limit))
	defer cancel()
	tick := time.NewTicker(readyPause)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
			_ = resp.Body.Close()
			return nil
		}
		select {
		case <-w.exited:
			return fmt.Errorf("the handler ended before it answered HTTP: %s", w.exitText())
		case <-ctx.Done():
			return fmt.Errorf("the handler is not ready: %w (last: %w)", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

func (w *worker) pid() int { return w.cmd.Process.Pid }

// gone tells whether the process has ended.
func (w *worker) gone() bool {
	select {
	case <-w.exited:
		return true
	default:
		return false
	}
}

// exitCode is valid after exited. -1 means that a signal ended it.
func (w *worker) exitCode() int { return w.cmd.ProcessState.ExitCode() }

func (w *worker) exitText() string {
	if w.err == nil {
		return "exit code 0"
	}
	return w.err.Error()
}

// recycleAfter recycles the process after a while, unless it has ended by then or
// the host stops.
func (w *worker) recycleAfter(d time.Duration, stopping <-chan struct{}) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		w.recycle()
	case <-w.exited:
	case <-stopping:
	}
}

// recycle kills the process, to be started again without counting as a crash.
func (w *worker) recycle() {
	w.mu.Lock()
	w.recycled = true
	w.mu.Unlock()
	_ = w.kill()
}

func (w *worker) wasRecycled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.recycled
}

// kill ends the process, with its whole group if it has one of its own, and waits until the process is gone.
func (w *worker) kill() error {
	if err := w.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-w.exited
	return nil
}

func (w *worker) signal(s syscall.Signal) error {
	if w.gone() {
		return nil // the id may be another process's by now
	}
	target := w.pid()
	if w.ownGroup {
		target = -target
	}
	if err := syscall.Kill(target, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signalling the handler: %w", err)
	}
	return nil
}
