package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"xarchive/handler/internal/fault"
)

// Told is what a caller is told of an error.
type Told struct {
	Status     int    // HTTP's
	Message    string // sentences: what is wrong, what to do; no internals, no secrets
	RetryAfter time.Duration
}

// Explain returns what a caller is told of an error, and writes the error to the
// log, whole, together with what was being done. Where the log says more than the
// message, the message names the log's line by a reference.
func Explain(ctx context.Context, log *slog.Logger, doing string, err error) Told {
	m := fault.Of(err)
	told := Told{Status: m.Status, Message: m.Words(), RetryAfter: fault.RetryAfter(err)}
	if told.Status < 500 {
		log.InfoContext(ctx, "request refused", "doing", doing, "status", told.Status, "cause", m.Cause, "reason", err.Error())
		return told
	}
	reference := rand.Text()[:10]
	log.ErrorContext(ctx, "request failed", "doing", doing, "status", told.Status, "cause", m.Cause, "reference", reference, "error", err.Error())
	told.Message = fmt.Sprintf("%s The connector's log says more at reference %s.", told.Message, reference)
	return told
}

// SetRetry sets the Retry-After header where there is a time to wait.
func (t Told) SetRetry(h http.Header) {
	if t.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((t.RetryAfter+time.Second-1)/time.Second)))
	}
}
