package blobs

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
)

// Class is what kind of call an operation is. The service bills by it.
type Class string

// The classes of operations.
const (
	Read   Class = "read"
	Write  Class = "write" // creating a container too
	List   Class = "list"
	Delete Class = "delete"
	Lease  Class = "lease"
)

// Op is a call. Name is the operation's in Azure's documentation, without spaces:
// CreateContainer, DeleteContainer, GetContainerProperties, ListBlobs, PutBlob,
// PutBlock, PutBlockList, GetBlob, GetBlobProperties, SetBlobMetadata, DeleteBlob,
// AcquireLease, RenewLease, ReleaseLease.
type Op struct {
	Name      string
	Class     Class
	Container string
	Blob      string // "" for an operation on the container
	N         int    // counts calls since New, from 1
}

func (o Op) String() string {
	return fmt.Sprintf("%d %s %s/%s", o.N, o.Name, o.Container, o.Blob)
}

// Counts is what was asked of the server. Refused and interrupted calls are counted
// too, as the service bills them; requests that are not authorized are not.
type Counts struct {
	Read, Write, List, Delete, Lease int
	BytesIn, BytesOut                int64          // of request and answer bodies
	ByName                           map[string]int // calls by Op.Name
}

// All is the number of calls.
func (c Counts) All() int { return c.Read + c.Write + c.List + c.Delete + c.Lease }

// Calls returns the counts since New or the last ResetCalls.
func (s *Server) Calls() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.counts
	out.ByName = maps.Clone(out.ByName)
	return out
}

// ResetCalls begins counting at zero. Op.N goes on.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = Counts{}
}

// Answer is an error of Before: the service refuses the call without effect.
type Answer struct {
	Status int
	Code   string      // x-ms-error-code, such as ServerBusy
	Header http.Header // sent too. The SDK waits as long as x-ms-retry-after-ms says
}

func (a *Answer) Error() string { return fmt.Sprintf("status %d, %s", a.Status, a.Code) }

// Drop is an error of Before: the connection breaks and no answer arrives.
type Drop struct {
	// After has the call take effect first: only its answer is lost.
	After bool

	// Final keeps the SDK from trying again, as if its tries had been used up. Only
	// [Server.Client] can do that.
	Final bool
}

func (d *Drop) Error() string {
	if d.After {
		return "the connection broke after the call took effect"
	}
	return "the connection broke before the call took effect"
}

// Before sets a function that sees each call before it takes effect; nil removes
// it. It returns nil to let the call go on, an *Answer or a *Drop; any other error
// breaks the connection before the call takes effect. It is called by several
// goroutines at once, as the calls come, and may call the server's methods.
//
// A function that cancels the caller's context and returns nil lets the call take
// effect, and the caller does not hear of it.
func (s *Server) Before(f func(Op) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// DieAfter is the death of a process: the first call that at reports true for takes
// effect, and after it no call does, until Before is set anew. The function it
// returns reports whether that call came. at is called for one call at a time.
func (s *Server) DieAfter(at func(Op) bool) (dead func() bool) {
	var mu sync.Mutex
	died := false
	s.Before(func(op Op) error {
		mu.Lock()
		defer mu.Unlock()
		if died {
			return &Drop{Final: true}
		}
		died = at(op)
		return nil
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return died
	}
}

// count numbers the call and counts it.
func (s *Server) count(op *Op) (before func(Op) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	op.N = s.calls
	switch op.Class {
	case Read:
		s.counts.Read++
	case Write:
		s.counts.Write++
	case List:
		s.counts.List++
	case Delete:
		s.counts.Delete++
	case Lease:
		s.counts.Lease++
	}
	if s.counts.ByName == nil {
		s.counts.ByName = map[string]int{}
	}
	s.counts.ByName[op.Name]++
	return s.before
}

func (s *Server) countBytes(in, out int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.BytesIn += int64(in)
	s.counts.BytesOut += int64(out)
}
