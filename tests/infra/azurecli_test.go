package infra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// azurePython is the Python that the real Azure CLI runs in: of the az that AZURE_CLI
// names, of `make azure-cli`, or of the az on the PATH. "" if there is none.
func azurePython() string {
	az := os.Getenv("AZURE_CLI")
	if az == "" {
		az = filepath.Join(root, "build", "azure-cli", "bin", "az")
		if _, err := os.Stat(az); err != nil {
			if az, err = exec.LookPath("az"); err != nil {
				return ""
			}
		}
	}
	if real, err := filepath.EvalSymlinks(az); err == nil {
		az = real
	}
	for _, python := range []string{
		filepath.Join(filepath.Dir(az), "python"), filepath.Join(filepath.Dir(az), "python3"),
		"/opt/az/bin/python3", // Debian's package of Microsoft
		filepath.Join(filepath.Dir(az), "..", "libexec", "bin", "python"), // Homebrew's
	} {
		if exec.Command(python, "-c", "import azure.cli.core").Run() == nil {
			return python
		}
	}
	return ""
}

// parseByAzure returns what the real Azure CLI has against each command line, "" if
// nothing.
func parseByAzure(t *testing.T, lines [][]string) []string {
	t.Helper()
	python := azurePython()
	if python == "" {
		t.Skip("the Azure CLI is neither named by AZURE_CLI, nor installed by `make azure-cli`, nor on the PATH: its command lines in hooks and documents are not parsed")
	}
	in, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "azparse.py")
	home := t.TempDir()
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + home, "AZURE_CONFIG_DIR=" + home, "AZURE_CORE_COLLECT_TELEMETRY=no", "PYTHONDONTWRITEBYTECODE=1"}
	cmd.Stdin = bytes.NewReader(in)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	var says []string
	if err != nil || json.Unmarshal(out, &says) != nil || len(says) != len(lines) {
		t.Fatalf("%v\n%s\n%s", err, out, complaint.String())
	}
	return says
}

// TestHooksCallTheRealAzureCLI: every command line that the hooks give to az is one that
// the real az understands.
func TestHooksCallTheRealAzureCLI(t *testing.T) {
	seen := map[string][]string{}
	run := func(c *cloud, hook string, env ...string) {
		t.Helper()
		if printed, _, err := c.run(hook, env...); err != nil && hook != "predown" {
			t.Fatalf("%s: %v\n%s", hook, err, printed)
		}
		for _, arguments := range c.azure().Arguments {
			seen[strings.Join(arguments, "\x00")] = arguments
		}
	}
	c := newCloud(t, func(a *azure) {
		a.Archives = []archiveAccount{{Name: "st1", ID: "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/st1", Tag: "xarchive-archive=prod"}}
		a.Metrics = json.RawMessage(`{"value":[]}`)
	})
	run(c, "preprovision")
	run(c, "postprovision")
	run(c, "postprovision", "ROTATE_AAD_SECRET=yes") // reads what is there
	run(c, "postdeploy", goTool(t, c)...)
	run(c, "predown")
	for _, arguments := range withoutAzd(t).Arguments {
		seen[strings.Join(arguments, "\x00")] = arguments
	}
	var lines [][]string
	for _, key := range slices.Sorted(func(yield func(string) bool) {
		for key := range seen {
			if !yield(key) {
				return
			}
		}
	}) {
		lines = append(lines, seen[key])
	}
	// The stand-in for az knows nothing that was not asked here.
	for command := range c.azure().answers() {
		words := strings.Fields(command)[1:]
		if !slices.ContainsFunc(lines, func(l []string) bool { return len(l) >= len(words) && slices.Equal(l[:len(words)], words) }) {
			t.Errorf("no hook has called %s", command)
		}
	}
	for i, says := range parseByAzure(t, lines) {
		if says != "" {
			t.Errorf("az %s\n  %s", strings.Join(lines[i], " "), says)
		}
	}
	t.Logf("%d command lines", len(lines))
}

