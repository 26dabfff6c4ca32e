package pages

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// number writes 12345 as 12,345.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// day writes a date, minute and moment a time to the minute, moment with its zone,
// iso one for machines; all UTC.
func day(t time.Time) string    { return t.UTC().Format("2 January 2006") }
func minute(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") }
func moment(t time.Time) string { return minute(t) + " UTC" }
func iso(t time.Time) string    { return t.UTC().Format(time.RFC3339) }

// span writes a duration in the one unit that tells most: "3 minutes".
func span(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.length); n >= 1 {
			return plural(n, unit.name)
		}
	}
	return "under a minute"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// inWords says what an error that was written down means to an administrator, and
// what to do. Errors are kept as text only: they are known again by the words of
// the packages they come from. It is "" for none.
func inWords(text string) string {
	for _, known := range []struct{ part, words string }{
		{"X refuses the app's keys or the account's token", "X no longer accepts the account's sign-in or the app's keys. Sign in with X again; if that does not help, check the X keys under Settings."},
		{"X forbids the request", "X does not let the app read this account. Give the app read permission in X's developer portal, check that the account is not suspended, then sign in with X again."},
		{"rate limit is used up", "X's rate limit was used up. The connector waits and goes on by itself; nothing is lost."},
		{"X is unavailable", "X could not be reached. The connector tries again by itself; nothing is lost."},
		{"no account has signed in", "Nobody has signed in with X for this job. Sign in."},
		{"secret is not set", "A secret is missing. Look under Settings which one."},
		{"status 403 Forbidden", "The Key Vault refuses the connector. Give its identity the role Key Vault Secrets Officer."},
		{"the vault does not answer", "The Key Vault could not be reached. The connector tries again by itself."},
		{"AADSTS", "Entra did not give a token for the Import service. Test the connections under Settings to see why."},
		{"telling the Import service", "The Office 365 Import service did not take the delivery. The connector tries again by itself; the posts are safe in the archive."},
		{"uploading the item", "The container that the Compliance Center named could not be written to. The connector tries again by itself; the posts are safe in the archive."},
		{"claim lost", "Another instance of the connector took over. Nothing is lost."},
	} {
		if strings.Contains(text, known.part) {
			return known.words
		}
	}
	if text == "" {
		return ""
	}
	return "Something failed that this page has no words for. The connector tries again by itself; its log says more."
}

// taskState says how a task is doing.
func taskState(status int) string {
	switch status {
	case 0:
		return "Delivered"
	case 1:
		return "Failed for now"
	}
	return "Failed"
}

// lasting is "3 minutes ago", "just now", or "never" for the zero time.
func lasting(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case now.Sub(t) < time.Minute:
		return "just now"
	}
	return fmt.Sprintf("%s ago", span(max(0, now.Sub(t))))
}
