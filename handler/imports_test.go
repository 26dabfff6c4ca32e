package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const own = "xarchive/handler/internal/"

// TestImports: the table of packages in docs/architecture.md is the code's: it names every
// package, what each imports of the others, and none before what it imports.
func TestImports(t *testing.T) {
	documented, order := documentedImports(t)
	folders, err := os.ReadDir("internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		name := folder.Name()
		want, there := documented[name]
		if !there {
			t.Errorf("docs/architecture.md does not name package %s", name)
			continue
		}
		got := imports(t, filepath.Join("internal", name))
		if !slices.Equal(got, want) {
			t.Errorf("package %s imports %v, docs/architecture.md says %v", name, got, want)
		}
		for _, other := range got {
			if slices.Index(order, other) >= slices.Index(order, name) {
				t.Errorf("package %s imports %s, which is not in a line above it", name, other)
			}
		}
	}
	if len(documented) != len(folders) {
		t.Errorf("docs/architecture.md names %d packages, there are %d", len(documented), len(folders))
	}
}

var quoted = regexp.MustCompile("`([a-z]+)`")

// documentedImports reads the table: the imports of each package, and the packages in order.
func documentedImports(t *testing.T) (imports map[string][]string, order []string) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| package | what it is | imports of ours |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/architecture.md has no table of packages")
	}
	imports = map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			break
		}
		var list []string
		for _, m := range quoted.FindAllStringSubmatch(cells[3], -1) {
			list = append(list, m[1])
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			imports[m[1]] = list
			order = append(order, m[1])
		}
	}
	return imports, order
}

// imports returns what the package in a folder, without its tests, imports of ours, in order.
func imports(t *testing.T, folder string) (list []string) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d Go files, %v", folder, len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if name, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), own); ok && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	slices.Sort(list)
	return list
}
