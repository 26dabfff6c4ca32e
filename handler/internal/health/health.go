// Package health says how a job stands, in two verdicts that are derived from
// what was written down, never from the absence of an error: what is read from X
// ([Read]), and what is delivered to Microsoft 365 ([Deliver]). The pages and
// probes ask one [Judge], so that they cannot contradict one another.
//
// A verdict is a list of findings, the gravest first. A verdict without findings
// claims no more than the times it names.
package health

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"xarchive/handler/internal/state"
)

// Level says what a finding asks of people. Each has one meaning.
type Level string

const (
	// Well: nothing is known to be missing up to the time that is named.
	Well Level = "good"
	// Working: it is not done yet, and goes on by itself.
	Working Level = "wait"
	// Lost: something cannot be had any more. Nobody can undo it; it stays so until a
	// person has acknowledged it.
	Lost Level = "loss"
	// NeedsYou: it stays so until a person acts.
	NeedsYou Level = "bad"
)

// Word names the level to machines.
func (l Level) Word() string {
	return map[Level]string{Well: "well", Working: "working", Lost: "lost", NeedsYou: "needs-you"}[l]
}

var ranks = map[Level]int{NeedsYou: 0, Lost: 1, Working: 2, Well: 3}

// Worse orders levels, the gravest first.
func Worse(a, b Level) int { return cmp.Compare(ranks[a], ranks[b]) }

// Action is what a person is to do about a finding.
type Action string

const (
	None     Action = ""
	SignIn   Action = "sign-in"  // the account signs in with X again
	Settings Action = "settings" // keys and connections
)

// Finding is one thing to be known.
type Finding struct {
	Level Level
	Title string // a few words
	Text  string // what happened, and what to do or what happens by itself
	Do    Action

	// Losses name what cannot be undone, for an acknowledgement. A finding that has
	// been acknowledged is Well and stays in the list.
	Losses []string
	Known  *state.Acknowledgement // nil: nobody has acknowledged it
}

// Acknowledgeable reports whether it waits for a person to say that it is known.
func (f Finding) Acknowledgeable() bool { return len(f.Losses) > 0 && f.Known == nil }

// ID names a finding that can be acknowledged.
func (f Finding) ID() string {
	sum := sha256.Sum256([]byte(strings.Join(f.Losses, "\n")))
	return hex.EncodeToString(sum[:8])
}

// Verdict is one side of a job.
type Verdict struct {
	Findings []Finding // the gravest first
	// Until is up to when everything is known to be done; the zero time if nothing
	// is.
	Until time.Time
}

// acknowledged makes calm what a person knows of already.
func (v *Verdict) acknowledged(known Known) {
	for i := range v.Findings {
		f := &v.Findings[i]
		for _, loss := range f.Losses {
			if f.Known = known[loss]; f.Known == nil {
				break
			}
		}
		if f.Known != nil {
			f.Level, f.Do = Well, None
		}
	}
}

// Known are acknowledgements by the name of the loss.
type Known map[string]*state.Acknowledgement

// NewKnown returns the acknowledgements of an account's losses.
func NewKnown(list []state.Acknowledgement, accountID string) Known {
	known := Known{}
	for i, a := range list {
		for _, loss := range a.Losses {
			if a.AccountID == accountID {
				known[loss] = &list[i]
			}
		}
	}
	return known
}

// Level returns the gravest finding's level, Well if there is none.
func (v Verdict) Level() Level {
	if len(v.Findings) == 0 {
		return Well
	}
	return v.Findings[0].Level
}

func (v *Verdict) say(level Level, title, format string, args ...any) {
	v.Findings = append(v.Findings, Finding{Level: level, Title: title, Text: fmt.Sprintf(format, args...)})
}

// lose says that something cannot be undone.
func (v *Verdict) lose(level Level, losses []string, title, format string, args ...any) {
	v.say(level, title, format, args...)
	v.Findings[len(v.Findings)-1].Losses = losses
}

func (v *Verdict) do(a Action) { v.Findings[len(v.Findings)-1].Do = a }

func (v *Verdict) sort() {
	slices.SortStableFunc(v.Findings, func(a, b Finding) int { return Worse(a.Level, b.Level) })
}

// Span words a duration in the one unit that tells most: "3 minutes".
func Span(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.length); n >= 1 {
			return Plural(n, unit.name)
		}
	}
	return "under a minute"
}

// Plural words a number of things: "1 post", "12,345 posts".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Number(n) + " " + what + "s"
}

// Number writes 12345 as 12,345.
func Number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Moment writes a time to the minute, with its zone.
func Moment(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") + " UTC" }

// few joins some of many words.
func few(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:n], ", ") + " and " + Plural(len(list)-n, "other")
}
