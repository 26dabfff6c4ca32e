package infra

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDevcontainerHasEverything: whoever opens the repository in a container needs to
// install nothing: it has the versions of Go and Node.js that the project wants, and
// every program that a test looks for.
func TestDevcontainerHasEverything(t *testing.T) {
	var container struct {
		Features map[string]struct{ Version string }
	}
	if err := json.Unmarshal([]byte(read(t, ".devcontainer/devcontainer.json")), &container); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for name, f := range container.Features {
		name, _, _ = strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
		versions[name] = f.Version
	}
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if versions["go"] != wanted[1] {
		t.Errorf("the container has Go %s, go.mod wants %s", versions["go"], wanted[1])
	}
	if !strings.Contains(read(t, "Makefile"), "install version "+versions["node"]+" or newer") {
		t.Errorf("the container has Node.js %s, the Makefile wants another", versions["node"])
	}

	install := read(t, ".devcontainer/install")
	from := map[string]string{ // which word of the install script, or which feature, brings a program
		"go": "go", "node": "node", "npm": "node", "az": "azure-cli", "azd": "azd", "func": "azure-functions-core-tools@4", "bicep": "az bicep install",
		"python3": "python3", "unzip": "unzip", "notmuch": "notmuch", "shellcheck": "shellcheck", "openssl": "openssl", "chromium": "chromium", "cc": "build-essential", "git": "git", "make": "make", "checkov": "pipx install checkov",
	}
	looksFor := regexp.MustCompile(`exec\.LookPath\("([a-z0-9-]+)"\)`)
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "build" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range looksFor.FindAllStringSubmatch(string(content), -1) {
			found++
			source, known := from[m[1]]
			_, isFeature := versions[source]
			if !known || !isFeature && !strings.Contains(install, source) {
				t.Errorf("%s looks for %s, which .devcontainer does not install", path, m[1])
			}
		}
		return nil
	})
	if err != nil || found < 5 {
		t.Errorf("%d programs found, %v", found, err)
	}
	for _, source := range []string{"chromium", "dovecot-imapd", "azure-functions-core-tools@4", "az bicep install"} {
		if !strings.Contains(install, source) {
			t.Errorf(".devcontainer/install lacks %s", source)
		}
	}
}
