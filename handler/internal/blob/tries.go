package blob

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// triesKey is the key of a context's counter of tries.
type triesKey struct{}

// countTries returns a context under which the SDK's tries of a request are
// counted. More than one means that an earlier one may have taken effect.
func countTries(ctx context.Context) (context.Context, *atomic.Int32) {
	n := new(atomic.Int32)
	return context.WithValue(ctx, triesKey{}, n), n
}

// counting is the step of the SDK's pipeline that counts. It stands behind the one
// that retries.
type counting struct{}

func (counting) Do(r *policy.Request) (*http.Response, error) {
	if n, ok := r.Raw().Context().Value(triesKey{}).(*atomic.Int32); ok {
		n.Add(1)
	}
	return r.Next()
}
