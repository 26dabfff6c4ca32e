package fault

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

// TestEveryCauseHasAMeaning reads the constants out of the source, so that a
// cause that is added cannot be forgotten in the table.
func TestEveryCauseHasAMeaning(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
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
		declared++
		m, ok := meanings[Cause(word)]
		switch {
		case !ok:
			t.Errorf("cause %q has no meaning", word)
		case m.Status == 0:
			t.Errorf("cause %q has no status", word)
		case word != string(None) && !strings.HasSuffix(m.Sentence, "."):
			t.Errorf("cause %q: %q is not a sentence", word, m.Sentence)
		}
		return true
	})
	if declared != len(meanings) {
		t.Errorf("%d causes, %d meanings", declared, len(meanings))
	}
}

// TestDocumentedCauses: docs/telemetry.md lists the causes, all of them and no others.
// "none" is no failure and is never counted.
func TestDocumentedCauses(t *testing.T) {
	var declared []string // TestEveryCauseHasAMeaning shows that the table has all
	for cause := range meanings {
		if cause != None {
			declared = append(declared, string(cause))
		}
	}
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
