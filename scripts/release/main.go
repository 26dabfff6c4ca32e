// Command release makes what is given to users: a zip of the staged app that
// `az functionapp deployment source config-zip` deploys as it is, a bill of
// materials (CycloneDX), a zip with all that somebody needs who has neither Go nor azd
// (docs/setup.md, From a release alone), SHA256SUMS over these, and notes.
//
// The same commit and the same version of Go give the same bytes, on any machine:
// whoever doubts a release builds it again and compares.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"net/url"
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
	repository := flag.String("repository", os.Getenv("GITHUB_REPOSITORY"), "where the release's sources are on GitHub, owner/name; the notes link to them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := release(ctx, *root, *out, strings.TrimPrefix(*version, "v"), *repository); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func release(ctx context.Context, root, out, version, repository string) error {
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
	files := []string{name + ".zip", name + ".cdx.json", "xarchive-" + version + ".zip"}
	if err := appfolder.Pack(staged, filepath.Join(out, files[0])); err != nil {
		return err
	}
	if err := os.RemoveAll(staged); err != nil {
		return fmt.Errorf("clearing %s: %w", staged, err)
	}
	if err := writeSBOM(ctx, root, filepath.Join(out, files[1])); err != nil {
		return err
	}
	if err := writeWhole(ctx, root, out, files[0], files[2]); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "NOTES.md"), []byte(notes(version, repository)), 0o644); err != nil {
		return fmt.Errorf("writing the notes: %w", err)
	}
	if err := writeSums(out, files); err != nil {
		return err
	}
	fmt.Printf("%s: %s, SHA256SUMS\n", out, strings.Join(files, ", "))
	return nil
}

// setupPrograms are scripts/azure for whoever has no Go: by the folder's name, system and
// architecture.
var setupPrograms = []struct{ file, goos, goarch string }{
	{"linux/xarchive-setup", "linux", "amd64"},
	{"macos/xarchive-setup", "darwin", "arm64"},
	{"macos-intel/xarchive-setup", "darwin", "amd64"},
	{"windows/xarchive-setup.exe", "windows", "amd64"},
}

// writeWhole packs all that a deployment needs but az: the template, the app's zip, the
// hooks as programs, and the description.
func writeWhole(ctx context.Context, root, out, appZip, dest string) error {
	folder := filepath.Join(out, "whole")
	for from, to := range map[string]string{
		filepath.Join(root, "infra", "main.json"): "main.json",
		filepath.Join(root, "docs", "setup.md"):   "setup.md",
		filepath.Join(root, "LICENSE"):            "LICENSE",
		filepath.Join(out, appZip):                appZip,
	} {
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(folder, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, to), content, 0o644)
		}
		if err != nil {
			return fmt.Errorf("packing all that a deployment needs: %w", err)
		}
	}
	var executables []string
	for _, p := range setupPrograms {
		program, err := filepath.Abs(filepath.Join(folder, filepath.FromSlash(p.file)))
		if err != nil {
			return err
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", program, "./scripts/azure")
		build.Dir = root
		build.Env = append(os.Environ(), "GOOS="+p.goos, "GOARCH="+p.goarch, "GOAMD64=v1", "GOARM64=v8.0", "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", p.file, err, text)
		}
		executables = append(executables, p.file)
	}
	if err := appfolder.PackFolder(folder, filepath.Join(out, dest), executables...); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("clearing %s: %w", folder, err)
	}
	return nil
}

// notes say what is in a release, with a link that opens its template in the Azure portal
// where it is known whence.
func notes(version, repository string) string {
	text := fmt.Sprintf("`xarchive-%[1]s.zip` has all that a deployment needs besides the Azure CLI: see setup.md in it, *From a release alone*. "+
		"`xarchive-connector-%[1]s.zip` is the connector alone, for those who update it.\n", version)
	if repository != "" {
		template := "https://raw.githubusercontent.com/" + repository + "/v" + version + "/infra/main.json"
		text += "\n[Deploy to Azure](https://portal.azure.com/#create/Microsoft.Template/uri/" + url.QueryEscape(template) + ") opens its template in the Azure portal.\n"
	}
	return text
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
