package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounded returns a logger like log that writes at most so many lines a minute; what is
// more is counted. The first line of a later minute says how many there were. It is for
// what strangers cause: they must not decide what the operator pays for lines.
func Bounded(log *slog.Logger, perMinute int) *slog.Logger {
	return slog.New(bounded{log.Handler(), &minutes{most: perMinute}})
}

type bounded struct {
	slog.Handler
	minutes *minutes
}

// minutes counts lines.
type minutes struct {
	most int

	mu      sync.Mutex
	minute  time.Time
	written int
	left    int // not written, in that minute or before
}

// take reports whether a line is written, and how many were not before it.
func (m *minutes) take(at time.Time) (write bool, left int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if minute := at.Truncate(time.Minute); !minute.Equal(m.minute) {
		m.minute, m.written = minute, 0
	}
	if m.written >= m.most {
		m.left++
		return false, 0
	}
	m.written++
	left, m.left = m.left, 0
	return true, left
}

// Handle implements slog.Handler.
func (b bounded) Handle(ctx context.Context, r slog.Record) error {
	write, left := b.minutes.take(r.Time)
	if !write {
		return nil
	}
	if left > 0 {
		more := slog.NewRecord(r.Time, slog.LevelInfo, "more lines of what was refused to strangers were not written", 0)
		more.AddAttrs(slog.Int("lines", left))
		if err := b.Handler.Handle(ctx, more); err != nil {
			return err
		}
	}
	return b.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (b bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return bounded{b.Handler.WithAttrs(attrs), b.minutes}
}

// WithGroup implements slog.Handler.
func (b bounded) WithGroup(name string) slog.Handler {
	return bounded{b.Handler.WithGroup(name), b.minutes}
}
