package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"xarchive/handler/internal/fault"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

var (
	// ErrNotFound: there is no such blob, or no such container.
	ErrNotFound = fault.New(fault.NotFound, "not found")
	// ErrExists: a blob that was to be created is there already.
	ErrExists = fault.New(fault.Other, "already there")
	// ErrChanged: the blob is no longer the version that the caller read.
	ErrChanged = fault.New(fault.Claimed, "changed by another instance")
	// ErrLeased: another instance holds the blob's lease.
	ErrLeased = fault.New(fault.Claimed, "claimed by another instance")
	// ErrLost: the caller's lease ran out or was broken; another instance may
	// have gone on, so nothing more may be written under it.
	ErrLost = fault.New(fault.ClaimLost, "claim lost")
	// ErrBlocks: staged blocks that an upload wanted to go on from are gone.
	ErrBlocks = fault.New(fault.Storage, "the blocks of an interrupted upload are no longer there")

	errAddress = fault.New(fault.SASRefused, "its URL cannot be read")
)

// StatusError is an answer of the storage service that none of the declared
// errors stands for. It holds no URL.
type StatusError struct {
	Status int    // HTTP
	Code   string // the service's own word, such as AuthenticationFailed
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the storage service answers with status %d %s", e.Status, e.Code)
}

// FaultCause tells a refusal from a failure.
func (e *StatusError) FaultCause() fault.Cause {
	if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
		return fault.StorageAccess
	}
	return fault.Storage
}

// translate turns an error of the SDK into one of this package's.
// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
func translate(err error) error {
	var answer *azcore.ResponseError
	switch {
	case err == nil:
		return nil
	case bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound):
		return ErrNotFound
	case bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.BlobImmutableDueToPolicy):
		return ErrExists
	case bloberror.HasCode(err, bloberror.ConditionNotMet):
		return ErrChanged
	case bloberror.HasCode(err, bloberror.LeaseAlreadyPresent, bloberror.LeaseIDMissing):
		return ErrLeased
	case bloberror.HasCode(err, bloberror.LeaseIDMismatchWithBlobOperation, bloberror.LeaseIDMismatchWithLeaseOperation, bloberror.LeaseLost, bloberror.LeaseNotPresentWithBlobOperation, bloberror.LeaseNotPresentWithLeaseOperation):
		return ErrLost
	case bloberror.HasCode(err, bloberror.InvalidBlockList, bloberror.InvalidBlockID, bloberror.InvalidBlobOrBlock):
		return ErrBlocks
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return ErrNotFound // a HEAD has no body, and so no code
	case errors.As(err, &answer):
		return &StatusError{Status: answer.StatusCode, Code: answer.ErrorCode}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	// The SDK's and net/http's errors name the URL, whose query may be a secret.
	var cause error = err
	for {
		inner := errors.Unwrap(cause)
		if inner == nil {
			break
		}
		cause = inner
	}
	return fault.New(fault.Storage, "the storage service cannot be reached: "+cause.Error())
}
