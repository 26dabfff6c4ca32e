// Package logging makes the connector's logger: structured lines, each with what
// the context says about the work in progress. Whoever starts a piece of work, such
// as an invocation, names it once with [With]; every package that logs with that
// context then says the same.
package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
)

// New returns a logger that writes `key=value` lines at or above a level: lines of
// WARN and above to stderr, all others to stdout, because the Functions host takes
// every line on stderr for an error. Times are UTC. A line carries the attributes
// that With has added to the context given to InfoContext and the like.
//
// Each further handler gets the lines too, with the same attributes, from the level
// on that it decides itself.
func New(stdout, stderr io.Writer, level slog.Level, further ...slog.Handler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: utc}
	var lines slog.Handler = split{slog.NewTextHandler(stdout, options), slog.NewTextHandler(stderr, options)}
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

// split passes warnings and errors to one handler and all else to another.
type split struct{ news, warnings slog.Handler }

func (s split) of(l slog.Level) slog.Handler {
	if l >= slog.LevelWarn {
		return s.warnings
	}
	return s.news
}

func (s split) Enabled(ctx context.Context, l slog.Level) bool { return s.of(l).Enabled(ctx, l) }

func (s split) Handle(ctx context.Context, r slog.Record) error {
	return s.of(r.Level).Handle(ctx, r)
}

func (s split) WithAttrs(attrs []slog.Attr) slog.Handler {
	return split{s.news.WithAttrs(attrs), s.warnings.WithAttrs(attrs)}
}

func (s split) WithGroup(name string) slog.Handler {
	return split{s.news.WithGroup(name), s.warnings.WithGroup(name)}
}

type attrsKey struct{}

// With returns a context whose log lines carry args, given as alternating keys and
// values or as slog.Attr, in addition to what ctx carries already.
func With(ctx context.Context, args ...any) context.Context {
	// A record turns args into attributes by slog's own rules.
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
