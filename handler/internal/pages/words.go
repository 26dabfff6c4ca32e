package pages

import (
	"fmt"
	"strconv"
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
