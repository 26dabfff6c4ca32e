package functionshost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Invocation is one run of a timer function.
type Invocation struct {
	ID       string // X-Azure-Functions-InvocationId
	Function string
	Start    time.Time
	Duration time.Duration
	Status   int      // the handler's HTTP status; 0 if it gave none
	Logs     []string // what the handler wants logged
	Err      error    // why it failed; nil if it did not
}

// ErrTimeout is in the error of an invocation that ran over functionTimeout. The
// host restarts the handler then.
var ErrTimeout = errors.New("functionTimeout exceeded")

// timer fires one function. By its schedule it never runs it twice at once.
type timer struct {
	host     *Host
	function *function

	mu     sync.Mutex
	status scheduleStatus
	done   []Invocation
}

// scheduleStatus is when a timer ran and will run.
type scheduleStatus struct{ Last, Next, LastUpdated time.Time }

func newTimer(h *Host, f *function) *timer {
	t := &timer{host: h, function: f}
	t.status.Next = f.timer.schedule.next(time.Now())
	return t
}

// loop fires by the schedule until ctx ends. A tick that comes due while the one
// before runs is made up for once, right after it; further ones are not.
func (t *timer) loop(ctx context.Context) {
	schedule := t.function.timer.schedule
	if t.function.timer.runOnStartup {
		t.fire(ctx)
	}
	for {
		t.mu.Lock()
		next := t.status.Next
		t.mu.Unlock()
		if next.IsZero() {
			t.host.log.WarnContext(ctx, "a timer never fires", "function", t.function.name, "schedule", schedule.text)
			return
		}
		wait := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if !t.fire(ctx) {
			return
		}
	}
}

// fire runs the function as the schedule wants and moves the schedule on.
func (t *timer) fire(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	at := time.Now()
	t.invoke()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.Next.After(at) {
		at = t.status.Next // fired a moment early: or it would fire again at once
	}
	t.status = scheduleStatus{Last: at, Next: t.function.timer.schedule.next(at), LastUpdated: at}
	return true
}

// Tick runs a timer function now, as the host's admin API does, and waits for its
// end. It does not wait for a run under way. The error is the invocation's, or
// says why there was none. If ctx ends, the invocation goes on.
func (h *Host) Tick(ctx context.Context, function string) (Invocation, error) {
	var t *timer
	if f := h.app.named(function); f != nil {
		t = h.timers[f.name]
	}
	if t == nil {
		return Invocation{}, fmt.Errorf("there is no timer function %q", function)
	}
	select {
	case <-h.stopping:
		return Invocation{}, errStopped
	default:
	}
	result := make(chan Invocation, 1)
	go func() { result <- t.invoke() }()
	select {
	case inv := <-result:
		return inv, inv.Err
	case <-ctx.Done():
		return Invocation{}, fmt.Errorf("waiting for %s: %w", t.function.name, context.Cause(ctx))
	}
}

// Invocations are the runs of timer functions that have ended, in the order of
// their ends for each function.
func (h *Host) Invocations() []Invocation {
	var all []Invocation
	for _, t := range h.timers {
		t.mu.Lock()
		all = append(all, t.done...)
		t.mu.Unlock()
	}
	slices.SortStableFunc(all, func(a, b Invocation) int { return a.Start.Compare(b.Start) })
	return all
}

// WaitInvocations waits until n runs of timer functions have ended, counted from
// Start, and returns all that have.
func (h *Host) WaitInvocations(ctx context.Context, n int) (all []Invocation, err error) {
	err = h.wait(ctx, fmt.Sprintf("%d invocations", n), func() (bool, error) {
		all = h.Invocations()
		return len(all) >= n, nil
	})
	return all, err
}

// invoke runs the function and records it.
func (t *timer) invoke() Invocation {
	t.host.mu.Lock()
	t.host.ticking++
	t.host.mu.Unlock()
	inv := Invocation{ID: uuid.NewString(), Function: t.function.name, Start: time.Now()}
	log := t.host.log.With("function", t.function.name, "invocation", inv.ID)
	log.Info("executing")
	t.mu.Lock()
	envelope := t.envelope(inv.Start)
	t.mu.Unlock()
	inv.Status, inv.Logs, inv.Err = t.host.post(t.function.name, inv.ID, envelope)
	inv.Duration = time.Since(inv.Start)
	for _, line := range inv.Logs {
		log.Info("handler: " + line)
	}
	if inv.Err != nil {
		log.Error("failed", "duration", inv.Duration.String(), "error", inv.Err.Error())
	} else {
		log.Info("succeeded", "duration", inv.Duration.String())
	}
	t.mu.Lock()
	t.done = append(t.done, inv)
	t.mu.Unlock()
	t.host.mu.Lock()
	defer t.host.mu.Unlock()
	t.host.ticking--
	t.host.notify()
	return inv
}
