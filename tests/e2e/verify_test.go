package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// command runs the handler as a person at a terminal does, with the storage settings
// alone, and returns its exit code and what it says.
func (w *world) command(args ...string) (int, string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	c := w.terminal(ctx, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String()
}

// terminal is such a process, which is not started yet.
func (w *world) terminal(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(app, "handler"), args...)
	c.Dir = w.t.TempDir()
	c.Env = []string{"HOME=" + c.Dir, "STORAGE_CONNECTION_STRING=" + w.Blobs.ConnectionString("")}
	return c
}

// TestVerify: an archive that nobody touched verifies; one flipped byte, one message
// removed and one added are found and named.
func TestVerify(t *testing.T) {
	t.Parallel()
	w, account := everything(t, sandbox.Options{InMemory: true})
	w.until("the task ends", func() bool { return w.ended(job, task) })
	posts := w.Corpus.All(account)
	verify := func(exit int, words ...string) {
		t.Helper()
		got, says := w.command("verify", "--account", account)
		if got != exit {
			t.Errorf("exit code %d, want %d: %s", got, exit, says)
		}
		for _, word := range words {
			if !strings.Contains(says, word) {
				t.Errorf("it does not say %q: %s", word, says)
			}
		}
	}
	verify(0, fmt.Sprintf("%d messages and ", len(posts)), "Every message read is as it was archived")

	archive := w.container("archive")
	name := func(i int) string {
		return fmt.Sprintf("%s/%s/%s.eml", account, posts[i].CreatedAt.UTC().Format("2006/01/02"), posts[i].ID)
	}
	content := w.read(archive, name(0))
	flipped := bytes.Clone(content)
	flipped[len(flipped)/2] ^= 1
	properties, err := archive.NewBlobClient(name(0)).GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	upload := func(name string, content []byte) {
		t.Helper()
		if _, err := archive.NewBlockBlobClient(name).Upload(t.Context(), streaming.NopCloser(bytes.NewReader(content)),
			&blockblob.UploadOptions{Metadata: properties.Metadata}); err != nil {
			t.Fatal(err)
		}
	}
	upload(name(0), flipped)
	verify(1, "ALTERED: "+name(0), "NOT as it was written")
	upload(name(0), content)
	verify(0)
	if _, err := archive.NewBlobClient(name(1)).Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	verify(1, "MISSING: "+name(1))
	var raw string
	for name := range w.blobs("archive") {
		if strings.HasPrefix(name, "raw/"+account+"/") {
			raw = name
		}
	}
	packed := w.read(archive, raw)
	packed[len(packed)/2] ^= 1
	upload(raw, packed)
	verify(1, "ALTERED: "+raw)
	upload(strings.Replace(name(0), ".eml", "0.eml", 1), content)
	verify(1, "MISSING: "+name(1), "ADDED: ")

	if exit, says := w.command("verify", "--account", "1"); exit != 1 || !strings.Contains(says, "nothing to verify") {
		t.Errorf("an unknown account: exit code %d, %s", exit, says)
	}
	if exit, says := w.command("verify"); exit != 1 || !strings.Contains(says, "Account "+account) || !strings.Contains(says, "MISSING: "+name(1)) {
		t.Errorf("every account: exit code %d, %s", exit, says)
	}
	if exit, _ := w.command("verify", account); exit != 2 {
		t.Errorf("an argument too many: exit code %d", exit)
	}
}
