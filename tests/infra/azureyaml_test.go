package infra

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// azureYAML is what azd's published schema allows of azure.yaml, less all that is
// not used here. What is not in it is refused; so are services, see azure.yaml.
// https://raw.githubusercontent.com/Azure/azure-dev/main/schemas/v1.0/azure.yaml.json
type azureYAML struct {
	Name             string `json:"name"`
	RequiredVersions struct {
		Azd string `json:"azd"`
	} `json:"requiredVersions"`
	Infra struct {
		Provider string `json:"provider"`
		Path     string `json:"path"`
		Module   string `json:"module"`
	} `json:"infra"`
	Hooks struct {
		Prepackage    azdHook `json:"prepackage"`
		Preprovision  azdHook `json:"preprovision"`
		Postprovision azdHook `json:"postprovision"`
		Postdeploy    azdHook `json:"postdeploy"`
		Predown       azdHook `json:"predown"`
	} `json:"hooks"`
}

// azdHook is a hook with both of its platforms; then nothing else may stand beside them.
type azdHook struct {
	Posix   azdScript `json:"posix"`
	Windows azdScript `json:"windows"`
}

type azdScript struct {
	Shell       string `json:"shell"`
	Run         string `json:"run"`
	Interactive bool   `json:"interactive"`
}

func loadAzureYAML(t *testing.T) azureYAML {
	t.Helper()
	path := filepath.Join(root, "azure.yaml")
	var files map[string]json.RawMessage
	node(t, "yaml.mjs", &files, path)
	d := json.NewDecoder(strings.NewReader(string(files[path])))
	d.DisallowUnknownFields()
	var y azureYAML
	if err := d.Decode(&y); err != nil {
		t.Fatalf("azure.yaml: %v", err)
	}
	return y
}

func (y azureYAML) hooks() map[string]azdHook {
	return map[string]azdHook{
		"prepackage":    y.Hooks.Prepackage,
		"preprovision":  y.Hooks.Preprovision,
		"postprovision": y.Hooks.Postprovision,
		"postdeploy":    y.Hooks.Postdeploy,
		"predown":       y.Hooks.Predown,
	}
}

