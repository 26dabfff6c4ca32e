package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHelp: who asks how one command is written is told that, and not how the others are;
// who names none is told of all.
func TestHelp(t *testing.T) {
	all := []string{"check", "export", "statement", "history", "import", "verify"}
	ask := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), filepath.Join(staged, "handler"), args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage {
			t.Errorf("%v: %v, want exit code %d", args, err, exitUsage)
		}
		return string(out)
	}
	for _, command := range all {
		for _, wrong := range []string{"-h", "--made-up"} {
			out := ask(command, wrong)
			for _, other := range all {
				if got, want := strings.Contains(out, "\n  handler "+other) || strings.HasPrefix(out, "  handler "+other), other == command; got != want {
					t.Errorf("%s %s: tells of %s: %v\n%s", command, wrong, other, got, out)
				}
			}
		}
	}
	whole := ask("help")
	for _, command := range append(all, "version") {
		if strings.Count(whole, "\n  handler "+command) != 1 {
			t.Errorf("the whole help does not tell once of %s:\n%s", command, whole)
		}
	}
}
