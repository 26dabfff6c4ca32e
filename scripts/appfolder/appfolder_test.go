package appfolder

import (
	"archive/zip"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"xarchive/tests/coretools"
)

const root = "../.."

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, folder string) map[string]fs.FileInfo {
	t.Helper()
	all := map[string]fs.FileInfo{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		all[filepath.ToSlash(name)], err = d.Info()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStageUnderAHost: staging again beneath a running host touches only what differs,
// removes what does not belong, and leaves nothing beside the folder.
func TestStageUnderAHost(t *testing.T) {
	parent := t.TempDir()
	dest := filepath.Join(parent, "app")
	if err := Local(t.Context(), root, dest); err != nil {
		t.Fatal(err)
	}
	before := list(t, dest)
	write(t, filepath.Join(dest, "local.settings.json"), "{}")
	write(t, filepath.Join(dest, ".env"), "SECRET=1")
	write(t, filepath.Join(dest, ".git", "config"), "")
	write(t, filepath.Join(dest, "ingest", "function.json"), "{}")
	if err := Local(t.Context(), root, dest); err != nil {
		t.Fatal(err)
	}
	after := list(t, dest)
	var names []string
	for name, info := range after {
		names = append(names, name)
		if name != "local.settings.json" && os.SameFile(before[name], info) != (name != "ingest/function.json") {
			t.Errorf("%s: was it replaced? want so for ingest/function.json alone", name)
		}
	}
	slices.Sort(names)
	if want := []string{"connector/function.json", "handler", "host.json", "ingest/function.json", "local.settings.json"}; !slices.Equal(names, want) {
		t.Errorf("want %v, got %v", want, names)
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("beside the folder are %v", left)
	}

	// What goes to Azure holds no settings of this machine.
	if err := Stage(t.Context(), root, dest, Target{OS: runtime.GOOS, Arch: runtime.GOARCH, Version: "1.2.3-rc.1"}); err != nil {
		t.Fatal(err)
	}
	if _, found := list(t, dest)["local.settings.json"]; found {
		t.Error("local.settings.json would be deployed")
	}
	said, err := exec.Command(filepath.Join(dest, Executable), "version").Output()
	if err != nil || !strings.HasPrefix(string(said), "X archive connector 1.2.3-rc.1 (build ") {
		t.Errorf("the handler says %q, %v", said, err)
	}
}

// TestFaultySources: a build that fails leaves what is running alone.
func TestFaultySources(t *testing.T) {
	sources, dest := t.TempDir(), filepath.Join(t.TempDir(), "app")
	write(t, filepath.Join(sources, "go.mod"), "module xarchive\n\ngo 1.26.0\n")
	write(t, filepath.Join(sources, "handler", "main.go"), "package main\n\nfunc main() { nonsense }\n")
	write(t, filepath.Join(sources, "host.json"), "{}")
	write(t, filepath.Join(sources, "functions", "ingest", "function.json"), "{}")
	write(t, filepath.Join(dest, Executable), "the old one")
	if err := Local(t.Context(), sources, dest); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("want the compiler's words, got %v", err)
	}
	if content, err := os.ReadFile(filepath.Join(dest, Executable)); err != nil || string(content) != "the old one" {
		t.Errorf("%q, %v", content, err)
	}
}

// TestHostJSON: the deployed app keeps the handler's lines on stdout out of
// Application Insights; on this machine they are seen. The executable's name is what
// `func pack` compares with the zip's entries.
func TestHostJSON(t *testing.T) {
	for _, local := range []bool{false, true} {
		dest := t.TempDir()
		if err := copyHostJSON(root, dest, local); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(dest, "host.json"))
		if err != nil {
			t.Fatal(err)
		}
		var host struct {
			Logging       struct{ LogLevel map[string]string }
			CustomHandler struct {
				Description                                            struct{ DefaultExecutablePath string }
				EnableForwardingHttpRequest, EnableProxyingHttpRequest bool
			}
		}
		if err := json.Unmarshal(content, &host); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"Host.Function.Console": "Warning"}
		if local {
			want = nil
		}
		if got := host.Logging.LogLevel; len(got) != len(want) || got["Host.Function.Console"] != want["Host.Function.Console"] {
			t.Errorf("local %t: want the levels %v, got %v", local, want, got)
		}
		if name := host.CustomHandler.Description.DefaultExecutablePath; name != Executable {
			t.Errorf("local %t: the executable is %q, its entry in the zip %q", local, name, Executable)
		}
		if h := host.CustomHandler; !h.EnableForwardingHttpRequest || !h.EnableProxyingHttpRequest {
			t.Errorf("local %t: requests must be forwarded, by hosts of either age: %+v", local, h)
		}
	}
}

// TestPack: whatever modes the file system knows, the handler alone is executable.
func TestPack(t *testing.T) {
	folder, file := t.TempDir(), filepath.Join(t.TempDir(), "app.zip")
	for _, name := range []string{Executable, "host.json", "ingest/function.json"} {
		write(t, filepath.Join(folder, filepath.FromSlash(name)), name) // mode 0600, as for Windows
	}
	if err := Pack(folder, file); err != nil {
		t.Fatal(err)
	}
	packed, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	for i, want := range []struct {
		name string
		mode fs.FileMode
	}{{Executable, 0o755}, {"host.json", 0o644}, {"ingest/function.json", 0o644}} {
		if f := packed.File[i]; f.Name != want.name || f.Mode() != want.mode {
			t.Errorf("entry %d: want %s %v, got %s %v", i, want.name, want.mode, f.Name, f.Mode())
		}
	}
	if len(packed.File) != 3 {
		t.Errorf("want 3 entries, got %d", len(packed.File))
	}
}

// TestFuncPack: what the real Core Tools pack of the staged folder is what the Functions
// host needs: the handler executable, and nothing that does not belong.
func TestFuncPack(t *testing.T) {
	program, why := coretools.Find(t.Context())
	if program == "" {
		t.Skip("Azure Functions Core Tools 4 are not installed: what `func pack` packs is not tried. " + why)
	}
	parent := t.TempDir()
	app := filepath.Join(parent, "app")
	if err := Local(t.Context(), root, app); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(app, "local.settings.json"), `{"IsEncrypted":false,"Values":{"FUNCTIONS_WORKER_RUNTIME":"custom"}}`)
	cmd := exec.Command(program, "pack", "app")
	cmd.Dir = parent
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packed, err := filepath.Glob(filepath.Join(parent, "*.zip"))
	inside, _ := filepath.Glob(filepath.Join(app, "*.zip")) // where earlier versions leave it
	if packed = append(packed, inside...); err != nil || len(packed) != 1 {
		t.Fatalf("%v %v", packed, err)
	}
	r, err := zip.OpenReader(packed[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
		if f.Name == Executable && f.Mode().Perm()&0o111 != 0o111 {
			t.Errorf("the handler's mode is %v", f.Mode())
		}
	}
	slices.Sort(names)
	if want := []string{"connector/function.json", "handler", "host.json", "ingest/function.json"}; !slices.Equal(names, want) {
		t.Errorf("want %v, got %v", want, names)
	}
}
