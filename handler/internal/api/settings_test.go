package api

import (
	"encoding/json"
	"strings"
	"testing"

	"xarchive/handler/internal/secrets"
)

func TestConfiguration(t *testing.T) {
	w := newWorld(t)
	const path = "/api/Configuration"
	read := func() map[string]string {
		t.Helper()
		status, body, _ := w.call("GET", path, "")
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); status != 200 || err != nil || len(got) != 7 {
			t.Fatalf("%d %s", status, body)
		}
		return got
	}
	set := func(want ...string) {
		t.Helper()
		got := read()
		for _, name := range want {
			if got[name] != mask {
				t.Errorf("%s is %q, want the mask", name, got[name])
			}
			delete(got, name)
		}
		for name, value := range got {
			if value != "" {
				t.Errorf("%s is %q, and was not set", name, value)
			}
		}
	}
	set("TwitterApiKeyValue", "TwitterApiSecretKeyValue")
	w.expect("POST", path, `{"TwitterApiKeyValue":" a-key ","twitterapisecretkeyvalue":"hush","AADAppUriValue":"https://contoso.example/x","AADAppIdValue":"","TwitterAccessTokenValue":null,"Unknown":"x"}`, 200, "true")
	for name, want := range map[string]string{secrets.TwitterAPIKey: "a-key", secrets.TwitterAPISecretKey: "hush", secrets.AADApplicationURI: "https://contoso.example/x", secrets.AADApplicationID: ""} {
		if got := w.Vault.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	set("TwitterApiKeyValue", "TwitterApiSecretKeyValue", "AADAppUriValue")

	// What was read may be sent back as it is: nothing changes.
	before := w.Vault.Requests()["SetSecret"]
	same, err := json.Marshal(read())
	if err != nil {
		t.Fatal(err)
	}
	w.expect("POST", path, string(same), 200, "true")
	w.expect("POST", path, `{}`, 200, "true")
	if n := w.Vault.Requests()["SetSecret"] - before; n != 0 {
		t.Errorf("%d secrets were written", n)
	}
	if strings.Contains(w.Log.String(), "hush") || strings.Contains(w.Log.String(), "a-key") {
		t.Errorf("the log holds a secret: %s", w.Log)
	}
}

func TestConfigurationRefused(t *testing.T) {
	w := newWorld(t)
	const path = "/api/Configuration"
	for body, want := range map[string]string{
		"":                            "JSON object",
		`[]`:                          "JSON object",
		`{"TwitterApiKeyValue":7}`:    "cannot be a JSON number",
		`{"TwitterApiKeyValue":{}}`:   "cannot be a JSON object",
		`{"TwitterApiKeyValue":"a`:    "well-formed",
		`{"AADAppIdValue":"a b"}`:     "AADAppIdValue has white space",
		`{"AADAppIdValue":"a\u0000"}`: "AADAppIdValue has white space",
		`{"TwitterApiKeyValue":"good","AADAppSecretValue":"` + strings.Repeat("x", 4097) + `"}`: "AADAppSecretValue is longer",
	} {
		w.expect("POST", path, body, 400, want)
	}
	w.expect("POST", path, `{"AADAppIdValue":"`+strings.Repeat("x", maxBody)+`"}`, 413, "longer than")
	if n := w.Vault.Requests()["SetSecret"]; n != 0 {
		t.Errorf("%d secrets were written", n)
	}

	// A vault that fails in the middle: it is said what was saved until then.
	w.Vault.Refuse("PUT", secrets.AADApplicationID)
	w.expect("POST", path, `{"TwitterApiKeyValue":"hush","AADAppIdValue":"id","AADAppSecretValue":"s"}`, 503, "Saved were only TwitterApiKeyValue.")
	w.expect("POST", path, `{"AADAppIdValue":"id"}`, 503, "Key Vault Secrets Officer")
	if w.Vault.Value(secrets.TwitterAPIKey) != "hush" || w.Vault.Value(secrets.AADApplicationSecret) != "" {
		t.Error("saved is not what was said")
	}
	w.Vault.Refuse("", "")

	w.Vault.Forbid(true)
	w.expect("GET", path, "", 503, "Key Vault Secrets Officer")
}
