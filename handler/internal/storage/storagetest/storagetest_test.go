package storagetest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"xarchive/handler/internal/storage/storagetest"
	memory "xarchive/tests/sandbox/blobs"
)

// TestInMemory: the product's own container works on it, and its calls are seen.
func TestInMemory(t *testing.T) {
	c, server := storagetest.InMemory()
	client, err := c.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Reach(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Before(func(op memory.Op) error {
		if op.Blob == "refused" {
			return &memory.Answer{Status: 403, Code: string(bloberror.AuthorizationFailure)}
		}
		return nil
	})
	for name, refused := range map[string]bool{"taken": false, "refused": true} {
		_, err := client.NewBlockBlobClient(name).Upload(t.Context(), streaming.NopCloser(strings.NewReader(name)), nil)
		if bloberror.HasCode(err, bloberror.AuthorizationFailure) != refused || !refused && err != nil {
			t.Errorf("writing %q: %v, expected it refused: %t", name, err, refused)
		}
	}
	if got := server.Calls(); got.Write != 3 || got.List != 1 || got.All() != 4 {
		t.Errorf("counted %+v, expected the container, two writes and a listing", got)
	}
	if names := server.Names("test"); len(names) != 1 || names[0] != "taken" {
		t.Errorf("stored %v, expected what was taken", names)
	}
}

// TestLost: a connection that breaks for good is an error at once.
func TestLost(t *testing.T) {
	c, server := storagetest.InMemory()
	server.Before(func(memory.Op) error { return &memory.Drop{Final: true} })
	_, err := c.Client(t.Context())
	var lost *memory.Drop
	if !errors.As(err, &lost) || lost.After {
		t.Errorf("a connection that broke: %v", err)
	}
}
