package archive_test

import (
	"os"
	"testing"

	"xarchive/handler/internal/blob/blobtest"
)

func TestMain(m *testing.M) { os.Exit(blobtest.Run(m)) }
