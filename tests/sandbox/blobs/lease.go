package blobs

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lease is a blob's lease. The zero value is a blob that was never leased.
type lease struct {
	id       string
	until    time.Time     // zero for a lease without end
	duration time.Duration // what a renewal lasts, 0 for ever
}

const (
	available = "available"
	leased    = "leased"
	expired   = "expired"
)

func (l lease) state(now time.Time) string {
	switch {
	case l.id == "":
		return available
	case l.duration != 0 && !now.Before(l.until):
		return expired
	}
	return leased
}

// ExpireLeases ends every lease, as if its time had run out.
func (s *Server) ExpireLeases() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	for _, c := range s.containers {
		for _, b := range c.blobs {
			if b.lease.state(now) == leased {
				b.lease.until, b.lease.duration = now, time.Nanosecond
			}
		}
	}
}

// show adds a lease's state to an answer's header.
func (l lease) show(h http.Header, now time.Time) {
	state, status, duration := l.words(now)
	h.Set("X-Ms-Lease-State", state)
	h.Set("X-Ms-Lease-Status", status)
	if duration != "" {
		h.Set("X-Ms-Lease-Duration", duration)
	}
}

func (l lease) words(now time.Time) (state, status, duration string) {
	if state = l.state(now); state != leased {
		return state, "unlocked", ""
	}
	if l.duration == 0 {
		return state, "locked", "infinite"
	}
	return state, "locked", "fixed"
}

// mayRead checks the lease id that a read names, if it names one.
// https://learn.microsoft.com/rest/api/storageservices/lease-blob#outcomes-of-use-attempts-on-blobs-by-lease-state
func (l lease) mayRead(id string, now time.Time) *problem {
	switch {
	case id == "":
		return nil
	case l.state(now) != leased:
		return leaseLost
	case !strings.EqualFold(id, l.id):
		return leaseIDMismatch
	}
	return nil
}

// mayWrite checks the lease id that a write names: a leased blob's is required.
func (l lease) mayWrite(id string, now time.Time) *problem {
	if id == "" && l.state(now) == leased {
		return leaseIDMissing
	}
	return l.mayRead(id, now)
}

// written is the lease after a write. An expired lease ends with it and cannot be
// renewed any more.
func (l lease) written(now time.Time) lease {
	if l.state(now) == expired {
		return lease{}
	}
	return l
}

// leaseBlob answers Lease Blob.
// https://learn.microsoft.com/rest/api/storageservices/lease-blob
func (c *call) leaseBlob() (answer, *problem) {
	b, fail := c.existing(forLease)
	if fail != nil {
		return answer{}, fail
	}
	now, id := c.s.opt.Now(), c.r.Header.Get("x-ms-lease-id")
	status := http.StatusOK
	switch c.op.Name {
	case "AcquireLease":
		if b.lease, fail = b.lease.acquire(c.r.Header, now); fail != nil {
			return answer{}, fail
		}
		status = http.StatusCreated
	case "RenewLease":
		if b.lease.id == "" || !strings.EqualFold(b.lease.id, id) {
			return answer{}, leaseIDMismatchLease
		}
		b.lease.until = now.Add(b.lease.duration)
	case "ReleaseLease":
		if b.lease.id == "" || !strings.EqualFold(b.lease.id, id) {
			return answer{}, leaseIDMismatchLease
		}
		b.lease = lease{}
	}
	a := answer{status: status, header: http.Header{}}
	a.version(b.etag, b.modified)
	if b.lease.id != "" {
		a.header.Set("X-Ms-Lease-Id", b.lease.id)
	}
	return a, nil
}

// acquire returns the lease that a request asks for. A lease that is held can only
// be acquired again under its own id.
func (l lease) acquire(h http.Header, now time.Time) (lease, *problem) {
	proposed := h.Get("x-ms-proposed-lease-id")
	if l.state(now) == leased && !strings.EqualFold(proposed, l.id) {
		return l, leasePresent
	}
	seconds, err := strconv.Atoi(h.Get("x-ms-lease-duration"))
	if err != nil || seconds != -1 && (seconds < 15 || seconds > 60) {
		return l, invalidHeader
	}
	if proposed == "" {
		proposed = newGUID()
	}
	next := lease{id: proposed}
	if seconds > 0 {
		next.duration = time.Duration(seconds) * time.Second
		next.until = now.Add(next.duration)
	}
	return next, nil
}

func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
