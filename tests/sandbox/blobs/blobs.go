// Package blobs is Azure Blob Storage in memory and in this process: the REST
// protocol as the azblob SDK speaks it, for tests in which Azurite is too slow or
// too opaque. Property tests run thousands of interrupted runs against it, and
// tests of cost count its calls.
//
// [New] makes a server. It is an [http.Handler], and [Server.Client] is a client
// that calls it without sockets, so that it also works in the fake time of
// testing/synctest. The product's own code runs unchanged above it:
//
//	s := blobs.New(blobs.Options{})
//	account := storage.Account{ConnectionString: s.ConnectionString(), HTTP: s.Client()}
//
// [Server.Before] interrupts calls: it answers with an error of the service, or
// loses the connection before or after the call took effect. [Server.Calls] counts
// calls and bytes. [Server.Names] and [Server.Get] show what is stored.
//
// It knows block blobs without snapshots, versions, tags and tiers, and leases of
// blobs. What it does not know it refuses with 501. A request needs an Authorization
// header or a SAS signature, but neither is verified: Azurite does that. The same
// tests run against both servers (conformance_test.go), and where Azurite does not
// do what Azure's documentation says, this package follows the documentation.
//
// Source: https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
package blobs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// DefaultAccount is the account's name unless Options says another.
const DefaultAccount = "devstoreaccount1"

// accountKey is Azurite's published key. Signatures are not verified.
const accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// Options says how a Server behaves. The zero value will do.
type Options struct {
	Account string           // DefaultAccount if empty
	Now     func() time.Time // the service's clock; time.Now if nil
	Latency time.Duration    // how long each call takes

	// PageSize is the most names that one listing answers with, 5,000 (the service's)
	// if 0. The service may always answer with fewer than were asked for.
	PageSize int
}

// Server is the storage account. Make it with New. Its methods may be called at any
// time, from any goroutine.
type Server struct {
	opt Options

	mu         sync.Mutex
	containers map[string]*box
	changes    int // numbers ETags
	before     func(Op) error
	latency    time.Duration
	calls      int
	counts     Counts
}

// New makes an account without containers.
func New(opt Options) *Server {
	opt.Account = cmp.Or(opt.Account, DefaultAccount)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.PageSize <= 0 || opt.PageSize > maxPage {
		opt.PageSize = maxPage
	}
	return &Server{opt: opt, containers: map[string]*box{}, latency: opt.Latency}
}

// ConnectionString opens the account through [Server.Client]; nothing resolves its
// host.
func (s *Server) ConnectionString() string { return s.ConnectionStringAt("http://blobs.invalid") }

// ConnectionStringAt opens the account where the server listens at a URL that has
// no path and no slash at its end.
func (s *Server) ConnectionStringAt(url string) string {
	return fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s/%[1]s;", s.opt.Account, accountKey, url)
}

// SetLatency changes how long each call takes from now on.
func (s *Server) SetLatency(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// Names returns the names of a container's blobs in order, nil if there is no such
// container. Blobs of which only uncommitted blocks exist are not among them.
func (s *Server) Names(container string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[container]
	if c == nil {
		return nil
	}
	names := []string{}
	for _, name := range c.names {
		if c.blobs[name].committed {
			names = append(names, name)
		}
	}
	return names
}

// Blob is what is stored under a name.
type Blob struct {
	Content     []byte // must not be changed
	ContentType string
	Metadata    map[string]string
	ETag        string // with its quotes
	Modified    time.Time
	LeaseID     string // "" when the blob is not leased at this moment
}

// Get returns a blob, false if there is none. It is not counted as a call.
func (s *Server) Get(container, name string) (Blob, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.containers[container].blob(name)
	if b == nil || !b.committed {
		return Blob{}, false
	}
	out := Blob{Content: b.content(), ContentType: b.header["Content-Type"], Metadata: maps.Clone(b.metadata), ETag: b.etag, Modified: b.modified}
	if b.lease.state(s.opt.Now()) == leased {
		out.LeaseID = b.lease.id
	}
	return out, true
}

// Containers returns the names of the containers in order.
func (s *Server) Containers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.containers))
}
