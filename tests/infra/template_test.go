package infra

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// variants are the deployments that the tests look at; testdata has for each what it
// is asked for (.bicepparam) and what it would make (.snapshot.json).
var variants = []string{"default", "private", "immutable"}

// thing is a resource as a deployment would make it, or a part of one: a snapshot has
// each expression evaluated that can be before anything is made.
type thing map[string]any

func (r thing) text(name string) string {
	s, _ := r[name].(string)
	return s
}

// at follows names down; nil if there is no such property.
func (r thing) at(names ...string) any {
	var value any = map[string]any(r)
	for _, name := range names {
		object, isObject := value.(map[string]any)
		if !isObject {
			return nil
		}
		value = object[name]
	}
	return value
}

// code is a value as JSON.
func code(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// list is a value that is a list of objects.
func list(value any) (things []thing) {
	values, _ := value.([]any)
	for _, v := range values {
		object, _ := v.(map[string]any)
		things = append(things, object)
	}
	return things
}

// scope is what a resource stands on: for a role assignment, what the role is for.
func (r thing) scope() string {
	above, _, _ := strings.Cut(r.text("id"), "/providers/Microsoft.Authorization/")
	_, below, isResource := strings.Cut(above, "/providers/")
	if !isResource {
		return above
	}
	return below
}

// snapshot is everything that a variant would make.
func snapshot(t *testing.T, variant string) []thing {
	t.Helper()
	return snapshotOf(t, read(t, filepath.Join("tests/infra/testdata", variant+".snapshot.json")))
}

func snapshotOf(t *testing.T, text string) []thing {
	t.Helper()
	var s struct {
		PredictedResources []map[string]any
		Diagnostics        []any
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Diagnostics) > 0 {
		t.Errorf("the compiler foresees trouble: %s", code(s.Diagnostics))
	}
	var all []thing
	for _, r := range s.PredictedResources {
		all = append(all, r)
	}
	return all
}

// of are the resources of a type.
func of(things []thing, kind string) (found []thing) {
	for _, r := range things {
		if r.text("type") == kind {
			found = append(found, r)
		}
	}
	return found
}

// one is the only resource of a type whose id holds a text.
func one(t *testing.T, things []thing, kind, id string) thing {
	t.Helper()
	found := slices.DeleteFunc(of(things, kind), func(r thing) bool { return !strings.Contains(r.text("id"), id) })
	if len(found) != 1 {
		t.Fatalf("want one %s of %q, got %d", kind, id, len(found))
	}
	return found[0]
}

// template is a compiled template, and those of its modules by their names.
type template struct {
	Parameters map[string]struct {
		DefaultValue any
		Metadata     struct{ Description string }
	}
	Outputs map[string]any
	modules map[string]template
}

// mainJSON is infra/main.json.
var mainJSON = sync.OnceValues(func() (template, error) { return loadTemplate(filepath.Join(root, "infra/main.json")) })
