package blobs

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
)

// target returns the container that a call writes to and what is there under the
// blob's name (nil if nothing is), once conditions and lease let the call write.
func (c *call) target() (*box, *blob, *problem) {
	container := c.s.containers[c.op.Container]
	if container == nil {
		return nil, nil, containerNotFound
	}
	there := container.blob(c.op.Blob)
	seen := there
	if seen != nil && !seen.committed {
		seen = nil
	}
	if fail := condition(c.r.Header, seen, forCreate); fail != nil {
		return nil, nil, fail
	}
	held := lease{}
	if there != nil {
		held = there.lease
	}
	if fail := held.mayWrite(c.r.Header.Get("x-ms-lease-id"), c.s.opt.Now()); fail != nil && (there != nil || fail != leaseLost) {
		return nil, nil, fail
	}
	return container, there, nil
}

// store puts new content under the call's name and answers 201.
func (c *call) store(container *box, there *blob, blocks []block) answer {
	now := c.s.opt.Now()
	b := &blob{committed: true, blocks: blocks, header: c.contentHeaders(), metadata: c.metadata(), created: now}
	if there != nil {
		b.lease = there.lease.written(now)
		if there.committed {
			b.created = there.created
		}
	}
	c.s.changed(b)
	container.put(c.op.Blob, b)
	a := answer{status: http.StatusCreated, header: http.Header{"X-Ms-Request-Server-Encrypted": {"true"}}}
	a.version(b.etag, b.modified)
	return a
}

// putBlob answers Put Blob.
// https://learn.microsoft.com/rest/api/storageservices/put-blob
func (c *call) putBlob() (answer, *problem) {
	switch c.r.Header.Get("x-ms-blob-type") {
	case "BlockBlob":
	case "":
		return answer{}, missingHeader
	default:
		return answer{}, notImplemented
	}
	sum := md5.Sum(c.body)
	hash := base64.StdEncoding.EncodeToString(sum[:])
	if given := c.r.Header.Get("Content-MD5"); given != "" && given != hash {
		return answer{}, md5Mismatch
	}
	container, there, fail := c.target()
	if fail != nil {
		return answer{}, fail
	}
	if c.r.Header.Get("x-ms-blob-content-md5") == "" {
		c.r.Header.Set("x-ms-blob-content-md5", hash)
	}
	a := c.store(container, there, []block{{content: c.body}})
	a.header.Set("Content-MD5", hash)
	return a, nil
}

// maxBlockID bounds a block's id, in bytes, before it is encoded in base64.
const maxBlockID = 64

// putBlock answers Put Block. The ids of a blob's blocks are equally long.
// https://learn.microsoft.com/rest/api/storageservices/put-block
func (c *call) putBlock() (answer, *problem) {
	id := c.r.URL.Query().Get("blockid")
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(raw) == 0 || len(raw) > maxBlockID {
		return answer{}, invalidParameter
	}
	sum := md5.Sum(c.body)
	hash := base64.StdEncoding.EncodeToString(sum[:])
	if given := c.r.Header.Get("Content-MD5"); given != "" && given != hash {
		return answer{}, md5Mismatch
	}
	container := c.s.containers[c.op.Container]
	if container == nil {
		return answer{}, containerNotFound
	}
	b := container.blob(c.op.Blob)
	if b == nil {
		b = &blob{}
		c.s.changed(b)
		container.put(c.op.Blob, b)
	} else if fail := b.lease.mayWrite(c.r.Header.Get("x-ms-lease-id"), c.s.opt.Now()); fail != nil {
		return answer{}, fail
	}
	for other := range b.staged {
		if len(other) != len(id) {
			return answer{}, invalidBlock
		}
	}
	if b.staged == nil {
		b.staged = map[string][]byte{}
	}
	b.staged[id] = c.body
	return answer{status: http.StatusCreated, header: http.Header{"Content-Md5": {hash}, "X-Ms-Request-Server-Encrypted": {"true"}}}, nil
}

// putBlockList answers Put Block List.
// https://learn.microsoft.com/rest/api/storageservices/put-block-list
func (c *call) putBlockList() (answer, *problem) {
	wanted, fail := blockList(c.body)
	if fail != nil {
		return answer{}, fail
	}
	container, there, fail := c.target()
	if fail != nil {
		return answer{}, fail
	}
	var blocks []block
	for _, w := range wanted {
		content, found := there.find(w.kind, w.id)
		if !found {
			return answer{}, invalidBlockList
		}
		blocks = append(blocks, block{w.id, content})
	}
	return c.store(container, there, blocks), nil
}

type listed struct{ kind, id string }

// blockList reads <BlockList> with its Latest, Uncommitted and Committed in order.
func blockList(body []byte) ([]listed, *problem) {
	d := xml.NewDecoder(strings.NewReader(string(body)))
	var out []listed
	depth := 0
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, invalidXML
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 {
				out = append(out, listed{kind: t.Name.Local})
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 2 {
				out[len(out)-1].id += strings.TrimSpace(string(t))
			}
		}
	}
}

// find returns a block of the blob: an uncommitted one, a committed one, or for
// Latest the first of these that there is.
func (b *blob) find(kind, id string) ([]byte, bool) {
	if b == nil {
		return nil, false
	}
	if content, found := b.staged[id]; found && kind != "Committed" {
		return content, true
	}
	for _, block := range b.blocks {
		if block.id == id && kind != "Uncommitted" {
			return block.content, true
		}
	}
	return nil, false
}

// setMetadata answers Set Blob Metadata, which replaces all of it.
// https://learn.microsoft.com/rest/api/storageservices/set-blob-metadata
func (c *call) setMetadata() (answer, *problem) {
	b, fail := c.existing(forChange)
	if fail != nil {
		return answer{}, fail
	}
	b.metadata, b.lease = c.metadata(), b.lease.written(c.s.opt.Now())
	c.s.changed(b)
	a := answer{status: http.StatusOK, header: http.Header{"X-Ms-Request-Server-Encrypted": {"true"}}}
	a.version(b.etag, b.modified)
	return a, nil
}

// deleteBlob answers Delete Blob. There is no soft delete.
// https://learn.microsoft.com/rest/api/storageservices/delete-blob
func (c *call) deleteBlob() (answer, *problem) {
	if _, fail := c.existing(forChange); fail != nil {
		return answer{}, fail
	}
	c.s.containers[c.op.Container].remove(c.op.Blob)
	return answer{status: http.StatusAccepted, header: http.Header{"X-Ms-Delete-Type-Permanent": {"true"}}}, nil
}

// contentHeaders are the headers that a blob is read with.
func (c *call) contentHeaders() map[string]string {
	out := map[string]string{"Content-Type": "application/octet-stream"}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-MD5", "Cache-Control", "Content-Disposition"} {
		if v := c.r.Header.Get("x-ms-blob-" + name); v != "" {
			out[name] = v
		}
	}
	if v := c.r.Header.Get("x-ms-blob-cache-control"); v != "" {
		out["Cache-Control"] = v
	}
	return out
}

// metadata reads the x-ms-meta- headers. Their names keep their case as far as it is
// known: a Go server does not see it.
func (c *call) metadata() map[string]string {
	out := map[string]string{}
	const prefix = "x-ms-meta-"
	for name, values := range c.r.Header {
		if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		short := name[len(prefix):]
		if strings.HasPrefix(name, "X-Ms-Meta-") {
			short = strings.ToLower(short)
		}
		out[short] = strings.Join(values, ",")
	}
	return out
}