// TestDocumentsCallTheRealAzureCLI: every command line of az in a document or in what
// programs and templates say exists: groups, command, options. One that a document only
// speaks of (`az functionapp stop`) has at least its words.
func TestDocumentsCallTheRealAzureCLI(t *testing.T) {
	var lines [][]string
	var places []string
	for _, pattern := range []string{"README.md", "docs/*.md", "infra/*.bicep", "azure.yaml", "scripts/azure/*.go", "scripts/*.mk"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range commandLines(string(content)) {
				lines = append(lines, text)
				places = append(places, filepath.Base(file))
			}
		}
	}
	if len(lines) < 20 {
		t.Fatalf("only %d command lines found", len(lines))
	}
	for i, says := range parseByAzure(t, lines) {
		// What a sentence speaks of has not all its options; those that it has are known.
		whole := lines[i][len(lines[i])-1] != "--help"
		if says != "" && (whole || !strings.Contains(says, "required")) {
			t.Errorf("%s: az %s\n  %s", places[i], strings.Join(lines[i], " "), says)
		}
	}
	t.Logf("%d command lines", len(lines))
}

var (
	// A command line stands between backticks, or begins a line of a block or an assignment.
	inText  = regexp.MustCompile("`az ([a-z][^`\n]+)`")
	inBlock = regexp.MustCompile(`(?m)^[ \t]*(?:[a-z]+=)?(?:"?\$\()?az ([a-z](?:[^\n\\]|\\\n|\\[^\n])+)$`)
	// What stands for something else: <name>, <name:…>, $NAME, ${NAME}, %s, %[1]s, {name}.
	placeholder = regexp.MustCompile(`<[^<>|]+>|\$\{?[A-Za-z_]+\}?|%(?:\[\d\])?[a-z]|\{[a-z]+\}`)
	// Where the shell goes on with something else.
	end = regexp.MustCompile(`[ \t](?:\||\|\||&&|;|>|>>|2>|#)[ \t].*|;.*|\)"?$|[ \t]>.*|[ \t]\|.*`)
)

// commandLines finds the command lines of az in a text, and splits each into arguments.
// One without options is asked for its help.
func commandLines(text string) (lines [][]string) {
	var found []string
	for _, m := range inText.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	for _, m := range inBlock.FindAllStringSubmatch(text, -1) {
		found = append(found, strings.ReplaceAll(m[1], "\\\n", " "))
	}
	for _, line := range found {
		line = end.ReplaceAllString(placeholder.ReplaceAllString(line, "x"), "")
		arguments := split(strings.ReplaceAll(line, "…", "x"))
		unfinished := strings.HasSuffix(strings.TrimSpace(line), " …") && !strings.HasPrefix(arguments[max(len(arguments)-2, 0)], "-")
		if unfinished {
			arguments = arguments[:len(arguments)-1]
		}
		if unfinished || !slices.ContainsFunc(arguments, func(a string) bool { return strings.HasPrefix(a, "-") }) {
			arguments = append(arguments, "--help")
		}
		lines = append(lines, arguments)
	}
	return lines
}

// split splits a command line as a shell does, as far as documents need it.
func split(line string) (arguments []string) {
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				arguments = append(arguments, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		arguments = append(arguments, word.String())
	}
	return arguments
}

func TestCommandLines(t *testing.T) {
	text := "Use `az a b --c <d e>` or `az x stop`, not `azd up`.\n\n```sh\netag=$(az s show \\\n  --name $N --query \"a b\" -o tsv)\naz g list --x y | wc -l\n  az h >/dev/null\n```\n| `az i …`, `az i --o …`; `az j --k l; echo $?` |\n"
	var got []string
	for _, l := range commandLines(text) {
		got = append(got, fmt.Sprintf("%q", l))
	}
	want := []string{`["a" "b" "--c" "x"]`, `["x" "stop" "--help"]`, `["i" "--help"]`, `["i" "--o" "x"]`, `["j" "--k" "l"]`,
		`["s" "show" "--name" "x" "--query" "a b" "-o" "tsv"]`, `["g" "list" "--x" "y"]`, `["h" "--help"]`}
	if !slices.Equal(got, want) {
		t.Errorf("want\n%s\ngot\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}
