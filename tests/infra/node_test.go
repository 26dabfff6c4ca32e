// Package infra checks what is deployed and how, without Azure: what the
// Bicep files would make, by the compiler's own account of it (testdata), azure.yaml
// and the workflows by their syntax and against each other and the handler, the hooks
// against stand-ins for az and azd, the package by making it.
//
// What it cannot check is what only Azure knows: docs/verification.md lists that.
package infra

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// packages installs the npm packages of this folder, once, if they are not there.
var packages = sync.OnceValues(func() ([]byte, error) {
	if _, err := os.Stat("node_modules/yaml/package.json"); err == nil {
		return nil, nil
	}
	return exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error").CombinedOutput()
})

// node runs a script of this folder on files and reads the JSON it prints.
func node(t *testing.T, script string, into any, files ...string) {
	t.Helper()
	if out, err := packages(); err != nil {
		t.Fatalf("npm ci in tests/infra (Node.js 18 or newer is needed): %v\n%s", err, out)
	}
	cmd := exec.Command("node", append([]string{script}, files...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v", script, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("node %s: %v", script, err)
	}
}

// glob lists the files of a pattern below the repository; there must be some.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	return files
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
