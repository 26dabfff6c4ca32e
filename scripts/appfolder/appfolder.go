// Package appfolder stages the app as the Functions host expects it: build/app for
// Azure, and folders of the tests' own for the machine at hand. It needs the Go
// toolchain and nothing else, so that it works where there is no make.
package appfolder

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Executable is the name of the handler in the staged folder. host.json starts it
// by that name.
const Executable = "handler"

// Stage clears the folder dest and fills it from the repository at root: host.json,
// one folder a function, and the handler, built for a system and an architecture in
// Go's words. Flex Consumption runs "linux", "amd64". The same sources give the same
// bytes with the same version of Go, wherever the repository lies.
func Stage(ctx context.Context, root, dest, goos, goarch string) error {
	if err := os.RemoveAll(dest); err != nil {
		return fmt.Errorf("clearing %s: %w", dest, err)
	}
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dest, err)
	}
	if err := copyFile(filepath.Join(root, "host.json"), filepath.Join(dest, "host.json")); err != nil {
		return err
	}
	if err := copyFolder(filepath.Join(root, "functions"), dest); err != nil {
		return err
	}
	return build(ctx, root, filepath.Join(dest, Executable), goos, goarch)
}

// build leaves out what differs from one machine to another: paths of source
// files, the state of the checkout, the linker's build id.
func build(ctx context.Context, root, dest, goos, goarch string) error {
	dest, err := filepath.Abs(dest)
	if err != nil {
		return fmt.Errorf("building the handler: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", dest, "./handler")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "GOAMD64=v1", "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the handler: %w\n%s", err, out)
	}
	// A file made on Windows has no such bit; there the Functions host sets it.
	return os.Chmod(dest, 0o755)
}

func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("staging %s: %w", from, err)
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return fmt.Errorf("staging %s: %w", path, err)
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		return copyFile(path, filepath.Join(to, rel))
	})
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	if err := os.WriteFile(to, content, 0o644); err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	return nil
}
