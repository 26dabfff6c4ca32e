package parent

import (
	"context"
	"os"
	"time"
)

// watch returns a channel that is closed once the parent is gone. Windows lets any
// process wait for another; its ids are given again, so the parent is opened at
// once and held.
func watch(ctx context.Context) <-chan struct{} {
	gone := make(chan struct{})
	p, err := os.FindProcess(os.Getppid())
	if err != nil {
		return gone // it may not be looked at; better an orphan than no handler
	}
	go func() {
		for ctx.Err() == nil {
			if _, err := p.Wait(); err == nil {
				close(gone)
				return
			}
			select { // Windows does not let this process wait; try again
			case <-ctx.Done():
			case <-time.After(every):
			}
		}
	}()
	return gone
}
