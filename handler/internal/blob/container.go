package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
)

// Info is what the storage service knows of a blob.
type Info struct {
	Name     string
	Size     int64             // bytes
	Modified time.Time         // UTC
	ETag     string            // names this version of the blob
	Leased   bool              // somebody holds its lease
	Metadata map[string]string // names in lower case; of listings only where asked for
}

// Condition must hold for a write or a removal to take place. The zero Condition
// always holds.
type Condition struct {
	Absent bool   // there is no such blob; else ErrExists
	ETag   string // it is this version; else ErrChanged
	Lease  string // the caller holds this lease; else ErrLost
}

func (c Condition) access() *blob.AccessConditions {
	access := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{}}
	if c.Absent {
		access.ModifiedAccessConditions.IfNoneMatch = to.Ptr(azcore.ETagAny)
	}
	if c.ETag != "" {
		access.ModifiedAccessConditions.IfMatch = to.Ptr(azcore.ETag(c.ETag))
	}
	if c.Lease != "" {
		access.LeaseAccessConditions = &blob.LeaseAccessConditions{LeaseID: &c.Lease}
	}
	return access
}

// failed translates the error of a request with this condition. A create-only
// write of a blob that is there is answered as an unmet condition, too.
func (c Condition) failed(ctx context.Context, err error) error {
	err = translate(ctx, err)
	if c.Absent && errors.Is(err, ErrChanged) {
		return ErrExists
	}
	return err
}

// Read returns a blob's bytes. It returns ErrNotFound if there is none.
func (c *Container) Read(ctx context.Context, name string) ([]byte, Info, error) {
	body, info, err := c.Open(ctx, name)
	if err != nil {
		return nil, Info{}, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, Info{}, err
	}
	return data, info, nil
}

// Open streams a blob. A connection that breaks is taken up again where it broke, up
// to three times each read; the bytes are then of the same version of the blob,
// else reading returns ErrChanged. It returns ErrNotFound if there is no such
// blob.
func (c *Container) Open(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	client, err := c.client(ctx)
	if err != nil {
		return nil, Info{}, err
	}
	answer, err := client.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, Info{}, fmt.Errorf("reading %s: %w", name, translate(ctx, err))
	}
	info := newInfo(name, answer.Metadata, answer.ContentLength, answer.LastModified, answer.ETag, answer.LeaseState)
	return &content{ctx, name, answer.NewRetryReader(ctx, &blob.RetryReaderOptions{MaxRetries: 3})}, info, nil
}

// content is a blob's bytes. It holds a context, since an io.Reader has no other
// way to it.
type content struct {
	ctx  context.Context
	name string
	body io.ReadCloser
}

// Read returns errors of this package.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("reading %s: %w", c.name, translate(c.ctx, err))
	}
	return n, err
}

func (c *content) Close() error { return c.body.Close() }

// Stat returns what is known of a blob. It returns ErrNotFound if there is none.
func (c *Container) Stat(ctx context.Context, name string) (Info, error) {
	client, err := c.client(ctx)
	if err != nil {
		return Info{}, err
	}
	answer, err := client.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return Info{}, fmt.Errorf("looking for %s: %w", name, translate(ctx, err))
	}
	return newInfo(name, answer.Metadata, answer.ContentLength, answer.LastModified, answer.ETag, answer.LeaseState), nil
}

// Write makes a small blob of type application/json, or replaces one, in one
// request. It returns the ETag of what was written, and ErrExists, ErrChanged,
// ErrLeased or ErrLost as the condition has it. A write whose answer was lost and
// that is still in place is a success.
func (c *Container) Write(ctx context.Context, name string, data []byte, when Condition) (etag string, err error) {
	return c.WriteAs(ctx, name, data, About{Type: "application/json"}, when)
}

// About is what is kept beside a blob's bytes.
type About struct {
	Type     string // content type
	Metadata map[string]string
}

// WriteAs is Write for a blob of another type, or with metadata.
func (c *Container) WriteAs(ctx context.Context, name string, data []byte, about About, when Condition) (etag string, err error) {
	client, err := c.client(ctx)
	if err != nil {
		return "", err
	}
	counted, sent := countTries(ctx)
	var metadata map[string]*string
	if len(about.Metadata) > 0 {
		metadata = map[string]*string{}
		for k, v := range about.Metadata {
			metadata[k] = to.Ptr(v)
		}
	}
	answer, err := client.NewBlockBlobClient(name).Upload(counted, streaming.NopCloser(bytes.NewReader(data)), &blockblob.UploadOptions{
		AccessConditions: when.access(), Metadata: metadata,
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr(about.Type)},
	})
	if err != nil {
		err = when.failed(ctx, err)
		if sent.Load() > 1 && (errors.Is(err, ErrExists) || errors.Is(err, ErrChanged)) {
			if there, info, failed := c.Read(ctx, name); failed == nil && bytes.Equal(there, data) {
				return info.ETag, nil
			}
		}
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	if answer.ETag != nil {
		etag = string(*answer.ETag)
	}
	return etag, nil
}

// Remove removes a blob. It returns ErrNotFound if there is none, and ErrChanged,
// ErrLeased or ErrLost as the condition has it. ErrNotFound is also what a removal
// returns whose answer was lost: the blob is gone, and who removed it is unknown.
func (c *Container) Remove(ctx context.Context, name string, when Condition) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	if _, err = client.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{AccessConditions: when.access()}); err != nil {
		return fmt.Errorf("removing %s: %w", name, when.failed(ctx, err))
	}
	return nil
}

// List yields the blobs whose names begin with prefix, in the order of their
// names, 5,000 a request. It ends with the first error.
func (c *Container) List(ctx context.Context, prefix string, metadata bool) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		client, err := c.client(ctx)
		if err != nil {
			yield(Info{}, err)
			return
		}
		pager := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
			Prefix: &prefix, Include: container.ListBlobsInclude{Metadata: metadata}})
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if err != nil {
				yield(Info{}, fmt.Errorf("listing %s: %w", prefix, translate(ctx, err)))
				return
			}
			if page.Segment == nil {
				continue
			}
			for _, b := range page.Segment.BlobItems {
				var p container.BlobProperties
				if b.Properties != nil {
					p = *b.Properties
				}
				if !yield(newInfo(*b.Name, b.Metadata, p.ContentLength, p.LastModified, p.ETag, p.LeaseState), nil) {
					return
				}
			}
		}
	}
}

// Folders returns the names of the folders directly below prefix, which ends in a
// slash or is empty, in order: "7/2024/" below "7/".
func (c *Container) Folders(ctx context.Context, prefix string) ([]string, error) {
	client, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	pager := client.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &prefix})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the folders of %s: %w", prefix, translate(ctx, err))
		}
		if page.Segment == nil {
			continue
		}
		for _, p := range page.Segment.BlobPrefixes {
			out = append(out, *p.Name)
		}
	}
	return out, nil
}

func newInfo(name string, metadata map[string]*string, size *int64, modified *time.Time, etag *azcore.ETag, state *lease.StateType) Info {
	info := Info{Name: name, Leased: state != nil && *state == lease.StateTypeLeased}
	if size != nil {
		info.Size = *size
	}
	if modified != nil {
		info.Modified = modified.UTC()
	}
	if etag != nil {
		// Listings give it without the quotes that headers give it with, and that a
		// condition needs.
		info.ETag = `"` + strings.Trim(string(*etag), `"`) + `"`
	}
	if len(metadata) > 0 {
		info.Metadata = map[string]string{}
		for k, v := range metadata {
			if v != nil {
				info.Metadata[strings.ToLower(k)] = *v
			}
		}
	}
	return info
}
