package x

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// Client is an HTTP client that calls the server without sockets: Media for the media
// hosts, the API for every other host, by http and https. It works in the fake time of
// testing/synctest, and follows no redirects, as the connector's clients do.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: transport{api: s, media: s.Media()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type transport struct{ api, media http.Handler }

// RoundTrip runs the handler in a goroutine of its own, which ends with the answer's
// body or its request's context.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := *r
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if r.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{}
	}
	handler := t.api
	if host := r.URL.Hostname(); host == "pbs.twimg.com" || host == "video.twimg.com" {
		handler = t.media
	}
	body, into := io.Pipe()
	w := &response{header: http.Header{}, begun: make(chan struct{}), body: into}
	stop := context.AfterFunc(r.Context(), func() { _ = into.CloseWithError(r.Context().Err()) }) // never fails
	go func() {
		defer stop()
		end := w.run(handler, &in)
		if gone := r.Context().Err(); gone != nil {
			end = gone
		}
		_ = into.CloseWithError(end) // never fails
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if w.status == 0 {
		return nil, errBroken
	}
	length, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.sent, Body: body, ContentLength: length, Request: r,
	}, nil
}

var errBroken = errors.New("the connection broke before an answer")

// response is an answer on its way through a pipe.
type response struct {
	header http.Header
	status int
	sent   http.Header // as it was when the answer began
	begun  chan struct{}
	body   *io.PipeWriter
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	}
}

func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush does what net/http's would: the answer begins.
func (w *response) Flush() { w.WriteHeader(http.StatusOK) }

// run serves a request and returns how its body ends: io.EOF, or an error if the
// handler broke the connection.
func (w *response) run(h http.Handler, r *http.Request) (end error) {
	defer func() {
		reason := recover()
		switch {
		case reason == nil:
			w.WriteHeader(http.StatusOK)
			end = io.EOF
		case reason != http.ErrAbortHandler:
			panic(reason)
		case w.status == 0:
			close(w.begun)
		default:
			end = io.ErrUnexpectedEOF
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}
