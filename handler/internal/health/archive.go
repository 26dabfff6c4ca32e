package health

import (
	"strings"
	"time"

	"xarchive/handler/internal/state"
)

// unverified is from when on it is worth a word that an archive takes long to be read
// again: a tick reads a bounded part.
const unverified = 14 * 24 * time.Hour

// Archive says whether what is archived of an account is as it was archived. Until is when
// the last reading began that found no fault.
func Archive(known state.Verification, now time.Time) Verdict {
	v := Verdict{Until: known.Sound}
	if last := known.Last; last != nil && !last.Report.Sound() {
		var faults []string
		for _, f := range last.Report.Faults() {
			if f.Count > 0 {
				faults = append(faults, Number(f.Count)+" "+f.What+" ("+few(f.Named, 3)+")")
			}
		}
		v.say(NeedsYou, "The archive is not as it was written", "Found by the reading that ended %s: %s. Nothing is delivered of an altered message. Run handler verify, and see in docs/operations.md, Verify, what to do.", Moment(known.Ended), strings.Join(faults, ", "))
	}
	if since := known.Sound; known.Pass != nil && len(v.Findings) == 0 {
		if since.IsZero() {
			since = known.Pass.Began
		}
		if age := now.Sub(since); age > unverified {
			v.say(Working, "Verified "+Span(age)+" ago", "The archive is read again, a part of it at each tick: %s so far since %s. If that number stands still, look into the connector's log.", Plural(known.Pass.Report.Messages, "message"), Moment(known.Pass.Began))
		}
	}
	return v
}
