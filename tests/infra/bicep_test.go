package infra

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBicepIsBicep(t *testing.T) {
	for path, n := range parse(t, glob(t, "infra/*.bicep")...) {
		if lines := faults(n); len(lines) > 0 {
			t.Errorf("%s is not Bicep at lines %v", path, lines)
		}
	}
	// The same parser does not take everything.
	for what, text := range map[string]string{
		"brace":  "resource a 'A/b@2024-01-01' = {\n  name: 'x'\n",
		"equals": "param a string 'x'\n",
		"quote":  "var a = 'x\nvar b = 1\n",
	} {
		file := filepath.Join(t.TempDir(), what+".bicep")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if len(faults(parse(t, file)[file])) == 0 {
			t.Errorf("the parser takes a file with a missing %s", what)
		}
	}
}

// What the compiler would say about names: parameters and outputs of modules, and
// everything that an expression mentions.
func TestBicepNamesAreDeclared(t *testing.T) {
	files := bicepFiles(t)
	used := map[string]bool{"main.bicep": true}
	for name, b := range files {
		for _, m := range b.modules {
			target := files[m.file]
			if target == nil {
				t.Errorf("%s: module %s names %s, which is not there", name, m.symbol, m.file)
				continue
			}
			used[m.file] = true
			for p := range m.params {
				if _, isDeclared := target.params[p]; !isDeclared {
					t.Errorf("%s: %s gives %s to %s, which has no such parameter", name, m.symbol, p, m.file)
				}
			}
			for p, standard := range target.params {
				if m.params[p] == nil && standard == nil {
					t.Errorf("%s: %s does not give %s to %s, which needs it", name, m.symbol, p, m.file)
				}
			}
			for _, e := range b.all("member_expression") {
				prefix := m.symbol + ".outputs."
				if out, isOutput := strings.CutPrefix(strings.ReplaceAll(e.code(), "!", ""), prefix); isOutput && target.outputs[out] == nil {
					t.Errorf("%s:%d: %s has no output %s", name, e.Line, m.file, out)
				}
			}
		}
		declared := map[string]bool{}
		b.walk(func(n, parent *tree) {
			if n.Type == "identifier" && parent != nil && (strings.HasSuffix(parent.Type, "_declaration") || n.Field == "initializer" ||
				parent.Type == "lambda_expression" && parent.Children[0] == n) {
				declared[n.Text] = true
			}
		})
		b.walk(func(n, parent *tree) {
			if n.Type != "identifier" || n.Field == "function" || declared[n.Text] ||
				parent.Type == "object_property" && parent.Children[0] == n {
				return
			}
			t.Errorf("%s:%d: %s is not declared", name, n.Line, n.Text)
		})
		for p := range b.params {
			uses := 0
			for _, id := range b.all("identifier") {
				if id.Text == p {
					uses++
				}
			}
			// Once as the declaration, once more in use.
			if uses < 2 {
				t.Errorf("%s: parameter %s is not used", name, p)
			}
		}
	}
	for name := range files {
		if !used[name] {
			t.Errorf("%s is used by nothing", name)
		}
	}
}

func TestParametersFileIsTheParameters(t *testing.T) {
	var file struct {
		Parameters map[string]struct{ Value string }
	}
	if err := json.Unmarshal([]byte(read(t, "infra/main.parameters.json")), &file); err != nil {
		t.Fatal(err)
	}
	params := bicepFiles(t)["main.bicep"].params
	for name, p := range file.Parameters {
		standard, isDeclared := params[name]
		if !isDeclared {
			t.Errorf("main.parameters.json has %s, main.bicep has not", name)
			continue
		}
		parts := interpolated.FindStringSubmatch(p.Value)
		if parts == nil {
			t.Errorf("%s: %q is not the value of an environment variable", name, p.Value)
			continue
		}
		if standard == nil {
			continue
		}
		if want, isLiteral := standard.literal(); !isLiteral || want != parts[2] {
			t.Errorf("%s: main.parameters.json takes %q by default, main.bicep %q", name, parts[2], want)
		}
	}
	for name := range params {
		if _, isGiven := file.Parameters[name]; !isGiven {
			t.Errorf("nothing in the azd environment sets %s", name)
		}
	}
}

// A secret in a parameter or an output stays in the deployment's history and in
// azd's environment file.
func TestNoSecretIsAParameterOrAnOutput(t *testing.T) {
	for name, b := range bicepFiles(t) {
		for _, names := range [][]string{slices.Collect(maps.Keys(b.params)), slices.Collect(maps.Keys(b.outputs))} {
			for _, n := range names {
				l := strings.ToLower(n)
				for _, word := range []string{"secret", "password", "token", "connectionstring", "accountkey", "apikey", "sas"} {
					// token is what makes names unique here (main.bicep).
					if strings.Contains(l, word) && n != "token" {
						t.Errorf("%s: %s looks like a secret", name, n)
					}
				}
			}
		}
		for _, call := range b.all("call_expression") {
			for _, f := range []string{"listKeys", "listAccountSas", "listServiceSas", "listCallbackUrl", "getSecret"} {
				if strings.Contains(call.code(), f+"(") {
					t.Errorf("%s:%d: %s takes a key out of a resource", name, call.Line, f)
				}
			}
		}
	}
	want := []string{"ARCHIVE_STORAGE_ACCOUNT", "AZURE_RESOURCE_GROUP", "CONNECTOR_APP_NAME", "CONNECTOR_URL", "KEY_VAULT_NAME"}
	if got := slices.Sorted(maps.Keys(bicepFiles(t)["main.bicep"].outputs)); !slices.Equal(got, want) {
		t.Errorf("outputs of main.bicep: want names and addresses %v, got %v", want, got)
	}
}
