package twitter

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The ways a call to X fails that its caller can do something about. Every
// error this package returns wraps one of them, a [*RateLimitError], or the
// context's own error.
var (
	// ErrUnauthorized: X does not accept the app's keys or the account's
	// token (401). The caller drops both from its cache and tries once more;
	// after that only a new sign-in helps.
	ErrUnauthorized = errors.New("X refuses the app's keys or the account's token")

	// ErrForbidden: keys and token are good, the request is not allowed
	// (403): an app without read permission, an account that is suspended.
	ErrForbidden = errors.New("X forbids the request")

	// ErrInvalid: X says the request itself is wrong (400). A page token that
	// has gone stale is answered like this.
	ErrInvalid = errors.New("X refuses the request as invalid")

	// ErrNotFound: what was asked for is not there (404, 410).
	ErrNotFound = errors.New("X does not have it")

	// ErrUnavailable: X cannot be reached or answers 5xx; a later try can
	// succeed.
	ErrUnavailable = errors.New("X is unavailable")
)

// RateLimitError is X's 429: nothing more is answered before Reset.
type RateLimitError struct {
	Reset time.Time // UTC; when the window of x-rate-limit-reset ends
}

func (e *RateLimitError) Error() string {
	return fmt.Sprintf("X's rate limit is used up until %s", e.Reset.UTC().Format(time.RFC3339))
}

// statusError turns an answer that is not 200 into one of this package's errors,
// with what X says of it. X's words hold no secret: it does not repeat keys.
func statusError(rec record, now time.Time) error {
	switch {
	case rec.status == http.StatusTooManyRequests:
		return &RateLimitError{Reset: reset(rec.header, now)}
	case rec.status == http.StatusBadRequest:
		return fmt.Errorf("%w: %s", ErrInvalid, explain(rec.body))
	case rec.status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s", ErrUnauthorized, explain(rec.body))
	case rec.status == http.StatusForbidden:
		return fmt.Errorf("%w: %s", ErrForbidden, explain(rec.body))
	case rec.status == http.StatusNotFound, rec.status == http.StatusGone:
		return fmt.Errorf("%w: %s", ErrNotFound, explain(rec.body))
	}
	return fmt.Errorf("%w: status %d", ErrUnavailable, rec.status)
}

// reset reads x-rate-limit-reset (Unix seconds). Without one, or with one that
// makes no sense, it is X's usual window of 15 minutes.
func reset(h http.Header, now time.Time) time.Time {
	seconds, err := strconv.ParseInt(h.Get("x-rate-limit-reset"), 10, 64)
	at := time.Unix(seconds, 0).UTC()
	if err != nil || at.Before(now.Add(-time.Hour)) || at.After(now.Add(25*time.Hour)) {
		return now.Add(15 * time.Minute).UTC()
	}
	return at
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
