package logging

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
)

func TestLinesCarryWhatTheContextSays(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, slog.LevelInfo).With("app", "connector")
	outer := With(context.Background(), "invocation", "i-1")
	inner := With(outer, slog.String("job", "j-1"))
	sibling := With(outer, "job", "j-2")

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