func TestAzureYAML(t *testing.T) {
	y := loadAzureYAML(t)
	if !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`).MatchString(y.Name) {
		t.Errorf("name %q is not one that azd takes", y.Name)
	}
	if y.Infra.Provider != "bicep" {
		t.Errorf("provider: want bicep, got %q", y.Infra.Provider)
	}
	if _, err := os.Stat(filepath.Join(root, y.Infra.Path, y.Infra.Module+".bicep")); err != nil {
		t.Errorf("infra: %v", err)
	}
	for name, h := range y.hooks() {
		command := "go run ./scripts/azure " + name
		if h.Posix.Shell != "sh" || h.Posix.Run != command {
			t.Errorf("%s: want sh to run %q, got %+v", name, command, h.Posix)
		}
		// PowerShell passes over a failed command unless it is told.
		if h.Windows.Shell != "pwsh" || h.Windows.Run != command+"; exit $LASTEXITCODE" {
			t.Errorf("%s: want pwsh to run %q and to fail with it, got %+v", name, command, h.Windows)
		}
	}
}

// shellcheck is Debian's package of that name; GitHub's runners have it.
func shellcheck(t *testing.T, shell, what, script string) {
	t.Helper()
	cmd := exec.Command("shellcheck", "--shell", shell, "-")
	cmd.Stdin = strings.NewReader(script + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", what, err, out)
	}
}

type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Needs       any // a job, or several
		Permissions map[string]string
		Steps       []step
	}
}

type step struct {
	Uses string
	Run  string
	With map[string]any
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	var files map[string]workflow
	node(t, "yaml.mjs", &files, glob(t, ".github/workflows/*.yml")...)
	return files
}

func TestShellScripts(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not installed (apt-get install shellcheck): the shell scripts are not checked")
	}
	for name, h := range loadAzureYAML(t).hooks() {
		shellcheck(t, "sh", "azure.yaml, "+name, h.Posix.Run)
	}
	for path, w := range workflows(t) {
		for job, j := range w.Jobs {
			for _, s := range j.Steps {
				if s.Run != "" {
					shellcheck(t, "bash", path+", "+job, s.Run)
				}
			}
		}
	}
	shellcheck(t, "bash", ".ci/run", read(t, ".ci/run"))
	shellcheck(t, "bash", ".devcontainer/install", read(t, ".devcontainer/install"))
	shellcheck(t, "sh", "scripts/leaves-nothing", read(t, "scripts/leaves-nothing"))
	shellcheck(t, "sh", "scripts/go-is-there", read(t, "scripts/go-is-there"))
}

var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)

func TestWorkflowsArePinnedAndMayDoLittle(t *testing.T) {
	for path, w := range workflows(t) {
		text := read(t, ".github/workflows/"+filepath.Base(path))
		for scope, right := range w.Permissions {
			if scope != "contents" || right != "read" {
				t.Errorf("%s: every job gets %s: %s", path, scope, right)
			}
		}
		if !strings.Contains(text, "\npermissions:") {
			t.Errorf("%s: without permissions of its own it gets the repository's, which may be all", path)
		}
		for name, j := range w.Jobs {
			writes := slices.ContainsFunc(slices.Collect(maps.Values(j.Permissions)), func(r string) bool { return r == "write" })
			for _, s := range j.Steps {
				if s.Uses != "" && !pinned.MatchString(s.Uses) {
					t.Errorf("%s: %s is not pinned to a commit", path, s.Uses)
				}
				if s.Uses != "" && !regexp.MustCompile(regexp.QuoteMeta(s.Uses)+` # v\d+\.\d+\.\d+\n`).MatchString(text) {
					t.Errorf("%s: %s does not say which version it is", path, s.Uses)
				}
				checksOut := strings.HasPrefix(s.Uses, "actions/checkout@")
				if checksOut && s.With["persist-credentials"] != false {
					t.Errorf("%s: %s leaves its token to the steps after it", path, name)
				}
				if writes && checksOut {
					t.Errorf("%s: %s may write and has the repository's code to run", path, name)
				}
				// What somebody else may choose must not become part of a script.
				if strings.Contains(s.Run, "${{") {
					t.Errorf("%s: %s puts an expression into a script: give it by env", path, name)
				}
			}
		}
	}
}

// TestReleaseIsBuiltTwice: by two jobs, so on two new machines, that run nothing before
// and take nothing out of a cache; the second compares, and without both, and the tests,
// there is no draft.
func TestReleaseIsBuiltTwice(t *testing.T) {
	var release workflow
	for path, w := range workflows(t) {
		if filepath.Base(path) == "release.yml" {
			release = w
		}
	}
	const build = `make release VERSION="$TAG"`
	builds := 0
	for name, j := range release.Jobs {
		i := slices.IndexFunc(j.Steps, func(s step) bool { return s.Run == build })
		if i < 0 {
			continue
		}
		builds++
		for _, s := range j.Steps[:i] {
			if s.Run != "" {
				t.Errorf("%s runs %q before it builds", name, s.Run)
			}
			if strings.HasPrefix(s.Uses, "actions/cache") || strings.HasPrefix(s.Uses, "actions/setup-go@") && s.With["cache"] != false {
				t.Errorf("%s builds with a cache", name)
			}
		}
	}
	if builds != 2 {
		t.Errorf("%d jobs build the release", builds)
	}
	again := release.Jobs["again"]
	if last := again.Steps[len(again.Steps)-1].Run; again.Needs != "build" || !strings.Contains(last, "diff first/SHA256SUMS build/release/SHA256SUMS") {
		t.Errorf("the second build is not compared with the first: %q", last)
	}
	if got := code(release.Jobs["draft"].Needs); got != `["check","build","again"]` {
		t.Errorf("the draft needs %s", got)
	}
}
