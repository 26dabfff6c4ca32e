package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/outbound"
	"xarchive/handler/internal/panics"
)

var (
	// ErrGone says that the task's container does not exist. No later try can succeed.
	ErrGone = fault.New(fault.SASRefused, "the task's container is gone")
	// ErrExpired says that the task's SAS has expired. The task needs a new one.
	ErrExpired = fault.New(fault.SASRefused, "the shared access signature of the task's container has expired")

	// errFailed is any other failure of the container. It may pass: even a refusal
	// of the SAS may, before it expires, since clocks differ and network rules change.
	errFailed = fault.New(fault.SASRefused, "the task's container cannot be written to")
)

// Container is a task's container at the Import service.
type Container struct {
	blobs   *blob.Container
	expires time.Time // of the SAS; zero if it does not say
}

// OpenContainer opens the container of a container SAS URL. Nothing is sent yet, and
// nothing to any other host: whoever answers there cannot send the items on to another.
// Uploads take their memory from buffers. It returns ErrGone if the URL cannot be
// read. No error holds the URL: its signature is a secret.
func OpenContainer(sasURL string, hc *http.Client, buffers *blob.Buffers) (*Container, error) {
	there := outbound.AllowHosts(hc, sasURL)
	there.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	blobs, err := blob.Shared(sasURL, there, buffers)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return &Container{blobs: blobs, expires: expiry(sasURL)}, nil
}

// Upload puts a blob of any length, as write produces it; one of that name is
// replaced. Nothing is visible before it is whole. An upload that is interrupted
// goes on where resume says, if write produces the same bytes; see
// [blob.Upload.Resume].
//
// It returns an error of write as it is; [blob.ErrBlocks] if the item must be
// uploaded from its start; ErrGone or ErrExpired if no later try with this SAS can
// succeed; and else an error with the cause SASRefused. A panic of write is an
// error.
func (c *Container) Upload(ctx context.Context, name string, resume *blob.Staged, write func(io.Writer) error) error {
	var wrote error
	return panics.Catch(func() error {
		_, err := c.blobs.Upload(ctx, name, blob.Upload{Type: "application/json", Resume: resume}, func(w io.Writer) error {
			wrote = write(writerFunc(func(p []byte) (int, error) {
				n, err := w.Write(p)
				return n, c.judge(err)
			}))
			return wrote
		})
		if wrote == nil { // else it is write's own, or judged above
			err = c.judge(err)
		}
		return err
	})
}

// writerFunc is a function as an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// judge returns what an error of the container means for the task. Its cause is never
// that of the connector's own storage.
func (c *Container) judge(err error) error {
	var answer *blob.StatusError
	refused := errors.As(err, &answer) && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden)
	switch {
	case err == nil, errors.Is(err, blob.ErrBlocks), errors.Is(err, blob.ErrLost), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, blob.ErrNoContainer), answer != nil && answer.Status == http.StatusGone:
		return fmt.Errorf("%w: %w", ErrGone, err)
	case refused && !c.expires.IsZero() && time.Now().After(c.expires):
		return fmt.Errorf("%w: %w", ErrExpired, err)
	}
	return fmt.Errorf("%w: %w", errFailed, err)
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
