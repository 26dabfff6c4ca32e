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
	// ErrNotFound: there is no such blob. The storage service said so; no other
	// failure of a read is ErrNotFound.
	ErrNotFound = fault.New(fault.NotFound, "not found")
	// ErrNoContainer: there is no such container. It says nothing of the blobs
	// that ought to be in it.
	ErrNoContainer = fault.New(fault.Storage, "the blob container is not there")
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
// errors stands for. It holds no URL. A 404 without the service's own code is one:
// it may come from anything between here and the service, and proves no absence.
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

// translate turns an error of the SDK, from a request under ctx, into one of this
// package's. An interrupted request returns the context's cause, so that a lost
// lease is ErrLost there, too.
// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
func translate(ctx context.Context, err error) error {
	var answer *azcore.ResponseError
	switch {
	case err == nil:
		return nil
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return ErrNotFound
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
		return ErrNoContainer
	case bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.BlobImmutableDueToPolicy):
		return ErrExists
	case bloberror.HasCode(err, bloberror.ConditionNotMet):
		return ErrChanged
	case bloberror.HasCode(err, bloberror.LeaseAlreadyPresent, bloberror.LeaseIDMissing, bloberror.LeaseIsBreakingAndCannotBeAcquired):
		return ErrLeased
	case bloberror.HasCode(err, bloberror.LeaseIDMismatchWithBlobOperation, bloberror.LeaseIDMismatchWithLeaseOperation, bloberror.LeaseLost, bloberror.LeaseNotPresentWithBlobOperation, bloberror.LeaseNotPresentWithLeaseOperation, bloberror.LeaseIsBrokenAndCannotBeRenewed):
		return ErrLost
	case bloberror.HasCode(err, bloberror.InvalidBlockList, bloberror.InvalidBlockID, bloberror.InvalidBlobOrBlock):
		return ErrBlocks
	case errors.As(err, &answer):
		return &StatusError{Status: answer.StatusCode, Code: answer.ErrorCode}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fault.New(fault.Storage, "the storage service cannot be reached: "+innermost(err).Error())
}

// innermost returns the error at the bottom of a chain. The SDK's and net/http's
// own errors, further up, name the URL, whose query may be a secret.
func innermost(err error) error {
	for {
		var next error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			if list := e.Unwrap(); len(list) > 0 {
				next = list[0]
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}
