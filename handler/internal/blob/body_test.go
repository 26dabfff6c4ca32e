package blob

import (
	"errors"
	"io"
	"testing"
)

// A body that has ended gives nothing of its buffer away, whatever the buffer is used
// for next; before, it can be sent again.
func TestBodyEnds(t *testing.T) {
	buffer := []byte("block")
	b := newBody(buffer)
	for range 2 {
		if _, err := b.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != "block" {
			t.Fatalf("%q, %v; expected the block", got, err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	b.end()
	copy(buffer, "other")
	if n, err := b.Read(make([]byte, 5)); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("read %d bytes, %v; expected none and an error", n, err)
	}
}
