package health

import (
	"context"
	"errors"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
)

// events says how X sends its events; nil if it is not to, and sends none.
func (j Judge) events(ctx context.Context, jobs int, now time.Time) (*Finding, error) {
	record, err := j.Records.Activity(ctx)
	var damaged state.Damaged
	switch {
	case errors.As(err, &damaged):
		record = state.Activity{Problem: state.NewProblem(err, now)}
	case errors.Is(err, state.ErrNotFound) && !j.Activity:
		return nil, nil
	case err != nil && !errors.Is(err, state.ErrNotFound):
		return nil, err
	}
	f := Events(record, j.Activity, jobs, now)
	return &f, nil
}

// Events judges how X sends its events: on says whether it is to.
func Events(a state.Activity, on bool, jobs int, now time.Time) Finding {
	const without = " Posts are read as without events; deletions are noticed by the audit."
	switch {
	case !on && a.Problem != nil:
		return Finding{Level: NeedsYou, Title: "X still sends events", Text: "X_ACTIVITY is false, and X could not be told to send no more: " + a.Problem.Cause.Meaning().Words() + " What it sends is not taken."}
	case !on:
		return Finding{Level: Working, Title: "X still sends events", Text: "X_ACTIVITY is false; X is told to send no more at one of the next ticks."}
	case a.Problem != nil:
		m, level := a.Problem.Cause.Meaning(), Working
		if m.NeedsPerson || now.Sub(a.CheckedAt) > tooLate {
			level = NeedsYou
		}
		words := m.Words()
		if c := a.Problem.Cause; c == fault.Settings || c == fault.XRefused || c == fault.Other { // the problem has better ones
			words = "The reason: " + a.Problem.Text + "."
		}
		return Finding{Level: level, Title: "X does not send its events", Text: words + without}
	case a.CheckedAt.IsZero():
		return Finding{Level: Working, Title: "X is told to send its events", Text: "That is done at one of the next ticks." + without}
	case now.Sub(a.CheckedAt) > tooLate:
		return Finding{Level: NeedsYou, Title: "X's events are not looked after", Text: "X was last asked on " + Moment(a.CheckedAt) + " whether it sends them. See that the timer ticks." + without}
	}
	text := "X sends events of " + Plural(len(a.Accounts), "account") + ", as it said on " + Moment(a.CheckedAt) + "."
	if !a.LastEvent.IsZero() {
		text += " The last ones were worked on on " + Moment(a.LastEvent) + "."
	}
	return Finding{Level: Well, Title: "X's events", Text: text}
}
