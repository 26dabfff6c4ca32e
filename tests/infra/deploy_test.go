package infra

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goTool lets a cloud's hooks run the Go toolchain, with this machine's caches.
func goTool(t *testing.T, c *cloud) (env []string) {
	t.Helper()
	program, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(c.dir, "go")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB"} {
		value, err := exec.Command(program, "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	return env
}

// wantPackage compares a package with what the Functions host looks for.
func wantPackage(t *testing.T, content []byte) {
	t.Helper()
	want := map[string]fs.FileMode{"connector/function.json": 0o644, "handler": 0o755, "host.json": 0o644, "ingest/function.json": 0o644}
	files := unzip(t, content)
	for _, f := range files {
		t.Logf("%v %8d %s", f.Mode(), f.UncompressedSize64, f.Name)
		if mode, found := want[f.Name]; !found || f.Mode() != mode {
			t.Errorf("%s is there with mode %v, want %v", f.Name, f.Mode(), mode)
		}
		if f.Name == "handler" {
			checkBinary(t, f)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
}

func TestPostdeploy(t *testing.T) {
	c := newCloud(t, func(a *azure) {
		a.Refusals = []refusal{{"az functionapp deployment", 2, 1, "(Forbidden) a role was given a moment ago"}}
	})
	env := goTool(t, c)
	printed, calls, err := c.run("postdeploy", env...)
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	wantText(t, printed, "func-1", "The connector is deployed")
	if len(calls) != 3 {
		t.Errorf("want two refusals and one deployment, got\n%s", strings.Join(calls, "\n"))
	}
	wantPackage(t, c.azure().Deployed)

	c.change(func(a *azure) {
		a.Refusals = []refusal{{"az functionapp deployment", 1, 1, "the site does not answer"}}
	})
	printed, _, err = c.run("postdeploy", env...)
	if err == nil {
		t.Error("a failed deployment was passed over")
	}
	wantText(t, printed, "the site does not answer", "azd deploy")

	c.change(func(a *azure) { delete(a.Env, "CONNECTOR_APP_NAME") })
	printed, _, err = c.run("postdeploy", env...)
	if err == nil {
		t.Error("deployed to nowhere")
	}
	wantText(t, printed, "CONNECTOR_APP_NAME", "azd provision")
}

// TestAzd runs the real azd, as it is when it has just been installed, against the
// stand-in for az. It makes no connection, so it cannot provision.
func TestAzd(t *testing.T) {
	program := os.Getenv("AZD")
	if program == "" {
		program, _ = exec.LookPath("azd")
	}
	if program == "" {
		t.Skip("azd is neither on the PATH nor named by AZD: whether it reads azure.yaml and runs its hooks is not tried")
	}
	program, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	c := newCloud(t, nil)
	if err := os.Remove(filepath.Join(c.dir, "azd")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(c.dir, "azd")); err != nil {
		t.Fatal(err)
	}
	project := filepath.Join(c.dir, "project") // azd keeps its environments there
	for _, folder := range []string{"functions", "handler", "infra", "scripts"} {
		if err := os.CopyFS(filepath.Join(project, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"azure.yaml", "go.mod", "go.sum", "host.json"} {
		if err := os.WriteFile(filepath.Join(project, file), []byte(read(t, file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := append(goTool(t, c), "PATH="+c.dir+":/usr/bin:/bin", "HOME="+c.dir, "AZD_CONFIG_DIR="+filepath.Join(c.dir, "config"),
		"AZURE_DEV_COLLECT_TELEMETRY=no", "AZD_SKIP_UPDATE_CHECK=true", statePlace+"="+c.state)
	azd := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program, append(args, "--no-prompt")...)
		cmd.Dir, cmd.Env = project, env
		out, err := cmd.CombinedOutput()
		t.Logf("azd %s\n%s", strings.Join(args, " "), out)
		if err != nil {
			t.Fatalf("azd %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	azd("version")
	azd("config", "set", "auth.useAzCliAuth", "true") // instead of a sign-in with a browser
	azd("env", "new", "prod", "--subscription", "00000000-0000-4000-8000-00000000000a", "--location", "westeurope")
	for name, value := range c.azure().Env {
		if !strings.HasPrefix(name, "AZURE_ENV") && name != "AZURE_SUBSCRIPTION_ID" {
			azd("env", "set", name, value)
		}
	}
	c.change(func(a *azure) { a.Env["AZURE_SUBSCRIPTION_ID"] = "00000000-0000-4000-8000-00000000000a" })

	azd("package")
	zip, err := os.ReadFile(filepath.Join(project, "build", "app.zip"))
	if err != nil {
		t.Fatal(err)
	}
	wantPackage(t, zip)

	azd("hooks", "run", "prepackage")
	azd("hooks", "run", "preprovision")
	azd("hooks", "run", "postprovision")
	if got := strings.TrimSpace(azd("env", "get-value", "AAD_APPLICATION_ID")); got != firstApp {
		t.Errorf("the hook left %q in the environment, want %q", got, firstApp)
	}
	wantText(t, azd("hooks", "run", "postprovision"), "https://func-1.azurewebsites.net/Views/TwitterOAuth")
	wantText(t, azd("hooks", "run", "predown"), "There is no archive")

	azd("deploy")
	if !bytes.Equal(c.azure().Deployed, zip) {
		t.Errorf("azd deploy deployed %d bytes, want the package's %d", len(c.azure().Deployed), len(zip))
	}
}
