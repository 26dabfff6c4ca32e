package infra

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	testTenant = "5f8a1c1e-7a52-4d0e-9d0b-3b6f0e6f2a10"
	firstApp   = "00000000-0000-4000-8000-000000000001"
	importID   = "570d0bec-d001-4c4e-985e-3ab17fdc3073"
)

// hooksProgram is scripts/azure, built once.
var hooksProgram = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(filepath.Join(root, "build", "test"))
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "azure")
	return program, exec.Command("go", "build", "-o", program, root+"/scripts/azure").Run()
})

// cloud is a subscription behind stand-ins for az and azd.
type cloud struct {
	t     *testing.T
	dir   string
	state string
}

func newCloud(t *testing.T, change func(*azure)) *cloud {
	t.Helper()
	c := &cloud{t: t, dir: t.TempDir()}
	c.state = filepath.Join(c.dir, "azure.json")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"az", "azd"} {
		if err := os.Symlink(self, filepath.Join(c.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	a := &azure{Tenant: testTenant, Apps: map[string]*entraApp{}, Vault: map[string]vaultSecret{}, Env: map[string]string{
		"AZURE_ENV_NAME": "prod", "AZURE_SUBSCRIPTION_ID": "sub", "KEY_VAULT_NAME": "kv-1", "CONNECTOR_URL": "https://func-1.azurewebsites.net/",
		"AZURE_RESOURCE_GROUP": "rg-prod", "CONNECTOR_APP_NAME": "func-1"}}
	if change != nil {
		change(a)
	}
	a.save(c.state)
	return c
}

func (c *cloud) azure() *azure { return loadAzure(c.state) }

func (c *cloud) change(f func(*azure)) {
	a := c.azure()
	f(a)
	a.save(c.state)
}

// command is a hook as azd runs it, and the folder for its temporary files.
func (c *cloud) command(program, hook string, env ...string) (cmd *exec.Cmd, temp string) {
	c.t.Helper()
	temp = filepath.Join(c.dir, "temp")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		c.t.Fatal(err)
	}
	cmd = exec.Command(program, "-wait", "1ms", hook)
	cmd.Dir = root // where azd runs hooks
	cmd.Env = append([]string{"PATH=" + c.dir, "TMPDIR=" + temp, "HOME=" + c.dir, statePlace + "=" + c.state}, env...)
	for name, value := range c.azure().Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd, temp
}

// run runs a hook as azd does, with its environment, and returns what it printed
// and the calls that it made.
func (c *cloud) run(hook string, env ...string) (printed string, calls []string, err error) {
	c.t.Helper()
	program, err := hooksProgram()
	if err != nil {
		c.t.Fatal(err)
	}
	c.change(func(a *azure) { a.Calls = nil })
	cmd, temp := c.command(program, hook, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	after := c.azure()
	// Whatever happened: no secret on a command line or on the screen, no file left.
	secrets := slices.Clone(after.ClientSecret)
	for _, name := range []string{"api-secret-key", "aad-application-secret"} {
		if s := after.Vault[name].Value; s != "" {
			secrets = append(secrets, s)
		}
	}
	for _, s := range secrets {
		if strings.Contains(out.String(), s) || strings.Contains(strings.Join(after.Calls, "\n"), s) {
			c.t.Errorf("%s shows the secret %s", hook, s)
		}
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		c.t.Errorf("%s leaves %v behind", hook, left)
	}
	return out.String(), after.Calls, err
}

// changing are the calls that change something.
func changing(calls []string) (found []string) {
	for _, c := range calls {
		for _, word := range []string{" create", " update", " reset", " set ", " delete"} {
			if strings.Contains(c, word) {
				found = append(found, c)
				break
			}
		}
	}
	return found
}

func wantText(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("want %q in:\n%s", w, text)
		}
	}
}

