package pages

import (
	"errors"
	"strings"
	"testing"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/secrets"
)

func TestSettings(t *testing.T) {
	w := newWorld(t)
	w.Vault.Put(secrets.TwitterAPIKey, "an old value")
	w.Vault.Put(secrets.TwitterAPISecretKey, "")
	b := w.browser()
	b.signIn("/Configure")
	b.has("API Key set", "API Secret Key not set", "Changed ", "From Key Vault "+strings.TrimPrefix(w.Vault.URL(), "https://"), w.server.URL+"/Views/TwitterOAuth", "Open Microsoft's consent page")
	if strings.Contains(b.page, "an old value") {
		t.Error("the page shows a secret")
	}
	b.post("/Configure", 303, "do", "save", "TwitterApiSecretKeyValue", " new ", "AADAppIdValue", "id", "TwitterApiKeyValue", "")
	b.get(b.location(), 200, "2 settings are saved.")
	for name, want := range map[string]string{secrets.TwitterAPISecretKey: "new", secrets.AADApplicationID: "id", secrets.TwitterAPIKey: "an old value"} {
		if got := w.Vault.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	b.post("/Configure", 400, "do", "save", "AADAppIdValue", "with space in it")
	b.has("Application (client) ID has white space")
	if strings.Contains(b.page, "with space in it") {
		t.Error("the page repeats what was typed")
	}
	w.Vault.Refuse("PUT", secrets.AADApplicationSecret)
	b.post("/Configure", 503, "do", "save", "AADAppSecretValue", "hush")
	b.has("Key Vault Secrets Officer", "Nothing was saved.")
	w.Vault.Refuse("GET", secrets.TwitterAPIKey)
	b.get("/Configure", 503, "The Key Vault refuses the connector", "Save settings")
	if strings.Contains(b.page, "not set") {
		t.Error("what cannot be read is said not to be set")
	}
	if strings.Contains(w.Log.String(), "hush") {
		t.Errorf("the log holds a secret: %s", w.Log)
	}
}

func TestSettingsWithoutAVault(t *testing.T) {
	w := newWorld(t)
	w.withoutVault()
	b := w.browser()
	b.signIn("/Configure")
	b.has("The settings come from the environment", "KEY_VAULT_URL")
	if strings.Contains(b.page, "Save settings") {
		t.Error("the page offers to save")
	}
	b.post("/Configure", 409, "do", "save", "AADAppIdValue", "id")
	b.has("cannot be saved")
}

func TestConnectionTest(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Configure")
	b.post("/Configure", 200, "do", "test")
	b.has("X works", "Microsoft Entra works", "Storage works", "Key Vault works")
	if w.tried != w.callback {
		t.Errorf("X is tried with %s", w.tried)
	}
	w.fails["Microsoft Entra"] = fault.RefuseWith(fault.EntraSignIn, "The client secret has expired.", errors.New("inner detail"))
	w.fails["Storage"] = fault.RefuseWith(fault.Storage, "A container <is> not there.", errors.New("inner detail"))
	b.post("/Configure", 200, "do", "test")
	b.has("X works", "Microsoft Entra failed The client secret has expired.", "Storage failed A container <is> not there.")
	if strings.Contains(b.page, "inner detail") || !strings.Contains(w.Log.String(), "inner detail") {
		t.Error("what is behind the words is on the page, or not in the log")
	}
}
