// Package blobtest gives tests containers on a real blob server, Azurite. A package
// whose tests need them has
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
)

// blobs is the blob server of the package under test.
var blobs *azurite.Server

// Run runs a package's tests with a blob server of their own.
func Run(m *testing.M) int { return azurite.Run(m, &blobs) }

// Container is a container of the test's own, not made yet.
func Container(t *testing.T) *blob.Container {
	t.Helper()
	account := blob.Account{ConnectionString: blobs.ConnectionString(""), HTTP: http.DefaultClient}
	return account.Container("t" + strings.ToLower(rand.Text()))
}
