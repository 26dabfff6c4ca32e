package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"xarchive/handler/internal/blob"
)

// Raw is an answer of X as it came, which is what everything in the messages made
// of it goes back to. It is kept, compressed with gzip, at
//
//	raw/<accountId>/<yyyy>/<mm>/<dd>/<sha256>.json.gz
//
// by the UTC date of the answer; the SHA-256 is that of the bytes that X sent.
type Raw struct {
	Path      string `json:"path"`   // in the archive container
	SHA256    string `json:"sha256"` // hex, of the bytes that X sent
	RequestID string `json:"requestId,omitempty"`
}

// NewRaw returns where an answer belongs.
func NewRaw(accountID string, at time.Time, body []byte, requestID string) Raw {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	return Raw{Path: fmt.Sprintf("raw/%s/%s%s%s", accountID, dayFolder(at), hash, rawSuffix), SHA256: hash, RequestID: requestID}
}

const rawSuffix = ".json.gz"

// PutRaw keeps an answer of X. One that is there already stays as it is.
func (a *Archive) PutRaw(ctx context.Context, r Raw, at time.Time, body []byte) error {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a quarter of the time for a fifth more bytes
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	metadata := map[string]string{"answered": at.UTC().Format(time.RFC3339), "sha256": r.SHA256}
	if r.RequestID != "" {
		metadata["requestid"] = r.RequestID
	}
	_, err = a.blobs.WriteAs(ctx, r.Path, b.Bytes(), blob.About{Type: "application/gzip", Metadata: metadata}, blob.Condition{Absent: true})
	if errors.Is(err, blob.ErrExists) {
		return nil
	}
	return err
}

// PutFile keeps a document of the connector's own, such as a statement. One that is there
// already stays as it is.
func (a *Archive) PutFile(ctx context.Context, name, contentType string, data []byte) error {
	_, err := a.blobs.WriteAs(ctx, name, data, blob.About{Type: contentType}, blob.Condition{Absent: true})
	if errors.Is(err, blob.ErrExists) {
		return nil
	}
	return err
}

// CheckRaw reads an answer of X to its end. It returns ErrAltered if it is not the
// bytes that its name says, and ErrNotFound if it is not there. n is how many bytes
// were read.
func (a *Archive) CheckRaw(ctx context.Context, name string) (n int64, err error) {
	body, _, err := a.blobs.Open(ctx, name)
	if errors.Is(err, blob.ErrNotFound) {
		return 0, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	defer body.Close()
	counted := &counter{r: body}
	sum := sha256.New()
	unpacked, err := gzip.NewReader(counted)
	if err == nil {
		_, err = io.Copy(sum, unpacked)
	}
	if counted.err != nil {
		return counted.n, counted.err
	}
	if err != nil || hex.EncodeToString(sum.Sum(nil))+rawSuffix != path.Base(name) || !strings.HasPrefix(name, "raw/") {
		return counted.n, fmt.Errorf("%s: %w", name, ErrAltered)
	}
	return counted.n, nil
}

// counter counts what is read, and keeps an error of storage apart from one of what
// is read.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
