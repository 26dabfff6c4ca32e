package infra

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// sizeLimit is far below what Azure takes: the binary, and little else, is wanted.
const sizeLimit = 64 << 20

// release makes a release of a repository and returns its files by name.
func release(t *testing.T, repository, version string) map[string][]byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "release")
	cmd := exec.Command("go", "run", "./scripts/release", "-root", repository, "-out", out, "-version", version)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("release: %v\n%s", err, text)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(out, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = content
	}
	return files
}

func unzip(t *testing.T, content []byte) []*zip.File {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return r.File
}

// What is released is what the Functions host looks for, where it looks for it.
func TestReleaseIsWhatTheHostExpects(t *testing.T) {
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	files := release(t, abs, "v1.2.3-rc.1")
	const zipName, sbomName = "xarchive-connector-1.2.3-rc.1.zip", "xarchive-connector-1.2.3-rc.1.cdx.json"
	if len(files) != 3 || len(files[zipName]) > sizeLimit {
		t.Fatalf("want %s, %s and SHA256SUMS, at most %d bytes; got %d files, %d bytes", zipName, sbomName, sizeLimit, len(files), len(files[zipName]))
	}
	sums := fmt.Sprintf("%x  %s\n%x  %s\n", sha256.Sum256(files[zipName]), zipName, sha256.Sum256(files[sbomName]), sbomName)
	if string(files["SHA256SUMS"]) != sums {
		t.Errorf("SHA256SUMS: want\n%sgot\n%s", sums, files["SHA256SUMS"])
	}

	var names, functions []string
	for _, f := range unzip(t, files[zipName]) {
		names = append(names, f.Name)
		want := os.FileMode(0o644)
		switch {
		case f.Name == "handler":
			want = 0o755
			checkBinary(t, f)
			checkVersion(t, f, "1.2.3-rc.1")
		case path.Base(f.Name) == "function.json":
			functions = append(functions, path.Dir(f.Name))
			if strings.Count(f.Name, "/") != 1 {
				t.Errorf("%s: the host looks in direct child folders only", f.Name)
			}
		case strings.Contains(f.Name, "local.settings") || strings.HasSuffix(f.Name, ".go"):
			t.Errorf("%s does not belong into a release", f.Name)
		}
		if f.Mode() != want {
			t.Errorf("%s: want mode %v, got %v", f.Name, want, f.Mode())
		}
	}
	if !slices.Equal(functions, []string{"connector", "ingest"}) {
		t.Errorf("functions: want connector and ingest, got %v", functions)
	}
	if !slices.Contains(names, "host.json") || !slices.IsSorted(names) {
		t.Errorf("want host.json at the top, and names in order, got %v", names)
	}
	checkSBOM(t, files[sbomName])
}

func checkBinary(t *testing.T, f *zip.File) {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("the handler is no Linux program: %v", err)
	}
	if libraries, _ := binary.ImportedLibraries(); binary.Machine != elf.EM_X86_64 || len(libraries) > 0 {
		t.Errorf("the handler is for %v and needs %v; want x86-64 and nothing", binary.Machine, libraries)
	}
	if here, _ := filepath.Abs(root); bytes.Contains(content, []byte(here+"/")) {
		t.Error("the handler holds paths of the machine that it was built on")
	}
}

// checkVersion runs the released handler, where this machine can.
func checkVersion(t *testing.T, f *zip.File, version string) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return
	}
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "handler")
	if err := os.WriteFile(program, content, 0o700); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(program, "version").Output()
	if err != nil || !strings.Contains(string(said), " "+version+" ") {
		t.Errorf("the released handler says %q, %v", said, err)
	}
}

// checkSBOM compares the bill of materials with what Go itself says is linked.
func checkSBOM(t *testing.T, content []byte) {
	t.Helper()
	var sbom struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(content, &sbom); err != nil || sbom.BOMFormat != "CycloneDX" {
		t.Fatalf("no CycloneDX: %v", err)
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./handler")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := slices.Compact(slices.Sorted(slices.Values(slices.DeleteFunc(strings.Split(string(out), "\n"), func(l string) bool { return l == "" }))))
	var listed []string
	for _, c := range sbom.Components {
		if c.Name != "std" {
			listed = append(listed, c.Name+" "+c.Version)
		}
	}
	slices.Sort(listed)
	if len(linked) == 0 || !slices.Equal(linked, listed) {
		t.Errorf("linked\n%s\nlisted\n%s", strings.Join(linked, "\n"), strings.Join(listed, "\n"))
	}
}

// Two builds of the same commit, in two places and with other times of files, are
// the same to the byte.
func TestReleaseCanBeBuiltAgain(t *testing.T) {
	first, second := smallRepository(t), filepath.Join(t.TempDir(), "elsewhere", "again")
	if out, err := exec.Command("git", "clone", "--quiet", first, second).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a, b := release(t, first, "1.0.0"), release(t, second, "1.0.0")
	if len(a) != 3 {
		t.Fatalf("%d files", len(a))
	}
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s differs between two builds", name)
		}
	}
	if err := os.WriteFile(filepath.Join(second, "host.json"), []byte(`{"version":"2.0","changed":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := release(t, second, "1.0.0"); bytes.Equal(a["xarchive-connector-1.0.0.zip"], c["xarchive-connector-1.0.0.zip"]) {
		t.Error("another source, but the same zip")
	}
}

func TestReleaseWantsAVersion(t *testing.T) {
	for _, version := range []string{"", "1.2", "latest", "1.2.3+build", "../1.2.3", "01.2.3"} {
		cmd := exec.Command("go", "run", "./scripts/release", "-out", filepath.Join(t.TempDir(), "r"), "-version", version)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is not a version") {
			t.Errorf("%q: %v %s", version, err, out)
		}
	}
}

// smallRepository is laid out as this one, with a handler that builds in no time.
func smallRepository(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "first")
	for name, content := range map[string]string{
		"go.mod":                            "module xarchive\n\ngo 1.26.0\n",
		"handler/main.go":                   "package main\n\nimport \"runtime\"\n\nfunc main() { _, file, _, _ := runtime.Caller(0); println(file) }\n",
		"host.json":                         `{"version":"2.0"}`,
		"functions/ingest/function.json":    `{}`,
		"functions/connector/function.json": `{}`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "x"}} {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return dir
}
