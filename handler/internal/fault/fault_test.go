package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"xarchive/handler/internal/fault"
)

var (
	errDown   = fault.New(fault.KeyVault, "the vault does not answer")
	errDenied = fault.Kind(errDown, fault.KeyVaultAccess, "the vault refuses")
)

type limited struct{}

func (limited) Error() string           { return "until noon" }
func (limited) FaultCause() fault.Cause { return fault.XRateLimit }

// TestCause: the outermost error that knows its cause decides, however deep it is
// wrapped.
func TestCause(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want fault.Cause
	}{
		"none":            {nil, fault.None},
		"declared":        {errDown, fault.KeyVault},
		"wrapped":         {fmt.Errorf("reading: %w", errDown), fault.KeyVault},
		"a special case":  {fmt.Errorf("reading: %w", errDenied), fault.KeyVaultAccess},
		"a type":          {errors.Join(errors.New("x"), limited{}), fault.XRateLimit},
		"another's error": {fault.Wrap(fault.Storage, errors.New("status 500")), fault.Storage},
		"the outermost":   {fault.Wrap(fault.Storage, limited{}), fault.Storage},
		"the tick's end":  {fmt.Errorf("reading: %w", context.DeadlineExceeded), fault.Interrupted},
		"unknown":         {errors.New("x"), fault.Other},
	} {
		if got := fault.CauseOf(c.err); got != c.want {
			t.Errorf("%s: cause %q, want %q", name, got, c.want)
		}
	}
	if !errors.Is(errDenied, errDown) || errors.Is(errDown, errDenied) {
		t.Error("a special case is not a kind of the general one")
	}
	if fault.Wrap(fault.Storage, nil) != nil {
		t.Error("no error became one")
	}
}

// TestRefuse: a refusal tells its own sentence, with the status of its cause.
func TestRefuse(t *testing.T) {
	m := fault.Of(fmt.Errorf("saving: %w", fault.Refuse(fault.BadRequest, "TaskId is missing.")))
	if m.Status != 400 || m.Words() != "TaskId is missing." {
		t.Errorf("it means %+v", m)
	}
}

// TestUnknownCause: a word that a newer version stored has words here, too, and is
// not lost.
func TestUnknownCause(t *testing.T) {
	m := fault.Cause("from_the_future").Meaning()
	if m.Cause != "from_the_future" || m.Sentence == "" {
		t.Errorf("it means %+v", m)
	}
}
