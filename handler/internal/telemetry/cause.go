package telemetry

import (
	"context"
	"errors"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Cause is one word for what is behind a failure, for counting. There are few, so
// that a chart by cause can be read; the log has the whole error.
func Cause(err error) string {
	var (
		limited *twitter.RateLimitError
		azure   *azcore.ResponseError
	)
	switch {
	case err == nil:
		return "none"
	case errors.Is(err, twitter.ErrUnauthorized):
		return "x_unauthorized"
	case errors.Is(err, twitter.ErrForbidden):
		return "x_forbidden"
	case errors.As(err, &limited):
		return "x_rate_limit"
	case errors.Is(err, twitter.ErrInvalid), errors.Is(err, twitter.ErrNotFound):
		return "x_refused"
	case errors.Is(err, twitter.ErrUnavailable):
		return "x_unavailable"
	case errors.Is(err, secrets.ErrNotSet):
		return "secret_not_set"
	case errors.Is(err, secrets.ErrUnavailable):
		return "key_vault"
	case errors.Is(err, archive.ErrAltered):
		return "archive_altered"
	case errors.Is(err, importer.ErrGone), errors.Is(err, importer.ErrExpired):
		return "sas_refused"
	case errors.Is(err, importer.ErrSignIn):
		return "entra_sign_in"
	case errors.Is(err, importer.ErrNotTaken):
		return "import_service"
	case errors.Is(err, state.ErrLost):
		return "claim_lost"
	case errors.As(err, &azure):
		return "storage"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "interrupted"
	}
	return "other"
}
