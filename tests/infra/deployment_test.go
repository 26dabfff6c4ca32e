package infra

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// setUp runs the hooks' program as somebody does who has neither azd nor Go.
func (c *cloud) setUp(args ...string) (printed string, err error) {
	c.t.Helper()
	program, err := hooksProgram()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"-wait", "1ms", "-deployment", "xarchive-prod"}, args...)...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + c.dir, "HOME=" + c.dir, "TMPDIR=" + c.dir, statePlace + "=" + c.state}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// withoutAzd makes everything from a deployment alone, twice, and returns what Azure has.
func withoutAzd(t *testing.T) *azure {
	t.Helper()
	c := newCloud(t, func(a *azure) { a.Deployment, a.Env = a.Env, map[string]string{} })
	if err := os.Remove(filepath.Join(c.dir, "azd")); err != nil {
		t.Fatal(err)
	}
	zip := filepath.Join(c.dir, "xarchive-connector-1.2.3.zip")
	if err := os.WriteFile(zip, []byte("zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		printed, err := c.setUp("postprovision")
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		wantText(t, printed, "https://func-1.azurewebsites.net/Views/TwitterOAuth", firstApp, "NOBODY IS TOLD", "alertEmail=")
		if strings.Contains(printed, "azd") {
			t.Errorf("it speaks of azd:\n%s", printed)
		}
	}
	if printed, err := c.setUp("-zip", zip, "postdeploy"); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	if printed, err := c.setUp("predown"); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	return c.azure()
}

// TestWithoutAzd: with a deployment that az or the portal has made, the hooks do the same
// as with azd, and once only.
func TestWithoutAzd(t *testing.T) {
	a := withoutAzd(t)
	if len(a.Apps) != 1 || len(a.ClientSecret) != 1 || len(a.Principals) != 1 {
		t.Errorf("%d apps, %d secrets, %d principals; want one of each", len(a.Apps), len(a.ClientSecret), len(a.Principals))
	}
	if app := a.Apps[firstApp]; app == nil || app.Name != "X archive connector prod" {
		t.Errorf("%+v", a.Apps)
	}
	for _, name := range []string{"aad-application-id", "aad-application-secret", "aad-application-uri", "api-secret-key"} {
		if a.Vault[name].Value == "" {
			t.Errorf("Key Vault lacks %s", name)
		}
	}
	if string(a.Deployed) != "zip" {
		t.Errorf("deployed %q", a.Deployed)
	}
}

// TestWithoutAzdSaysWhatToDo: no word of azd to those who do not have it.
func TestWithoutAzdSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*azure)
		args   []string
		wants  []string
	}{
		{"no deployment of that name", func(a *azure) { a.Deployment = nil }, []string{"postprovision"}, []string{"xarchive-prod", "az deployment sub list"}},
		{"it has failed", func(a *azure) { delete(a.Deployment, "KEY_VAULT_NAME") }, []string{"postprovision"}, []string{"KEY_VAULT_NAME", "has it succeeded"}},
		{"may not register", func(a *azure) {
			a.Refusals = []refusal{{"az ad app create", 1, 1, "Authorization_RequestDenied"}}
		}, []string{"postprovision"}, []string{"xarchive-setup -deployment xarchive-prod postprovision"}},
		{"two apps", func(a *azure) {
			a.Apps["a"], a.Apps["b"] = &entraApp{Name: "X archive connector prod"}, &entraApp{Name: "X archive connector prod"}
		}, []string{"postprovision"}, []string{"2 Entra apps", "AAD_APPLICATION_ID=<id> xarchive-setup"}},
		{"no right in the vault", func(a *azure) {
			a.Refusals = []refusal{{"az keyvault secret list", 30, 1, "(Forbidden)"}}
		}, []string{"postprovision"}, []string{"Key Vault Secrets Officer", "allowedIpAddresses="}},
		{"no zip", nil, []string{"postdeploy"}, []string{"-zip"}},
		{"the deployment of the zip fails", func(a *azure) {
			a.Refusals = []refusal{{"az functionapp deployment", 1, 1, "the site does not answer"}}
		}, []string{"-zip", "x.zip", "postdeploy"}, []string{"the site does not answer", "xarchive-setup -deployment xarchive-prod postdeploy"}},
		{"an archive would go", func(a *azure) {
			a.Archives = []archiveAccount{{Name: "st1", ID: "/st1", Tag: "xarchive-archive=prod"}}
			a.Metrics = []byte(`{"value":[]}`)
		}, []string{"predown"}, []string{"refused", "ALLOW_ARCHIVE_DELETION=st1 xarchive-setup -deployment xarchive-prod predown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cloud := newCloud(t, func(a *azure) {
				a.Deployment, a.Env = a.Env, map[string]string{}
				if c.change != nil {
					c.change(a)
				}
			})
			printed, err := cloud.setUp(c.args...)
			if err == nil {
				t.Error("it goes on")
			}
			wantText(t, printed, c.wants...)
			if strings.Contains(printed, "azd") {
				t.Errorf("it speaks of azd:\n%s", printed)
			}
		})
	}
}
