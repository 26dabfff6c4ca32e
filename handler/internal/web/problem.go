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

// Problem is what a caller is told of an error.
type Problem struct {
	Status     int    // HTTP's
	Message    string // sentences: what is wrong, what to do; no internals, no secrets
	RetryAfter time.Duration
}

// Explain returns what a caller is told of an error, and writes the error to the
// log, whole, together with what was being done. Where the log says more than the
// message, the message names the log's line by a reference.
func Explain(ctx context.Context, log *slog.Logger, doing string, err error) Problem {
	m := fault.Of(err)
	problem := Problem{Status: m.Status, Message: m.Words(), RetryAfter: fault.RetryAfter(err)}
	if problem.Status < 500 {
		log.InfoContext(ctx, "request refused", "doing", doing, "status", problem.Status, "cause", m.Cause, "reason", err.Error())
		return problem
	}
	reference := rand.Text()[:10]
	log.ErrorContext(ctx, "request failed", "doing", doing, "status", problem.Status, "cause", m.Cause, "reference", reference, "error", err.Error())
	problem.Message = fmt.Sprintf("%s The connector's log says more at reference %s.", problem.Message, reference)
	return problem
}

// SetRetry sets the Retry-After header where there is a time to wait.
func (t Problem) SetRetry(h http.Header) {
	if t.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((t.RetryAfter+time.Second-1)/time.Second)))
	}
}
