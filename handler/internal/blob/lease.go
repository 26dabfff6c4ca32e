package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
)

// leaseDuration bounds how long a blob stays leased after its holder died. Azure
// allows 15 to 60 seconds.
const leaseDuration = 30 * time.Second

// Lease is the right to be the only writer of a blob. It is renewed until it is
// released.
//
// On the Flex Consumption plan the process may stand still between two
// invocations, and the lease may run out unnoticed. So nothing relies on this
// process's clock: every write under the lease names it, and the storage service
// refuses a write whose lease has ended.
type Lease struct {
	ID string

	client *lease.BlobClient
	ctx    context.Context // see Context
	cancel context.CancelCauseFunc
	done   sync.WaitGroup // the renewal
	once   sync.Once      // the release
}

// Lease leases a blob. It returns ErrLeased if somebody else holds the lease,
// ErrChanged if etag is not "" and the blob is another version, and ErrNotFound
// if there is no such blob.
func (c *Container) Lease(ctx context.Context, name, etag string) (*Lease, error) {
	client, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	lc, err := lease.NewBlobClient(client.NewBlobClient(name), nil)
	if err != nil {
		return nil, fmt.Errorf("leasing %s: %w", name, translate(ctx, err))
	}
	options := &lease.BlobAcquireOptions{}
	if etag != "" {
		options.ModifiedAccessConditions = &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(etag))}
	}
	granted, err := lc.AcquireLease(ctx, int32(leaseDuration/time.Second), options)
	if err != nil {
		return nil, fmt.Errorf("leasing %s: %w", name, translate(ctx, err))
	}
	l := &Lease{ID: *granted.LeaseID, client: lc}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.done.Go(l.renew)
	return l, nil
}

// Context returns a context that ends, with cause ErrLost, when the lease is lost,
// and when it is released. It belongs to the lease, which is why the lease holds
// it.
func (l *Lease) Context() context.Context { return l.ctx }

func (l *Lease) renew() {
	tick := time.NewTicker(leaseDuration / 3)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithDeadline(l.ctx, renewed.Add(leaseDuration))
		asked := time.Now()
		_, err := l.client.RenewLease(ctx, nil)
		err = translate(ctx, err)
		cancel()
		switch {
		case err == nil:
			renewed = asked
		case errors.Is(err, ErrLost), errors.Is(err, ErrLeased), errors.Is(err, ErrNotFound), time.Since(renewed) >= leaseDuration:
			l.cancel(ErrLost)
			return
		}
	}
}

// Lost returns ErrLost if the lease was lost, else nil.
func (l *Lease) Lost() error {
	if errors.Is(context.Cause(l.ctx), ErrLost) {
		return ErrLost
	}
	return nil
}

// Release gives the lease back at once, even when its context has ended. A lease
// that cannot be given back runs out. Releasing it again does nothing.
func (l *Lease) Release() {
	l.once.Do(l.release)
}

func (l *Lease) release() {
	l.cancel(nil)
	l.done.Wait()
	if l.Lost() != nil {
		return // it is no longer ours to give
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), 5*time.Second)
	defer cancel()
	_, _ = l.client.ReleaseLease(ctx, nil) // it runs out by itself
}
