package health

import (
	"slices"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
)

const (
	// unasked is how long the Compliance Center may take to ask for the first time,
	// and between two requests. It asks at least once a day.
	unasked = 3 * 24 * time.Hour
	// undelivered is how long a task may stay open.
	undelivered = 24 * time.Hour
)

// Deliver says what of a job is delivered to Microsoft 365. tasks are the newest
// tasks of the job, open ones and ended ones; what lies further back is not judged.
func Deliver(job state.Job, tasks []state.Task, now time.Time) Verdict {
	var v Verdict
	var last time.Time // when the newest request came
	for _, t := range tasks {
		if t.JobID != job.ID {
			continue
		}
		last = later(last, t.ReceivedAt)
		if !t.EndedAt.IsZero() && t.Verdict != nil {
			if !delivered(t) && slices.ContainsFunc(tasks, func(later state.Task) bool { return repeats(later, t) }) {
				continue
			}
			ended(&v, t)
		} else if t.EndedAt.IsZero() {
			open(&v, t, now)
		}
	}
	switch {
	case last.IsZero() && now.Sub(job.CreatedAt) > unasked:
		v.say(NeedsYou, "Never asked for", "The Compliance Center has asked for nothing since the job was set up %s ago. The posts are safe in the archive, but none is in Microsoft 365. See in the Compliance Center that the connector is switched on.", Span(now.Sub(job.CreatedAt)))
	case last.IsZero():
		v.say(Working, "Not asked for yet", "The Compliance Center has not asked for anything yet. It does so by itself, usually within a day.")
	case now.Sub(last) > unasked:
		v.say(NeedsYou, "No longer asked for", "The Compliance Center last asked %s ago. What was posted since is in the archive, but not in Microsoft 365. See in the Compliance Center that the connector is switched on.", Span(now.Sub(last)))
	}
	v.sort()
	return v
}

// delivered reports whether a task ended well.
func delivered(t state.Task) bool {
	return !t.EndedAt.IsZero() && t.Verdict != nil && t.Verdict.Status == 0 && t.Verdict.Refusal == "" && len(t.Left) == 0
}

// repeats reports whether a later task delivered all that an earlier one was to deliver.
func repeats(later, t state.Task) bool {
	return later.JobID == t.JobID && later.AccountID == t.AccountID && later.ReceivedAt.After(t.ReceivedAt) && delivered(later) && !later.Start.After(t.Start) && !later.End.Before(t.End)
}

// ended judges a task that has ended.
func ended(v *Verdict, t state.Task) {
	window := Moment(t.Start) + " to " + Moment(t.End)
	for _, l := range t.Left {
		if l.Problem.Cause == fault.ArchiveAltered {
			v.say(NeedsYou, "An archived message was altered", "%s Message %s, task of %s.", fault.ArchiveAltered.Meaning().Words(), l.Key, window)
			return
		}
	}
	switch {
	case t.Verdict.Refusal != "":
		v.say(NeedsYou, "A delivery was refused", "The Import service refused the task of %s for good: %s", window, t.Verdict.Refusal)
	case t.Verdict.Status == 1:
		v.say(NeedsYou, "A delivery failed", "The task of %s failed for now, and the Compliance Center was told so: %s. It is delivered if the Compliance Center asks again.", window, t.Verdict.Reason)
	case t.Verdict.Status == 2:
		v.say(Lost, "A delivery is not whole", "The task of %s was delivered as far as possible: %s.", window, t.Verdict.Reason)
	default:
		v.Until = later(v.Until, t.End)
	}
}

// open judges a task that has not ended.
func open(v *Verdict, t state.Task, now time.Time) {
	age := now.Sub(t.ReceivedAt)
	switch {
	case t.Problem != nil && t.Problem.Cause.Meaning().NeedsPerson:
		v.say(NeedsYou, "A delivery does not get through", "%s", t.Problem.Cause.Meaning().Words())
		if t.Problem.Cause == fault.EntraSignIn || t.Problem.Cause == fault.SecretNotSet {
			v.do(Settings)
		}
	case t.Problem != nil && t.Problem.Cause == fault.ImportDay:
		v.say(Working, "The rest is delivered tomorrow", "%s", t.Problem.Cause.Meaning().Words())
	case age > undelivered:
		v.say(NeedsYou, "A delivery is overdue", "A task has been open for %s. Look at it below and into the connector's log.", Span(age))
	default:
		v.say(Working, "A delivery is under way", "It goes on by itself.")
	}
}