func TestPostprovisionMakesEverythingOnce(t *testing.T) {
	c := newCloud(t, nil)
	printed, calls, err := c.run("postprovision")
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	a := c.azure()
	app := a.Apps[firstApp]
	if len(a.Apps) != 1 || app.Name != "X archive connector prod" || !slices.Equal(app.URIs, []string{"api://" + firstApp}) {
		t.Errorf("apps: %+v", app)
	}
	if !slices.Equal(a.Principals, []string{firstApp}) || a.Env["AAD_APPLICATION_ID"] != firstApp {
		t.Errorf("service principals %v, remembered %q", a.Principals, a.Env["AAD_APPLICATION_ID"])
	}
	for name, want := range map[string]string{
		"aad-application-id":     firstApp,
		"aad-application-uri":    "api://" + firstApp,
		"aad-application-secret": "client-secret~1.x", // no line end
	} {
		if got := a.Vault[name].Value; got != want {
			t.Errorf("%s: want %q, got %q", name, want, got)
		}
	}
	if key := a.Vault["api-secret-key"].Value; len(key) < 43 {
		t.Errorf("api-secret-key has %d characters, want 32 random bytes", len(key))
	}
	ends, err := time.Parse(time.RFC3339, a.Vault["aad-application-secret"].Expires)
	if days := time.Until(ends).Hours() / 24; err != nil || days < 364 || days > 366 {
		t.Errorf("the client secret's end in Key Vault: %v %v", ends, err)
	}
	for i, want := range []string{"Reader", "Administrator"} {
		if len(app.Roles) != 2 || app.Roles[i]["value"] != want || app.Roles[i]["isEnabled"] != true || len(app.Roles[i]["id"].(string)) != 36 || len(app.Roles[i]["allowedMemberTypes"].([]any)) != 1 {
			t.Errorf("roles: %v", app.Roles)
		}
	}
	if !slices.Equal(app.Redirects, []string{"https://func-1.azurewebsites.net/Views/Entra/Return"}) {
		t.Errorf("redirect URIs: %v", app.Redirects)
	}
	wantText(t, printed, "https://func-1.azurewebsites.net/Views/TwitterOAuth", "Enterprise applications, the app "+firstApp, "Connector URL                 https://func-1.azurewebsites.net\n",
		"Azure App ID                  "+firstApp, "Tenant ID                     "+testTenant,
		"az keyvault secret show --vault-name kv-1 --name api-secret-key",
		"https://login.microsoftonline.com/"+testTenant+"/oauth2/authorize?client_id="+importID+"&", "prompt=admin_consent")
	if len(changing(calls)) != 10 {
		t.Errorf("want 10 changes (app, environment, service principal, URI, client secret, four secrets, roles with the redirect URI), got\n%s", strings.Join(changing(calls), "\n"))
	}

	c.change(func(a *azure) { a.Principals = append(a.Principals, importID) })
	before := c.azure()
	printed, calls, err = c.run("postprovision")
	if err != nil || len(changing(calls)) != 0 {
		t.Errorf("the second run: %v, changes\n%s\n%s", err, strings.Join(changing(calls), "\n"), printed)
	}
	if after := c.azure(); !maps.Equal(before.Vault, after.Vault) {
		t.Error("the second run changed secrets")
	}
	wantText(t, printed, "its consent was given before", "/Views/TwitterOAuth")
	if strings.Contains(printed, "admin_consent") {
		t.Error("asks again for a consent that was given")
	}
}

func TestPostprovisionKeepsWhatIsRight(t *testing.T) {
	c := newCloud(t, func(a *azure) {
		a.Apps["app-9"] = &entraApp{Name: "X archive connector prod", URIs: []string{"https://contoso.example/x"},
			Roles:     []map[string]any{{"id": "1", "value": "Auditor"}, {"id": "2", "value": "Reader", "isEnabled": false, "description": "ours"}},
			Redirects: []string{"https://contoso.example/elsewhere"}}
		a.Principals = []string{"app-9"}
		a.Vault["api-secret-key"] = vaultSecret{Value: "chosen by an admin"}
		a.Vault["aad-application-secret"] = vaultSecret{Value: "of a person", Expires: time.Now().Add(10 * 24 * time.Hour).UTC().Format(time.RFC3339)}
		a.Vault["aad-application-id"] = vaultSecret{Value: "app-9"}
	})
	printed, calls, err := c.run("postprovision")
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	a := c.azure()
	if a.Vault["api-secret-key"].Value != "chosen by an admin" || a.Vault["aad-application-secret"].Value != "of a person" ||
		a.Vault["aad-application-uri"].Value != "https://contoso.example/x" {
		t.Errorf("vault: %v", a.Vault)
	}
	app := a.Apps["app-9"]
	if len(app.Roles) != 3 || app.Roles[0]["value"] != "Auditor" || app.Roles[1]["description"] != "ours" || app.Roles[1]["isEnabled"] != false || app.Roles[2]["value"] != "Administrator" ||
		!slices.Equal(app.Redirects, []string{"https://contoso.example/elsewhere", "https://func-1.azurewebsites.net/Views/Entra/Return"}) {
		t.Errorf("the app has %+v", app)
	}
	if len(changing(calls)) != 3 {
		t.Errorf("want the environment, the URI's secret, and the role and address that are missing, and nothing else, got\n%s", strings.Join(changing(calls), "\n"))
	}
	wantText(t, printed, "ends on", "ROTATE_AAD_SECRET=yes")

	if printed, _, err = c.run("postprovision", "ROTATE_AAD_SECRET=yes", "ROTATE_API_SECRET_KEY=yes"); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	a = c.azure()
	if a.Vault["aad-application-secret"].Value != "client-secret~1.x" || a.Vault["api-secret-key"].Value == "chosen by an admin" {
		t.Error("asked to, but did not rotate")
	}
}

