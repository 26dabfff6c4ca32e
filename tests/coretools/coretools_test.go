package coretools

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The test binary under the name of func says the version that lies beside it.
func TestMain(m *testing.M) {
	if !strings.HasPrefix(filepath.Base(os.Args[0]), "func") {
		os.Exit(m.Run())
	}
	version, err := os.ReadFile(os.Args[0] + ".version")
	if err != nil || len(os.Args) != 2 || os.Args[1] != "--version" {
		os.Exit(3)
	}
	fmt.Println(string(version))
}

// install puts a Core Tools of some version into a folder of its own.
func install(t *testing.T, name, version string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(folder, name)); err != nil {
		t.Fatal(err)
	}
	if version != "" {
		if err := os.WriteFile(filepath.Join(folder, name+".version"), []byte(version), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestFind(t *testing.T) {
	t.Setenv("FUNC", "")
	t.Setenv("PATH", t.TempDir())
	if program, why := Find(t.Context()); program != "" || why != "" {
		t.Errorf("none installed: %q %q", program, why)
	}
	for version, found := range map[string]bool{"4.14.0": true, "5.0.0-preview.3": false, "3.0.3904": false, "": false} {
		folder := install(t, "func", version)
		t.Setenv("PATH", folder)
		program, why := Find(t.Context())
		want := ""
		if found {
			want = filepath.Join(folder, "func")
		}
		if program != want || (why == "") != found || !found && !strings.Contains(why, "azure-functions-core-tools@4") {
			t.Errorf("%s: %q %q", version, program, why)
		}
	}
}

// TestFindBesideVersion5: whichever comes first on the PATH, and under whichever name.
func TestFindBesideVersion5(t *testing.T) {
	t.Setenv("FUNC", "")
	five := install(t, "func", "5.0.0")
	for _, name := range []string{"func", "func4"} {
		four := install(t, name, "4.15.1")
		for _, path := range []string{five + ":" + four, four + ":" + five} {
			t.Setenv("PATH", path)
			if program, why := Find(t.Context()); program != filepath.Join(four, name) || why != "" {
				t.Errorf("%s: %q %q", path, program, why)
			}
		}
		t.Setenv("PATH", install(t, "func5", "5.0.0")+":"+four)
		if program, _ := Find(t.Context()); program != filepath.Join(four, name) {
			t.Errorf("beside func5: %q", program)
		}
		t.Setenv("FUNC", filepath.Join(five, "func"))
		if program, why := Find(t.Context()); program != "" || !strings.Contains(why, `"5.0.0"`) {
			t.Errorf("what FUNC names is not asked alone: %q %q", program, why)
		}
		t.Setenv("FUNC", "")
	}
}

func TestEnvironment(t *testing.T) {
	values := map[string]string{"HTTPS_PROXY": "http://127.0.0.1:7186", "TENANT_ID": "t"}
	got := Environment([]string{"PATH=/bin", "https_proxy=http://company", "NO_PROXY=*", "HTTP_PROXY=http://company", "TENANT_ID=other", "HOME=/h"}, values)
	if want := []string{"PATH=/bin", "HOME=/h"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
	got = Environment([]string{"HTTPS_PROXY=http://company", "NO_PROXY=x"}, map[string]string{"TENANT_ID": "t"})
	if len(got) != 2 {
		t.Errorf("without a proxy among the settings the shell's stays, got %q", got)
	}
}
