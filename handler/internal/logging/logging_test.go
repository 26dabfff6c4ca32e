package logging_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"xarchive/handler/internal/logging"
)

// TestLinesCarryWhatTheContextSays: lines carry the attributes of their context and
// of no other.
func TestLinesCarryWhatTheContextSays(t *testing.T) {
	var out, errs bytes.Buffer
	log := logging.New(&out, &errs, slog.LevelInfo).With("app", "connector")
	outer := logging.With(context.Background(), "invocation", "i-1")
	inner := logging.With(outer, slog.String("job", "j-1"))
	sibling := logging.With(outer, "job", "j-2")

	log.InfoContext(inner, "first")
	log.InfoContext(sibling, "second")
	log.DebugContext(inner, "too quiet")
	log.Info("without")

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("want 3 lines, got:\n%s", out.String())
	}
	for i, want := range []string{"app=connector invocation=i-1 job=j-1", "app=connector invocation=i-1 job=j-2", "app=connector"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d: want it to end with %q, got %q", i, want, lines[i])
		}
	}
	if !strings.Contains(lines[0], "Z level=INFO") {
		t.Errorf("the time is not in UTC: %s", lines[0])
	}
}

// TestStreams: the Functions host takes stderr for errors, so only warnings and
// errors go there, with the same attributes, groups and level as the lines on
// stdout. Further handlers get every line.
func TestStreams(t *testing.T) {
	var out, errs, further bytes.Buffer
	log := logging.New(&out, &errs, slog.LevelInfo, slog.NewTextHandler(&further, nil))
	log = log.With("app", "connector").WithGroup("work")
	ctx := logging.With(context.Background(), "job", "j-1")
	log.DebugContext(ctx, "debug")
	log.InfoContext(ctx, "info", "n", 1)
	log.WarnContext(ctx, "warn", "n", 2)
	log.ErrorContext(ctx, "error", "n", 3)

	for name, c := range map[string]struct {
		got  string
		want []string
	}{
		"stdout":  {out.String(), []string{"level=INFO msg=info app=connector work.n=1 work.job=j-1"}},
		"stderr":  {errs.String(), []string{"level=WARN msg=warn app=connector work.n=2 work.job=j-1", "level=ERROR msg=error app=connector work.n=3 work.job=j-1"}},
		"further": {further.String(), []string{"level=INFO msg=info", "level=WARN msg=warn", "level=ERROR msg=error"}},
	} {
		lines := strings.Split(strings.TrimSpace(c.got), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: want %d lines, got:\n%s", name, len(c.want), c.got)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: want %q in %q", name, want, lines[i])
			}
		}
	}
}

// TestLevel: a level above WARN silences stderr too.
func TestLevel(t *testing.T) {
	var out, errs bytes.Buffer
	log := logging.New(&out, &errs, slog.LevelError)
	log.Info("info")
	log.Warn("warn")
	log.Error("error")
	if out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 {
		t.Errorf("stdout:\n%s\nstderr:\n%s", &out, &errs)
	}
}
