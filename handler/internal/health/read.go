package health

import (
	"fmt"
	"strings"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/state"
)

const (
	// late is how far reading may be behind before it is worth a word. The timer ticks
	// every few minutes, and X's limits can hold it up for a quarter of an hour.
	late = time.Hour
	// tooLate is how long something that should go on by itself may not do so.
	tooLate = 6 * time.Hour
)

// Read says what of a job's account is read from X into the archive.
func Read(job state.Job, a state.Account, known Known, now time.Time) Verdict {
	v := Verdict{Until: a.Covered.End()}
	readFailure(&v, job, a, now)
	readProgress(&v, job, a, now)
	readLoss(&v, a, known)
	v.acknowledged(known)
	v.sort()
	return v
}

// readFailure says what keeps X from being read.
func readFailure(v *Verdict, job state.Job, a state.Account, now time.Time) {
	behind := now.Sub(v.Until) > late
	switch {
	case job.SignInNeeded:
		v.say(NeedsYou, "Sign-in needed", "The account must sign in with X again. Until then no new posts are read; those since the last run are read afterwards.")
		v.do(SignIn)
	case a.Problem != nil && signedInSince(job, a, now):
		v.say(Working, "Signed in again", "The account has signed in with X again, on %s. X is asked at the timer's next tick, within minutes; then what was posted since the last run is read.", Moment(job.SignedInAt))
	case a.Problem != nil:
		m := a.Problem.Cause.Meaning()
		level := Working
		if m.NeedsPerson || behind && now.Sub(later(v.Until, job.CreatedAt)) > tooLate {
			level = NeedsYou
		}
		v.say(level, "Last run failed", "%s", m.Words()+capWords(a, now))
		switch a.Problem.Cause {
		case fault.XUnauthorized, fault.XSignIn, fault.NotSignedIn:
			v.do(SignIn)
		case fault.SecretNotSet, fault.KeyVault, fault.KeyVaultAccess, fault.XForbidden, fault.XKeys, fault.XNotEnrolled:
			v.do(Settings)
		}
	}
	if a.Skew != 0 {
		v.say(NeedsYou, "The clock is wrong", "The clock of the machine that runs the connector differs from X's by %s. What is new is decided by X's clock, so no post is missed for it, but X refuses requests signed with a time that is more than some minutes wrong. Set the clock right.", a.Skew.Abs())
	}
}

// signedInSince reports whether the account has signed in since X was last asked, and
// what failed then was the sign-in or the app's keys: nothing is known of the new one
// until X is asked, which is to happen soon.
func signedInSince(job state.Job, a state.Account, now time.Time) bool {
	switch a.Problem.Cause {
	case fault.XUnauthorized, fault.XKeys, fault.XForbidden, fault.XSignIn, fault.NotSignedIn:
		return job.SignedInAt.After(a.TriedAt) && now.Sub(job.SignedInAt) <= late
	}
	return false
}

// capWords says when the monthly cap begins again, and when X is asked.
func capWords(a state.Account, now time.Time) (words string) {
	if a.Problem.Cause != fault.XUsageCap {
		return ""
	}
	if !a.CapRenews.IsZero() {
		words = " By X's account it begins again on " + a.CapRenews.Format("2 January 2006") + "."
	}
	if a.RateReset.After(now) {
		words += " X is asked again on " + Moment(a.RateReset) + "."
	}
	return words
}

