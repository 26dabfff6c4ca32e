package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// onlyNew lets a message be written only where nothing is.
func onlyNew() *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
}

var messageType = &blob.HTTPHeaders{BlobContentType: to.Ptr("message/rfc822")}

// blockSize is how much of a message is held in memory while it is written.
const blockSize = 4 << 20

// blobWriter writes a blob of any length: a short one in one request, a
// longer one block by block. Metadata is only known at the end, with the hash.
type blobWriter struct {
	ctx    context.Context
	blob   *blockblob.Client
	hash   hash.Hash
	buffer []byte
	prefix string // makes this writer's block ids its own
	blocks []string
	size   int64
	stored time.Time
}

func newBlobWriter(ctx context.Context, b *blockblob.Client) *blobWriter {
	return &blobWriter{ctx: ctx, blob: b, hash: sha256.New(), prefix: rand.Text()}
}

func (w *blobWriter) Write(p []byte) (int, error) {
	w.hash.Write(p)
	w.size += int64(len(p))
	w.buffer = append(w.buffer, p...)
	for len(w.buffer) >= blockSize {
		if err := w.stage(w.buffer[:blockSize]); err != nil {
			return 0, err
		}
		w.buffer = append(w.buffer[:0], w.buffer[blockSize:]...)
	}
	return len(p), nil
}

// stage sends a block. Blocks that are never committed are dropped by the
// storage service after a week.
func (w *blobWriter) stage(block []byte) error {
	id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s%08d", w.prefix, len(w.blocks)))
	if _, err := w.blob.StageBlock(w.ctx, id, streaming.NopCloser(bytes.NewReader(block)), nil); err != nil {
		return err
	}
	w.blocks = append(w.blocks, id)
	return nil
}

// sum is the SHA-256 of what was written, in hex.
func (w *blobWriter) sum() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// commit makes the blob visible, if there is none of its name.
func (w *blobWriter) commit(metadata map[string]*string) error {
	metadata["sha256"] = to.Ptr(w.sum())
	if len(w.blocks) == 0 {
		done, err := w.blob.Upload(w.ctx, streaming.NopCloser(bytes.NewReader(w.buffer)), &blockblob.UploadOptions{
			Metadata: metadata, HTTPHeaders: messageType, AccessConditions: onlyNew()})
		if err == nil && done.LastModified != nil {
			w.stored = done.LastModified.UTC()
		}
		return err
	}
	if len(w.buffer) > 0 {
		if err := w.stage(w.buffer); err != nil {
			return err
		}
	}
	done, err := w.blob.CommitBlockList(w.ctx, w.blocks, &blockblob.CommitBlockListOptions{
		Metadata: metadata, HTTPHeaders: messageType, AccessConditions: onlyNew()})
	if err == nil && done.LastModified != nil {
		w.stored = done.LastModified.UTC()
	}
	return err
}
