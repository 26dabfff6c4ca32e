package twitter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"sync/atomic"
	"time"
)

// download is a stream of a media file that survives broken connections.
//
// Videos are long, and what they are written to can be slow: X's servers then
// close a connection that is only waiting for its reader. Two things happen:
//
//  1. A reading fails: the connection was reset, ended within the body, or brought
//     nothing for mediaIdle.
//  2. The connection ends in good order before the file does, as a server that
//     sends a shorter part than was asked for makes it. This shows only against
//     the file's size, if the first answer told it.
//
// Either way the connection is dropped and the file asked for again from the next
// byte on, if it is still the same version. Its reader sees one stream. Only
// connections that bring no byte count as tries, so that a long file may break off
// as often as it likes while it gets on.
//
// The context is kept because an io.Reader takes none: it is the one that Open
// got, and bounds the stream as a whole.
type download struct {
	ctx     context.Context
	http    *http.Client
	address string
	max     int64 // bytes; longer files are refused

	conn    *connection
	version string // of the file, for If-Range
	says    string // Content-Type of the first answer
	at      int64  // bytes read
	size    int64  // of the file; -1 while unknown
	tries   int    // connections without a byte, since the last byte
	err     error  // ended the stream
}

// connect asks for the file until a server answers, or tries are used up.
func (d *download) connect() error {
	for {
		conn, err := d.request()
		if err == nil {
			d.conn = conn
			return nil
		}
		if !errors.As(err, new(temporary)) {
			return err
		}
		if err := d.failed(err); err != nil {
			return err
		}
	}
}

// failed counts a try and waits before the next.
func (d *download) failed(err error) error {
	if d.tries++; d.tries >= mediaTries {
		return fmt.Errorf("%w: %s at byte %d: %w", ErrUnavailable, d.address, d.at, err)
	}
	return wait(d.ctx, time.Duration(d.tries)*mediaPause)
}

// Read reads on, over as many connections as it takes.
func (d *download) Read(p []byte) (int, error) {
	for d.err == nil {
		n, err := d.conn.Read(p)
		d.at += int64(n)
		if n > 0 {
			d.tries, d.conn.useful = 0, true
		}
		switch {
		case d.at > d.max:
			d.err = d.tooLong()
			return n, d.err
		case d.size >= 0 && d.at > d.size:
			d.err = d.changed()
			return n, d.err
		case n > 0 || err == nil:
			return n, nil // an error comes again with the next Read
		case err == io.EOF && (d.size < 0 || d.at == d.size):
			d.err = io.EOF
		case d.ctx.Err() != nil:
			d.err = context.Cause(d.ctx)
		default:
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			d.conn.Close()
			if !d.conn.useful {
				d.err = d.failed(err)
			}
			if d.err == nil {
				d.err = d.connect()
			}
		}
	}
	return 0, d.err
}

// Close ends the download. The connection is given up, not read to its end.
func (d *download) Close() error {
	if d.err == nil {
		d.err = fs.ErrClosed
	}
	d.conn.Close()
	return nil
}

// connection is one request with the body of its answer, and a timer that breaks
// it off when the server is silent.
//
// The timer runs only while the server is waited for: from the request to the
// answer's header, and then within each Read. It does not run between two Reads:
// that the reader is slow is not the server's fault. Each Read has the whole time,
// so a slow server that goes on sending is never cut off, however long the file
// takes. A timer that fires just as its Read returns breaks the connection, which
// the next Read finds: one try more, and nothing lost.
type connection struct {
	cancel context.CancelFunc
	idle   *time.Timer // cancels
	silent atomic.Bool // it was the timer
	body   io.ReadCloser
	useful bool // it brought a byte that was not known
}

var errIdle = fmt.Errorf("the server sent nothing for %s", mediaIdle)

// newConnection starts the timer. The request must be made with the context.
func newConnection(ctx context.Context) (*connection, context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c := &connection{cancel: cancel}
	c.idle = time.AfterFunc(mediaIdle, func() {
		c.silent.Store(true)
		cancel()
	})
	return c, ctx
}

// do sends the request, and waits for the answer's header.
func (c *connection) do(hc *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := hc.Do(req)
	c.idle.Stop()
	if err != nil {
		c.cancel()
		return nil, c.why(err)
	}
	c.body = resp.Body
	return resp, nil
}

func (c *connection) Read(p []byte) (int, error) {
	c.idle.Reset(mediaIdle)
	n, err := c.body.Read(p)
	c.idle.Stop()
	return n, c.why(err)
}

func (c *connection) why(err error) error {
	if err != nil && err != io.EOF && c.silent.Load() {
		return errIdle
	}
	return err
}

func (c *connection) Close() {
	c.idle.Stop()
	c.cancel()
	if c.body != nil {
		c.body.Close()
	}
}

// wait waits, or returns why the context ended before that.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
