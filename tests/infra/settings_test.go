package infra

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The names that one side has and the others rightly have not.
var (
	// The host tells the handler these; nobody sets them.
	fromHost = []string{"FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_APP_ROOT_PATH"}
	// The host reads this one, in function.json.
	readByHost = []string{"INGEST_SCHEDULE"}
	// A connection string holds a key, and there are no keys in Azure.
	onlyLocal = []string{"STORAGE_CONNECTION_STRING"}
	// The other way to reach storage, which needs an identity.
	onlyAzure = []string{"STORAGE_ACCOUNT_URL"}

	// What Azure needs besides the connector's settings.
	azureExtras = []string{"APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "APPLICATIONINSIGHTS_CONNECTION_STRING", "AZURE_CLIENT_ID",
		"AzureWebJobsDisableHomepage", "AzureWebJobsStorage__accountName", "AzureWebJobsStorage__clientId", "AzureWebJobsStorage__credential"}
	// What the stand-ins and the local host need besides.
	localExtras = []string{"AzureWebJobsDisableHomepage", "AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME", "HTTPS_PROXY",
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "SSL_CERT_FILE"}
)

var settingName = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

// literals are the string literals of Go packages, tests left out.
func literals(t *testing.T, folder string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, isLiteral := n.(*ast.BasicLit); isLiteral && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				found[text] = true
			}
			return true
		})
		return nil
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("reading %s: %v", folder, err)
	}
	return found
}

// readmeSettings are the rows of README's table: default by name.
func readmeSettings(t *testing.T) map[string]string {
	t.Helper()
	_, section, _ := strings.Cut(read(t, "README.md"), "\n## Settings\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 3 {
			continue
		}
		names := quoted(cells[0])
		defaults := quoted(cells[len(cells)-1])
		for i, name := range names {
			rows[name] = ""
			if len(defaults) == len(names) && strings.HasPrefix(strings.TrimSpace(cells[len(cells)-1]), "`") {
				rows[name] = defaults[i]
			}
		}
	}
	if len(rows) < 10 {
		t.Fatalf("README, Settings: only %d rows found", len(rows))
	}
	return rows
}

var backticks = regexp.MustCompile("`([^`]*)`")

func quoted(cell string) (texts []string) {
	for _, m := range backticks.FindAllStringSubmatch(cell, -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// appSettings are the settings that a deployment gives the app.
func appSettings(t *testing.T) map[string]any {
	t.Helper()
	settings, _ := one(t, snapshot(t, "default"), "Microsoft.Web/sites/config", "/appsettings").at("properties").(map[string]any)
	return settings
}

func sampleSettings(t *testing.T) []string {
	t.Helper()
	var sample struct{ Values map[string]string }
	if err := json.Unmarshal([]byte(read(t, "local.settings.json.sample")), &sample); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(maps.Keys(sample.Values))
}

// sameNames compares two lists as sets.
func sameNames(t *testing.T, what string, want, got []string) {
	t.Helper()
	for _, n := range want {
		if !slices.Contains(got, n) {
			t.Errorf("%s lacks %s", what, n)
		}
	}
	for _, n := range got {
		if !slices.Contains(want, n) {
			t.Errorf("%s has %s, which nothing else knows", what, n)
		}
	}
}

func without(names, less []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(less, n) })
}

// placesOfASetting are what a new setting touches.
const placesOfASetting = `a setting stands in all of these:
  handler/internal/config/config.go   read, checked, with its default (Load); names are like TWO_WORDS
  README.md                           the table under Settings
  local.settings.json.sample          with a value for the sandbox (tests/sandbox/sandbox.go, Settings, if tests need another)
  infra/main.bicep, main.parameters.json, function-app.bicep   parameter, azd's variable, app setting
  docs/setup.md                       step 3, if people are to choose it when they deploy
and only here if the host reads it, or one side alone needs it: the lists at the top of tests/infra/settings_test.go`

func TestSettingsAgreeEverywhere(t *testing.T) {
	defer func() {
		if t.Failed() {
			t.Log(placesOfASetting)
		}
	}()
	documented := slices.Sorted(maps.Keys(readmeSettings(t)))

	var known []string
	for text := range literals(t, "handler/internal/config") {
		if settingName.MatchString(text) {
			known = append(known, text)
		}
	}
	sameNames(t, "package config", documented, append(without(known, fromHost), readByHost...))
	sameNames(t, "infra/function-app.bicep", append(without(documented, onlyLocal), azureExtras...), slices.Collect(maps.Keys(appSettings(t))))
	sameNames(t, "local.settings.json.sample", append(without(documented, onlyAzure), localExtras...), sampleSettings(t))
}

func TestSettingsHaveTheDocumentedDefaults(t *testing.T) {
	documented := readmeSettings(t)
	compared := 0
	for name, value := range appSettings(t) {
		if documented[name] == "" || strings.Contains(documented[name], "<") || strings.HasPrefix(code(value), `"[`) {
			continue
		}
		compared++
		if value != documented[name] {
			t.Errorf("%s: README says %q, a deployment sets %v", name, documented[name], value)
		}
	}
	// Those of both containers, both APIs, the schedule, an item's size and the log level.
	if compared != 10 {
		t.Errorf("want 10 defaults compared, got %d", compared)
	}
}

func TestNoSecretIsAnAppSetting(t *testing.T) {
	_, list, _ := strings.Cut(read(t, "README.md"), "Secrets, by their Key Vault names")
	list, _, _ = strings.Cut(list, "\n\n")
	var secrets []string
	for _, s := range quoted(list) {
		if strings.Contains(s, "-") && len(s) > 2 && !slices.Contains(secrets, s) {
			secrets = append(secrets, s)
		}
	}
	if len(secrets) != 9 { // eight are given to the connector, one it makes
		t.Fatalf("README lists 9 secrets, found %v", secrets)
	}
	settings := appSettings(t)
	for _, s := range secrets {
		if name := strings.ToUpper(strings.ReplaceAll(s, "-", "_")); settings[name] != nil {
			t.Errorf("%s is a secret and stands among the app settings", name)
		}
	}
	for name, value := range settings {
		if strings.Contains(code(value), "@Microsoft.KeyVault") {
			t.Errorf("%s: the platform would read the secret once and keep it; the handler reads it from Key Vault itself", name)
		}
	}
}
