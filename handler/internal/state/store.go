// Package state keeps what the connector must remember between two runs, as
// JSON blobs in the state container: jobs, the accounts' cursors and coverage,
// raw pages of X not yet stored, tasks, sign-ins under way. Several instances of
// the connector share it; work is claimed by blob lease, so that one
// account or task is worked on by one instance at a time and comes free
// by itself when an instance dies.
//
//	jobs/<jobId>.json              Job
//	owners/<accountId>.json        which job archives the account
//	accounts/<accountId>.json      Account; leased while being captured
//	pages/<accountId>/<key>/…      raw answers of X, until what they hold is stored
//	tasks/open/<jobId>/<id>.json   Task; leased while being delivered
//	tasks/ended/<jobId>/<id>.json  Task, without its SAS
//	signins/<hash>.json            SignIn
//
// No blob holds an access token. A task's SAS is in its blob while the task is
// open: without it the task would not be durable.
package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

var (
	// ErrNotFound: no such job, account, task, page or sign-in.
	ErrNotFound = errors.New("not found")
	// ErrClaimed: another instance is working on it.
	ErrClaimed = errors.New("claimed by another instance")
	// ErrLost: the claim ran out or was broken; another instance may have
	// gone on, so nothing more is written.
	ErrLost = errors.New("claim lost")

	errExists = errors.New("already there")
)

// Container gives the state container's client; it may make the container.
type Container interface {
	Client(ctx context.Context) (*container.Client, error)
}

// Store is the state container.
type Store struct {
	container Container
}

// New returns the store in a container. Nothing is sent yet.
func New(c Container) *Store { return &Store{c} }

func (s *Store) blob(ctx context.Context, name string) (*blockblob.Client, error) {
	c, err := s.container.Client(ctx)
	if err != nil {
		return nil, err
	}
	return c.NewBlockBlobClient(name), nil
}

// read returns a blob's bytes; ErrNotFound if there is none.
func (s *Store) read(ctx context.Context, name string) ([]byte, error) {
	b, err := s.blob(ctx, name)
	if err != nil {
		return nil, err
	}
	answer, err := b.DownloadStream(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, translate(err))
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

func (s *Store) readJSON(ctx context.Context, name string, v any) error {
	data, err := s.read(ctx, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// condition of a write.
type condition struct {
	absent bool         // the blob must not be there: errExists
	etag   *azcore.ETag // the blob must still be this version: errExists
	lease  string       // the lease under which it is written: ErrLost
}

func (s *Store) write(ctx context.Context, name string, data []byte, c condition) error {
	b, err := s.blob(ctx, name)
	if err != nil {
		return err
	}
	access := &blob.AccessConditions{}
	if c.absent {
		access.ModifiedAccessConditions = &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	}
	if c.etag != nil {
		access.ModifiedAccessConditions = &blob.ModifiedAccessConditions{IfMatch: c.etag}
	}
	if c.lease != "" {
		access.LeaseAccessConditions = &blob.LeaseAccessConditions{LeaseID: &c.lease}
	}
	_, err = b.Upload(ctx, streaming.NopCloser(bytes.NewReader(data)), &blockblob.UploadOptions{
		AccessConditions: access,
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: to.Ptr("application/json")},
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, translate(err))
	}
	return nil
}

func (s *Store) writeJSON(ctx context.Context, name string, v any, c condition) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return s.write(ctx, name, data, c)
}

// remove deletes a blob; ErrNotFound if there is none.
func (s *Store) remove(ctx context.Context, name, lease string) error {
	b, err := s.blob(ctx, name)
	if err != nil {
		return err
	}
	options := &blob.DeleteOptions{}
	if lease != "" {
		options.AccessConditions = &blob.AccessConditions{LeaseAccessConditions: &blob.LeaseAccessConditions{LeaseID: &lease}}
	}
	if _, err = b.Delete(ctx, options); err != nil {
		return fmt.Errorf("removing %s: %w", name, translate(err))
	}
	return nil
}

// names lists the blobs below a prefix, in the order of their names.
func (s *Store) names(ctx context.Context, prefix string) ([]string, error) {
	c, err := s.container.Client(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", prefix, err)
		}
		for _, b := range page.Segment.BlobItems {
			out = append(out, *b.Name)
		}
	}
	return out, nil
}

// translate turns the storage service's error codes into this package's
// errors. Others pass as they are.
func translate(err error) error {
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound):
		return ErrNotFound
	case bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet):
		return errExists
	case bloberror.HasCode(err, bloberror.LeaseAlreadyPresent, bloberror.LeaseIDMissing):
		return ErrClaimed
	case bloberror.HasCode(err, bloberror.LeaseIDMismatchWithBlobOperation, bloberror.LeaseIDMismatchWithLeaseOperation, bloberror.LeaseLost, bloberror.LeaseNotPresentWithBlobOperation, bloberror.LeaseNotPresentWithLeaseOperation):
		return ErrLost
	}
	return err
}

// all reads every JSON blob below a prefix. One that is removed meanwhile is
// left out.
func all[T any](ctx context.Context, s *Store, prefix string) ([]T, error) {
	names, err := s.names(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var out []T
	for _, name := range names {
		var v T
		if err := s.readJSON(ctx, name, &v); errors.Is(err, ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