// readProgress says how far reading is behind.
func readProgress(v *Verdict, job state.Job, a state.Account, now time.Time) {
	waits := "The connector goes on at the timer's next tick."
	if a.RateReset.After(now) {
		waits = "X's rate limit is used up; the connector goes on in " + Span(a.RateReset.Sub(now)) + "."
	}
	timer := "See that the timer function (ingest) is enabled in the Azure portal, and look into its log."
	switch {
	case len(v.Findings) > 0:
		// What keeps it is said.
	case a.Run != nil && v.Until.IsZero():
		v.say(Working, "Reading what is there", "The account is read for the first time: %s so far. %s", Plural(a.Run.Posts, "post"), waits)
	case a.Run != nil && now.Sub(v.Until) > late && now.Sub(a.TriedAt) < late:
		v.say(Working, "Behind by "+Span(now.Sub(v.Until)), "Much was posted: %s read, %s archived so far. %s", Plural(a.Run.Posts, "post"), Plural(a.PostsTotal, "post"), waits)
	case !a.Incomplete.IsZero():
		v.say(Working, "X's answers are incomplete", "Since %s X leaves posts out of its answers that it still has. What it gives is archived, but the time is not counted as covered until they are back. If they are not back within a day, the time is recorded as a gap.", Moment(a.Incomplete))
	case v.Until.IsZero() && now.Sub(job.CreatedAt) > late:
		v.say(NeedsYou, "Not started", "The job was set up %s ago and nothing has been read. %s", Span(now.Sub(job.CreatedAt)), timer)
	case v.Until.IsZero():
		v.say(Working, "Starting", "The first run begins at the timer's next tick, within minutes.")
	case now.Sub(v.Until) > late && a.RateReset.After(now):
		v.say(Working, "Behind by "+Span(now.Sub(v.Until)), "%s", waits)
	case now.Sub(v.Until) > late:
		v.say(NeedsYou, "Behind by "+Span(now.Sub(v.Until)), "The archive is not up to date, although nothing is recorded as failed. %s", timer)
	}
	if n := len(a.Waiting); n > 0 {
		v.say(Working, Plural(n, "post")+" not complete yet", "X did not give a picture, film, text or earlier version of them. The posts are archived; the rest is asked for again for a day and follows as a second message.")
	}
}

// readLoss says what cannot be had any more, and what could not be understood.
func readLoss(v *Verdict, a state.Account, known Known) {
	for _, g := range a.Gaps {
		loss := []string{fmt.Sprintf("gap/%s/%s/%s", g.Why, g.From.UTC().Format(time.RFC3339), g.To.UTC().Format(time.RFC3339))}
		from := "from " + Moment(g.From)
		if g.From.IsZero() {
			from = "before"
		}
		switch g.Why {
		case state.LeftOut:
			v.lose(Lost, loss, "A gap", "X left posts out of its answers for a day: posts %s to %s may be missing.", from, Moment(g.To))
		default:
			if g.From.IsZero() {
				v.lose(Lost, loss, "Older posts are missing", "X gives back the newest 3,200 posts of an account. What was posted before %s is not in the archive, as far as there is any.", Moment(g.To))
				continue
			}
			v.lose(Lost, loss, "A gap", "More was posted than X gives back (3,200 posts): posts %s to %s may be missing. Have the timer tick more often (INGEST_SCHEDULE).", from, Moment(g.To))
		}
	}
	if s := a.Stated; s.Unexplained() {
		v.say(Lost, "X states more posts", "X states %s for the account; %s are archived, %s of them gone from X. No gap explains the %s that are missing, since %s. Compare with X's own page, or with an archive that the account's owner downloads at X.",
			Plural(s.Posts, "post"), Number(s.Archived), Number(s.Gone), Number(s.Missing), Moment(s.Since))
	}
	// What was acknowledged together stays together; what is new is asked about.
	lost := map[*state.Acknowledgement][]state.Lost{}
	var groups []*state.Acknowledgement
	for _, l := range a.Lost {
		k := known[lossOf(l)]
		if lost[k] == nil {
			groups = append(groups, k)
		}
		lost[k] = append(lost[k], l)
	}
	for _, k := range groups {
		var posts, losses []string
		for _, l := range lost[k] {
			posts, losses = append(posts, l.PostID), append(losses, lossOf(l))
		}
		v.lose(Lost, losses, Plural(len(posts), "post")+" without all that belongs to it", "X did not give a picture, film, text or earlier version within a day. The posts are archived and say what is missing: %s.", few(posts, 5))
	}
	if n := a.SetAside.Posts; n > 0 {
		v.say(NeedsYou, Plural(n, "post")+" set aside", "%s", fault.SetAside.Meaning().Words())
	}
}

// lossOf names what X did not give of a post.
func lossOf(l state.Lost) string {
	kind, post, _ := strings.Cut(l.Key(), "/")
	return "lost/" + post + "/" + kind
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
