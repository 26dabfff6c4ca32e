package health

import (
	"context"
	"time"
)

// Ticks says when the timer last ticked; *state.Store. The zero time means never.
type Ticks interface {
	LastTick(ctx context.Context) (time.Time, error)
}

// tickLate is the age from which on the last tick is too old. The timer ticks every
// few minutes.
const tickLate = time.Hour

// Timer says how the timer stands that last ticked then; the zero time means never.
// Without a tick nothing is read from X, and the Functions host says nothing of it: a
// timer whose schedule is faulty is off, while every page answers.
func Timer(last, now time.Time) Finding {
	const advice = "See that INGEST_SCHEDULE is a valid schedule and that the timer function (ingest) is enabled in the Azure portal."
	ago := Span(now.Sub(last)) + " ago"
	switch {
	case last.IsZero():
		return Finding{Level: Working, Title: "Waiting for the timer", Text: "The timer has not ticked yet; nothing is read from X before it does. It ticks within minutes of the deployment. If it does not: " + advice}
	case now.Sub(last) > tickLate:
		return Finding{Level: NeedsYou, Title: "The timer does not tick", Text: "The timer last ticked " + ago + ". Nothing is read from X until it ticks again. " + advice}
	}
	return Finding{Level: Well, Text: "The timer last ticked " + ago + "."}
}
