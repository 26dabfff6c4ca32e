//go:build !windows

package parent

import (
	"context"
	"os"
	"time"
)

// watch returns a channel that is closed once the parent is gone: the system then
// gives this process another parent.
func watch(ctx context.Context) <-chan struct{} {
	gone, id := make(chan struct{}), os.Getppid()
	go func() {
		look := time.NewTicker(every)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			if os.Getppid() != id {
				close(gone)
				return
			}
		}
	}()
	return gone
}
