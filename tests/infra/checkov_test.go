package infra

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckov: what a deployment makes passes checkov, but for what checkov.yaml
// explains, and nothing is explained that would pass. Checkov knows no templates with
// modules and names for resources, so it gets what the compiler says would be made.
func TestCheckov(t *testing.T) {
	program := os.Getenv("CHECKOV")
	if program == "" {
		var err error
		if program, err = exec.LookPath("checkov"); err != nil {
			t.Skip("checkov is neither on the PATH nor named by CHECKOV: pip install checkov")
		}
	}
	config, err := filepath.Abs("checkov.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, variant := range variants {
		text, err := json.Marshal(map[string]any{
			"$schema":        "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
			"contentVersion": "1.0.0.0", "parameters": map[string]any{}, "resources": snapshot(t, variant)})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, variant+".json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(args ...string) (found []string) {
		t.Helper()
		cmd := exec.Command(program, append([]string{"--directory", dir, "--output", "json"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output() // it ends with 1 where it finds something
		var result struct {
			Summary struct {
				Passed        int
				ParsingErrors int `json:"parsing_errors"`
			}
			Results struct {
				Failed []struct {
					ID       string `json:"check_id"`
					Name     string `json:"check_name"`
					File     string `json:"file_path"`
					Resource string
				} `json:"failed_checks"`
			}
		}
		if jsonErr := json.Unmarshal(out, &result); jsonErr != nil || result.Summary.Passed < 50 || result.Summary.ParsingErrors > 0 {
			t.Fatalf("checkov: %v, %v, %d passed\n%s", err, jsonErr, result.Summary.Passed, out)
		}
		for _, f := range result.Results.Failed {
			found = append(found, f.ID+" "+f.Name+": "+f.Resource+" in "+f.File)
		}
		return found
	}
	for _, f := range check("--config-file", config) {
		t.Error(f)
	}
	all := strings.Join(check("--skip-download", "--framework", "arm", "--compact", "--quiet"), "\n")
	for line := range strings.Lines(read(t, "tests/infra/checkov.yaml")) {
		if id, isCheck := strings.CutPrefix(strings.TrimSpace(line), "- "); isCheck && !strings.Contains(all, id+" ") {
			t.Errorf("%s passes: it needs no exception", id)
		}
	}
}
