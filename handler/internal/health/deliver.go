package health

import (
	"regexp"
	"slices"
	"strings"
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
func Deliver(job state.Job, tasks []state.Task, known Known, now time.Time) Verdict {
	var v Verdict
	var bad failures
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
			ended(&v, &bad, t)
		} else if t.EndedAt.IsZero() {
			open(&v, t, now)
		}
	}
	bad.say(&v, known)
	switch {
	case last.IsZero() && now.Sub(job.CreatedAt) > unasked:
		v.say(NeedsYou, "Never asked for", "The Compliance Center has asked for nothing since the job was set up %s ago. The posts are safe in the archive, but none is in Microsoft 365. See in the Compliance Center that the connector is switched on.", Span(now.Sub(job.CreatedAt)))
	case last.IsZero():
		v.say(Working, "Not asked for yet", "The Compliance Center has not asked for anything yet. It does so by itself, usually within a day.")
	case now.Sub(last) > unasked:
		v.say(NeedsYou, "No longer asked for", "The Compliance Center last asked %s ago. What was posted since is in the archive, but not in Microsoft 365. See in the Compliance Center that the connector is switched on.", Span(now.Sub(last)))
	}
	v.acknowledged(known)
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

// failure is how a delivery did not end well.
type failure struct {
	level      Level
	one, many  string // titles
	text, ends string // around what is said of each
}

var (
	altered  = failure{NeedsYou, "An archived message was altered", "Archived messages were altered", fault.ArchiveAltered.Meaning().Words() + " It is ", ""}
	refused  = failure{NeedsYou, "A delivery was refused", "deliveries were refused", "The Import service refused for good: ", " The posts are safe in the archive. It is delivered if the Compliance Center asks again."}
	failed   = failure{NeedsYou, "A delivery failed", "deliveries failed", "The Compliance Center was told that it failed for now: ", " It is delivered if the Compliance Center asks again."}
	notWhole = failure{Lost, "A delivery is not whole", "deliveries are not whole", "Delivered as far as possible: ", ""}
)

// failures are those of a job, each kind with its tasks, the newest first.
type failures struct {
	kinds []*failure
	tasks map[*failure][]state.Task
}

func (f *failures) add(kind *failure, t state.Task) {
	if f.tasks == nil {
		f.tasks = map[*failure][]state.Task{}
	}
	if f.tasks[kind] == nil {
		f.kinds = append(f.kinds, kind)
	}
	f.tasks[kind] = append(f.tasks[kind], t)
}

// say says of each kind what was acknowledged together, and what is new.
func (f *failures) say(v *Verdict, known Known) {
	for _, kind := range f.kinds {
		tasks := map[*state.Acknowledgement][]state.Task{}
		var groups []*state.Acknowledgement
		for _, t := range f.tasks[kind] {
			k := known[lossOfTask(t)]
			if tasks[k] == nil {
				groups = append(groups, k)
			}
			tasks[k] = append(tasks[k], t)
		}
		for _, k := range groups {
			var losses, each []string
			for _, t := range tasks[k] {
				losses, each = append(losses, lossOfTask(t)), append(each, kind.said(t))
			}
			title := kind.one
			if n := len(losses); n > 1 {
				title = kind.many
				if kind != &altered {
					title = Number(n) + " " + kind.many
				}
			}
			v.lose(kind.level, losses, title, "%s%s.%s", kind.text, few(each, 3), kind.ends)
		}
	}
}

// said says it of one task, without what the finding says already.
func (kind *failure) said(t state.Task) string {
	posts := "posts of " + Moment(t.Start) + " to " + Moment(t.End)
	switch kind {
	case &altered:
		var keys []string
		for _, l := range t.Left {
			if l.Problem.Cause == fault.ArchiveAltered {
				keys = append(keys, l.Key)
			}
		}
		return "message " + few(keys, 3) + ", met by the task of " + posts
	case &refused:
		return posts + " (" + t.Verdict.Refusal + ")"
	}
	return posts + " (" + strings.TrimSuffix(Reason(t), ".") + ")"
}

// lossOfTask names a delivery that did not end well. A task that is asked for again and
// ends badly again is asked about anew.
func lossOfTask(t state.Task) string {
	return "task/" + t.JobID + "/" + t.TaskID + "/" + t.EndedAt.UTC().Format(time.RFC3339)
}

// ended judges a task that has ended.
func ended(v *Verdict, bad *failures, t state.Task) {
	isAltered := slices.ContainsFunc(t.Left, func(l state.Left) bool { return l.Problem.Cause == fault.ArchiveAltered })
	switch {
	case isAltered:
		bad.add(&altered, t)
	case t.Verdict.Refusal != "":
		bad.add(&refused, t)
	case t.Verdict.Status == 1:
		bad.add(&failed, t)
	case t.Verdict.Status == 2:
		bad.add(&notWhole, t)
	default:
		v.Until = later(v.Until, t.End)
	}
}

// Reason says in words why a task did not end well; "" if it did.
func Reason(t state.Task) string {
	if t.Verdict == nil {
		return ""
	}
	var parts []string
	if t.Verdict.Refusal != "" {
		parts = append(parts, "the Import service answered: "+t.Verdict.Refusal)
	}
	raw, _, _ := strings.Cut(t.Verdict.Reason, "not delivered: ")
	raw, _, _ = strings.Cut(raw, "; the account's problem: ")
	if p := t.Problem; p != nil && t.Verdict.Status == 1 {
		raw = p.Cause.Meaning().Sentence // the text has the names of blobs, and what was being done
	}
	if raw = strings.TrimRight(raw, "; ."); raw != "" {
		parts = append(parts, momentsIn(raw))
	}
	keys := map[fault.Cause][]string{}
	var causes []fault.Cause
	for _, l := range t.Left {
		if keys[l.Problem.Cause] == nil {
			causes = append(causes, l.Problem.Cause)
		}
		keys[l.Problem.Cause] = append(keys[l.Problem.Cause], l.Key)
	}
	for _, c := range causes {
		parts = append(parts, "message "+few(keys[c], 3)+" not delivered: "+strings.TrimSuffix(c.Meaning().Sentence, "."))
	}
	if t.LeftMore > 0 {
		parts = append(parts, Plural(t.LeftMore, "message")+" more not delivered")
	}
	if len(parts) == 0 {
		return ""
	}
	text := strings.Join(parts, "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

var machineTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// momentsIn writes the times in a text as people write them.
func momentsIn(text string) string {
	return machineTime.ReplaceAllStringFunc(text, func(s string) string {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return s
		}
		return Moment(t)
	})
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
