package fault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

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
		"none":           {nil, fault.None},
		"declared":       {errDown, fault.KeyVault},
		"wrapped":        {fmt.Errorf("reading: %w", errDown), fault.KeyVault},
		"a special case": {fmt.Errorf("reading: %w", errDenied), fault.KeyVaultAccess},
		"a type":         {errors.Join(errors.New("x"), limited{}), fault.XRateLimit},
		"the outermost":  {fault.RefuseWith(fault.Storage, "No.", limited{}), fault.Storage},
		"the tick's end": {fmt.Errorf("reading: %w", context.DeadlineExceeded), fault.Interrupted},
		"unknown":        {errors.New("x"), fault.Other},
	} {
		if got := fault.CauseOf(c.err); got != c.want {
			t.Errorf("%s: cause %q, want %q", name, got, c.want)
		}
	}
	if !errors.Is(errDenied, errDown) || errors.Is(errDown, errDenied) {
		t.Error("a special case is not a kind of the general one")
	}
}

// TestRefuse: a refusal tells its own sentence, with the status of its cause.
func TestRefuse(t *testing.T) {
	m := fault.Of(fmt.Errorf("saving: %w", fault.Refuse(fault.BadRequest, "TaskId is missing.")))
	if m.Status != 400 || m.Words() != "TaskId is missing." {
		t.Errorf("it means %+v", m)
	}
}

type wait struct{}

func (wait) Error() string             { return "slow down" }
func (wait) FaultCause() fault.Cause   { return fault.TooManyAttempts }
func (wait) FaultSentence() string     { return "Wait a minute." }
func (wait) RetryAfter() time.Duration { return time.Minute }

// TestErrorsSpeakForThemselves: a type's own sentence and waiting time are told,
// and a refusal keeps the error behind it for errors.Is and for the log.
func TestErrorsSpeakForThemselves(t *testing.T) {
	m := fault.Of(fmt.Errorf("signing in: %w", wait{}))
	if m.Status != 429 || m.Words() != "Wait a minute." {
		t.Errorf("it means %+v", m)
	}
	if got := fault.RetryAfter(fmt.Errorf("signing in: %w", wait{})); got != time.Minute || fault.RetryAfter(errDown) != 0 {
		t.Errorf("the wait is %v", got)
	}
	err := fault.RefuseWith(fault.XUnavailable, "X cannot be reached.", errDenied)
	if m := fault.Of(err); m.Cause != fault.XUnavailable || m.Words() != "X cannot be reached." {
		t.Errorf("it means %+v", m)
	}
	if !errors.Is(err, errDown) || err.Error() != "the vault refuses" {
		t.Errorf("the error behind it is lost: %v", err)
	}
}

// TestEntraCodes: every code is named in the sentence, known or not.
func TestEntraCodes(t *testing.T) {
	for code, want := range map[int]string{7000215: "Value, not its Secret ID", 65001: "consent", 1: "list of Entra error codes"} {
		if got := fault.EntraRefusal(code); !strings.Contains(got, want) || !strings.Contains(got, fmt.Sprintf("(AADSTS%d)", code)) {
			t.Errorf("%d: %q", code, got)
		}
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
