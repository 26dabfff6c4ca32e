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
	cmd := exec.Command("go", "run", "./scripts/release", "-root", repository, "-out", out, "-version", version, "-repository", "contoso/xarchive")
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
	const zipName, sbomName, wholeName = "xarchive-connector-1.2.3-rc.1.zip", "xarchive-connector-1.2.3-rc.1.cdx.json", "xarchive-1.2.3-rc.1.zip"
	if len(files) != 5 || len(files[zipName]) > sizeLimit {
		t.Fatalf("want %s, %s, %s, SHA256SUMS and NOTES.md, at most %d bytes; got %d files, %d bytes", zipName, sbomName, wholeName, sizeLimit, len(files), len(files[zipName]))
	}
	sums := ""
	for _, name := range []string{zipName, sbomName, wholeName} {
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(files[name]), name)
	}
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
	checkWhole(t, files[wholeName], zipName, files[zipName])
	const link = "https://portal.azure.com/#create/Microsoft.Template/uri/https%3A%2F%2Fraw.githubusercontent.com%2Fcontoso%2Fxarchive%2Fv1.2.3-rc.1%2Finfra%2Fmain.json"
	if notes := string(files["NOTES.md"]); !strings.Contains(notes, "[Deploy to Azure]("+link+")") {
		t.Errorf("the notes lack the link %s:\n%s", link, notes)
	}
}

// checkWhole looks into the zip for those who have neither Go nor azd, and runs the hooks'
// program for this machine: it must know how to do without azd.
func checkWhole(t *testing.T, content []byte, appName string, app []byte) {
	t.Helper()
	want := map[string]os.FileMode{"main.json": 0o644, "setup.md": 0o644, "LICENSE": 0o644, appName: 0o644,
		"linux/xarchive-setup": 0o755, "macos/xarchive-setup": 0o755, "macos-intel/xarchive-setup": 0o755, "windows/xarchive-setup.exe": 0o755}
	files := unzip(t, content)
	inside := map[string][]byte{}
	for _, f := range files {
		if mode, found := want[f.Name]; !found || f.Mode() != mode {
			t.Errorf("%s is there with mode %v, want %v", f.Name, f.Mode(), mode)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		inside[f.Name], err = io.ReadAll(r)
		_ = r.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
	if !bytes.Equal(inside[appName], app) {
		t.Error("the app in it is another")
	}
	var template struct {
		Schema string `json:"$schema"`
	}
	if err := json.Unmarshal(inside["main.json"], &template); err != nil || !strings.Contains(template.Schema, "subscriptionDeploymentTemplate") {
		t.Errorf("main.json is no template for a subscription: %q, %v", template.Schema, err)
	}
	for name, magic := range map[string]string{"linux/xarchive-setup": "\x7fELF", "macos/xarchive-setup": "\xcf\xfa\xed\xfe", "macos-intel/xarchive-setup": "\xcf\xfa\xed\xfe", "windows/xarchive-setup.exe": "MZ"} {
		if !bytes.HasPrefix(inside[name], []byte(magic)) {
			t.Errorf("%s is no program of its system", name)
		}
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return
	}
	c := newCloud(t, func(a *azure) { a.Deployment, a.Env = a.Env, map[string]string{} })
	program, zip := filepath.Join(c.dir, "xarchive-setup"), filepath.Join(c.dir, "app.zip")
	for name, content := range map[string][]byte{program: inside["linux/xarchive-setup"], zip: app} {
		if err := os.WriteFile(name, content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"postprovision"}, {"-zip", zip, "postdeploy"}} {
		cmd := exec.Command(program, append([]string{"-wait", "1ms", "-deployment", "xarchive-prod"}, args...)...)
		cmd.Dir, cmd.Env = c.dir, []string{"PATH=" + c.dir, "HOME=" + c.dir, "TMPDIR=" + c.dir, statePlace + "=" + c.state}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if a := c.azure(); a.Apps[firstApp] == nil || a.Vault["aad-application-secret"].Value == "" || !bytes.Equal(a.Deployed, app) {
		t.Errorf("the release's program has made %v, %d secrets, and deployed %d bytes", a.Apps, len(a.Vault), len(a.Deployed))
	}
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
	if len(a) != 5 {
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
		"scripts/azure/main.go":             "package main\n\nfunc main() {}\n",
		"infra/main.json":                   `{}`,
		"docs/setup.md":                     "# Set it up\n",
		"LICENSE":                           "MIT\n",
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
