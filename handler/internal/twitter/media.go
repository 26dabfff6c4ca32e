package twitter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/outbound"
)

const (
	// maxMedia bounds a media file, in bytes: the longest video X accepts has 16 GB.
	maxMedia = 16 << 30

	// mediaIdle is how long a media server may send nothing before the
	// connection counts as broken.
	mediaIdle = time.Minute

	// mediaTries is how many connections in a row may bring no byte before X is
	// called unavailable.
	mediaTries = 3

	// mediaPause is the wait after the first of them; after the n-th it is n times
	// as long.
	mediaPause = time.Second

	// userAgent names this program. X's video servers refuse the default of some
	// libraries.
	userAgent = "xarchive (archive connector for X)"
)

// Media reads photos and videos from X's media servers, which need no sign-in and
// bill nothing. HTTP must reach no other hosts.
type Media struct {
	HTTP *http.Client
}

// File is a media file that is being read.
type File struct {
	Address string // that it is read from: the one asked for, or that without its query

	// ContentType is the file's media type: as its first bytes show it, else as the
	// server says; "" if neither names a picture or a film. An address may lie. A
	// stream is a zip archive.
	ContentType string

	stream io.ReadCloser
	body   *bufio.Reader // of stream
}

// Read reads on, over as many connections as it takes.
func (f *File) Read(p []byte) (int, error) { return f.body.Read(p) }

// Close ends reading.
func (f *File) Close() error {
	err := f.stream.Close()
	f.body.Reset(f.stream) // what it holds is given up, too
	return err
}

// Open starts reading a file. The stream goes on where it was cut off when a
// connection breaks; it ends with ctx. X's film servers refuse some addresses with
// their query and serve them without: that is tried where a server says 401, 403 or
// 404. Errors of Open and of the stream:
//
//   - [ErrNotFound]: asking for this address again is useless. X does not have the
//     file, it is too long, or the address is not one of X's media servers.
//   - [ErrUnavailable]: a later try can succeed. Where the file has other sources,
//     one of them may have it now.
//
// The address of a playlist is read as all that it names, see openStream.
func (m Media) Open(ctx context.Context, address string) (*File, error) {
	if isPlaylist(address) {
		return m.openStream(ctx, address)
	}
	return m.openFile(ctx, address)
}

// openFile is Open for one file.
func (m Media) openFile(ctx context.Context, address string) (*File, error) {
	f, err := m.open(ctx, address)
	plain := withoutQuery(address)
	var refusal refused
	if !errors.As(err, &refusal) || plain == "" {
		return f, err
	}
	f, again := m.open(ctx, plain)
	switch {
	case again == nil:
		return f, nil
	case ctx.Err() != nil:
		return nil, again
	case errors.Is(again, ErrUnavailable):
		return nil, fmt.Errorf("%w (and with its query: %v)", again, err)
	}
	return nil, fmt.Errorf("%w (and without its query: %v)", err, again)
}

func (m Media) open(ctx context.Context, address string) (*File, error) {
	hc := *m.HTTP
	hc.CheckRedirect = redirect
	d := &download{ctx: ctx, http: &hc, address: address, max: maxMedia, size: -1}
	if err := d.connect(); err != nil {
		return nil, err
	}
	return newFile(address, d, func() string { return d.says })
}

// NewFile returns a media file that is read from elsewhere than X's media servers. It
// closes the stream if that cannot be read.
func NewFile(source string, stream io.ReadCloser) (*File, error) {
	return newFile(source, stream, func() string { return "" })
}

func newFile(address string, stream io.ReadCloser, says func() string) (*File, error) {
	f := &File{Address: address, stream: stream, body: bufio.NewReader(stream)}
	if _, err := f.body.Peek(1); err != nil && err != io.EOF {
		stream.Close()
		return nil, err
	}
	// What came first is enough: a dozen bytes tell a picture or a film. More may take
	// as long as the server likes, and other files wait.
	head, _ := f.body.Peek(f.body.Buffered())
	f.ContentType = contentType(head, says())
	return f, nil
}

// contentType returns the media type of a file.
func contentType(head []byte, said string) string {
	for _, t := range []string{http.DetectContentType(head), said} {
		t, _, err := mime.ParseMediaType(t)
		if kind, _, _ := strings.Cut(t, "/"); err == nil && (kind == "image" || kind == "video") {
			return t
		}
	}
	return ""
}

// withoutQuery is an address without its query; "" if it has none, or if the query
// says which copy of a photo is meant.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.RawQuery == "" || u.Query().Has("name") || u.Query().Has("format") {
		return ""
	}
	u.RawQuery = ""
	return u.String()
}

