package health

import (
	"fmt"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
)

// Mentions says what of the posts that mention a job's account is read. Until is up to when
// every one of them is archived that X gave.
func Mentions(a state.Account, m state.Mentions, known Known, now time.Time) Verdict {
	v := Verdict{Until: m.Covered.End()}
	behind := now.Sub(v.Until)
	switch {
	case m.Problem != nil:
		meaning := m.Problem.Cause.Meaning()
		level := Working
		if meaning.NeedsPerson || !v.Until.IsZero() && behind > tooLate {
			level = NeedsYou
		}
		words := meaning.Words()
		if m.Problem.Cause == fault.Other { // the problem has better ones
			words = "The reason: " + m.Problem.Text + "."
		}
		v.say(level, "Mentions are not read", "Posts of others that mention the account wait; its own posts do not. %s", words)
	case a.LastRun.IsZero() || a.Problem != nil:
		// The account's own posts come first, and what keeps them is said.
	case v.Until.IsZero() && m.Run == nil:
		v.say(Working, "Mentions: starting", "The first of them are read after new posts, within minutes.")
	case v.Until.IsZero():
		v.say(Working, "Mentions: reading what is there", "X gives back the newest 800 posts that mention the account: %s so far.", Plural(m.Run.Posts, "post"))
	case behind > tooLate:
		v.say(NeedsYou, "Mentions are behind by "+Span(behind), "Posts of others that mention the account are read when new posts are archived and delivered. If that stays so, ticks have no time for them: see the log.")
	case behind > late:
		v.say(Working, "Mentions are behind by "+Span(behind), "Posts of others that mention the account are read when new posts are archived and delivered.")
	}
	for _, g := range m.Gaps {
		loss := []string{fmt.Sprintf("mentions/%s/%s/%s", g.Why, g.From.UTC().Format(time.RFC3339), g.To.UTC().Format(time.RFC3339))}
		if g.From.IsZero() {
			v.lose(Lost, loss, "Older mentions are missing", "X gives back the newest 800 posts that mention an account. What mentioned it before %s is not in the archive, as far as there is any.", Moment(g.To))
			continue
		}
		v.lose(Lost, loss, "A gap in mentions", "More posts mentioned the account than X gives back (800): those from %s to %s may be missing. The account's own posts are not concerned. Have the timer tick more often (INGEST_SCHEDULE).", Moment(g.From), Moment(g.To))
	}
	v.acknowledged(known)
	v.sort()
	return v
}
