// Package fault says what a failure means, once: a word for counting, the HTTP
// status of a call that failed for it, a sentence for a person, and what that
// person can do.
//
// A failure gets its cause where it is first known. A package declares its
// errors with [New], so that callers still compare them with errors.Is:
//
//	var ErrForbidden = fault.New(fault.XForbidden, "X forbids the request")
//
// Whoever reports a failure (log, telemetry, API, pages, terminal) asks [Of].
// Nothing is decided by the words of an error.
//
// The package imports nothing of ours, so that every package may import it.
package fault

import (
	"context"
	"errors"
)

// Cause is one word for what is behind a failure. There are few, so that a chart
// by cause can be read. Causes are stored and are dimensions of metrics: a word
// never changes its meaning.
type Cause string

// The causes. What each means is in the table of meanings.
const (
	None Cause = "none" // no failure

	XUnauthorized Cause = "x_unauthorized"
	XKeys         Cause = "x_keys" // the app's keys are refused
	XForbidden    Cause = "x_forbidden"
	XRateLimit    Cause = "x_rate_limit"
	XRefused      Cause = "x_refused" // X takes the request itself for wrong, or has not what was asked for
	XUnavailable  Cause = "x_unavailable"
	XCredits      Cause = "x_credits"      // the pay-per-use balance is empty
	XUsageCap     Cause = "x_usage_cap"    // the monthly cap is reached
	XNotEnrolled  Cause = "x_not_enrolled" // the app is in no project or package
	XProtected    Cause = "x_protected"
	XSuspended    Cause = "x_suspended"
	XGone         Cause = "x_gone"
	XChanged      Cause = "x_changed"    // X answers in words that the connector does not know
	XIncomplete   Cause = "x_incomplete" // an answer of X lacks what it must have
	XSignIn       Cause = "x_sign_in"    // X refuses a sign-in
	NotSignedIn   Cause = "not_signed_in"
	Clock         Cause = "clock" // this machine's clock differs from X's

	SecretNotSet   Cause = "secret_not_set"
	SecretReadOnly Cause = "secret_read_only"
	KeyVault       Cause = "key_vault"
	KeyVaultAccess Cause = "key_vault_access"

	Storage        Cause = "storage"
	StorageAccess  Cause = "storage_access"
	ArchiveAltered Cause = "archive_altered"
	StateDamaged   Cause = "state_damaged" // a blob of ours cannot be read
	StateNewer     Cause = "state_newer"   // a newer version of the connector wrote a blob
	SetAside       Cause = "set_aside"     // a post that cannot be archived as a message

	SASRefused  Cause = "sas_refused"
	EntraSignIn Cause = "entra_sign_in"
	Import      Cause = "import_service"
	ImportFinal Cause = "import_refused" // the Import service will never take it
	ImportDay   Cause = "import_day"     // the day's items are used up

	ClaimLost   Cause = "claim_lost"
	Claimed     Cause = "claimed"
	Interrupted Cause = "interrupted"
	Panic       Cause = "panic"
	Settings    Cause = "settings"

	BadRequest       Cause = "bad_request"
	TooLarge         Cause = "too_large"
	NotFound         Cause = "not_found"
	TooManyTasks     Cause = "too_many_tasks" // a job has as many open tasks as it may have
	OtherSite        Cause = "other_site"     // a browser sends what another site told it to
	Unauthorized     Cause = "unauthorized"
	TooManyAttempts  Cause = "too_many_attempts"
	UnknownAuthority Cause = "unknown_authority" // it cannot be told now whether the caller may do this

	Other Cause = "other"
)

// Caused is an error that knows its cause. Error types that hold more than a
// text, such as the end of a rate limit, implement it. They may also have
//
//	FaultSentence() string          // replaces the cause's sentence and advice, unless ""
//	RetryAfter() time.Duration      // how long a caller has to wait before the next try
type Caused interface {
	error
	FaultCause() Cause
}

// New returns an error with a cause, to be declared once and compared with
// errors.Is.
func New(cause Cause, text string) error { return &caused{cause: cause, text: text} }

// Kind returns an error with a cause of its own that is also parent, to
// errors.Is: a special case of it.
func Kind(parent error, cause Cause, text string) error {
	return &caused{cause: cause, text: text, parent: parent}
}

// Refuse returns an error whose text is the sentence a person is told. It is
// for bad input: the sentence says what was wrong and what to do.
func Refuse(cause Cause, sentence string) error {
	return &caused{cause: cause, text: sentence, sentence: sentence}
}

// RefuseWith is Refuse for a failure that has an error behind it. A person is
// told the sentence; the text, which goes to the log, is err's.
func RefuseWith(cause Cause, sentence string, err error) error {
	return &caused{cause: cause, text: err.Error(), sentence: sentence, parent: err}
}

type caused struct {
	cause    Cause
	text     string
	sentence string // replaces the sentence of the cause; "" if there is none
	parent   error
}

func (c *caused) Error() string     { return c.text }
func (c *caused) Unwrap() error     { return c.parent }
func (c *caused) FaultCause() Cause { return c.cause }

// FaultSentence returns the sentence of a refusal.
func (c *caused) FaultSentence() string { return c.sentence }

// CauseOf returns the cause of an error: that of the outermost error in its
// tree that has one.
func CauseOf(err error) Cause {
	var c Caused
	switch {
	case err == nil:
		return None
	case errors.As(err, &c):
		return c.FaultCause()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Interrupted
	}
	return Other
}
