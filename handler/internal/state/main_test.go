package state_test

import (
	"os"
	"testing"

	"xarchive/handler/internal/state"
	"xarchive/handler/internal/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(storagetest.Run(m)) }

// newStore is a store of the test's own.
func newStore(t *testing.T) *state.Store {
	t.Helper()
	return state.New(storagetest.Container(t))
}
