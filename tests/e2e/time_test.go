package e2e

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"xarchive/tests/sandbox/blobs"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
)

// The connector waits for minutes and more where something fails. These tests do not:
// they change what it has written down, which docs/format.md describes.

// later has everything be due that the connector makes pauses with: open tasks, X
// after a rate limit, and what X did not give when a post was archived.
func (w *world) later() {
	w.t.Helper()
	past := time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	for name := range w.blobs("connector-state") {
		switch {
		case strings.HasPrefix(name, "tasks/open/"):
			w.edit(name, func(task map[string]any) { delete(task, "notBefore") })
		case strings.HasPrefix(name, "accounts/"):
			w.edit(name, func(account map[string]any) {
				delete(account, "rateReset")
				waiting, _ := account["waiting"].(map[string]any)
				for _, one := range waiting {
					one.(map[string]any)["next"] = past
				}
			})
		}
	}
}

// edit changes a record of the connector's state.
func (w *world) edit(name string, change func(map[string]any)) {
	w.t.Helper()
	c := w.container("connector-state")
	var record map[string]any
	if err := json.Unmarshal(w.read(c, name), &record); err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	change(record)
	changed, err := json.Marshal(record)
	if err != nil {
		w.t.Fatal(err)
	}
	w.put(name, changed)
}

// put writes a record of the connector's state.
func (w *world) put(name string, record []byte) {
	w.t.Helper()
	blob := w.container("connector-state").NewBlockBlobClient(name)
	if _, err := blob.Upload(w.t.Context(), streaming.NopCloser(bytes.NewReader(record)), nil); err != nil {
		w.t.Fatalf("writing %s: %v", name, err)
	}
}

// hold has storage let n calls of a kind through and keep all further ones waiting.
// reached is closed when the first of them waits; release lets them go.
func (w *world) hold(storage *blobs.Server, n int, kind func(blobs.Op) bool) (reached <-chan struct{}, release func()) {
	waits, free := make(chan struct{}), make(chan struct{})
	var seen atomic.Int64
	storage.Before(func(op blobs.Op) error {
		if !kind(op) {
			return nil
		}
		if at := seen.Add(1); at <= int64(n) {
			return nil
		} else if at == int64(n)+1 {
			close(waits)
		}
		<-free
		return nil
	})
	release = sync.OnceFunc(func() { storage.Before(nil); close(free) })
	w.t.Cleanup(release)
	return waits, release
}

// isMessage: a message is put into the archive.
func isMessage(op blobs.Op) bool {
	return op.Container == "archive" && strings.HasSuffix(op.Blob, ".eml") && puts(op)
}

// isItem: an item is put into a task's container.
func isItem(op blobs.Op) bool { return strings.HasPrefix(op.Container, "task-") && puts(op) }

func puts(op blobs.Op) bool { return op.Name == "PutBlob" || op.Name == "PutBlockList" }
