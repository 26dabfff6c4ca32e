package infra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bicep runs the Bicep compiler in a folder and returns what it prints. It is the one
// that BICEP names, or on the PATH; without one the test is skipped, and the
// compiled template and the snapshots stand for the source.
func bicep(t *testing.T, dir string, args ...string) string {
	t.Helper()
	program := os.Getenv("BICEP")
	if program == "" {
		var err error
		if program, err = exec.LookPath("bicep"); err != nil {
			t.Skip("bicep is neither on the PATH nor named by BICEP: that infra/main.json and the snapshots are what the source compiles to is not checked")
		}
	}
	program, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // it leaves a folder .bicep there
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bicep %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// sameBicep skips a test where the compiler is another version than the one that made
// infra/main.json, for two versions need not say the same in the same words.
func sameBicep(t *testing.T) {
	t.Helper()
	said := bicep(t, t.TempDir(), "--version")
	made := regexp.MustCompile(`"version": "(\d+\.\d+\.\d+)\.\d+"`).FindStringSubmatch(read(t, "infra/main.json"))
	if made == nil {
		t.Fatal("infra/main.json does not say which compiler made it")
	}
	if !strings.Contains(said, "version "+made[1]+" ") {
		t.Skipf("infra/main.json was made by Bicep %s, this is another: %s", made[1], said)
	}
}

// copyInfra copies infra/ and the variants' parameters, in their places, so that the
// compiler writes nothing into the repository.
func copyInfra(t *testing.T) (top string) {
	t.Helper()
	top = t.TempDir()
	for _, folder := range []string{"infra", "tests/infra/testdata"} {
		if err := os.CopyFS(filepath.Join(top, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// generator is what the compiler says of itself in each template.
var generator = regexp.MustCompile(`"(version|templateHash)": "[0-9.]+"`)

func TestMainJSONIsWhatTheSourceCompilesTo(t *testing.T) {
	t.Parallel()
	sameBicep(t)
	top := copyInfra(t)
	if said := bicep(t, filepath.Join(top, "infra"), "build", "main.bicep", "--outfile", "built.json"); said != "" {
		t.Errorf("the compiler says\n%s", said)
	}
	built, committed := readFile(t, filepath.Join(top, "infra/built.json")), read(t, "infra/main.json")
	if generator.ReplaceAllString(built, "") != generator.ReplaceAllString(committed, "") {
		t.Error("infra/main.json is of an older source: bicep build infra/main.bicep")
	}
}

func TestBicepIsSilentAndCanonical(t *testing.T) {
	t.Parallel()
	top := copyInfra(t)
	infra := filepath.Join(top, "infra")
	if said := bicep(t, infra, "lint", "main.bicep"); said != "" {
		t.Errorf("lint says\n%s", said)
	}
	bicep(t, infra, "format", "--pattern", "*.bicep")
	for _, path := range glob(t, "infra/*.bicep") {
		name := filepath.Base(path)
		if readFile(t, filepath.Join(infra, name)) != readFile(t, path) {
			t.Errorf("infra/%s is not in the canonical format: bicep format infra/%s", name, name)
		}
	}
	// Silence means something: the same rules find fault with a parameter that nothing
	// uses, and with a rule's name that is none.
	if err := os.WriteFile(filepath.Join(infra, "faulty.bicep"), []byte("param unused string\nparam anything object\noutput o object = anything\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := bicep(t, infra, "lint", "faulty.bicep")
	wantText(t, said, "Warning no-unused-params", "Warning use-user-defined-types")
}

// TestBicepRules: the rules that are off are those that say why.
func TestBicepRules(t *testing.T) {
	text := regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAllString(read(t, "infra/bicepconfig.json"), "")
	var config struct {
		Analyzers struct {
			Core struct {
				Enabled bool
				Rules   map[string]struct{ Level string }
			}
		}
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&config); err != nil {
		t.Fatal(err)
	}
	var off []string
	for name, rule := range config.Analyzers.Core.Rules {
		switch rule.Level {
		case "warning":
		case "off":
			off = append(off, name)
		default:
			t.Errorf("%s: level %q", name, rule.Level)
		}
	}
	slices.Sort(off)
	if want := []string{"use-description-outputs", "use-description-params", "use-description-vars"}; !config.Analyzers.Core.Enabled || !slices.Equal(off, want) {
		t.Errorf("rules that are off: want %v, got %v", want, off)
	}
	// Bicep 0.49 has 52.
	if n := len(config.Analyzers.Core.Rules); n != 52 {
		t.Errorf("want 52 rules, got %d", n)
	}
	// What is allowed in one place only, each with its reason in bicepconfig.json.
	exceptions := map[string]int{}
	for _, path := range glob(t, "infra/*.bicep") {
		for _, m := range regexp.MustCompile(`#disable-\S+ (.*)`).FindAllStringSubmatch(readFile(t, path), -1) {
			exceptions[m[1]]++
		}
	}
	if !maps.Equal(exceptions, map[string]int{"use-recent-api-versions": 4}) {
		t.Errorf("exceptions in the files: %v", exceptions)
	}
	for name, p := range compiled(t).Parameters {
		if p.Metadata.Description == "" {
			t.Errorf("parameter %s has no description", name)
		}
	}
}

// TestSnapshots: the golden snapshots, which the other tests look into, are what the
// source would make. UPDATE_SNAPSHOTS=1 writes them; the diff is for review.
func TestSnapshots(t *testing.T) {
	sameBicep(t)
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			top := copyInfra(t)
			dir := filepath.Join(top, "tests/infra/testdata")
			bicep(t, dir, "snapshot", variant+".bicepparam", "--mode", "overwrite", "--location", "westeurope", "--deployment-name", "main",
				"--subscription-id", "22222222-2222-4222-8222-222222222222", "--tenant-id", testTenant)
			got, golden := inOrder(t, readFile(t, filepath.Join(dir, variant+".snapshot.json"))), filepath.Join("testdata", variant+".snapshot.json")
			if os.Getenv("UPDATE_SNAPSHOTS") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != readFile(t, golden) {
				t.Errorf("%s is not what the source would make: UPDATE_SNAPSHOTS=1 go test ./tests/infra -run TestSnapshots, and look at the diff", golden)
			}
		})
	}
}

// inOrder sorts a snapshot, whose parts the compiler gives in no certain order.
func inOrder(t *testing.T, text string) string {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	resources, _ := s["predictedResources"].([]any)
	slices.SortFunc(resources, func(a, b any) int { return strings.Compare(code(a), code(b)) })
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func loadTemplate(path string) (template, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return template{}, err
	}
	return parseTemplate(text)
}

func parseTemplate(text []byte) (template, error) {
	var t struct {
		template
		Resources map[string]struct {
			Type       string
			Properties struct{ Template json.RawMessage }
		}
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&t); err != nil {
		return template{}, err
	}
	t.modules = map[string]template{}
	for name, r := range t.Resources {
		if r.Type != "Microsoft.Resources/deployments" {
			continue
		}
		module, err := parseTemplate(r.Properties.Template)
		if err != nil {
			return template{}, fmt.Errorf("module %s: %w", name, err)
		}
		t.modules[name] = module
	}
	return t.template, nil
}

// compiled is infra/main.json.
func compiled(t *testing.T) template {
	t.Helper()
	m, err := mainJSON()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var interpolated = regexp.MustCompile(`^\$\{([A-Z_]+)=?(.*)\}$`)

func TestParametersFileIsTheParameters(t *testing.T) {
	var file struct {
		Parameters map[string]struct{ Value string }
	}
	if err := json.Unmarshal([]byte(read(t, "infra/main.parameters.json")), &file); err != nil {
		t.Fatal(err)
	}
	params := compiled(t).Parameters
	for name, p := range file.Parameters {
		declared, isDeclared := params[name]
		if !isDeclared {
			t.Errorf("main.parameters.json has %s, main.bicep has not", name)
			continue
		}
		parts := interpolated.FindStringSubmatch(p.Value)
		if parts == nil {
			t.Errorf("%s: %q is not the value of an environment variable", name, p.Value)
			continue
		}
		if declared.DefaultValue == nil {
			continue
		}
		if want := strings.Trim(code(declared.DefaultValue), `"`); want != parts[2] {
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
	m := compiled(t)
	if len(m.modules) < 8 {
		t.Fatalf("infra/main.json has %d modules", len(m.modules))
	}
	var look func(what string, m template)
	look = func(what string, m template) {
		for _, n := range slices.Concat(slices.Collect(maps.Keys(m.Parameters)), slices.Collect(maps.Keys(m.Outputs))) {
			l := strings.ToLower(n)
			for _, word := range []string{"secret", "password", "token", "connectionstring", "accountkey", "apikey", "sas"} {
				// token is what makes names unique here (main.bicep).
				if strings.Contains(l, word) && n != "token" {
					t.Errorf("%s: %s looks like a secret", what, n)
				}
			}
		}
		for name, module := range m.modules {
			look(what+"/"+name, module)
		}
	}
	look("main", m)
	text := read(t, "infra/main.json")
	for _, f := range []string{"listKeys", "listAccountSas", "listServiceSas", "listCallbackUrl", "getSecret", "listSecrets"} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(f)+"(") {
			t.Errorf("%s takes a key out of a resource", f)
		}
	}
	want := []string{"ARCHIVE_STORAGE_ACCOUNT", "AZURE_RESOURCE_GROUP", "CONNECTOR_APP_NAME", "CONNECTOR_URL", "KEY_VAULT_NAME"}
	if got := slices.Sorted(maps.Keys(m.Outputs)); !slices.Equal(got, want) {
		t.Errorf("outputs of main.bicep: want names and addresses %v, got %v", want, got)
	}
}
