package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
)

// leaseDuration bounds how long work stays claimed after its instance died.
// Azure allows 15 to 60 seconds.
const leaseDuration = 30 * time.Second

// claim is a lease on a blob, renewed until it is released.
type claim struct {
	ctx    context.Context // ends when the claim is lost or released
	id     string
	cancel context.CancelCauseFunc
	lease  *lease.BlobClient
	done   sync.WaitGroup
}

// claim leases a blob; ErrClaimed if another instance has it, ErrNotFound if
// there is no such blob.
func (s *Store) claim(ctx context.Context, name string) (*claim, error) {
	b, err := s.blob(ctx, name)
	if err != nil {
		return nil, err
	}
	l, err := lease.NewBlobClient(b, nil)
	if err != nil {
		return nil, fmt.Errorf("claiming %s: %w", name, err)
	}
	granted, err := l.AcquireLease(ctx, int32(leaseDuration/time.Second), nil)
	if err != nil {
		return nil, fmt.Errorf("claiming %s: %w", name, translate(err))
	}
	c := &claim{id: *granted.LeaseID, lease: l}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.done.Go(c.renew)
	return c, nil
}

func (c *claim) renew() {
	tick := time.NewTicker(leaseDuration / 3)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithDeadline(c.ctx, renewed.Add(leaseDuration))
		asked := time.Now()
		_, err := c.lease.RenewLease(ctx, nil)
		cancel()
		switch err = translate(err); {
		case err == nil:
			renewed = asked
		case errors.Is(err, ErrLost), errors.Is(err, ErrClaimed), errors.Is(err, ErrNotFound), time.Since(renewed) >= leaseDuration:
			c.cancel(ErrLost)
			return
		}
	}
}

// release gives the claim back at once, even when its context has ended.
func (c *claim) release() {
	c.cancel(nil)
	c.done.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), 5*time.Second)
	defer cancel()
	_, _ = c.lease.ReleaseLease(ctx, nil) // a lease that cannot be released runs out
}
