package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/tsa"
)

// evidence are the commands of docs/evidence.md, by the heading that they stand under;
// the second under a heading has " 2" added.
func evidence(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		for i, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(body, -1) {
			name := heading
			if i > 0 {
				name = fmt.Sprint(heading, " ", i+1)
			}
			commands[name] = block[1]
		}
	}
	return commands
}

// copyOf copies the archive container into a folder.
func (w *world) copyOf(container string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	c := w.container(container)
	for name := range w.blobs(container) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(file, w.read(c, name), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return dir
}

// TestEvidence: every command of docs/evidence.md, run as it stands there, holds for an
// archive as the connector wrote it, with time stamps of an authority made of OpenSSL, and
// finds what was done to a copy of it.
func TestEvidence(t *testing.T) {
	t.Parallel()
	authority := tsa.New(t)
	server := httptest.NewServer(authority)
	defer server.Close()
	w, account := everything(t, sandbox.Options{InMemory: true, Env: map[string]string{"TIMESTAMP_URL": server.URL}})
	w.until("the manifest is time-stamped and verified, and the month's statement there", func() bool {
		for name := range w.blobs("archive") {
			if strings.HasPrefix(name, "statements/") && strings.HasSuffix(name, ".html") {
				return true
			}
		}
		return false
	})
	posts := len(w.Corpus.All(account))
	commands := evidence(t)
	if len(commands) != 6 {
		t.Fatalf("docs/evidence.md has %d commands, want 6", len(commands))
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(name, dir string) (string, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", commands[name])
		c.Dir = dir
		c.Env = append(os.Environ(), "ACCOUNT="+account, "TSA_CA="+ca, "LC_ALL=C.UTF-8")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	whole := w.copyOf("archive")
	record := w.read(w.container("connector-state"), "accounts/"+account+".json")
	for name, want := range map[string]string{"The manifest's chain": "", "The messages": "", "The messages 2": "", "X's answers": "",
		"X's answers 2": fmt.Sprintf("%d messages hold what X said\n", posts), "The time stamps": "Verification: OK"} {
		out, err := run(name, whole)
		if err != nil || want == "" && out != "" && name != "The manifest's chain" || !strings.Contains(out, want) {
			t.Errorf("%s: %v, it prints %q, want %q", name, err, out, want)
		}
		if n, sum, ok := strings.Cut(strings.TrimSpace(out), " "); name == "The manifest's chain" && (!ok || !bytes.Contains(record, []byte(`"n": `+n)) || !bytes.Contains(record, []byte(sum))) {
			t.Errorf("the newest blob is %q, the account's record says\n%s", out, record)
		}
	}

	var message, raw, first string
	err := filepath.WalkDir(whole, func(file string, d os.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(file, whole+string(filepath.Separator)))
		switch {
		case err != nil || d.IsDir():
		case strings.HasPrefix(name, account+"/2") && strings.HasSuffix(name, ".eml"):
			message = name
		case strings.HasPrefix(name, "raw/"):
			raw = name
		case strings.HasSuffix(name, "00000001.jsonl"):
			first = name
		}
		return err
	})
	if err != nil || message == "" || raw == "" || first == "" {
		t.Fatal(message, raw, first, err)
	}
	flip := func(t *testing.T, file string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		tamper  func(t *testing.T, dir string)
		command string
		says    string
	}{
		"a flipped byte":    {func(t *testing.T, dir string) { flip(t, filepath.Join(dir, message)) }, "The messages", message},
		"a removed message": {func(_ *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, message)) }, "The messages", message},
		"an added message": {func(_ *testing.T, dir string) {
			_ = os.WriteFile(filepath.Join(dir, filepath.Dir(message), "1.eml"), nil, 0o600)
		}, "The messages 2", "/1.eml"},
		"an altered answer":   {func(t *testing.T, dir string) { flip(t, filepath.Join(dir, raw)) }, "X's answers", raw},
		"an altered manifest": {func(t *testing.T, dir string) { flip(t, filepath.Join(dir, first)) }, "The manifest's chain", ""},
	} {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		c.tamper(t, dir)
		if out, err := run(c.command, dir); err == nil || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v, %q does not say %q", what, err, out, c.says)
		}
	}
	stamps, err := filepath.Glob(filepath.Join(whole, account, "manifest", "*.tsr"))
	if err != nil || len(stamps) == 0 {
		t.Fatal(stamps, err)
	}
	flip(t, strings.TrimSuffix(stamps[0], ".tsr"))
	if out, err := run("The time stamps", whole); err == nil {
		t.Errorf("a stamped blob was altered: %s", out)
	}

	// The connector's own commands see the same.
	if exit, says := w.command("verify", "--account", account, "--tsa-ca", ca); exit != 0 || !strings.Contains(says, "1 time stamp of the manifest checked") || strings.Contains(says, "no root") {
		t.Errorf("verify: exit code %d, %s", exit, says)
	}
	if exit, says := w.command("verify", "--account", account); exit != 0 || !strings.Contains(says, "no root that is trusted here") {
		t.Errorf("verify without the authority's root: exit code %d, %s", exit, says)
	}
	dest := filepath.Join(t.TempDir(), "statement")
	month := w.newest().UTC().Format("2006-01")
	if exit, says := w.command("statement", "--month", month, "--account", account, dest); exit != 0 {
		t.Errorf("statement: exit code %d, %s", exit, says)
	}
	of := 0
	for _, p := range w.Corpus.All(account) {
		if p.CreatedAt.UTC().Format("2006-01") == month {
			of++
		}
	}
	csv, err := os.ReadFile(dest + ".csv")
	if err != nil || !strings.Contains(string(csv), month+","+account+",") || !strings.Contains(string(csv), fmt.Sprintf(",%d,", of)) {
		t.Errorf("%v, %s: want %d posts", err, csv, of)
	}
}
