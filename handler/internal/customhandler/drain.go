package customhandler

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxDrain bounds what is read of a body that nobody wanted, in bytes.
	maxDrain = 16 << 20
	// drainTime bounds how long that may take.
	drainTime = 30 * time.Second
)

// draining reads what is left of the request's body before the answer's first byte
// is written. The host sends the whole body before it reads the answer; if the
// connection closes under it, the caller gets the host's own 500 instead of the
// handler's 401 or 413. A body beyond the bounds has that end.
type draining struct {
	http.ResponseWriter
	body    io.Reader
	drained bool
}

func (d *draining) drain() {
	if d.drained {
		return
	}
	d.drained = true
	// Errors mean that the writer knows no deadlines; then only the size is bounded.
	control := http.NewResponseController(d.ResponseWriter)
	_ = control.SetReadDeadline(time.Now().Add(drainTime))
	_, err := io.CopyN(io.Discard, d.body, maxDrain)
	if !errors.Is(err, io.EOF) { // there is more, or it does not come
		d.Header().Set("Connection", "close")
		_ = control.SetReadDeadline(time.Now()) // or net/http would wait for the rest without end
		return
	}
	_ = control.SetReadDeadline(time.Time{})
}

func (d *draining) WriteHeader(status int) {
	if status >= http.StatusOK {
		d.drain()
	}
	d.ResponseWriter.WriteHeader(status)
}

func (d *draining) Write(p []byte) (int, error) {
	d.drain()
	return d.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the writer within.
func (d *draining) Unwrap() http.ResponseWriter { return d.ResponseWriter }
