package blobs

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// Client is an HTTP client that calls the server directly, whatever host it asks.
// It has no timeout and follows no redirects that the server would not send.
func (s *Server) Client() *http.Client { return &http.Client{Transport: transport{s}} }

type transport struct{ server *Server }

// RoundTrip runs the server in the caller's goroutine.
func (t transport) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := *r
	in.Header = make(http.Header, len(r.Header))
	for name, values := range r.Header {
		if len(name) > 10 && name[:10] == "x-ms-meta-" {
			in.Header[name] = values // the case of its name is the user's
			continue
		}
		in.Header[http.CanonicalHeaderKey(name)] = values
	}
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	err = w.run(t.server, &in)
	if gone := r.Context().Err(); gone != nil {
		return nil, gone // it may have taken effect, and the caller does not hear of it
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(bytes.NewReader(w.body)), ContentLength: int64(len(w.body)), Request: r,
	}, nil
}

// recorder is the answer in memory.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (w *recorder) Header() http.Header    { return w.header }
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write keeps what it is given. serve writes once, and what it writes never changes.
func (w *recorder) Write(b []byte) (int, error) {
	w.body = b
	return len(b), nil
}

// run serves a request. It returns the reason for which the server broke the
// connection, if it did.
func (w *recorder) run(s *Server, r *http.Request) (err error) {
	defer func() {
		reason := recover()
		if b, ok := reason.(*broken); ok {
			err = b.cause
			if drop, ok := err.(*Drop); ok && drop.Final {
				err = &final{drop}
			}
		} else if reason != nil {
			panic(reason)
		}
	}()
	s.serve(w, r)
	return nil
}

// final is an error after which azcore's retry policy does not try again.
type final struct{ drop *Drop }

func (f *final) Error() string { return f.drop.Error() }
func (f *final) Unwrap() error { return f.drop }

// NonRetriable marks the error for azcore (its errorinfo.NonRetriable).
func (*final) NonRetriable() {}
