// Package check_test runs `handler check`, the command for the terminal, against the
// sandbox: the very binary that is deployed, without a Functions host.
package check_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/openid"
	"xarchive/tests/sandbox/x"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// app is the staged app, built once.
var app string

func TestMain(m *testing.M) { os.Exit(sandbox.RunStaged(m, "../..", &app)) }

func TestCheck(t *testing.T) {
	s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	azure := strings.TrimSuffix(sandbox.CallbackURL, "/Views/TwitterOAuth")

	t.Run("all is well", func(t *testing.T) {
		for _, args := range [][]string{{}, {"-url", azure}, {"-url", azure + "/"}} {
			r := check(t, s, nil, args...)
			r.want(t, 0, "✓ Settings", "✓ Telemetry", "✓ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✓ X's words", "✓ Sign-in", "– Timer")
		}
		r := check(t, s, map[string]string{"WEBSITE_HOSTNAME": strings.TrimPrefix(azure, "https://")})
		r.want(t, 0, "✓ Settings", "✓ Telemetry", "✓ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✓ X's words", "✓ Sign-in", "– Timer")
		r.says(t, "X", sandbox.CallbackURL)
	})
	t.Run("the callback address is not registered", func(t *testing.T) {
		r := check(t, s, nil, "-url", "https://elsewhere.example")
		r.want(t, 1, "✓ Settings", "✓ Telemetry", "✗ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✓ X's words", "– Sign-in", "– Timer")
	})
	t.Run("sign-in with Entra", func(t *testing.T) {
		const id, secret = sandbox.ApplicationID, sandbox.ApplicationSecret
		provider, err := openid.Start(t.Context(), openid.Options{Certificate: s.CA.Loopback(), TenantID: sandbox.TenantID, ClientID: id, ClientSecret: secret,
			RedirectURIs: []string{azure + "/Views/Entra/Return"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := provider.Stop(); err != nil {
				t.Error(err)
			}
		}()
		for address, says := range map[string]string{azure: azure + "/Views/Entra/Return is registered with it", "https://elsewhere.example": "register the redirect URI (Web) https://elsewhere.example/Views/Entra/Return"} {
			check(t, s, map[string]string{"AAD_AUTHORITY_URL": provider.URL()}, "-url", address).says(t, "Sign-in", says)
		}
		provider.Down(true)
		check(t, s, map[string]string{"AAD_AUTHORITY_URL": provider.URL()}).says(t, "Sign-in", "Microsoft Entra cannot be reached")
	})
	t.Run("X is down", func(t *testing.T) {
		s.X.Down(true)
		defer s.X.Down(false)
		r := check(t, s, nil)
		r.want(t, 1, "✓ Settings", "✓ Telemetry", "✗ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "– X's words", "✓ Sign-in", "– Timer")
		r.says(t, "X", "cannot be reached")
		r.says(t, "X's words", "Not compared with X's specification")
	})
	t.Run("X's specification", func(t *testing.T) {
		r := check(t, s, nil)
		r.says(t, "X's words", "2.167 has every name that X is asked for, in the newer words (post)")
		s.X.Fail(func(req *http.Request) x.Fault {
			if req.URL.Path != "/2/openapi.json" {
				return x.Fault{}
			}
			return x.Fault{Status: 200, Body: `{"info":{"version":"3.0"},"paths":{"/2/tweets":{"get":{"parameters":[{"name":"post.fields","schema":{"items":{"enum":["id"]}}}]}}}}`}
		})
		defer s.X.Fail(nil)
		r = check(t, s, nil)
		r.want(t, 1, "✓ Settings", "✓ Telemetry", "✓ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✗ X's words", "✓ Sign-in", "– Timer")
		r.says(t, "X's words", "post.fields note_post")
	})
	t.Run("the vault forbids", func(t *testing.T) {
		s.Vault.Forbid(true)
		defer s.Vault.Forbid(false)
		r := check(t, s, nil)
		// X and Entra cannot be tried without what is in the vault.
		r.want(t, 1, "✓ Settings", "✓ Telemetry", "✗ X", "✗ Microsoft Entra", "✓ Storage", "✗ Key Vault", "✓ X's words", "– Sign-in", "– Timer")
		r.says(t, "Key Vault", "Key Vault Secrets Officer")
	})
	t.Run("a secret is wrong", func(t *testing.T) {
		good, _ := s.Vault.Get("aad-application-secret")
		defer func() {
			if err := s.Vault.Set(context.Background(), "aad-application-secret", good); err != nil {
				t.Error(err)
			}
		}()
		if err := s.Vault.Set(t.Context(), "aad-application-secret", "wrong-value"); err != nil {
			t.Fatal(err)
		}
		r := check(t, s, nil)
		r.want(t, 1, "✓ Settings", "✓ Telemetry", "✓ X", "✗ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✓ X's words", "✓ Sign-in", "– Timer")
		r.says(t, "Microsoft Entra", "AADSTS7000215")
		if strings.Contains(r.out, "wrong-value") {
			t.Error("a secret is shown")
		}
	})
	t.Run("the storage refuses the key", func(t *testing.T) {
		const wrong = "bm90IHRoZSBrZXk="
		text := s.Blobs.ConnectionString("")
		_, key, _ := strings.Cut(text, "AccountKey=")
		key, _, _ = strings.Cut(key, ";")
		if key == "" {
			t.Fatal("the sandbox's connection string has no key")
		}
		r := check(t, s, map[string]string{"STORAGE_CONNECTION_STRING": strings.Replace(text, key, wrong, 1)})
		r.want(t, 1, "✓ Settings", "✓ Telemetry", "✓ X", "✓ Microsoft Entra", "✗ Storage", "✓ Key Vault", "✓ X's words", "✓ Sign-in")
		r.says(t, "Storage", "refuses the connector")
		if strings.Contains(r.out, wrong) {
			t.Error("the account's key is shown")
		}
	})
	t.Run("settings are missing", func(t *testing.T) {
		r := check(t, s, map[string]string{"TENANT_ID": "", "STORAGE_CONNECTION_STRING": "", "LOG_LEVEL": "loud"})
		r.want(t, 1, "✗ Settings", "✗ Settings", "✗ Settings", "✓ Telemetry", "– X", "– Microsoft Entra", "– Storage", "– Key Vault")
		for _, name := range []string{"TENANT_ID", "STORAGE_ACCOUNT_URL", "LOG_LEVEL"} {
			r.says(t, "Settings", name)
		}
	})
	t.Run("a certificate file is missing", func(t *testing.T) {
		r := check(t, s, map[string]string{"SSL_CERT_FILE": filepath.Join(t.TempDir(), "none.pem")})
		r.want(t, 1, "✗ Settings", "✓ Telemetry", "– X", "– Microsoft Entra", "– Storage", "– Key Vault")
		r.says(t, "Settings", "SSL_CERT_FILE")
	})
	t.Run("telemetry", func(t *testing.T) {
		const key = "0f3e5b7a-1c2d-4e5f-8a9b-0c1d2e3f4a5b"
		r := check(t, s, map[string]string{"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=" + key + ";IngestionEndpoint=https://dc.example.com/"})
		r.want(t, 0, "✓ Settings", "✓ Telemetry", "✓ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✓ X's words", "✓ Sign-in", "– Timer")
		r.says(t, "Telemetry", "https://dc.example.com")
		r = check(t, s, map[string]string{"APPLICATIONINSIGHTS_CONNECTION_STRING": key})
		r.want(t, 1, "✓ Settings", "✗ Telemetry", "✓ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✓ X's words", "✓ Sign-in", "– Timer")
		if strings.Contains(r.out, key) {
			t.Error("the instrumentation key is shown")
		}
	})
	// Last, because from here on there is a record of a tick.
	t.Run("the timer", func(t *testing.T) {
		client, err := azblob.NewClientFromConnectionString(s.Blobs.ConnectionString(""), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			ago        time.Duration
			code       int
			mark, says string
		}{{5 * time.Minute, 0, "✓ Timer", "last ticked 5 minutes ago"}, {3 * time.Hour, 1, "✗ Timer", "INGEST_SCHEDULE"}} {
			record := fmt.Appendf(nil, `{"v":1,"at":%q}`, time.Now().Add(-c.ago).UTC().Format(time.RFC3339))
			if _, err := client.UploadBuffer(t.Context(), "connector-state", "tick.json", record, nil); err != nil {
				t.Fatal(err)
			}
			r := check(t, s, nil)
			r.want(t, c.code, "✓ Settings", "✓ Telemetry", "✓ X", "✓ Microsoft Entra", "✓ Storage", "✓ Key Vault", "✓ X's words", "✓ Sign-in", c.mark)
			r.says(t, "Timer", c.says)
		}
	})
}

// TestArguments: what it does not know it explains, and starts nothing.
// TestVersion: support asks for it first. It needs no settings.
func TestVersion(t *testing.T) {
	r := command(t, nil, "version")
	if r.code != 0 || !regexp.MustCompile(`^X archive connector \S+ \(build [0-9a-f]{16}, go1\.\S+, \w+/\w+\)\n$`).MatchString(r.out) {
		t.Errorf("exit code %d: %q %q", r.code, r.out, r.err)
	}
	if r := command(t, nil, "version", "now"); r.code != 2 {
		t.Errorf("exit code %d", r.code)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"check", "now"}, {"check", "-x"}, {"-url", "https://a.example"}} {
		r := command(t, nil, args...)
		if r.code != 2 || r.out != "" || !strings.Contains(r.err, "handler check") {
			t.Errorf("%q: exit code %d\n%s%s", args, r.code, r.out, r.err)
		}
	}
}

// ran is a command that has ended.
type ran struct {
	code     int
	out, err string
}

// check runs `handler check` in the world, with some settings changed.
func check(t *testing.T, s *sandbox.Sandbox, changes map[string]string, args ...string) ran {
	t.Helper()
	return command(t, s.Settings(sandbox.Options{Env: changes}), append([]string{"check"}, args...)...)
}

func command(t *testing.T, env map[string]string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(app, "handler"), args...)
	c.Dir = t.TempDir()
	c.Env = []string{"HOME=" + c.Dir} // nothing of the machine's own, and no port
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{c.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// want compares the lines' beginnings, in their order, and the exit code. Every
// line has a sentence.
func (r ran) want(t *testing.T, code int, lines ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(r.out) {
		what, sentence := line[:min(len(line), width)], strings.TrimSpace(line[min(len(line), width):])
		got = append(got, strings.TrimSpace(what))
		if !strings.HasSuffix(sentence, ".") && !strings.HasSuffix(sentence, ")") && what[:len("✗")] == "✓" {
			t.Errorf("no sentence in %q", line)
		}
	}
	if r.code != code || !slices.Equal(got, lines) {
		t.Errorf("exit code %d, want %d; lines %q, want %q\n%s%s", r.code, code, got, lines, r.out, r.err)
	}
}

// width is, in bytes, that of mark and name.
const width = len("✓ Microsoft Entra ")

// says looks for a phrase in the lines of a name.
func (r ran) says(t *testing.T, name, phrase string) {
	t.Helper()
	for line := range strings.Lines(r.out) {
		if _, rest, _ := strings.Cut(line, " "); strings.HasPrefix(rest, name) && strings.Contains(line, phrase) {
			return
		}
	}
	t.Errorf("nothing of %s says %q\n%s", name, phrase, r.out)
}
