package twitter

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"
)

// The ways a call to X fails that its caller can do something about. Every
// error this package returns wraps one of them, a [*RateLimitError] or a
// [*SignInError], or is the context's own error.
var (
	// ErrUnauthorized: X does not accept the app's keys or the account's
	// token (401). The caller drops both from its cache and tries once more;
	// after that only a new sign-in helps.
	ErrUnauthorized = fault.New(fault.XUnauthorized, "X refuses the app's keys or the account's token")

	// ErrToken: X takes the app's keys and refuses the account's token. Only a new
	// sign-in helps.
	ErrToken = fault.Kind(ErrUnauthorized, fault.XUnauthorized, "X refuses the account's token: its owner took the app's access away, or changed the password")

	// ErrKeys: X refuses the app's keys.
	ErrKeys = fault.Kind(ErrUnauthorized, fault.XKeys, "X refuses the app's keys")

	// ErrClock: X answers 401, and its clock and this machine's are more than
	// five minutes apart. A signature holds the time, so X refuses whatever
	// keys it is made with: neither other keys nor a new sign-in help.
	ErrClock = fault.New(fault.Clock, "X refuses the signature, and this machine's clock is wrong")

	// ErrForbidden: keys and token are good, the request is not allowed (403): as a
	// rule the app has no read permission. The errors below are special cases of it.
	ErrForbidden = fault.New(fault.XForbidden, "X forbids the request")

	// ErrNotEnrolled: the app is in no project or package of X's.
	ErrNotEnrolled = fault.Kind(ErrForbidden, fault.XNotEnrolled, "X does not serve the app: it is in no project or package")

	// ErrProtected: the account shows its posts to its followers only.
	ErrProtected = fault.Kind(ErrForbidden, fault.XProtected, "X does not show the account: it is protected")

	// ErrSuspended: X has suspended or locked the account.
	ErrSuspended = fault.Kind(ErrForbidden, fault.XSuspended, "X does not show the account: it is suspended or locked")

	// ErrGone: there is no such account any more.
	ErrGone = fault.Kind(ErrForbidden, fault.XGone, "X does not have the account")

	// ErrCredits: the pay-per-use balance is empty (402). It comes in a RateLimitError.
	ErrCredits = fault.New(fault.XCredits, "the credits at X are used up")

	// ErrUsageCap: the month's cap on reads is reached. It comes in a RateLimitError.
	ErrUsageCap = fault.New(fault.XUsageCap, "the monthly cap at X is reached")

	// ErrChanged: X answers with success, and in neither vocabulary with what it must
	// send. Nothing of such an answer may be stored.
	ErrChanged = fault.New(fault.XChanged, "X changed its answer")

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
	case http.StatusPaymentRequired:
		// The rate limit's headers still show room. Nothing helps but money.
		return fmt.Errorf("%w: %s", &RateLimitError{Reset: now.Add(creditsWait).UTC(), Why: ErrCredits}, explain(rec.body))
	case http.StatusTooManyRequests:
		if p := readProblem(rec.body); p.kind() == "usage-capped" || p.Title == "UsageCapExceeded" {
			return fmt.Errorf("%w: %s", capped(now, p.renewal(now)), explain(rec.body))
		}
		return newRateLimitError(rec.header, now)
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrInvalid, explain(rec.body))
	case http.StatusUnauthorized:
		if err := clockError(date(rec.header), now); err != nil {
			return err
		}
		return fmt.Errorf("%w: %s", ErrUnauthorized, explain(rec.body))
	case http.StatusForbidden:
		return fmt.Errorf("%w: %s", forbidden(readProblem(rec.body)), explain(rec.body))
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

// problem is what X says of a call that failed as a whole: RFC 7807, or an error of
// the older API.
type problem struct {
	Title, Detail, Type string
	Reason              string // of client-forbidden
	Period              string // of usage-capped
	Errors              []struct {
		Code    int
		Message string
	}
}

func readProblem(body []byte) problem {
	var p problem
	_ = json.Unmarshal(body, &p) // an answer in another form explains nothing
	return p
}

// kind is the last segment of the problem's type: X uses the same words under
// api.twitter.com and api.x.com.
func (p problem) kind() string { return post.Problem{Type: p.Type}.Kind() }

// forbidden says which kind of ErrForbidden a 403 is.
// https://docs.x.com/x-api/fundamentals/response-codes-and-errors
func forbidden(p problem) error {
	code := 0
	if len(p.Errors) > 0 {
		code = p.Errors[0].Code
	}
	switch {
	case p.kind() == "client-forbidden" && p.Reason == "client-not-enrolled":
		return ErrNotEnrolled
	case p.kind() == "not-authorized-for-resource":
		return ErrProtected
	case code == 64 || code == 326: // suspended; locked until its owner acts
		return ErrSuspended
	}
	return ErrForbidden
}

// notShown says why X does not show an account, which it does with status 200.
func notShown(p post.Problem) error {
	why := ErrForbidden
	switch kind := p.Kind(); {
	case kind == "not-authorized-for-resource":
		why = ErrProtected
	case kind == "resource-unavailable", kind == "resource-not-found" && p.Title == "Forbidden":
		why = ErrSuspended
	case kind == "resource-not-found":
		why = ErrGone
	}
	return fmt.Errorf("%w: %s: %s", why, p.Title, p.Detail)
}

// explain is what X says about a failure, on one line of bounded length.
func explain(body []byte) string {
	e := readProblem(body)
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

// NotAnswered reports whether X failed to answer, or refused to: what was asked may be
// asked again later. A rate limit is none of these.
func NotAnswered(err error) bool {
	for _, kind := range []error{ErrUnavailable, ErrForbidden, ErrInvalid, ErrNotFound, ErrUnauthorized, ErrClock, ErrChanged} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
