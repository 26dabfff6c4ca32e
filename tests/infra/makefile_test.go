package infra

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGoIsThere: a missing or an old Go is met with a word on what to install.
func TestGoIsThere(t *testing.T) {
	wanted := regexp.MustCompile(`(?m)^go (\S+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	for _, c := range []struct {
		says  string // "" for no Go at all
		fails bool
		wants []string
	}{
		{"", true, []string{"Go is missing", wanted, "https://go.dev/dl/"}},
		{"echo go1.19.8", true, []string{"Go is too old", "go1.19.8", wanted}},
		{"echo go1.9", true, []string{"Go is too old"}},
		{"echo 'go: go.mod requires go >= 1.26.0 (running go 1.24.2; GOTOOLCHAIN=local)' >&2; exit 1", true, []string{"GOTOOLCHAIN=local", "https://go.dev/dl/"}},
		{"echo go" + wanted, false, nil},
		{"echo go1.99.1", false, nil},
		{"echo go1.100rc1", false, nil},
		{"echo go2.0", false, nil},
	} {
		program := filepath.Join(t.TempDir(), "go")
		if c.says != "" {
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.says+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("sh", "scripts/go-is-there")
		cmd.Dir, cmd.Env = root, []string{"PATH=/usr/bin:/bin", "GO=" + program}
		out, err := cmd.CombinedOutput()
		if (err != nil) != c.fails || !c.fails && len(out) > 0 {
			t.Errorf("%q: %v\n%s", c.says, err, out)
		}
		wantText(t, string(out), c.wants...)
	}
}

// TestHelp: make alone lists every target that has a description.
func TestHelp(t *testing.T) {
	cmd := exec.Command("make", "--no-print-directory")
	cmd.Dir, cmd.Env = root, []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	described := regexp.MustCompile(`(?m)^([a-z-]+):.*## `).FindAllStringSubmatch(read(t, "Makefile")+"\n"+read(t, "scripts/release.mk"), -1)
	if len(described) < 10 {
		t.Errorf("only %d targets have a description", len(described))
	}
	for _, m := range described {
		wantText(t, string(out), "make "+m[1]+" ")
	}
}

// TestProgress: compiling shows that it goes on, hides nothing else, and ends as go did.
func TestProgress(t *testing.T) {
	var lines strings.Builder
	lines.WriteString("go: downloading github.com/a/b v1.2.3\n")
	for i := range 60 {
		fmt.Fprintf(&lines, "vendor/golang.org/x/p%d\n", i)
	}
	lines.WriteString("# xarchive/handler\nhandler/x.go:1:2: undefined: y\n")
	for _, status := range []int{0, 1} {
		cmd := exec.Command("awk", "-f", "scripts/progress.awk")
		cmd.Dir = root
		cmd.Stdin = strings.NewReader(lines.String() + fmt.Sprintln("ended", status))
		out, err := cmd.Output()
		if cmd.ProcessState.ExitCode() != status {
			t.Errorf("want exit code %d, got %v", status, err)
		}
		want := "Compiling; on a new machine this takes two minutes or so …\n  1 modules fetched, 24 packages compiled\n  1 modules fetched, 49 packages compiled\n" +
			"# xarchive/handler\nhandler/x.go:1:2: undefined: y\n"
		if string(out) != want {
			t.Errorf("want\n%sgot\n%s", want, out)
		}
	}
}

// TestLeavesNothing: `make test` fails over what a test leaves in the temporary folder, and
// leaves nothing itself, be it interrupted.
func TestLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		does string
		code int
		says string
	}{
		{"true", 0, ""},
		{"exit 3", 3, ""},
		{"test $(stat -c %a $TMPDIR 2>/dev/null || stat -f %Lp $TMPDIR) = 755", 0, ""}, // a program without root's rights gets there
		{"mkdir $TMPDIR/xarchive-1", 1, "xarchive-1"},
		{"touch $TMPDIR/.hidden", 1, ".hidden"},
		{"touch $TMPDIR/x; kill -TERM $PPID", 130, ""},
	} {
		folder := t.TempDir()
		cmd := exec.Command("sh", "scripts/leaves-nothing", "sh", "-c", c.does)
		cmd.Dir, cmd.Env = root, []string{"PATH=/usr/bin:/bin", "TMPDIR=" + folder}
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: want exit code %d and %q, got %d\n%s", c.does, c.code, c.says, code, out)
		}
		if left, _ := os.ReadDir(folder); len(left) > 0 {
			t.Errorf("%s: %v is left", c.does, left)
		}
	}
}
