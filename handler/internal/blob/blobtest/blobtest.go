// Package blobtest gives tests containers of their own. [Container] is one in memory:
// fast, and [Server] lets a test count its calls and interrupt them. [Azurite] is
// one on a real blob server; a package whose tests use it has
//
//	func TestMain(m *testing.M) { os.Exit(blobtest.Run(m)) }
package blobtest

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

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

// Azurite is a container on Azurite, not made yet.
func Azurite(t testing.TB) *blob.Container {
	t.Helper()
	if real == nil {
		t.Fatal("the package's TestMain must call blobtest.Run")
	}
	account := blob.Account{ConnectionString: real.ConnectionString(""), HTTP: http.DefaultClient, Buffers: blob.NewBuffers(8 * blob.BlockSize)}
	return account.Container("t" + strings.ToLower(rand.Text()))
}