func TestPostprovisionTakesUpWhatWasCutShort(t *testing.T) {
	c := newCloud(t, func(a *azure) {
		a.Refusals = []refusal{{"az keyvault secret set", 1, 1, "the connection was reset"}}
	})
	printed, _, err := c.run("postprovision")
	if err == nil {
		t.Fatal("a failure to save was passed over")
	}
	wantText(t, printed, "aad-application-secret", "kv-1", "connection was reset")
	if printed, _, err = c.run("postprovision"); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	a := c.azure()
	if len(a.Apps) != 1 || a.Vault["aad-application-secret"].Value != "client-secret~2.x" || a.Vault["aad-application-id"].Value != firstApp {
		t.Errorf("apps %d, vault %v", len(a.Apps), a.Vault)
	}
}

// Another app than the one whose secret is in the vault needs a secret of its own.
func TestPostprovisionNoticesAnotherApp(t *testing.T) {
	c := newCloud(t, func(a *azure) {
		a.Vault["aad-application-id"] = vaultSecret{Value: "gone"}
		a.Vault["aad-application-secret"] = vaultSecret{Value: "of the one that is gone"}
	})
	if printed, _, err := c.run("postprovision"); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	if v := c.azure().Vault; v["aad-application-id"].Value != firstApp || v["aad-application-secret"].Value != "client-secret~1.x" {
		t.Errorf("vault: %v", v)
	}
}

func TestPostprovisionWaitsForWhatAzureNeedsAWhileFor(t *testing.T) {
	c := newCloud(t, func(a *azure) {
		a.Refusals = []refusal{
			{"az keyvault secret list", 3, 1, "(Forbidden) Caller is not authorized to perform action on resource."},
			{"az ad sp create", 2, 3, "Resource '" + firstApp + "' does not exist."},
			{"az ad app credential reset", 1, 3, "Resource '" + firstApp + "' does not exist."},
		}
	})
	printed, _, err := c.run("postprovision")
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	wantText(t, printed, "Waiting until Azure knows your role in Key Vault kv-1")
	if len(c.azure().Vault) != 4 {
		t.Errorf("vault: %v", c.azure().Vault)
	}
}

// TestPostprovisionLocksNobodyOut: where the directory does not let the app be changed, all else
// is made, and it is said who has to do it; the next run adds what is missing.
func TestPostprovisionLocksNobodyOut(t *testing.T) {
	c := newCloud(t, func(a *azure) {
		a.Apps["app-9"] = &entraApp{Name: "X archive connector prod", URIs: []string{"api://app-9"}}
		a.Principals = []string{"app-9"}
		a.Refusals = []refusal{{"az ad app update", 1, 1, "Insufficient privileges (Authorization_RequestDenied)"}}
	})
	printed, _, err := c.run("postprovision")
	if err != nil || len(c.azure().Vault) != 4 {
		t.Fatalf("%v, vault %v\n%s", err, c.azure().Vault, printed)
	}
	wantText(t, printed, "Nobody can sign in with Microsoft yet", "https://func-1.azurewebsites.net/Views/Entra/Return", "azd hooks run postprovision", "APISecretKey works without")
	printed, calls, err := c.run("postprovision")
	if app := c.azure().Apps["app-9"]; err != nil || len(app.Roles) != 2 || len(app.Redirects) != 1 || len(changing(calls)) != 1 {
		t.Errorf("%v, the app has %+v\n%s", err, app, printed)
	}
}

