package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"xarchive/tests/sandbox"
)

// TestSignInWithTheSandbox: what a developer sees of the sandbox works: somebody signs in at its
// page for Entra, and the role decides what the connector takes.
func TestSignInWithTheSandbox(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	host := "localhost:" + strconv.Itoa(port)
	w := start(t, sandbox.Options{InMemory: true, Ports: sandbox.Ports{Host: port}, Env: map[string]string{"WEBSITE_HOSTNAME": host}})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Transport: w.CA.Client().Transport, Jar: jar}
	do := func(resp *http.Response, err error) (*http.Response, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	for user, want := range map[string]struct {
		page, says string
		save       int
	}{
		"ada@contoso.example":   {"Settings", "You are ada@contoso.example, Administrator.", http.StatusOK},
		"rita@contoso.example":  {"Settings", "You are rita@contoso.example, Reader.", http.StatusForbidden},
		"norma@contoso.example": {"You have no role here", "a0000000-0000-4000-8000-000000000003", http.StatusForbidden},
	} {
		at, page := do(browser.Get("http://" + host + "/Views/Entra?to=/Configure"))
		if !strings.HasPrefix(at.Request.URL.String(), w.Entra.URL()+"/") || !strings.Contains(page, user) {
			t.Fatalf("the browser is at %s: %s", at.Request.URL, page)
		}
		at, page = do(browser.PostForm(at.Request.URL.String(), url.Values{"user": {user}}))
		if at.Request.URL.Host != host || !strings.Contains(page, "<h1>"+want.page+"</h1>") || !strings.Contains(page, want.says) {
			t.Errorf("%s is at %s: %s", user, at.Request.URL, page)
		}
		_, csrf, _ := strings.Cut(page, `name="csrf" value="`)
		csrf, _, _ = strings.Cut(csrf, `"`)
		if at, page = do(browser.PostForm("http://"+host+"/Configure", url.Values{"csrf": {csrf}, "do": {"save"}, "TwitterAccessTokenValue": {user}})); at.StatusCode != want.save {
			t.Errorf("%s saves a setting: %d %s", user, at.StatusCode, page)
		}
		do(browser.PostForm("http://"+host+"/Views/SignOut", url.Values{"csrf": {csrf}}))
	}
	if got, _ := w.Vault.Get("twitter-access-token"); got != "ada@contoso.example" {
		t.Errorf("the setting is %q", got)
	}
	w.wantClean()
}
