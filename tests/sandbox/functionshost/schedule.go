package functionshost

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// schedule is when a timer ticks.
type schedule struct {
	text     string
	next     func(time.Time) time.Time // the first tick after a time; zero is never
	constant bool                      // a TimeSpan, not NCRONTAB
	period   time.Duration             // of a constant one
	wild     bool                      // every field but the seconds is "*"
}

// parseSchedule reads NCRONTAB of six fields (or five, without seconds), or a
// TimeSpan as "00:00:05".
// https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
func parseSchedule(expression string) (schedule, error) {
	cronErr := errors.New("not NCRONTAB")
	if fields := strings.Fields(expression); len(fields) > 1 {
		var s schedule
		if s, cronErr = parseNCRONTAB(fields); cronErr == nil {
			s.text = expression
			return s, nil
		}
	} else if period, err := parseTimeSpan(expression); err == nil && period > 0 {
		return schedule{text: expression, constant: true, period: period, next: func(t time.Time) time.Time { return t.Add(period) }}, nil
	}
	return schedule{}, fmt.Errorf("the schedule %q is neither NCRONTAB (six fields, as in \"0 */5 * * * *\") nor a TimeSpan (\"00:05:00\"): %w", expression, cronErr)
}

// parseNCRONTAB reads the fields with a cron library. NCRONTAB differs from cron in
// that a day must fit both day fields, and in taking names in full.
func parseNCRONTAB(fields []string) (schedule, error) {
	if len(fields) == 5 {
		fields = append([]string{"0"}, fields...)
	}
	if len(fields) != 6 {
		return schedule{}, fmt.Errorf("it has %d fields", len(fields))
	}
	short := append([]string(nil), fields...)
	for i, f := range short {
		if strings.ContainsAny(f, "?@=") { // the cron library's own additions
			return schedule{}, fmt.Errorf("the field %q is not NCRONTAB", f)
		}
		if i >= 4 {
			short[i] = longName.ReplaceAllString(f, "$1")
		}
	}
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	parsed, err := parser.Parse(strings.Join(short, " "))
	if err != nil {
		return schedule{}, err
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return schedule{}, errors.New("the cron library gave another kind of schedule")
	}
	// The library's mark for "*". With it on a day field, both must fit.
	const star = 1 << 63
	spec.Dom |= star
	return schedule{
		next: spec.Next,
		wild: strings.Join(fields[1:], "") == "*****",
	}, nil
}

// longName is a name of a month or a day; the cron library wants three letters.
var longName = regexp.MustCompile(`(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)[a-z]+\b`)

// frequent tells whether it ticks more than once a minute: then the host keeps
// no state of the schedule, and sends null for it.
func (s schedule) frequent(now time.Time) bool {
	if s.constant {
		return s.period < time.Minute
	}
	return s.wild && s.next(s.next(now)).Sub(now) < time.Minute
}

// timeSpan is .NET's "[d.]hh:mm[:ss[.fffffff]]".
var timeSpan = regexp.MustCompile(`^(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?$`)

// parseTimeSpan reads a .NET TimeSpan. As there, a first field of 24 or more is
// days, not hours.
func parseTimeSpan(text string) (time.Duration, error) {
	m := timeSpan.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return 0, fmt.Errorf("%q is not a TimeSpan (hh:mm:ss)", text)
	}
	n := func(s string) time.Duration { v, _ := strconv.Atoi(s); return time.Duration(v) }
	days, hours, minutes, seconds := n(m[1]), n(m[2]), n(m[3]), n(m[4])
	if hours >= 24 && m[1] == "" {
		days, hours, minutes, seconds = hours, minutes, seconds, 0
	}
	if days > 100_000 || hours > 23 || minutes > 59 || seconds > 59 {
		return 0, fmt.Errorf("%q is not a TimeSpan: a part is too large", text)
	}
	fraction := n((m[5] + "0000000")[:7]) * 100 * time.Nanosecond
	return days*24*time.Hour + hours*time.Hour + minutes*time.Minute + seconds*time.Second + fraction, nil
}

// resolveSettings puts app settings in place of %NAME%.
// https://learn.microsoft.com/azure/azure-functions/functions-bindings-expressions-patterns#binding-expressions---app-settings
func resolveSettings(text string, env map[string]string) (string, error) {
	parts := strings.Split(text, "%")
	if len(parts)%2 == 0 {
		return "", fmt.Errorf("%q has a %% without its partner", text)
	}
	for i := 1; i < len(parts); i += 2 {
		value, ok := env[parts[i]]
		if !ok || value == "" {
			return "", fmt.Errorf("%%%s%% does not resolve to a value: set %s in the app's settings", parts[i], parts[i])
		}
		parts[i] = value
	}
	return strings.Join(parts, ""), nil
}
