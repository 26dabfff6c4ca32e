package infra

import (
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// tree is a node of a Bicep file's syntax tree, as parse.mjs prints it.
type tree struct {
	Type     string
	Field    string
	Text     string
	Line     int
	Children []*tree
}

// walk visits a node and all below it, parents first.
func (n *tree) walk(visit func(node, parent *tree)) {
	var down func(node, parent *tree)
	down = func(node, parent *tree) {
		visit(node, parent)
		for _, c := range node.Children {
			down(c, node)
		}
	}
	down(n, nil)
}

// all are the nodes of a type, at any depth.
func (n *tree) all(kind string) (found []*tree) {
	n.walk(func(node, _ *tree) {
		if node.Type == kind {
			found = append(found, node)
		}
	})
	return found
}

// child is the first child of one of the types, or nil.
func (n *tree) child(kinds ...string) *tree {
	for _, c := range n.Children {
		for _, kind := range kinds {
			if c.Type == kind {
				return c
			}
		}
	}
	return nil
}

// code is the node's text without white space.
func (n *tree) code() string {
	var text strings.Builder
	n.walk(func(node, _ *tree) { text.WriteString(node.Text) })
	return text.String()
}

// literal is the value of a string without interpolation, or of a number or boolean.
func (n *tree) literal() (string, bool) {
	switch n.Type {
	case "number", "boolean", "true", "false":
		return n.code(), true
	case "string":
		var text strings.Builder
		for _, c := range n.Children {
			switch c.Type {
			case "'":
			case "string_content":
				text.WriteString(c.Text)
			case "escape_sequence":
				text.WriteString(strings.TrimPrefix(c.Text, `\`))
			default:
				return "", false
			}
		}
		return text.String(), true
	}
	return "", false
}

// members are the values of an object's properties.
func (n *tree) members() map[string]*tree {
	values := map[string]*tree{}
	for _, p := range n.Children {
		if p.Type != "object_property" {
			continue
		}
		name := p.Children[0].Text
		if text, isString := p.Children[0].literal(); isString {
			name = text
		}
		values[name] = p.Children[len(p.Children)-1]
	}
	return values
}

// at follows names down from an object. nil if there is no such property.
func (n *tree) at(names ...string) *tree {
	for _, name := range names {
		if n == nil || n.Type != "object" {
			return nil
		}
		n = n.members()[name]
	}
	return n
}

// bicep is one file and what it declares.
type bicep struct {
	*tree
	params    map[string]*tree // default value by name, nil for none
	outputs   map[string]*tree
	resources []resource
	modules   []module
}

type resource struct {
	symbol   string
	kind     string // full type, without version
	existing bool
	body     *tree
}

type module struct {
	symbol string
	file   string
	params map[string]*tree
}

func parse(t *testing.T, files ...string) map[string]*tree {
	t.Helper()
	trees := map[string]*tree{}
	node(t, "parse.mjs", &trees, files...)
	return trees
}

// bicepFiles is everything in infra/ by file name, parsed once for all tests.
func bicepFiles(t *testing.T) map[string]*bicep {
	t.Helper()
	parsed.once.Do(func() {
		for path, n := range parse(t, glob(t, "infra/*.bicep")...) {
			parsed.files[filepath.Base(path)] = declarations(n)
		}
	})
	if len(parsed.files) == 0 {
		t.Fatal("infra/ could not be parsed, see the first test that tried")
	}
	return parsed.files
}

var parsed = struct {
	once  sync.Once
	files map[string]*bicep
}{files: map[string]*bicep{}}

func declarations(n *tree) *bicep {
	b := &bicep{tree: n, params: map[string]*tree{}, outputs: map[string]*tree{}}
	for _, p := range n.all("parameter_declaration") {
		value := p.Children[len(p.Children)-1]
		if p.child("=") == nil {
			value = nil
		}
		b.params[p.child("identifier").Text] = value
	}
	for _, o := range n.all("output_declaration") {
		b.outputs[o.child("identifier").Text] = o.Children[len(o.Children)-1]
	}
	for _, m := range n.all("module_declaration") {
		file, _ := m.child("string").literal()
		mod := module{symbol: m.child("identifier").Text, file: file, params: map[string]*tree{}}
		if params := m.all("object")[0].at("params"); params != nil {
			mod.params = params.members()
		}
		b.modules = append(b.modules, mod)
	}
	b.declareResources(n, "")
	return b
}

// declareResources goes down through resources declared inside others.
func (b *bicep) declareResources(n *tree, above string) {
	for _, c := range n.Children {
		if c.Type != "resource_declaration" {
			b.declareResources(c, above)
			continue
		}
		kind, _ := c.child("string").literal()
		kind, _, _ = strings.Cut(kind, "@")
		if above != "" {
			kind = above + "/" + kind
		}
		body := c.all("object")[0]
		b.resources = append(b.resources, resource{c.child("identifier").Text, kind, c.child("existing") != nil, body})
		b.declareResources(body, kind)
	}
}

// faults are the places of a tree that the grammar did not understand.
func faults(n *tree) (lines []int) {
	n.walk(func(node, _ *tree) {
		if node.Type == "ERROR" || strings.HasPrefix(node.Type, "missing ") {
			lines = append(lines, node.Line)
		}
	})
	return lines
}

var interpolated = regexp.MustCompile(`^\$\{([A-Z_]+)=?(.*)\}$`)
