package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"xarchive/handler/internal/fault"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

var (
	// ErrGone says that the task's container does not exist. No later try can succeed.
	ErrGone = fault.New(fault.SASRefused, "the task's container is gone")
	// ErrExpired says that the task's SAS has expired. The task needs a new one.
	ErrExpired = fault.New(fault.SASRefused, "the shared access signature of the task's container has expired")
)

// Container is a task's container at the Import service.
type Container struct {
	client  *container.Client
	expires time.Time // of the SAS; zero if it does not say
}

// OpenContainer opens the container of a container SAS URL. Nothing is sent yet.
// It returns ErrGone if the URL cannot be read. No error contains the URL, because
// its signature is a secret.
func OpenContainer(sasURI string, hc *http.Client) (*Container, error) {
	client, err := container.NewClientWithNoCredential(sasURI, &container.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: hc}})
	if err != nil {
		return nil, fmt.Errorf("opening the task's container: %w: its URL cannot be read", ErrGone)
	}
	return &Container{client, expiry(sasURI)}, nil
}

// blockSize is how much of an item is held in memory while it is uploaded, in bytes.
const blockSize = 4 << 20

// Upload writes a blob of any length, as write produces it, and replaces one of
// that name. The blob becomes visible only when it is whole. It returns an error
// of write as it is, and then leaves nothing behind; ErrGone or ErrExpired if no
// later try with this SAS can succeed; and else an error with the cause
// SASRefused.
func (c *Container) Upload(ctx context.Context, name string, write func(io.Writer) error) error {
	reader, writer := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		err := write(writer)
		writer.CloseWithError(err)
		wrote <- err
	}()
	_, err := c.client.NewBlockBlobClient(name).UploadStream(ctx, reader, &blockblob.UploadStreamOptions{
		BlockSize: blockSize, Concurrency: 1,
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("application/json")},
	})
	reader.CloseWithError(errors.New("the upload has ended"))
	if writeErr := <-wrote; writeErr != nil && err == nil || err != nil && errors.Is(err, writeErr) {
		return writeErr
	}
	if err != nil {
		return fmt.Errorf("uploading %s: %w", name, c.describe(err))
	}
	return nil
}

// expiry returns when a SAS ends (se), or the zero time if it does not say.
func expiry(sasURI string) time.Time {
	u, err := url.Parse(sasURI)
	if err != nil {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", time.DateOnly} {
		if at, err := time.Parse(layout, u.Query().Get("se")); err == nil {
			return at
		}
	}
	return time.Time{}
}

// describe returns an error of the storage service without the URL, whose query is
// a secret.
func (c *Container) describe(err error) error {
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		text := fmt.Sprintf("status %d %s", answer.StatusCode, answer.ErrorCode)
		switch answer.StatusCode {
		case http.StatusNotFound, http.StatusGone:
			return fmt.Errorf("%w: %s", ErrGone, text)
		case http.StatusUnauthorized, http.StatusForbidden:
			// Before the SAS expires this may pass: clocks differ, network rules change.
			if !c.expires.IsZero() && time.Now().After(c.expires) {
				return fmt.Errorf("%w: %s", ErrExpired, text)
			}
		}
		return fault.New(fault.SASRefused, text)
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	if text := err.Error(); strings.Contains(text, "sig=") {
		return fault.New(fault.SASRefused, "the task's container cannot be reached")
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Wrap(fault.SASRefused, err)
}
