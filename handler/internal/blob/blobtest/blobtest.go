// Package blobtest gives tests containers of their own. [Container] is one in memory:
// fast, and [Server] lets a test count its calls and interrupt them. [Azurite] is
// one on a real blob server; a package whose tests use it has
//
//	func TestMain(m *testing.M) { os.Exit(blobtest.Run(m)) }
package blobtest

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"xarchive/handler/internal/blob"
	"xarchive/tests/sandbox/azurite"
	"xarchive/tests/sandbox/blobs"
)

// Name is the name of the containers in memory.
const Name = "test"

// Container is a container in memory, not made yet.
func Container(t testing.TB) *blob.Container {
	t.Helper()
	c, _ := Server(t)
	return c
}

// Server is a container in memory, not made yet, and the server that it is on. It
// works in the fake time of testing/synctest.
func Server(t testing.TB) (*blob.Container, *blobs.Server) {
	t.Helper()
	s := blobs.New(blobs.Options{})
	return On(s).Container(Name), s
}

// On is the account that a server in memory is, with memory for eight uploads at
// once.
func On(s *blobs.Server) blob.Account {
	return blob.Account{ConnectionString: s.ConnectionString(), HTTP: s.Client(), Buffers: blob.NewBuffers(8 * blob.BlockSize)}
}

// real is the blob server of the package under test.
var real *azurite.Server

// Run runs a package's tests with an Azurite of their own.
func Run(m *testing.M) int { return azurite.Run(m, &real) }

// Azurite is a container on Azurite, not made yet. It is deleted when the test ends:
// each call of Azurite takes longer the more blobs it holds, of whichever container.
func Azurite(t testing.TB) *blob.Container {
	t.Helper()
	if real == nil {
		t.Fatal("the package's TestMain must call blobtest.Run")
	}
	account := blob.Account{ConnectionString: real.ConnectionString(""), HTTP: http.DefaultClient, Buffers: blob.NewBuffers(8 * blob.BlockSize)}
	name := "t" + strings.ToLower(rand.Text())
	t.Cleanup(func() {
		client, err := container.NewClientFromConnectionString(account.ConnectionString, name, nil)
		if err != nil {
			t.Errorf("opening the test's container to delete it: %v", err)
			return
		}
		// The test's own context has ended.
		if _, err := client.Delete(context.Background(), nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerNotFound) {
			t.Errorf("deleting the test's container: %v", err)
		}
	})
	return account.Container(name)
}
