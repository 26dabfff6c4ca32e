package twitter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"xarchive/handler/internal/outbound"
)

// maxMedia bounds a media file: the longest video X accepts is 16 GB.
const maxMedia = 16 << 30

// mediaIdle is how long a media server may send nothing before the connection counts
// as broken.
const mediaIdle = time.Minute

var errIdle = errors.New("nothing came for a minute")

// mediaTries is how often a file is asked for before X is called unavailable.
const mediaTries = 3

// Media reads photos and videos from X's media servers, which need no sign-in and
// bill nothing. Its HTTP client reaches no other hosts.
type Media struct {
	HTTP  *http.Client
	Pause func(ctx context.Context, d time.Duration) error // waits between tries
}

// Open starts reading a file. The stream goes on where it was cut off when a
// connection breaks. ErrNotFound: X does not have or does not give the file;
// asking again is useless. ErrUnavailable: a later try can succeed.
func (m Media) Open(ctx context.Context, address string) (io.ReadCloser, error) {
	s := &mediaStream{ctx: ctx, media: m, address: address}
	if err := s.connect(); err != nil {
		return nil, err
	}
	return s, nil
}

// mediaStream is a download that survives broken connections.
type mediaStream struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc // of the connection at hand
	idle    *time.Timer             // cancels it
	media   Media
	address string
	etag    string
	body    io.ReadCloser
	at      int64 // bytes read
	size    int64 // -1 while unknown
	broken  int   // connections that broke since the last byte came
}

// connect asks for the file from where the stream is, trying again while X's
// servers fail.
func (s *mediaStream) connect() error {
	for try := 1; ; try++ {
		err := s.request()
		if err == nil || !errors.Is(err, ErrUnavailable) || try == mediaTries {
			return err
		}
		if err := s.media.Pause(s.ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
	}
}

func (s *mediaStream) request() error {
	ctx, cancel := context.WithCancelCause(s.ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address, nil)
	if err != nil {
		cancel(nil)
		return fmt.Errorf("%w: %s is no address", ErrNotFound, s.address)
	}
	if s.at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", s.at))
		if s.etag != "" {
			req.Header.Set("If-Range", s.etag)
		}
	}
	idle := time.AfterFunc(mediaIdle, func() { cancel(errIdle) })
	resp, err := s.media.HTTP.Do(req)
	if err != nil {
		idle.Stop()
		cancel(nil)
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		if errors.Is(err, outbound.ErrHostNotAllowed) {
			return fmt.Errorf("%w: %s is not on X's media servers", ErrNotFound, s.address)
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := s.accept(resp); err != nil {
		idle.Stop()
		cancel(nil)
		resp.Body.Close()
		return err
	}
	idle.Stop() // it runs while a reading waits
	s.body, s.cancel, s.idle = resp.Body, cancel, idle
	return nil
}

func (s *mediaStream) accept(resp *http.Response) error {
	status := resp.StatusCode
	switch {
	case s.at == 0 && status == http.StatusOK:
		s.size, s.etag = resp.ContentLength, strongETag(resp.Header.Get("ETag"))
		if s.size > maxMedia {
			return fmt.Errorf("%w: %s has %d bytes, more than the %d that are accepted", ErrNotFound, s.address, s.size, int64(maxMedia))
		}
		return nil
	case s.at > 0 && s.etag != "" && status < 300 && resp.Header.Get("ETag") != s.etag:
		return fmt.Errorf("%w: %s changed while it was read", ErrUnavailable, s.address)
	case s.at > 0 && status == http.StatusPartialContent &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", s.at)):
		return nil
	case s.at > 0 && status == http.StatusOK:
		// The server begins anew: what was read already is read past.
		if _, err := io.CopyN(io.Discard, resp.Body, s.at); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusUnauthorized, status == http.StatusForbidden,
		status == http.StatusProxyAuthRequired, status >= 500:
		// 401, 403 and 407 are more often a proxy's or a firewall's word than X's.
		return fmt.Errorf("%w: status %d for %s", ErrUnavailable, status, s.address)
	}
	return fmt.Errorf("%w: status %d for %s", ErrNotFound, status, s.address)
}

// strongETag is the tag if If-Range may be used with it (RFC 9110, 13.1.5).
func strongETag(tag string) string {
	if strings.HasPrefix(tag, "W/") {
		return ""
	}
	return tag
}

func (s *mediaStream) Read(p []byte) (int, error) {
	for {
		s.idle.Reset(mediaIdle)
		n, err := s.body.Read(p)
		s.idle.Stop()
		s.at += int64(n)
		if n > 0 {
			s.broken = 0
			if s.at > maxMedia {
				return n, fmt.Errorf("%w: %s is longer than %d bytes", ErrNotFound, s.address, int64(maxMedia))
			}
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF && (s.size < 0 || s.at == s.size) {
			return 0, io.EOF
		}
		if s.ctx.Err() != nil {
			return 0, context.Cause(s.ctx)
		}
		if s.broken++; s.broken > mediaTries {
			return 0, fmt.Errorf("%w: %s breaks off at byte %d: %w", ErrUnavailable, s.address, s.at, err)
		}
		s.Close()
		if err := s.connect(); err != nil {
			return 0, err
		}
	}
}

func (s *mediaStream) Close() error {
	s.idle.Stop()
	s.cancel(nil)
	return s.body.Close()
}
