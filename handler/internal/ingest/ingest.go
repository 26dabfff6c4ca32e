// Package ingest is what the timer starts: capture (X → archive) and deliver
// (archive → Import service), side by side, with the archive between them.
package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"xarchive/handler/internal/panics"
)

// Loop is one side of ingestion.
type Loop interface {
	Run(ctx context.Context) error
}

// Ingest runs both sides.
type Ingest struct {
	Capture Loop
	Deliver Loop
	Log     *slog.Logger

	// Limit is how long one tick may take. It is below the host's
	// functionTimeout by what ending in order needs.
	Limit time.Duration
}

// Margin is how much earlier than the host's time limit a tick ends by itself.
func Margin(functionTimeout time.Duration) time.Duration {
	return min(functionTimeout/10, 30*time.Second)
}

// Tick runs capture and deliver once. Neither waits for the other, and neither's
// error stops the other; deliver goes over its tasks again once capture is
// through, so that a window captured in this tick is delivered in it. The error
// holds what failed on either side; the next tick makes up for it.
func (i *Ingest) Tick(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, i.Limit)
	defer cancel()
	started := time.Now()

	captured := make(chan error, 1)
	go func() { captured <- i.guard(ctx, "capture", i.Capture) }()
	deliverErr := i.guard(ctx, "deliver", i.Deliver)
	captureErr := <-captured
	if ctx.Err() == nil {
		deliverErr = errors.Join(deliverErr, i.guard(ctx, "deliver", i.Deliver))
	}
	i.Log.InfoContext(ctx, "tick done", "seconds", time.Since(started).Seconds(),
		"captureFailed", captureErr != nil, "deliverFailed", deliverErr != nil)
	return errors.Join(captureErr, deliverErr)
}

// guard turns a side's panic into its error: it must not take the other down.
func (i *Ingest) guard(ctx context.Context, name string, side Loop) error {
	err := panics.Catch(func() error { return side.Run(ctx) })
	if err != nil {
		i.Log.ErrorContext(ctx, name+" failed", "error", err.Error())
	}
	return err
}
