package pages

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"xarchive/handler/internal/browse"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/jobs"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// accountPage is all about one job's account.
type accountPage struct {
	H       jobHealth
	Problem string // why it cannot be shown
	Counts  browse.Counts
	Months  chart
	Kinds   []kindCount
	Uncount string // why the archive was not counted
	Line    timeLine
	Missing []missing
	Archive string // address of its messages
	History string // address of the page of its older posts
}

type kindCount struct {
	Kind  post.Kind
	Posts int
}

// missing is something of a post that X did not give.
type missing struct {
	PostID, What, Why string
	Since             time.Time
	Lost              bool   // it is given up
	Link              string // to the post's message
}

// account is /Status/Account?job=.
func (q *request) account() {
	if !q.enter() {
		return
	}
	ctx, id := q.r.Context(), q.query("job")
	page, code := accountPage{}, http.StatusOK
	err := jobs.CheckID("job", id)
	if err == nil {
		err = q.pages.opt.Health.Reach(ctx)
	}
	var standing health.Standing
	if err == nil {
		standing, err = q.pages.opt.Health.JobOf(ctx, id)
	}
	if err != nil {
		problem := q.explain("reading how an account stands", err)
		page.Problem, code = problem.Message, problem.Status
		q.show(code, "account", "Account", page)
		return
	}
	now := q.pages.opt.Now().UTC()
	page.H, page.Archive = q.shownJob(standing, now), archiveURL(standing.Account.ID)
	page.History = historyURL(id)
	if page.Counts, err = q.pages.opt.Archive.Count(ctx, standing.Account.ID); err != nil {
		page.Uncount = q.explain("counting an account's messages", err).Message
	}
	page.Months = newMonths(page.Counts)
	for _, k := range post.Kinds() {
		page.Kinds = append(page.Kinds, kindCount{k, page.Counts.Kinds[k]})
	}
	page.Line = newTimeLine(standing.Account, now)
	for _, w := range standing.Account.Waiting {
		page.Missing = append(page.Missing, newMissing(w, time.Time{}))
	}
	for _, l := range standing.Account.Lost {
		page.Missing = append(page.Missing, newMissing(l.Waiting, l.At))
	}
	slices.SortFunc(page.Missing, func(a, b missing) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.PostID, b.PostID)) })
	q.show(code, "account", page.H.Name(), page)
}

func newMissing(w state.Waiting, lost time.Time) missing {
	m := missing{PostID: w.PostID, Why: w.Why, Since: w.Since, Lost: !lost.IsZero(), Link: messageURL(w.Name)}
	m.What = health.Plural(len(w.Media), "media file")
	switch {
	case len(w.Versions) > 0:
		m.What = health.Plural(len(w.Versions), "earlier version")
	case w.Text:
		m.What = "text"
	}
	return m
}

const monthWidth = 20

// newMonths draws how many posts each month has.
func newMonths(c browse.Counts) chart {
	var out chart
	var busiest time.Time
	for i, m := range c.Months {
		if m.Posts > out.Top {
			out.Top, busiest = m.Posts, m.At
		}
		out.Total += m.Posts
		out.Bars = append(out.Bars, bar{X: i * monthWidth, Width: barWidth, Day: m.At, Posts: m.Posts})
	}
	out.scale()
	out.Width = max(1, len(c.Months)*monthWidth-(monthWidth-barWidth))
	out.Summary = "The archive has no posts yet."
	if out.Total > 0 {
		out.First, out.Last = c.Months[0].At, c.Months[len(c.Months)-1].At
		out.Summary = fmt.Sprintf("%s in %s, most in %s (%s).", health.Plural(out.Total, "post"), health.Plural(len(c.Months), "month"), month(busiest), health.Number(out.Top))
	}
	return out
}

// timeLine is the time from the oldest gap or covered moment until now, with what of it
// is covered, and what is missing.
type timeLine struct {
	From, To time.Time
	Covered  []stretch
	Gaps     []stretch
	Summary  string
}

// stretch is a part of a time line, in thousandths of its width.
type stretch struct {
	X, Width int
	From, To time.Time // the zero From is the beginning of time
	Why      string
}

const lineWidth = 1000

func newTimeLine(a state.Account, now time.Time) timeLine {
	line := timeLine{To: now}
	first := func(t time.Time) {
		if !t.IsZero() && (line.From.IsZero() || t.Before(line.From)) {
			line.From = t
		}
	}
	for _, r := range a.Covered {
		first(r.From)
		if r.From.IsZero() {
			first(r.To)
		}
	}
	for _, g := range a.Gaps {
		first(g.From)
		if g.From.IsZero() {
			first(g.To)
		}
	}
	if line.From.IsZero() {
		line.Summary = "Nothing is covered yet."
		return line
	}
	line.From = line.From.Add(-max(24*time.Hour, now.Sub(line.From)/20)) // room for what was before
	at := func(t time.Time) int {
		return int(min(lineWidth, max(0, lineWidth*t.Sub(line.From).Seconds()/max(1, line.To.Sub(line.From).Seconds()))))
	}
	draw := func(r state.Range, why string) stretch {
		x := at(r.From)
		return stretch{x, max(4, at(r.To)-x), r.From, r.To, why}
	}
	for _, r := range a.Covered {
		line.Covered = append(line.Covered, draw(r, ""))
	}
	for _, g := range a.Gaps {
		why := "X gives back no more than the newest 3,200 posts"
		if g.Why == state.LeftOut {
			why = "X left posts out of its answers for a day"
		}
		line.Gaps = append(line.Gaps, draw(g.Range, why))
	}
	line.Summary = "Read from X up to " + moment(a.Covered.End()) + ", " + map[bool]string{true: "without a gap.", false: "with " + health.Plural(len(a.Gaps), "gap") + "."}[len(a.Gaps) == 0]
	return line
}
