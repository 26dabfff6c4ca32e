package blobs

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// box is a container.
type box struct {
	etag     string
	modified time.Time
	blobs    map[string]*blob
	names    []string // of blobs, in order
}

// blob is a block blob. A blob with uncommitted blocks only is there too, but reads
// do not see it.
type blob struct {
	committed bool
	blocks    []block           // in order
	staged    map[string][]byte // uncommitted blocks, by id
	header    map[string]string // Content-Type and the like, as answers send them
	metadata  map[string]string
	etag      string
	created   time.Time
	modified  time.Time
	lease     lease
}

// block is a committed block. Content is never changed once it is here.
type block struct {
	id      string
	content []byte
}

// blob returns the container's blob of that name, nil if there is none.
func (c *box) blob(name string) *blob {
	if c == nil {
		return nil
	}
	return c.blobs[name]
}

func (c *box) put(name string, b *blob) {
	if _, known := c.blobs[name]; !known {
		at, _ := slices.BinarySearch(c.names, name)
		c.names = slices.Insert(c.names, at, name)
	}
	c.blobs[name] = b
}

func (c *box) remove(name string) {
	delete(c.blobs, name)
	if at, found := slices.BinarySearch(c.names, name); found {
		c.names = slices.Delete(c.names, at, at+1)
	}
}

func (b *blob) size() int {
	n := 0
	for _, block := range b.blocks {
		n += len(block.content)
	}
	return n
}

func (b *blob) content() []byte {
	if len(b.blocks) == 1 {
		return b.blocks[0].content
	}
	var parts [][]byte
	for _, block := range b.blocks {
		parts = append(parts, block.content)
	}
	return bytes.Join(parts, nil)
}

// newETag returns an ETag that was never given out. Those of the service are points
// in time; nothing may rely on that.
func (s *Server) newETag() string {
	s.changes++
	return fmt.Sprintf(`"0x%015X"`, 0x8DE000000000000+s.changes)
}

// changed gives a blob a new ETag and time.
func (s *Server) changed(b *blob) {
	b.etag, b.modified = s.newETag(), s.opt.Now().UTC().Truncate(time.Second)
}
