package panics_test

import (
	"errors"
	"strings"
	"testing"

	"xarchive/handler/internal/panics"
)

func TestCatch(t *testing.T) {
	err := panics.Catch(func() error { panic("boom") })
	if err == nil || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "panics_test.go") {
		t.Errorf("%v", err)
	}
	failed := errors.New("failed")
	if err := panics.Catch(func() error { return failed }); err != failed {
		t.Errorf("%v", err)
	}
}