// refused is a server's word that it does not give a file at an address: status 401,
// 403 or 404.
type refused struct{ err error }

func (r refused) Error() string { return r.err.Error() }
func (r refused) Unwrap() error { return r.err }

// redirect follows up to ten redirects. It takes back the Referer that net/http
// adds: X's video servers refuse requests that have one.
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("more than 10 redirects")
	}
	r.Header.Del("Referer")
	return nil
}

// temporary is a failure after which another connection may help at once.
type temporary struct{ cause error }

func (t temporary) Error() string { return t.cause.Error() }
func (t temporary) Unwrap() error { return t.cause }

// request asks for the file from where the download is. The server's answer is
// good, and its body stands there. A temporary error: another try may help.
func (d *download) request() (*connection, error) {
	c, ctx := newConnection(d.ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.address, nil)
	if err != nil || req.URL.Host == "" { // such as a path in X's data export
		c.Close()
		return nil, fmt.Errorf("%w: %s is no address", ErrNotFound, d.address)
	}
	req.Header.Set("User-Agent", userAgent)
	// Positions are counted in the bytes of the file, not of a compressed form.
	req.Header.Set("Accept-Encoding", "identity")
	if d.at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
		if d.version != "" {
			req.Header.Set("If-Range", d.version)
		}
	}
	resp, err := c.do(d.http, req)
	switch {
	case err == nil:
	case d.ctx.Err() != nil:
		return nil, context.Cause(d.ctx)
	case errors.Is(err, outbound.ErrHostNotAllowed):
		return nil, fmt.Errorf("%w: %s is not on X's media servers", ErrNotFound, d.address)
	default:
		return nil, temporary{err}
	}
	if err := d.accept(resp, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// accept judges an answer, and brings the connection to the byte where the
// download is.
func (d *download) accept(resp *http.Response, c *connection) error {
	switch status := resp.StatusCode; {
	case status == http.StatusOK && d.at == 0:
		d.size, d.version, d.says = resp.ContentLength, version(resp.Header), resp.Header.Get("Content-Type")
		if d.size > d.max {
			return d.tooLong()
		}
		return nil
	case status == http.StatusOK || status == http.StatusPartialContent:
		if d.version != "" && d.version != version(resp.Header) {
			return d.changed()
		}
		if status == http.StatusOK {
			return d.skip(resp, c)
		}
		return d.acceptPart(resp.Header.Get("Content-Range"))
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return temporary{fmt.Errorf("status %d for %s", status, d.address)}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		// More often the word of a proxy, a firewall or X's guard against
		// strangers than about the file; nothing that changes within seconds.
		return refused{fmt.Errorf("%w: status %d for %s", ErrUnavailable, status, d.address)}
	case status == http.StatusProxyAuthRequired:
		return fmt.Errorf("%w: status %d for %s", ErrUnavailable, status, d.address)
	case status == http.StatusNotFound:
		return refused{fmt.Errorf("%w: status %d for %s", ErrNotFound, status, d.address)}
	default:
		return fmt.Errorf("%w: status %d for %s", ErrNotFound, status, d.address)
	}
}

// acceptPart reads the Content-Range of a 206 (RFC 9110, 14.4).
func (d *download) acceptPart(contentRange string) error {
	rest, ok := strings.CutPrefix(contentRange, fmt.Sprintf("bytes %d-", d.at))
	if !ok {
		return temporary{fmt.Errorf("asked for bytes from %d, the server sends %q", d.at, contentRange)}
	}
	_, total, _ := strings.Cut(rest, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	switch {
	case err != nil: // "*": the server does not know
	case d.size < 0:
		d.size = size
	case d.size != size:
		return d.changed()
	}
	return nil
}

// skip reads past what the download has. The server ignores Range and begins at
// the first byte.
func (d *download) skip(resp *http.Response, c *connection) error {
	if d.size >= 0 && resp.ContentLength >= 0 && resp.ContentLength != d.size {
		return d.changed()
	}
	if _, err := io.CopyN(io.Discard, c, d.at); err != nil {
		if d.ctx.Err() != nil {
			return context.Cause(d.ctx)
		}
		return temporary{fmt.Errorf("reading up to byte %d again: %w", d.at, err)}
	}
	return nil
}

func (d *download) changed() error {
	return fmt.Errorf("%w: %s changed while it was read", ErrUnavailable, d.address)
}

func (d *download) tooLong() error {
	return fmt.Errorf("%w: %s has more than the %d bytes that are accepted", ErrNotFound, d.address, d.max)
}

// version is what If-Range may name a file's version with: its strong entity tag,
// else the time of its last change (RFC 9110, 13.1.5); "" if the server has neither.
func version(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}
