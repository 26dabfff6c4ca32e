package blobs

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// existing returns the blob that a call is about, once its conditions are met.
func (c *call) existing(purpose int) (*blob, *problem) {
	container := c.s.containers[c.op.Container]
	if container == nil {
		return nil, containerNotFound
	}
	b := container.blob(c.op.Blob)
	if b != nil && !b.committed {
		b = nil
	}
	if fail := condition(c.r.Header, b, purpose); fail != nil {
		return nil, fail
	}
	if b == nil {
		return nil, blobNotFound
	}
	id, now := c.r.Header.Get("x-ms-lease-id"), c.s.opt.Now()
	switch purpose {
	case forRead:
		return b, b.lease.mayRead(id, now)
	case forLease:
		return b, nil
	}
	return b, b.lease.mayWrite(id, now)
}

// getBlob answers Get Blob and Get Blob Properties.
// https://learn.microsoft.com/rest/api/storageservices/get-blob
func (c *call) getBlob() (answer, *problem) {
	b, fail := c.existing(forRead)
	if fail != nil {
		return answer{}, fail
	}
	a := answer{status: http.StatusOK, header: http.Header{}}
	a.version(b.etag, b.modified)
	for name, value := range b.header {
		a.header.Set(name, value)
	}
	for name, value := range b.metadata {
		a.header.Set("X-Ms-Meta-"+name, value)
	}
	a.header.Set("Accept-Ranges", "bytes")
	a.header.Set("X-Ms-Blob-Type", "BlockBlob")
	a.header.Set("X-Ms-Creation-Time", b.created.UTC().Format(http.TimeFormat))
	a.header.Set("X-Ms-Server-Encrypted", "true")
	b.lease.show(a.header, c.s.opt.Now())
	if c.op.Name == "GetBlobProperties" {
		a.header.Set("Content-Length", strconv.Itoa(b.size()))
		return a, nil
	}
	a.body = b.content()
	from, to, given := byteRange(c.r.Header, len(a.body))
	if !given {
		return a, nil
	}
	if from >= len(a.body) {
		return answer{}, invalidRange
	}
	a.status = http.StatusPartialContent
	a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(a.body)))
	if md5 := a.header.Get("Content-MD5"); md5 != "" {
		a.header.Del("Content-MD5") // it is that of the whole blob
		a.header.Set("X-Ms-Blob-Content-Md5", md5)
	}
	a.body = a.body[from:to]
	return a, nil
}

// byteRange reads `bytes=from-` or `bytes=from-last`. As the service does, it ignores
// what is not one of these.
// https://learn.microsoft.com/rest/api/storageservices/specifying-the-range-header-for-blob-service-operations
func byteRange(h http.Header, size int) (from, to int, given bool) {
	text := h.Get("x-ms-range")
	if text == "" {
		text = h.Get("Range")
	}
	first, last, ok := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	from, err := strconv.Atoi(first)
	if !ok || err != nil || from < 0 {
		return 0, 0, false
	}
	to = size
	if last != "" {
		end, err := strconv.Atoi(last)
		if err != nil || end < from {
			return 0, 0, false
		}
		to = min(size, end+1)
	}
	return from, to, true
}
