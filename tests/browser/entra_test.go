package browser

import (
	"net"
	"strconv"
	"testing"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/openid"

	"github.com/chromedp/cdproto/security"
)

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// worldWithPeople starts a sandbox in which people sign in at a real OpenID provider.
func worldWithPeople(t *testing.T) (*sandbox.Sandbox, *openid.Server) {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	ca, err := certs.Start(t.Context(), certs.Options{Dir: dir, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := openid.Start(t.Context(), openid.Options{Certificate: ca.Loopback(), TenantID: sandbox.TenantID,
		ClientID: sandbox.ApplicationID, ClientSecret: sandbox.ApplicationSecret,
		RedirectURIs: []string{"http://localhost:" + strconv.Itoa(port) + "/Views/Entra/Return"}, People: []openid.Person{openid.Ada, openid.Rita, openid.Norma}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := provider.Stop(); err != nil {
			t.Error(err)
		}
	})
	s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: dir, KeepCA: true, App: shared.app, InMemory: true, Ports: sandbox.Ports{Host: port}, Stderr: logOf(t),
		Env: map[string]string{"AAD_AUTHORITY_URL": provider.URL(), "WEBSITE_HOSTNAME": "localhost:" + strconv.Itoa(port)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stopping the sandbox: %v", err)
		}
	})
	return s, provider
}

// atEntra picks an account on the provider's page.
func (p *tab) atEntra(user string) {
	p.t.Helper()
	p.heading("Pick an account")
	p.press(user)
}

// TestSignInWithEntra: an administrator, a reader and somebody without a role sign in with
// Microsoft, and see what their role lets them; without Entra the shared secret is left.
func TestSignInWithEntra(t *testing.T) {
	t.Parallel()
	s, provider := worldWithPeople(t)
	if err := s.Connect(t.Context(), "job-press", corpus.PressAccount); err != nil {
		t.Fatal(err)
	}
	tick(t, s)
	visitor := func() *tab {
		p := newTab(t, s, provider.URL())
		call(p, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}) // it has not the sandbox's authority
		return p
	}

	ada := visitor()
	ada.open("/Configure")
	ada.heading("Sign in")
	ada.look("sign-in-microsoft")
	ada.press("Sign in with Microsoft")
	ada.atEntra(openid.Ada.User)
	ada.heading("Settings")
	ada.sees(openid.Ada.User, "Redirect URI of the Entra app", s.HostURL+"/Views/Entra/Return")
	ada.fill("Access Token", "of-the-app")
	ada.press("Save settings")
	ada.sees("One setting is saved.")
	ada.press("Changes")
	ada.sees("Settings saved", "ada@contoso.example (Ada Admin), on these pages", "role Administrator")
	ada.look("changes-by-people")
	ada.setUp("job-press")
	ada.heading("The job is set up")

	rita := visitor()
	rita.open("/Archive")
	rita.press("Sign in with Microsoft")
	rita.atEntra(openid.Rita.User)
	rita.heading("Archive")
	rita.sees("You are rita@contoso.example, Reader.", "need the role Administrator")
	if n := rita.count("main button"); n != 1 {
		t.Errorf("a Reader has %d buttons, want the search's", n)
	}
	rita.look("archive-reader")
	rita.press("Settings")
	rita.heading("Settings")
	if n := rita.count("main button, main input:not([type=hidden]):not(:disabled)"); n != 0 {
		t.Errorf("a Reader can use %d controls of the settings", n)
	}
	rita.look("settings-reader")
	// A form that was made up.
	ask[any](rita, `(() => { const f = document.querySelector("main form"); f.querySelector("[name=do]").value = "test"; f.submit(); })(), null`)
	rita.heading("This needs the role Administrator")
	rita.look("needs-administrator")
	rita.press("Sign out")
	rita.heading("The connector is running")

	norma := visitor()
	norma.open("/Status")
	norma.press("Sign in with Microsoft")
	norma.atEntra(openid.Norma.User)
	norma.heading("You have no role here")
	norma.sees(openid.Norma.ObjectID)
	norma.look("no-role")
	norma.press("Sign in again")
	norma.atEntra(openid.Ada.User)
	norma.heading("Status")

	cancels := visitor()
	cancels.open("/Status")
	cancels.press("Sign in with Microsoft")
	cancels.heading("Pick an account")
	provider.Down(true)
	cancels.open("/Views/Entra/Return?state=made-up&code=made-up")
	cancels.sees("This browser did not begin this sign-in")
	cancels.look("sign-in-microsoft-refused")
	cancels.signIn(sandbox.APISecretKey)
	cancels.heading("Working on it")
}
