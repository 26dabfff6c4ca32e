// Package parent tells when the process that started this one has ended.
//
// The Functions host ends a handler with SIGKILL or not at all: a host that is
// killed, or that ends while a long tick runs, leaves the handler behind. Such an
// orphan would go on working, and listening, beside the handler of the next host.
//
// Linux could send a signal by itself (PR_SET_PDEATHSIG), but it does so when the
// thread that started the child ends, and the host starts the handler from a thread
// pool, whose threads end while the host lives on.
package parent

import (
	"context"
	"errors"
	"time"
)

// ErrGone is the cause with which the context of [Context] ends once the parent is
// gone.
var ErrGone = errors.New("the process that started this one has ended")

// every is the time between two looks at the parent, where the system cannot be
// asked to wait for its end.
const every = time.Second

// Context returns a context that ends, with the cause ErrGone, when the process
// that is this one's parent now has ended. The caller must call cancel.
func Context(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	gone := watch(ctx)
	go func() {
		select {
		case <-gone:
			end(ErrGone)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { end(context.Canceled) }
}
