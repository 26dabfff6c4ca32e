package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

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
// container's buffers. Nothing is visible before it is whole. write must not
// upload into a container with the same buffers, which might wait for its own.
//
// Upload returns what it has made: name, size, and the SHA-256 (hex) as metadata
// `sha256`, whatever metadata the blob got. It returns write's error as it is,
// and nothing is visible then; the error of an upload that write ignored;
// ErrExists, ErrChanged, ErrLeased or ErrLost as the condition has it; ErrBlocks
// if blocks staged earlier are gone or write produced other bytes than before:
// then Resume is reset, and the caller may upload again.
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
	ids     []string // of the blocks that are behind the writer
	skip    int      // of them, blocks that an earlier upload has staged
	staged  *Staged
	failed  error // the first error; nothing is written after it
}

func (w *uploader) Write(p []byte) (n int, err error) {
	if w.failed != nil {
		return 0, w.failed
	}
	defer func() { w.failed = err }()
	n = len(p)
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
	sum := hex.EncodeToString(w.hash.Sum(nil))
	n := len(w.ids) + 1
	w.ids = append(w.ids, blockID(w.staged.Prefix, n, sum))
	if n <= w.skip {
		if n == w.skip && sum != w.staged.SHA256 {
			return w.stale()
		}
		w.buffer = w.buffer[:0]
		return nil
	}
	body := newBody(w.buffer)
	_, err := w.blob.StageBlock(w.ctx, w.ids[n-1], body, nil)
	body.end()
	if err = translate(w.ctx, err); err != nil {
		if errors.Is(err, ErrBlocks) {
			*w.staged = Staged{}
		}
		return fmt.Errorf("uploading block %d: %w", n, err)
	}
	if len(w.buffer) == BlockSize { // a shorter one is the last, and is sent again
		w.staged.Blocks, w.staged.SHA256 = n, sum
	}
	w.buffer = w.buffer[:0]
	return nil
}

// stale forgets what is staged.
func (w *uploader) stale() error {
	*w.staged = Staged{}
	return ErrBlocks
}

// blockID names a block by its upload, its number and all bytes up to its end: an
// instance that has lost its claim and goes on with the same upload cannot put
// other bytes in the place of a block. The ids of all blocks of a blob, those of
// earlier uploads among them, must have the same length: 34 bytes.
// https://learn.microsoft.com/rest/api/storageservices/put-block
func blockID(prefix string, n int, sum string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%.18s%08d%.8s", prefix, n, sum))
}

// commit makes the blob visible.
func (w *uploader) commit(o Upload) (Info, error) {
	if w.failed != nil {
		return Info{}, w.failed
	}
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
	ctx, tries := countTries(w.ctx)
	if len(w.ids) == 0 && w.skip == 0 {
		body := newBody(w.buffer)
		_, err := w.blob.Upload(ctx, body, &blockblob.UploadOptions{
			Metadata: metadata, HTTPHeaders: headers, AccessConditions: o.If.access()})
		body.end()
		return info, w.ours(o.If.failed(ctx, err), tries.Load(), metadata)
	}
	if len(w.buffer) > 0 {
		if err := w.stage(); err != nil {
			return Info{}, err
		}
	}
	if len(w.ids) < w.skip { // fewer bytes than before: what is staged was never compared
		return Info{}, w.stale()
	}
	_, err := w.blob.CommitBlockList(ctx, w.ids, &blockblob.CommitBlockListOptions{
		Metadata: metadata, HTTPHeaders: headers, AccessConditions: o.If.access()})
	if err = w.ours(o.If.failed(ctx, err), tries.Load(), metadata); errors.Is(err, ErrBlocks) {
		return Info{}, w.stale()
	}
	if err != nil {
		return Info{}, err
	}
	*w.staged = Staged{}
	return info, nil
}

// ours returns nil instead of an unmet condition that this upload's own effect
// explains: it was sent more than once, and a blob of this size and metadata is
// there. Without metadata it cannot tell.
func (w *uploader) ours(err error, tries int32, metadata map[string]*string) error {
	if tries < 2 || len(metadata) == 0 || !errors.Is(err, ErrExists) && !errors.Is(err, ErrChanged) {
		return err
	}
	there, failed := w.blob.GetProperties(w.ctx, nil)
	if failed != nil || there.ContentLength == nil || *there.ContentLength != w.size || len(there.Metadata) != len(metadata) {
		return err
	}
	got := newInfo("", there.Metadata, nil, nil, nil, nil).Metadata
	for k, v := range metadata {
		if got[strings.ToLower(k)] != *v {
			return err
		}
	}
	return nil
}

// close gives the buffer back.
func (w *uploader) close() {
	if w.pooled {
		w.buffers.give(w.buffer)
		w.buffer, w.pooled = nil, false
	}
}
