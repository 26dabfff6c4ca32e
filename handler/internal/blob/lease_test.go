package blob_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/tests/sandbox/blobs"
)

// TestLeaseIsExclusive: of many that lease a blob at once, one gets it.
func TestLeaseIsExclusive(t *testing.T) {
	everywhere(t, func(t *testing.T, c *blob.Container) {
		put(t, c, "a", "x")
		var (
			wg  sync.WaitGroup
			won atomic.Pointer[blob.Lease]
		)
		for range 8 {
			wg.Go(func() {
				l, err := c.Lease(t.Context(), "a", "")
				if err != nil {
					is(t, "leasing", err, blob.ErrLeased)
				} else if !won.CompareAndSwap(nil, l) {
					t.Error("leased twice")
				}
			})
		}
		wg.Wait()
		if won.Load() == nil {
			t.Fatal("nobody got the lease")
		}
		won.Load().Release()
		won.Load().Release() // does no harm
		l, err := c.Lease(t.Context(), "a", "")
		is(t, "leasing what was given back", err, nil)
		l.Release()
	})
}

// A lease that is held is renewed, however long; it ends with its release, even
// when its context has ended.
func TestLeaseIsRenewedAndReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := blobtest.Server(t)
		put(t, c, "a", "x")
		ctx, cancel := context.WithCancel(t.Context())
		l, err := c.Lease(ctx, "a", "")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		_, err = c.Write(ctx, "a", []byte("y"), blob.Condition{Lease: l.ID})
		is(t, "writing after an hour", err, nil)
		cancel()
		<-l.Context().Done()
		is(t, "lost", l.Lost(), nil)
		l.Release()
		again, err := c.Lease(t.Context(), "a", "")
		is(t, "leasing what was given back after its context ended", err, nil)
		again.Release()
		is(t, "the context of a lease given back", again.Context().Err(), context.Canceled)
		is(t, "lost", again.Lost(), nil)
	})
}

// A lease whose holder cannot reach the service is lost once it can have run out;
// everything under its context returns ErrLost.
func TestLeaseIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := blobtest.Server(t)
		put(t, c, "a", "x")
		l, err := c.Lease(t.Context(), "a", "")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		s.Before(func(o blobs.Op) error {
			if o.Name == "RenewLease" {
				return &blobs.Drop{}
			}
			return nil
		})
		began := time.Now()
		<-l.Context().Done()
		is(t, "lost", l.Lost(), blob.ErrLost)
		is(t, "cause", context.Cause(l.Context()), blob.ErrLost)
		if after := time.Since(began); after < 30*time.Second || after > time.Minute {
			t.Errorf("lost after %s; the lease lasts 30 s", after)
		}
		_, _, err = c.Read(l.Context(), "a")
		is(t, "reading under the lost lease's context", err, blob.ErrLost)
		_, err = c.Write(t.Context(), "a", []byte("y"), blob.Condition{Lease: l.ID})
		is(t, "writing under the lost lease", err, blob.ErrLost)
		other, err := c.Lease(t.Context(), "a", "")
		is(t, "leasing by another", err, nil)
		_, err = c.Write(t.Context(), "a", []byte("y"), blob.Condition{Lease: l.ID})
		is(t, "writing under the lost lease that another has", err, blob.ErrLost)
		s.Before(nil)
		l.Release() // which is not ours to give back any more
		_, err = c.Write(t.Context(), "a", []byte("y"), blob.Condition{Lease: other.ID})
		is(t, "writing under the other's lease", err, nil)
		other.Release()
	})
}

// A renewal that fails once, or whose answer is lost, loses nothing; nor does a
// lease whose own answer is lost.
func TestLeaseSurvivesFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := blobtest.Server(t)
		put(t, c, "a", "x")
		s.Before(losing("AcquireLease", 2))
		l, err := c.Lease(t.Context(), "a", "")
		if err != nil {
			t.Fatalf("leasing, the answer being lost: %v", err)
		}
		defer l.Release()
		for _, before := range []func(blobs.Op) error{losing("RenewLease", 3), func() func(blobs.Op) error {
			n := 0
			return func(o blobs.Op) error {
				if n++; o.Name == "RenewLease" && n < 4 {
					return &blobs.Answer{Status: 503, Code: "ServerBusy"}
				}
				return nil
			}
		}()} {
			s.Before(before)
			time.Sleep(5 * time.Minute)
			is(t, "lost", l.Lost(), nil)
		}
	})
}

// The lease of a blob that is removed is lost.
func TestLeaseOfARemovedBlob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := blobtest.Server(t)
		put(t, c, "a", "x")
		l, err := c.Lease(t.Context(), "a", "")
		if err != nil {
			t.Fatal(err)
		}
		is(t, "removing under the lease", c.Remove(t.Context(), "a", blob.Condition{Lease: l.ID}), nil)
		<-l.Context().Done()
		is(t, "lost", l.Lost(), blob.ErrLost)
		l.Release()
		if errors.Is(l.Lost(), nil) {
			t.Error("its release must not hide the loss")
		}
	})
}
