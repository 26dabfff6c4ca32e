package twitter

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
)

// The ways a call to X fails that its caller can do something about. Every
// error this package returns wraps one of them, a [*RateLimitError] or a
// [*SignInError], or is the context's own error.
var (
	// ErrUnauthorized: X does not accept the app's keys or the account's
	// token (401). The caller drops both from its cache and tries once more;
	// after that only a new sign-in helps.
	ErrUnauthorized = fault.New(fault.XUnauthorized, "X refuses the app's keys or the account's token")

	// ErrClock: X answers 401, and its clock and this machine's are more than
	// five minutes apart. A signature holds the time, so X refuses whatever
	// keys it is made with: neither other keys nor a new sign-in help.
	ErrClock = fault.New(fault.Clock, "X refuses the signature, and this machine's clock is wrong")

	// ErrForbidden: keys and token are good, the request is not allowed
	// (403): an app without read permission, an account that is protected,
	// suspended or gone.
	ErrForbidden = fault.New(fault.XForbidden, "X forbids the request")

	// ErrInvalid: X says the request itself is wrong (400). A page token that
	// has gone stale is answered like this.
	ErrInvalid = fault.New(fault.XRefused, "X refuses the request as invalid")

	// ErrNotFound: what was asked for is not there (404, 410).
	ErrNotFound = fault.New(fault.XRefused, "X does not have it")

	// ErrUnavailable: X cannot be reached or answers 5xx; a later try can
	// succeed.
	ErrUnavailable = fault.New(fault.XUnavailable, "X is unavailable")

	// ErrIncomplete: X answered, and the answer is not JSON or lacks what it
	// must have: posts that it counts itself, its place in the timeline. It is
	// also ErrUnavailable. Nothing may be concluded from such an answer, and it
	// must not be retained.
	ErrIncomplete = fault.Kind(ErrUnavailable, fault.XIncomplete, "X's answer is incomplete")
)

// maxSkew is how far X's clock and this machine's may be apart before a 401 is
// put down to that. X accepts signatures that are some minutes off.
const maxSkew = 5 * time.Minute

// statusError turns an answer that is not 200 into one of this package's errors,
// with what X says of it. X's words hold no secret: it does not repeat keys.
func statusError(rec record, now time.Time) error {
	switch rec.status {
	case http.StatusTooManyRequests:
		return newRateLimitError(rec.header, now)
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrInvalid, explain(rec.body))
	case http.StatusUnauthorized:
		if err := clockError(date(rec.header), now); err != nil {
			return err
		}
		return fmt.Errorf("%w: %s", ErrUnauthorized, explain(rec.body))
	case http.StatusForbidden:
		return fmt.Errorf("%w: %s", ErrForbidden, explain(rec.body))
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: %s", ErrNotFound, explain(rec.body))
	}
	return fmt.Errorf("%w: status %d", ErrUnavailable, rec.status)
}

// clockError is ErrClock if the two clocks are too far apart, nil otherwise.
func clockError(atX, now time.Time) error {
	ahead := now.Sub(atX).Round(time.Second)
	switch {
	case atX.IsZero() || ahead.Abs() <= maxSkew:
		return nil
	case ahead > 0:
		return fmt.Errorf("%w: it is %s ahead of X's", ErrClock, ahead)
	}
	return fmt.Errorf("%w: it is %s behind X's", ErrClock, -ahead)
}

// explain is what X says about a failure, on one line of bounded length.
func explain(body []byte) string {
	var e struct {
		Title, Detail string
		Errors        []struct {
			Code    int
			Message string
		}
	}
	_ = json.Unmarshal(body, &e) // an answer in another form explains nothing
	text := e.Title + ": " + e.Detail
	if len(e.Errors) > 0 && e.Errors[0].Message != "" {
		text = e.Errors[0].Message
		if e.Errors[0].Code != 0 {
			text = fmt.Sprintf("code %d: %s", e.Errors[0].Code, text)
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if text == ":" || text == "" {
		return "no reason given"
	}
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	return text
}
