// Package logging makes the connector's logger: structured lines on one writer,
// each with what the context says about the work in hand. Whoever starts a
// piece of work (an invocation, a job, a task) names it once with With; every
// package that logs with that context then says the same.
package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
)

// New returns a logger that writes `key=value` lines at or above a level, with
// the attributes that With has put into the context given to InfoContext and
// its likes. Times are UTC. Further handlers get each line, too, with the same
// attributes; each decides by itself from which level on.
func New(w io.Writer, level slog.Level, further ...slog.Handler) *slog.Logger {
	var lines slog.Handler = slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: utc})
	if len(further) > 0 {
		lines = slog.NewMultiHandler(append([]slog.Handler{lines}, further...)...)
	}
	return slog.New(handler{lines})
}

func utc(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

type attrsKey struct{}

// With returns a context whose log lines carry args, given as key and value in
// turn or as slog.Attr, in addition to what ctx carries already.
func With(ctx context.Context, args ...any) context.Context {
	// slog itself sorts args into attributes.
	var r slog.Record
	r.Add(args...)
	attrs := slices.Clone(attrsOf(ctx))
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	return context.WithValue(ctx, attrsKey{}, attrs)
}

func attrsOf(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return attrs
}

// handler adds the context's attributes to each record.
type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	r.AddAttrs(attrsOf(ctx)...)
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
