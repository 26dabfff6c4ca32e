package browser

import (
	"slices"
	"strings"
	"testing"

	"xarchive/tests/sandbox"
)

// connections reads the outcome of a connection test: by name, what is said.
func (p *tab) connections() map[string]string {
	p.t.Helper()
	return ask[map[string]string](p, `Object.fromEntries([...document.querySelectorAll(".results li")].map(li =>
		[li.querySelector("h3").firstChild.textContent.trim(), li.querySelector(".tag").textContent + ": " + li.querySelector("p").textContent]))`)
}

// test presses the button and waits for the outcome.
func (p *tab) test() map[string]string {
	p.t.Helper()
	p.open("/Configure")
	p.press("Test connection")
	p.sees("Connections X ")
	return p.connections()
}

// wantConnections compares the outcome of a test: "" is working, other words must be
// in what is said.
func wantConnections(t *testing.T, got, failing map[string]string) {
	t.Helper()
	for _, name := range []string{"X", "Microsoft Entra", "Storage", "Key Vault"} {
		words := failing[name]
		want := "failed: "
		if words == "" {
			want = "works: "
		}
		if !strings.HasPrefix(got[name], want) || !strings.Contains(got[name], words) {
			t.Errorf("connection %s: %q, want %q with %q", name, got[name], want, words)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d connections are shown: %v", len(got), got)
	}
}

// TestConfigure is step 6 of the guide: enter the keys, see that they work, and be told
// what to do where they do not.
func TestConfigure(t *testing.T) {
	t.Parallel()
	s := world(t)
	p := newTab(t, s)

	p.open("/")
	p.heading("The connector is running")
	p.look("stranger")
	p.press("Sign in")
	p.heading("Sign in")
	p.look("sign-in")
	p.signIn("not the secret")
	p.sees("The tenant ID and the secret do not match.", "api-secret-key")
	p.look("sign-in-refused")
	p.signIn(sandbox.APISecretKey)
	p.heading("Ready for the first job")
	p.press("Settings")
	p.heading("Settings")
	p.look("settings")
	p.press("Save settings")
	p.sees("Nothing was entered, so nothing was saved.")

	t.Run("masked", func(t *testing.T) {
		type field struct{ Type, Value, Placeholder string }
		fields := ask[[]field](p, `[...document.querySelectorAll("main input:not([type=hidden])")].map(f => ({Type: f.type, Value: f.value, Placeholder: f.placeholder}))`)
		set := 0
		for _, f := range fields {
			if f.Type != "password" || f.Value != "" {
				t.Errorf("a setting's field is %+v", f)
			}
			if f.Placeholder != "" {
				set++
			}
		}
		if len(fields) != 7 || set != 5 { // the app's own access token is not set
			t.Errorf("%d settings, %d shown as set; want 7 and 5", len(fields), set)
		}
		source := ask[string](p, `document.documentElement.outerHTML`)
		for _, name := range []string{"twitter-api-key", "twitter-api-secret-key", "aad-application-id", "aad-application-secret", "aad-application-uri", "api-secret-key"} {
			value, ok := s.Vault.Get(name)
			public := name == "aad-application-id" || name == "aad-application-uri" // the Compliance Center asks for them
			if !ok || strings.Contains(source, value) != public {
				t.Errorf("the page holds the value of %s: %v, set %v", name, !public, ok)
			}
		}
	})

	right, _ := s.Vault.Get("aad-application-secret")
	p.fill("Client secret", "not-the-secret-of-the-application")
	p.press("Save settings")
	p.sees("One setting is saved.")
	p.look("settings-saved")
	if got, _ := s.Vault.Get("aad-application-secret"); got != "not-the-secret-of-the-application" {
		t.Error("what was saved is not in the vault")
	}
	if key, _ := s.Vault.Get("twitter-api-key"); key == "" {
		t.Error("a field left empty took a setting away")
	}
	wantConnections(t, p.test(), map[string]string{"Microsoft Entra": "The client secret is wrong. Enter the secret's Value, not its Secret ID"})
	p.look("connections-entra-refuses")
	p.fill("Client secret", right)
	p.press("Save settings")
	p.sees("One setting is saved.")

	wantConnections(t, p.test(), nil)
	if ask[string](p, `document.activeElement.id`) != "tested" {
		t.Error("the outcome of the test has not the focus")
	}
	p.look("connections")
	p.sees(s.HostURL + "/Views/TwitterOAuth") // what to register with X

	s.X.Down(true)
	wantConnections(t, p.test(), map[string]string{"X": "X cannot be reached."})
	s.X.Down(false)

	s.Vault.Forbid(true)
	refused := "The Key Vault refuses the connector. Give its identity the role Key Vault Secrets Officer"
	wantConnections(t, p.test(), map[string]string{"X": refused, "Microsoft Entra": refused, "Key Vault": refused})
	p.look("connections-key-vault-refuses")
	s.Vault.Forbid(false)

	s.Entra.Down(true)
	wantConnections(t, p.test(), map[string]string{"Microsoft Entra": "Entra cannot be reached"})
	s.Entra.Down(false)
}

// TestCallbackNotRegistered is an app at X that does not know the connector's
// address: whoever tests or signs in is told what to register, to the letter.
func TestCallbackNotRegistered(t *testing.T) {
	t.Parallel()
	s := worldWith(t, map[string]string{"WEBSITE_HOSTNAME": "localhost:7999"})
	const callback = "http://localhost:7999/Views/TwitterOAuth"
	p := newTab(t, s)
	p.open("/Configure")
	p.signIn(sandbox.APISecretKey)
	p.heading("Settings")
	wantConnections(t, p.test(), map[string]string{"X": callback})
	p.setUp("job-press")
	p.heading("Sign in with X")
	w := p.window(func() { p.press("Login with X") })
	w.heading("X did not begin the sign-in")
	w.sees(callback)
	w.look("callback-not-registered")
}

// TestWithoutVault is a connector whose settings come from its environment: it says
// so, and offers nothing that it cannot do.
func TestWithoutVault(t *testing.T) {
	t.Parallel()
	s := worldWith(t, map[string]string{"KEY_VAULT_URL": "", "API_SECRET_KEY": sandbox.APISecretKey})
	p := newTab(t, s)
	p.open("/Configure")
	p.signIn(sandbox.APISecretKey)
	p.heading("Settings")
	p.sees("The settings come from the environment", "KEY_VAULT_URL")
	if n := ask[int](p, `document.querySelectorAll("main input:not([type=hidden]):not(:disabled)").length`); n != 0 {
		t.Errorf("%d fields can be filled in", n)
	}
	p.look("settings-from-environment")
	p.press("Overview")
	p.heading("2 things need you")
	p.look("overview-nothing-set")
}

// TestFirstDay is what the pages say before there is anything to show.
func TestFirstDay(t *testing.T) {
	t.Parallel()
	s := world(t)
	p := newTab(t, s)
	p.open("/Status")
	p.signIn(sandbox.APISecretKey)
	p.heading("Status")
	p.sees("No jobs yet", "The Compliance Center has not asked for anything yet.")
	p.look("status-first-day")
	p.press("Overview")
	p.heading("Ready for the first job")
	p.sees("Create a job in the Compliance Center", s.HostURL)
	p.look("overview-first-day")

	p.press("Sign out")
	p.heading("The connector is running")
	p.open("/Configure")
	p.heading("Sign in")

	p.open("/preview/OnJobCreating?jobId=job-1&tenantId=00000000-0000-0000-0000-000000000000")
	p.heading("This connector serves another tenant")
	p.look("other-tenant")
	p.open("/preview/OnJobCreating?tenantId=" + sandbox.TenantID)
	p.heading("Which job is this for?")
	p.open("/Views/TwitterOAuth?loginUrl=https%3A%2F%2Fx.example%2Foauth%2Fauthenticate%3Foauth_token%3Da")
	p.heading("That is not X's sign-in page")
	p.open("/Views/TwitterOAuth?oauth_token=unknown&oauth_verifier=unknown")
	p.heading("This browser did not begin this sign-in")
	p.look("not-begun-here")

	cookies := ask[string](p, `document.cookie`)
	if cookies != "" {
		t.Errorf("scripts can read cookies: %s", strings.Join(slices.Collect(strings.SplitSeq(cookies, ";")), ","))
	}
}
