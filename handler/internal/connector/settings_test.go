package connector

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/secrets"
)

const nothingSet = `{"AADAppIdValue":"","AADAppSecretValue":"","AADAppUriValue":"","TwitterAccessTokenSecretValue":"","TwitterAccessTokenValue":"","TwitterApiKeyValue":"","TwitterApiSecretKeyValue":""}`

func TestConfiguration(t *testing.T) {
	w := newWorld(t)
	const path = "/api/Configuration"
	w.expect("GET", path, "", 200, nothingSet)

	w.expect("POST", path, `{"TwitterApiKeyValue":" a-key ","twitterapisecretkeyvalue":"hush","AADAppUriValue":"https://contoso.example/x","AADAppIdValue":"","TwitterAccessTokenValue":null,"Unknown":"x"}`, 200, "true")
	want := []string{secrets.TwitterAPIKey, secrets.TwitterAPISecretKey, secrets.AADApplicationURI}
	if !slices.Equal(w.secrets.written, want) || w.secrets.values[secrets.TwitterAPIKey] != "a-key" || w.secrets.values[secrets.TwitterAPISecretKey] != "hush" {
		t.Errorf("written %v: %v", w.secrets.written, w.secrets.values)
	}
	masked := strings.NewReplacer(`"AADAppUriValue":""`, `"AADAppUriValue":"********"`, `"TwitterApiKeyValue":""`, `"TwitterApiKeyValue":"********"`, `"TwitterApiSecretKeyValue":""`, `"TwitterApiSecretKeyValue":"********"`).Replace(nothingSet)
	w.expect("GET", path, "", 200, masked)

	// What was read may be sent back as it is: nothing changes.
	w.expect("POST", path, masked, 200, "true")
	w.expect("POST", path, `{}`, 200, "true")
	if len(w.secrets.written) != 3 {
		t.Errorf("written %v", w.secrets.written)
	}
	if strings.Contains(w.log.String(), "hush") || strings.Contains(w.log.String(), "a-key") {
		t.Errorf("the log holds a secret: %s", w.log)
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
		`{"TwitterApiKeyValue":"good","AADAppSecretValue":"` + strings.Repeat("x", maxSetting+1) + `"}`: "AADAppSecretValue is longer",
	} {
		w.expect("POST", path, body, 400, want)
	}
	w.expect("POST", path, `{"AADAppIdValue":"`+strings.Repeat("x", maxBody)+`"}`, 413, "longer than")
	if len(w.secrets.written) != 0 {
		t.Errorf("written %v", w.secrets.written)
	}

	// A vault that fails in the middle: it is said what was saved until then.
	w.secrets.setFailures = map[string]error{secrets.AADApplicationID: secrets.ErrForbidden}
	w.expect("POST", path, `{"TwitterApiKeyValue":"hush","AADAppIdValue":"id","AADAppSecretValue":"s"}`, 503, "Saved were only TwitterApiKeyValue.")
	w.expect("POST", path, `{"AADAppIdValue":"id"}`, 503, "Key Vault Secrets Officer")
	if !slices.Equal(w.secrets.written, []string{secrets.TwitterAPIKey}) {
		t.Errorf("written %v", w.secrets.written)
	}
	w.secrets.setFailures = nil

	w.secrets.fail(secrets.ErrForbidden)
	w.secrets.cached = map[string]string{secrets.APISecretKey: secret}
	w.expect("GET", path, "", 503, "Key Vault Secrets Officer")
	w.secrets.fail(nil)

	w.secrets.readOnly = true
	w.expect("POST", path, `{"TwitterApiKeyValue":"x"}`, 409, "settings come from the environment")
	w.expect("POST", path, `{}`, 409, "settings come from the environment")
	status, body, _ := w.call("GET", path, "")
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); status != 200 || err != nil || len(got) != 7 || got["TwitterApiKeyValue"] != mask {
		t.Errorf("%d %s", status, body)
	}
}

// Every path with every method.
func TestMethods(t *testing.T) {
	w := newWorld(t)
	for path, allow := range map[string]string{
		"/setup/Validate": "GET, HEAD", "/job/IsCreated": "GET, HEAD", "/job/OnRemediation": "GET, HEAD",
		"/job/OnDeleted": "DELETE", "/data/OnDownloadRequest": "POST", "/api/Configuration": "GET, HEAD, POST",
		"/api/ConnectorSetup/OAuthUrl": "GET, HEAD", "/api/ConnectorSetup/StoreToken": "POST", "/api/ConnectorSetup/GetEntities": "GET, HEAD",
		"/api/ConnectorSetup/SavePage": "POST", "/api/ConnectorSetup/DeleteToken": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"} {
			status, body, h := w.call(method, path, "", "Authorization", "")
			allowed := slices.Contains(strings.Split(allow, ", "), method)
			switch {
			case allowed && status != 401:
				t.Errorf("%s %s without authorization: %d", method, path, status)
			case !allowed && (status != 405 || h.Get("Allow") != allow || method != "HEAD" && !strings.Contains(body, `{"Message":"This call is made with `+allow)):
				t.Errorf("%s %s: %d, Allow %q, %s", method, path, status, h.Get("Allow"), body)
			case method == "HEAD" && body != "":
				t.Errorf("HEAD %s has a body: %s", path, body)
			}
		}
	}
	if status, body, h := w.call("HEAD", "/setup/Validate", ""); status != 200 || body != "" || h.Get("Content-Type") == "" {
		t.Errorf("HEAD: %d %q", status, body)
	}
}
