package capture_test

import (
	"os"
	"testing"

	"xarchive/handler/internal/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(storagetest.Run(m)) }
