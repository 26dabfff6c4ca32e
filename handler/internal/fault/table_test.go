package fault

import (
	"go/ast"
	"go/parser"
	"go/token"
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
