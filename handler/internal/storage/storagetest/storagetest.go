// Package storagetest gives tests containers: on a real blob server, Azurite, or in
// memory. A package whose tests need Azurite has
//
//	func TestMain(m *testing.M) { os.Exit(storagetest.Run(m)) }
package storagetest

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"xarchive/handler/internal/storage"
	"xarchive/tests/sandbox/azurite"
	memory "xarchive/tests/sandbox/blobs"
)

// blobs is the blob server of the package under test.
var blobs *azurite.Server

// Run runs a package's tests with a blob server of their own.
func Run(m *testing.M) int { return azurite.Run(m, &blobs) }

// Container is a container of the test's own, not made yet. It is deleted when the
// test ends: each call of Azurite takes longer the more blobs it holds, of whichever
// container.
func Container(t *testing.T) *storage.Container {
	t.Helper()
	account := storage.Account{ConnectionString: blobs.ConnectionString(""), HTTP: http.DefaultClient}
	c := account.Container("t" + strings.ToLower(rand.Text()))
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		client, err := c.Client(ctx)
		if err != nil {
			t.Errorf("opening the test's container to delete it: %v", err)
			return
		}
		if _, err := client.Delete(ctx, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerNotFound) {
			t.Errorf("deleting the test's container: %v", err)
		}
	})
	return c
}

// InMemory is a container of the test's own on a blob service in memory, and that
// service, to count or interrupt its calls. It is for tests with thousands of blobs or
// calls; it and Azurite are held to the same by tests of their own.
func InMemory() (*storage.Container, *memory.Server) {
	server := memory.New(memory.Options{})
	account := storage.Account{ConnectionString: server.ConnectionString(), HTTP: server.Client()}
	return account.Container("test"), server
}
