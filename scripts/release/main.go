// Command release makes what is given to users: a zip of the staged app that
// `az functionapp deployment source config-zip` deploys as it is, a bill of
// materials (CycloneDX), and SHA256SUMS over both.
//
// The same commit and the same version of Go give the same bytes, on any machine:
// whoever doubts a release builds it again and compares.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"

	"xarchive/scripts/appfolder"
)

// sbomTool lists the modules that are linked into the handler.
const sbomTool = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// semver is a version by https://semver.org, without build metadata: it becomes
// part of file names.
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

func main() {
	version := flag.String("version", "", "version, like 1.2.3 or 1.2.3-rc.1 (a v before it is dropped)")
	root := flag.String("root", ".", "the repository")
	out := flag.String("out", "build/release", "folder for the release; what is in it is removed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := release(ctx, *root, *out, strings.TrimPrefix(*version, "v")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func release(ctx context.Context, root, out, version string) error {
	if !semver.MatchString(version) {
		return fmt.Errorf("%q is not a version: give one like 1.2.3 or 1.2.3-rc.1", version)
	}
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("clearing %s: %w", out, err)
	}
	staged := filepath.Join(out, "app")
	if err := appfolder.Stage(ctx, root, staged, appfolder.Target{OS: appfolder.Azure.OS, Arch: appfolder.Azure.Arch, Version: version}); err != nil {
		return err
	}
	name := "xarchive-connector-" + version
	files := []string{name + ".zip", name + ".cdx.json"}
	if err := appfolder.Pack(staged, filepath.Join(out, files[0])); err != nil {
		return err
	}
	if err := os.RemoveAll(staged); err != nil {
		return fmt.Errorf("clearing %s: %w", staged, err)
	}
	if err := writeSBOM(ctx, root, filepath.Join(out, files[1])); err != nil {
		return err
	}
	if err := writeSums(out, files); err != nil {
		return err
	}
	fmt.Printf("%s: %s, SHA256SUMS\n", out, strings.Join(files, ", "))
	return nil
}

// writeSBOM lists what is in the binary that is released: Linux on x86-64. No
// serial number and no time, which differ from one build to the next.
func writeSBOM(ctx context.Context, root, dest string) error {
	dest, err := filepath.Abs(dest)
	if err != nil {
		return fmt.Errorf("listing what is in the release: %w", err)
	}
	// The tool is built for this machine first; what it looks at is set for its run.
	dir, err := os.MkdirTemp("", "sbom-")
	if err != nil {
		return fmt.Errorf("listing what is in the release: %w", err)
	}
	defer os.RemoveAll(dir)
	install := exec.CommandContext(ctx, "go", "install", sbomTool)
	install.Dir = dir // outside any module: the tool's own versions count
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if text, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", sbomTool, err, text)
	}
	list := exec.CommandContext(ctx, filepath.Join(dir, "cyclonedx-gomod"), "app", "-json", "-std", "-noserial", "-notimestamp", "-output", dest, "-main", "handler", ".")
	list.Dir = root
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := list.CombinedOutput(); err != nil {
		return fmt.Errorf("listing what is in the release: %w\n%s", err, text)
	}
	return nil
}

// writeSums writes SHA256SUMS as `sha256sum --check` reads it.
func writeSums(dir string, names []string) error {
	var sums strings.Builder
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("summing up %s: %w", name, err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), name)
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644); err != nil {
		return fmt.Errorf("writing SHA256SUMS: %w", err)
	}
	return nil
}
