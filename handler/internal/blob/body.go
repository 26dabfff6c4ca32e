package blob

import (
	"bytes"
	"io"
	"sync"
)

// body is what a request sends of a buffer that is used again afterwards.
// net/http may go on reading a body after it has given the request up; a body that
// has ended gives it nothing more, so that it never sends the buffer's next use.
type body struct {
	mu    sync.Mutex
	bytes *bytes.Reader
	ended bool
}

func newBody(buffer []byte) *body { return &body{bytes: bytes.NewReader(buffer)} }

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, io.ErrClosedPipe
	}
	return b.bytes.Read(p)
}

func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Seek(offset, whence)
}

// Close does nothing: the SDK closes a body after each of its tries.
func (b *body) Close() error { return nil }

// end returns once nothing reads the buffer any more.
func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}
