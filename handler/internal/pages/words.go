package pages

import (
	"fmt"
	"time"

	"xarchive/handler/internal/health"
)

// day writes a date, minute and moment a time to the minute, moment with its zone,
// iso one for machines; all UTC.
func day(t time.Time) string    { return t.UTC().Format("2 January 2006") }
func minute(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") }
func moment(t time.Time) string { return health.Moment(t) }
func iso(t time.Time) string    { return t.UTC().Format(time.RFC3339) }

func month(t time.Time) string { return t.UTC().Format("January 2006") }

// lasting is "3 minutes ago", "just now", or "never" for the zero time.
func lasting(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case now.Sub(t) < time.Minute:
		return "just now"
	}
	return fmt.Sprintf("%s ago", health.Span(max(0, now.Sub(t))))
}
