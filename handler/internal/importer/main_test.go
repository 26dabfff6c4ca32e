package importer_test

import (
	"os"
	"testing"

	"xarchive/tests/sandbox/azurite"
)

// blobs is the blob server of these tests.
var blobs *azurite.Server

func TestMain(m *testing.M) { os.Exit(azurite.Run(m, &blobs)) }
