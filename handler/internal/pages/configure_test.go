package pages

import (
	"errors"
	"strings"
	"testing"

	"xarchive/handler/internal/secrets"
)

func TestSettings(t *testing.T) {
	w := newWorld(t)
	w.secrets.values[secrets.TwitterAPIKey] = "an old value"
	b := w.browser()
	b.signIn("/Configure")
	b.has("API Key set", "API Secret Key not set", "Changed 4 Mar 2026, 05:06 UTC", "From Key Vault contoso.vault.azure.net.", w.server.URL+"/Views/TwitterOAuth", "Open Microsoft's consent page")
	if strings.Contains(b.page, "an old value") {
		t.Error("the page shows a secret")
	}
	b.post("/Configure", 303, "do", "save", "TwitterApiSecretKeyValue", " new ", "AADAppIdValue", "id", "TwitterApiKeyValue", "")
	b.get(b.location(), 200, "2 settings are saved.")
	if v := w.secrets.values; v[secrets.TwitterAPISecretKey] != "new" || v[secrets.AADApplicationID] != "id" || v[secrets.TwitterAPIKey] != "an old value" {
		t.Errorf("%v", v)
	}
	b.post("/Configure", 400, "do", "save", "AADAppIdValue", "with space in it")
	b.has("Application (client) ID has white space")
	if strings.Contains(b.page, "with space in it") {
		t.Error("the page repeats what was typed")
	}
	w.secrets.failures[secrets.AADApplicationSecret] = secrets.ErrForbidden
	b.post("/Configure", 503, "do", "save", "AADAppSecretValue", "hush")
	b.has("Key Vault Secrets Officer", "Nothing was saved.")
	w.secrets.failure = secrets.ErrUnavailable
	b.get("/Configure", 503, "cannot reach its Key Vault", "Save settings")
	if strings.Contains(b.page, "not set") {
		t.Error("what cannot be read is said not to be set")
	}
	if strings.Contains(w.log.String(), "hush") {
		t.Errorf("the log holds a secret: %s", w.log)
	}
}

func TestSettingsWithoutAVault(t *testing.T) {
	w := newWorld(t)
	w.secrets.readOnly = true
	b := w.browser()
	b.signIn("/Configure")
	b.has("The settings come from the environment", "KEY_VAULT_URL")
	if strings.Contains(b.page, "Save settings") {
		t.Error("the page offers to save")
	}
	b.post("/Configure", 409, "do", "save", "AADAppIdValue", "id")
	b.has("cannot be saved")
	b.post("/Configure", 200, "do", "test")
	b.has("No Key Vault is set; secrets come from the environment.")
}

func TestConnectionTest(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Configure")
	b.post("/Configure", 200, "do", "test")
	b.has("X works", "Microsoft Entra works", "Storage works", "Key Vault works")
	if w.check.callback != w.server.URL+"/Views/TwitterOAuth" {
		t.Errorf("X is tried with %s", w.check.callback)
	}
	w.check.entra = errors.New("The client secret has expired.")
	w.check.storage = errors.New("A container <is> not there.")
	b.post("/Configure", 200, "do", "test")
	b.has("X works", "Microsoft Entra failed The client secret has expired.", "Storage failed A container <is> not there.")
}
