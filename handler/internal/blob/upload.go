package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"golang.org/x/sync/semaphore"
)

// BlockSize is how much of a blob one request uploads, in bytes. Azure takes
// 50,000 blocks a blob, so that a blob may have 195 GiB.
const BlockSize = 4 << 20

// smallSize is up to how many bytes a blob needs no buffer of the pool.
const smallSize = 64 << 10

// Buffers bounds the memory that uploads take together. Each upload of more than
// 64 KiB holds one buffer of [BlockSize] until it ends; others wait for one.
type Buffers struct {
	free   chan []byte
	budget *semaphore.Weighted
}

// NewBuffers returns buffers of so many bytes in all, at least one buffer.
func NewBuffers(bytes int64) *Buffers {
	n := max(1, bytes/BlockSize)
	return &Buffers{free: make(chan []byte, n), budget: semaphore.NewWeighted(n)}
}

func (b *Buffers) take(ctx context.Context) ([]byte, error) {
	if b == nil {
		return make([]byte, 0, BlockSize), nil
	}
	if err := b.budget.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	select {
	case buffer := <-b.free:
		return buffer[:0], nil
	default:
		return make([]byte, 0, BlockSize), nil
	}
}

func (b *Buffers) give(buffer []byte) {
	if b == nil {
		return
	}
	select {
	case b.free <- buffer:
	default:
	}
	b.budget.Release(1)
}

// Upload says how a blob is uploaded.
type Upload struct {
	Type string // content type
	If   Condition
	// Metadata returns the blob's metadata once its SHA-256 (hex) is known; nil
	// for none.
	Metadata func(sha256 string) map[string]string
	// Resume, if not nil, lets an upload that was interrupted go on: it is kept
	// up to date while blocks are staged, and the next upload of the same bytes
	// with it does not send them again.
	Resume *Staged
}

// Staged is how far an interrupted upload has come. The storage service keeps
// staged blocks for a week. The zero Staged is an upload that has not begun.
type Staged struct {
	Prefix string `json:"prefix"` // of the block ids
	Blocks int    `json:"blocks"` // staged so far, [BlockSize] bytes each
	SHA256 string `json:"sha256"` // hex, of the bytes staged so far
}

// Upload makes a blob of what write produces, in memory bounded by the
// container's buffers. Nothing is visible before it is whole. It returns write's
// error as it is, leaving nothing visible; ErrExists, ErrChanged, ErrLeased or ErrLost as
// the condition has it; ErrBlocks if blocks staged earlier are gone or write
// produced other bytes than before: then Resume is reset, and the caller may
// upload again.
func (c *Container) Upload(ctx context.Context, name string, o Upload, write func(io.Writer) error) (Info, error) {
	client, err := c.client(ctx)
	if err != nil {
		return Info{}, err
	}
	resume := o.Resume
	if resume == nil {
		resume = &Staged{}
	}
	if resume.Prefix == "" {
		*resume = Staged{Prefix: rand.Text()}
	}
	w := &uploader{ctx: ctx, blob: client.NewBlockBlobClient(name), buffers: c.buffers, hash: sha256.New(), staged: resume, skip: resume.Blocks}
	defer w.close()
	if err := write(w); err != nil {
		return Info{}, err
	}
	info, err := w.commit(o)
	if err != nil {
		return Info{}, fmt.Errorf("writing %s: %w", name, err)
	}
	info.Name = name
	return info, nil
}

// uploader is the io.Writer of one upload: a short blob goes in one request, a
// longer one block by block. It holds a context, since an io.Writer has no other
// way to it.
type uploader struct {
	ctx     context.Context
	blob    *blockblob.Client
	buffers *Buffers
	hash    hash.Hash
	buffer  []byte // of the pool once it is longer than smallSize
	pooled  bool
	size    int64
	sent    int // blocks that are behind the writer
	skip    int // of them, blocks that an earlier upload has staged
	staged  *Staged
}

func (w *uploader) Write(p []byte) (int, error) {
	n := len(p)
	w.size += int64(n)
	for len(p) > 0 {
		if !w.pooled && len(w.buffer)+len(p) > smallSize {
			big, err := w.buffers.take(w.ctx)
			if err != nil {
				return 0, context.Cause(w.ctx)
			}
			w.buffer, w.pooled = append(big, w.buffer...), true
		}
		room := len(p)
		if w.pooled {
			room = min(room, BlockSize-len(w.buffer))
		}
		w.hash.Write(p[:room])
		w.buffer, p = append(w.buffer, p[:room]...), p[room:]
		if len(w.buffer) == BlockSize {
			if err := w.stage(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// stage sends the buffer as the next block, unless an earlier upload has.
func (w *uploader) stage() error {
	w.sent++
	sum := hex.EncodeToString(w.hash.Sum(nil))
	if w.sent <= w.skip {
		if w.sent == w.skip && sum != w.staged.SHA256 {
			*w.staged = Staged{}
			return ErrBlocks
		}
		w.buffer = w.buffer[:0]
		return nil
	}
	_, err := w.blob.StageBlock(w.ctx, blockID(w.staged.Prefix, w.sent), streaming.NopCloser(bytes.NewReader(w.buffer)), nil)
	if err != nil {
		return fmt.Errorf("uploading block %d: %w", w.sent, translate(err))
	}
	if len(w.buffer) == BlockSize { // a shorter one is the last, and is sent again
		w.staged.Blocks, w.staged.SHA256 = w.sent, sum
	}
	w.buffer = w.buffer[:0]
	return nil
}

func blockID(prefix string, n int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s%08d", prefix, n))
}

// commit makes the blob visible.
func (w *uploader) commit(o Upload) (Info, error) {
	sum := hex.EncodeToString(w.hash.Sum(nil))
	var metadata map[string]*string
	if o.Metadata != nil {
		metadata = map[string]*string{}
		for k, v := range o.Metadata(sum) {
			metadata[k] = to.Ptr(v)
		}
	}
	headers := &blob.HTTPHeaders{BlobContentType: to.Ptr(o.Type)}
	info := Info{Size: w.size, Metadata: map[string]string{"sha256": sum}}
	if w.sent == 0 && w.skip == 0 {
		_, err := w.blob.Upload(w.ctx, streaming.NopCloser(bytes.NewReader(w.buffer)), &blockblob.UploadOptions{
			Metadata: metadata, HTTPHeaders: headers, AccessConditions: o.If.access()})
		return info, o.If.failed(err)
	}
	if len(w.buffer) > 0 {
		if err := w.stage(); err != nil {
			return Info{}, err
		}
	}
	if w.sent < w.skip { // fewer bytes than before: what is staged was never compared
		*w.staged = Staged{}
		return Info{}, ErrBlocks
	}
	ids := make([]string, w.sent)
	for i := range ids {
		ids[i] = blockID(w.staged.Prefix, i+1)
	}
	_, err := w.blob.CommitBlockList(w.ctx, ids, &blockblob.CommitBlockListOptions{
		Metadata: metadata, HTTPHeaders: headers, AccessConditions: o.If.access()})
	err = o.If.failed(err)
	if err != nil {
		if err == ErrBlocks {
			*w.staged = Staged{}
		}
		return Info{}, err
	}
	*w.staged = Staged{}
	return info, nil
}

// close gives the buffer back.
func (w *uploader) close() {
	if w.pooled {
		w.buffers.give(w.buffer)
		w.buffer, w.pooled = nil, false
	}
}
