package deliver_test

import (
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"testing"

	"xarchive/handler/internal/storage"
	"xarchive/tests/sandbox/azurite"
)

// blobs is the blob server of these tests.
var blobs *azurite.Server

func TestMain(m *testing.M) { os.Exit(azurite.Run(m, &blobs)) }

// newContainer is a container of the test's own, not made yet.
func newContainer(t *testing.T) *storage.Container {
	t.Helper()
	account := storage.Account{ConnectionString: blobs.ConnectionString(""), HTTP: http.DefaultClient}
	return account.Container("t" + strings.ToLower(rand.Text()))
}
