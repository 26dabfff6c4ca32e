package telemetry_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDocumentedCauses: docs/telemetry.md lists the causes of package fault, all of
// them and no others. "none" is no failure and is never counted.
func TestDocumentedCauses(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../fault/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Cause" {
			return true
		}
		word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if word != "none" {
			declared = append(declared, word)
		}
		return true
	})

	page, err := os.ReadFile("../../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(page), "\n`cause` is one of:")
	list, _, ends := strings.Cut(list, "\n\n")
	if !found || !ends {
		t.Fatal("docs/telemetry.md has no paragraph that begins with \"`cause` is one of:\"")
	}
	var documented []string
	for _, m := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(list, -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(declared)
	slices.Sort(documented)
	if len(declared) == 0 || !slices.Equal(declared, documented) {
		t.Errorf("docs/telemetry.md lists %q,\nwant the causes of package fault: %q", documented, declared)
	}
}