func TestPostprovisionSaysWhatToDo(t *testing.T) {
	for name, f := range map[string]struct {
		change func(*azure)
		env    []string
		want   []string
	}{
		"not provisioned": {func(a *azure) { delete(a.Env, "KEY_VAULT_NAME") }, nil, []string{"KEY_VAULT_NAME", "azd provision"}},
		"not signed in": {func(a *azure) { a.Refusals = []refusal{{"az account show", 9, 1, "Please run 'az login'"}} }, nil,
			[]string{"az login"}},
		"another tenant": {nil, []string{"TENANT_ID=0f8fad5b-d9cb-469f-a165-70867728950e"},
			[]string{"az login --tenant 0f8fad5b-d9cb-469f-a165-70867728950e"}},
		"no role in the vault": {func(a *azure) { a.Refusals = []refusal{{"az keyvault secret list", 99, 1, "(Forbidden) denied"}} }, nil,
			[]string{"Key Vault Secrets Officer", "ALLOWED_IP_ADDRESSES", "(Forbidden) denied"}},
		"may not register": {func(a *azure) {
			a.Refusals = []refusal{{"az ad app create", 1, 1, "Insufficient privileges (Authorization_RequestDenied)"}}
		}, nil, []string{"Application Developer", "azd hooks run postprovision"}},
		"two apps": {func(a *azure) {
			a.Apps["a"] = &entraApp{Name: "X archive connector prod"}
			a.Apps["b"] = &entraApp{Name: "X archive connector prod"}
		}, nil, []string{"2 Entra apps", "azd env set AAD_APPLICATION_ID", "a, b"}},
		"the app is gone":       {func(a *azure) { a.Env["AAD_APPLICATION_ID"] = "gone" }, nil, []string{"gone", "does not exist"}},
		"the directory is awry": {func(a *azure) { a.Refusals = []refusal{{"az ad sp show", 1, 1, "Gateway Timeout"}} }, nil, []string{"Gateway Timeout"}},
		"deleted in Key Vault": {func(a *azure) {
			a.Refusals = []refusal{{"az keyvault secret set", 1, 1, "(Conflict) ObjectIsDeletedButRecoverable"}}
		}, nil, []string{"az keyvault secret recover --vault-name kv-1 --name aad-application-secret"}},
		"az answers no password": {func(a *azure) { a.Refusals = []refusal{{"az ad app credential reset", 1, 0, ""}} }, nil, []string{"Entra app"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, f.change)
			printed, _, err := c.run("postprovision", f.env...)
			if err == nil {
				t.Errorf("went through:\n%s", printed)
			}
			wantText(t, printed, f.want...)
		})
	}
}

func TestPreprovision(t *testing.T) {
	if printed, calls, err := newCloud(t, nil).run("preprovision", "TENANT_ID="+strings.ToUpper(testTenant)); err != nil || len(changing(calls)) > 0 {
		t.Errorf("%v %v\n%s", err, calls, printed)
	}
	c := newCloud(t, nil)
	if err := os.Remove(filepath.Join(c.dir, "az")); err != nil {
		t.Fatal(err)
	}
	printed, _, err := c.run("preprovision")
	if err == nil {
		t.Error("went on without az")
	}
	wantText(t, printed, "https://aka.ms/azure-cli", "az login")
}

