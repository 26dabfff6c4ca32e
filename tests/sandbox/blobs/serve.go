package blobs

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// call is one request on its way.
type call struct {
	s    *Server
	r    *http.Request
	op   Op
	body []byte
	do   func(*call) (answer, *problem)
}

// ServeHTTP answers as a storage account's blob endpoint does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		reason := recover()
		if _, broken := reason.(*broken); broken {
			reason = http.ErrAbortHandler
		}
		if reason != nil {
			panic(reason)
		}
	}()
	s.serve(w, r)
}

// broken is what serve panics with to break the connection.
type broken struct{ cause error }

// serve answers a request, or panics with *broken.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c, fail := s.read(r)
	var a answer
	if fail == nil {
		a, fail = s.answer(c)
	}
	if fail != nil {
		a = fail.answer()
	}
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h.Set("X-Ms-Version", r.Header.Get("x-ms-version"))
	h.Set("X-Ms-Request-Id", newGUID())
	h.Set("Date", s.opt.Now().UTC().Format(http.TimeFormat))
	if id := r.Header.Get("x-ms-client-request-id"); id != "" {
		h.Set("X-Ms-Client-Request-Id", id)
	}
	if h.Get("Content-Length") == "" && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	if r.Method == http.MethodHead {
		a.body = nil
	}
	s.countBytes(0, len(a.body))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that left does not read it
}

// read turns a request into a call: its operation and its whole body.
func (s *Server) read(r *http.Request) (*call, *problem) {
	if r.Header.Get("Authorization") == "" && r.URL.Query().Get("sig") == "" {
		// The service's own answer depends on the account's settings. Azurite gives this one.
		return nil, notAuthorized
	}
	c := &call{s: s, r: r}
	if fail := c.name(); fail != nil {
		return nil, fail
	}
	var err error
	switch {
	case r.ContentLength > 0:
		c.body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, c.body)
	case r.ContentLength < 0 && c.op.Class == Write:
		return nil, missingLength
	}
	if err != nil {
		panic(&broken{err}) // the client went away: nothing took effect
	}
	s.countBytes(len(c.body), 0)
	return c, nil
}

// answer lets the call take effect, unless Before interrupts it.
func (s *Server) answer(c *call) (answer, *problem) {
	before := s.count(&c.op)
	var drop *Drop
	if before != nil {
		err := before(c.op)
		var refuse *Answer
		switch {
		case err == nil:
		case errors.As(err, &refuse):
			a := (&problem{refuse.Status, refuse.Code, "A test had the service answer so."}).answer()
			for name, values := range refuse.Header {
				a.header[http.CanonicalHeaderKey(name)] = values
			}
			return a, nil
		case errors.As(err, &drop) && drop.After:
		default:
			panic(&broken{err})
		}
	}
	s.mu.Lock()
	latency := s.latency
	s.mu.Unlock()
	if latency > 0 {
		select {
		case <-c.r.Context().Done():
			panic(&broken{c.r.Context().Err()})
		case <-time.After(latency):
		}
	}
	a, fail := c.effect()
	if drop != nil {
		panic(&broken{drop})
	}
	return a, fail
}

func (c *call) effect() (answer, *problem) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.do(c)
}

var (
	containerName = regexp.MustCompile(`^(\$root|[a-z0-9](-?[a-z0-9])+)$`)
	maxBlobName   = 1024
)

// name finds the operation of a request.
func (c *call) name() *problem {
	q := c.r.URL.Query()
	account, rest, _ := strings.Cut(strings.TrimPrefix(c.r.URL.Path, "/"), "/")
	if account != c.s.opt.Account {
		return notAuthorized
	}
	c.op.Container, c.op.Blob, _ = strings.Cut(rest, "/")
	switch {
	case c.op.Container == "":
		return notImplemented
	case len(c.op.Container) < 3 || len(c.op.Container) > 63 || len(c.op.Blob) > maxBlobName:
		return nameOutOfRange
	case !containerName.MatchString(c.op.Container):
		return invalidName
	}
	key := c.r.Method + " " + q.Get("comp")
	if c.op.Blob == "" {
		if q.Get("restype") != "container" {
			return notImplemented
		}
		key += " container"
	}
	if q.Get("comp") == "lease" {
		key += " " + strings.ToLower(c.r.Header.Get("x-ms-lease-action"))
	}
	o, known := operations[key]
	if !known || c.r.Header.Get("x-ms-copy-source") != "" || c.r.Header.Get("x-ms-structured-body") != "" || q.Has("snapshot") || q.Has("versionid") {
		return notImplemented
	}
	c.op.Name, c.op.Class, c.do = o.name, o.class, o.do
	return nil
}

// operations are what the server knows, by method, comp and lease action.
var operations = map[string]struct {
	name  string
	class Class
	do    func(*call) (answer, *problem)
}{
	"PUT  container":     {"CreateContainer", Write, (*call).createContainer},
	"DELETE  container":  {"DeleteContainer", Delete, (*call).deleteContainer},
	"GET  container":     {"GetContainerProperties", Read, (*call).containerProperties},
	"HEAD  container":    {"GetContainerProperties", Read, (*call).containerProperties},
	"GET list container": {"ListBlobs", List, (*call).list},
	"PUT ":               {"PutBlob", Write, (*call).putBlob},
	"PUT block":          {"PutBlock", Write, (*call).putBlock},
	"PUT blocklist":      {"PutBlockList", Write, (*call).putBlockList},
	"GET ":               {"GetBlob", Read, (*call).getBlob},
	"HEAD ":              {"GetBlobProperties", Read, (*call).getBlob},
	"PUT metadata":       {"SetBlobMetadata", Write, (*call).setMetadata},
	"DELETE ":            {"DeleteBlob", Delete, (*call).deleteBlob},
	"PUT lease acquire":  {"AcquireLease", Lease, (*call).leaseBlob},
	"PUT lease renew":    {"RenewLease", Lease, (*call).leaseBlob},
	"PUT lease release":  {"ReleaseLease", Lease, (*call).leaseBlob},
}

// version adds a resource's ETag and time to the answer.
func (a *answer) version(etag string, modified time.Time) {
	a.header.Set("ETag", etag)
	a.header.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
}
