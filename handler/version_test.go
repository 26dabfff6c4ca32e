package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuild: a build is named by what it is, not by the build information, which a
// release does not have. Posts that were set aside are tried again by another build.
func TestBuild(t *testing.T) {
	here, err := build()
	if err != nil || len(here) != 16 {
		t.Fatalf("version %q, error %v", here, err)
	}
	if os.Getenv("SAY_VERSION") != "" {
		os.Stdout.WriteString("version=" + here + "\n")
		return
	}
	// The same test in another file: a byte more makes it another build.
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for more, same := range map[string]bool{"": true, "x": false} {
		file := filepath.Join(t.TempDir(), "other.test")
		if err := os.WriteFile(file, append(program, more...), 0o755); err != nil {
			t.Fatal(err)
		}
		other := exec.Command(file, "-test.run=^TestBuild$")
		other.Env = append(os.Environ(), "SAY_VERSION=yes")
		said, err := other.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if got := strings.Contains(string(said), "version="+here); got != same {
			t.Errorf("with %d bytes more: the same version is %v, expected %v: %s", len(more), got, same, said)
		}
	}
}
