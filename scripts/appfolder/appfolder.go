// Package appfolder stages the app as the Functions host expects it: build/app for
// Azure, and folders for the machine at hand. It needs the Go toolchain and nothing
// else, so that it works where there is no make.
package appfolder

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Executable is the name of the handler in the staged folder. host.json must name
// it by the same letters, without "./": `func pack` gives the executable bit to the
// file of that name only.
const Executable = "handler"

// Target is what the handler is built for, and which version it says that it is.
type Target struct {
	OS, Arch string // in Go's words; Flex Consumption runs Azure
	Version  string // "" for what git says of the checkout
}

// Azure is what the app runs on in Azure.
var Azure = Target{OS: "linux", Arch: "amd64"}

// Stage makes the folder dest hold the app and nothing else: host.json, one folder
// a function, and the handler. The same sources and the same version give the same
// bytes with the same version of Go, wherever the repository lies.
//
// A host may be running the app in dest. Everything is made beside it first, files
// that are right already are not touched (the host restarts when they are), and the
// others are replaced whole.
func Stage(ctx context.Context, root, dest string, to Target) error {
	return stage(ctx, root, dest, to, false)
}

// Local stages the app for a Functions host on this machine. Its host.json leaves out
// logging.logLevel, with which the deployed app keeps the handler's lines out of
// Application Insights, where the handler sends them itself; here they are for the
// terminal. A local.settings.json in dest stays.
func Local(ctx context.Context, root, dest string) error {
	return stage(ctx, root, dest, Target{OS: runtime.GOOS, Arch: runtime.GOARCH}, true)
}

func stage(ctx context.Context, root, dest string, to Target, local bool) (err error) {
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dest, err)
	}
	beside, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dest)), ".staging-")
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	defer os.RemoveAll(beside)
	if err := copyHostJSON(root, beside, local); err != nil {
		return err
	}
	if err := copyFolder(filepath.Join(root, "functions"), beside); err != nil {
		return err
	}
	if err := build(ctx, root, filepath.Join(beside, Executable), to); err != nil {
		return err
	}
	var keep []string
	if local {
		keep = append(keep, "local.settings.json")
	}
	return replace(beside, dest, keep...)
}

func copyHostJSON(root, dest string, local bool) error {
	content, err := os.ReadFile(filepath.Join(root, "host.json"))
	if err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	if local {
		var all map[string]any
		if err := json.Unmarshal(content, &all); err != nil {
			return fmt.Errorf("staging host.json: %w", err)
		}
		if logging, ok := all["logging"].(map[string]any); ok {
			delete(logging, "logLevel")
		}
		if content, err = json.MarshalIndent(all, "", "  "); err != nil {
			return fmt.Errorf("staging host.json: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dest, "host.json"), content, 0o644); err != nil {
		return fmt.Errorf("staging: %w", err)
	}
	return nil
}

// describe is the version of a checkout: the last release, how many commits ago that was,
// and the commit; "development" where git cannot say.
func describe(ctx context.Context, root string) string {
	cmd := exec.CommandContext(ctx, "git", "-C", root, "describe", "--tags", "--match", "v[0-9]*", "--always", "--dirty")
	said, err := cmd.Output()
	if version := strings.TrimPrefix(strings.TrimSpace(string(said)), "v"); err == nil && version != "" {
		return version
	}
	return "development"
}

// build leaves out what differs from one machine to another: paths of source
// files, the state of the checkout, the linker's build id.
func build(ctx context.Context, root, dest string, to Target) error {
	dest, err := filepath.Abs(dest)
	if err != nil {
		return fmt.Errorf("building the handler: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid= -X main.release="+cmp.Or(to.Version, describe(ctx, root)), "-o", dest, "./handler")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+to.OS, "GOARCH="+to.Arch, "GOAMD64=v1", "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=")
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
