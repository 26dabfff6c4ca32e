package functionshost

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrHandlerGone is the error of everything that needs the handler once the host
// has given it up.
var ErrHandlerGone = errors.New("the host has given the handler up")

const (
	// crashLimit is at how many crashes the host stops, unless crashWindow passed
	// between two of them. (azure-functions-host: HttpFunctionInvocationDispatcher)
	crashLimit  = 3
	crashWindow = 30 * time.Minute
)

// supervise keeps one handler running until ctx ends or it has crashed too often,
// which ends the host. A handler that has ended is started again at once.
// first gets what the first start came to.
func (h *Host) supervise(ctx context.Context, first chan<- error) {
	defer close(h.supervised)
	tell := func(err error) {
		if first != nil {
			first <- err
			first = nil
		}
	}
	var crashes int
	var lastCrash time.Time
	for ctx.Err() == nil {
		err := h.runWorker(ctx, tell)
		if first != nil {
			// What does not even start the first time is a fault to be told, not retried.
			h.giveUp(err)
			tell(err)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRecycled) {
			h.restarts.Add(1)
			continue
		}
		if errors.Is(err, errEndedQuietly) {
			h.giveUp(err)
			return
		}
		if now := time.Now(); now.Sub(lastCrash) > crashWindow {
			crashes, lastCrash = 1, now
		} else {
			crashes, lastCrash = crashes+1, now
		}
		h.log.WarnContext(ctx, "the handler has crashed", "error", err.Error(), "crashes", crashes)
		if crashes >= h.crashLimit {
			h.giveUp(fmt.Errorf("it crashed %d times: %w", crashes, err))
			h.end()
			return
		}
		h.restarts.Add(1)
	}
}

var (
	errRecycled     = errors.New("the host restarts the handler")
	errEndedQuietly = errors.New("the handler ended by itself with exit code 0, and the host never starts it again after that")
)

// runWorker starts a handler, makes it the current one once it is ready, and
// returns why it ended.
func (h *Host) runWorker(ctx context.Context, tell func(error)) (err error) {
	if h.port == 0 { // kept from one handler to the next
		if h.port, err = freePort(); err != nil {
			return err
		}
	}
	w, err := startWorker(h.app, h.env, h.port, !h.options.Terminal, h.console)
	if err != nil {
		return err
	}
	if err := w.waitReady(ctx, h.client, h.readyLimit); err != nil {
		return errors.Join(err, w.kill())
	}
	h.log.InfoContext(ctx, "the handler is ready", "pid", w.pid(), "url", w.url)
	h.setWorker(w)
	tell(nil)
	select {
	case <-w.exited:
	case <-ctx.Done():
		return ctx.Err() // Stop ends it
	}
	h.setWorker(nil)
	switch {
	case w.wasRecycled() || w.exitCode() == exitIntentional:
		return errRecycled
	case w.exitCode() == 0:
		return errEndedQuietly
	}
	return fmt.Errorf("process %d: %s", w.pid(), w.exitText())
}

// setWorker publishes the current handler; nil is none.
func (h *Host) setWorker(w *worker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.worker = w
	h.notify()
}

func (h *Host) giveUp(err error) {
	h.log.Error("the handler is given up", "error", err.Error())
	h.mu.Lock()
	h.gone = fmt.Errorf("%w: %w", ErrHandlerGone, err)
	h.mu.Unlock()
	h.setWorker(nil)
}

// end ends the host by itself: it listens no more and fires no timers. In Azure the
// platform would start another.
func (h *Host) end() {
	_ = h.server.Close()
	h.cancel()
}

// await returns the current handler, waiting while there is none.
func (h *Host) await(ctx context.Context) (w *worker, err error) {
	err = h.wait(ctx, "the handler", func() (bool, error) {
		w = h.worker
		return w != nil && !w.gone(), h.gone
	})
	return w, err
}