func TestPredown(t *testing.T) {
	archive := func(a *azure) {
		a.Archives = []archiveAccount{{"starch1", "/subscriptions/sub/starch1", "xarchive-archive=prod"}, {"starch2", "/x", "xarchive-archive=test"}}
		a.Metrics = json.RawMessage(`{"value":[
			{"name":{"value":"BlobCount"},"timeseries":[{"data":[{"average":1},{"average":41234},{"average":null}]}]},
			{"name":{"value":"BlobCapacity"},"timeseries":[{"data":[{"average":3145728}]}]}]}`)
	}
	t.Run("refuses and says what would go", func(t *testing.T) {
		printed, _, err := newCloud(t, archive).run("predown")
		if err == nil {
			t.Error("let the archive be deleted")
		}
		wantText(t, printed, "starch1", "about 41234 blobs, 3.0 MiB", "ALLOW_ARCHIVE_DELETION=starch1 azd down")
		if strings.Contains(printed, "starch2") {
			t.Error("speaks of another environment's archive")
		}
	})
	for _, flag := range []string{"yes", "starch", "starch2", "STARCH1"} {
		if _, _, err := newCloud(t, archive).run("predown", "ALLOW_ARCHIVE_DELETION="+flag); err == nil {
			t.Errorf("%q let the archive be deleted", flag)
		}
	}
	t.Run("goes on when the archive is named", func(t *testing.T) {
		printed, calls, err := newCloud(t, archive).run("predown", "ALLOW_ARCHIVE_DELETION=starch1")
		if err != nil || len(changing(calls)) > 0 {
			t.Errorf("%v %v\n%s", err, calls, printed)
		}
		wantText(t, printed, "starch1", "about 41234 blobs")
	})
	t.Run("nothing there", func(t *testing.T) {
		if printed, _, err := newCloud(t, nil).run("predown"); err != nil {
			t.Errorf("%v\n%s", err, printed)
		}
	})
	t.Run("refuses when it cannot look", func(t *testing.T) {
		c := newCloud(t, func(a *azure) {
			archive(a)
			a.Refusals = []refusal{{"az resource list", 1, 1, "Please run 'az login'"}}
		})
		printed, _, err := c.run("predown", "ALLOW_ARCHIVE_DELETION=starch1")
		if err == nil {
			t.Error("went on blindly")
		}
		wantText(t, printed, "nothing is deleted", "az login")
	})
	t.Run("no figures yet", func(t *testing.T) {
		c := newCloud(t, func(a *azure) { archive(a); a.Metrics = json.RawMessage(`{"value":[]}`) })
		printed, _, err := c.run("predown")
		if err == nil {
			t.Error("let the archive be deleted")
		}
		wantText(t, printed, "not counted")
	})
}

// TestHookLeavesNoSecretBehind: while az saves a secret nothing of it is in a file, and
// the hook ends when it is told to or its terminal is closed.
func TestHookLeavesNoSecretBehind(t *testing.T) {
	program, err := hooksProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		t.Run(end.String(), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, func(a *azure) { a.HangOn = "aad-application-secret" })
			cmd, temp := c.command(program, "postprovision")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			saving := func() bool {
				text, err := os.ReadFile(c.state) // it may be half written just now
				return err == nil && strings.Contains(string(text), "--name aad-application-secret --file")
			}
			for !saving() {
				select {
				case err := <-ended:
					t.Fatalf("the hook ended before it saved the secret: %v", err)
				case <-time.After(10 * time.Millisecond):
				}
			}
			if files, _ := os.ReadDir(temp); len(files) > 0 {
				t.Errorf("the secret goes through %v", files)
			}
			if err := cmd.Process.Signal(end); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				t.Error("the hook says that all is well")
			}
			if files, _ := os.ReadDir(temp); len(files) > 0 {
				t.Errorf("%v are left behind", files)
			}
		})
	}
}

// TestPostprovisionSaysWhatIsMissing: nobody to be told, and messages that can be
// deleted, are said where people look; what is set is not.
func TestPostprovisionSaysWhatIsMissing(t *testing.T) {
	const nobody, deletable = "NOBODY IS TOLD", "MESSAGES CAN BE DELETED"
	for _, c := range []struct {
		env    []string
		mail   bool // is said
		delete bool
	}{
		{nil, true, true},
		{[]string{"ALERT_EMAIL=operator@contoso.example", "ARCHIVE_IMMUTABILITY_DAYS=0"}, false, true},
		{[]string{"ALERT_ACTION_GROUP_ID=/subscriptions/…", "ARCHIVE_IMMUTABILITY_DAYS=2557"}, false, false},
	} {
		printed, _, err := newCloud(t, nil).run("postprovision", c.env...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(printed, nobody) != c.mail || strings.Contains(printed, deletable) != c.delete {
			t.Errorf("with %v it says\n%s", c.env, printed)
		}
	}
}
