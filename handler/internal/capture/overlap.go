package capture

import (
	"context"
	"slices"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// X shows posts in its timelines with some delay, not always in the order of
// their ids, and during an incident leaves some out for a while. So each run
// reads the newest known posts again: what X shows late is then found although its
// id is below the cursor, and known posts that are missing from the answer tell that
// the answer cannot be trusted.
//
// X bills a post once in a UTC day, however often it is read. The overlap
// stays within the day, so that it costs nothing, but for the first minutes of
// a day: there it reaches two minutes back into the day before, because a post
// that X shows late at midnight would else be lost. That costs the posts of
// those two minutes, once.
const (
	// Overlap is how far before the last answer known posts are read again.
	Overlap         = 15 * time.Minute
	midnightOverlap = 2 * time.Minute

	// Settle is the time before an answer that the answer does not cover: X may
	// not yet show posts that are that young.
	Settle = 30 * time.Second

	// anchorsKept is how many of them are older than the overlap: one is the
	// anchor, the others help to prove how far a run reached.
	anchorsKept = 5
)

// OverlapStart returns from when on known posts are read again. last is when X was
// last asked with success: what X shows late was not in that answer.
func OverlapStart(last, now time.Time) time.Time {
	start, day := last.Add(-Overlap), now.UTC().Truncate(24*time.Hour)
	if start.Before(day) {
		start = latest(start, earliest(last, day).Add(-midnightOverlap))
	}
	return start
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// lastAsked returns when X was last asked with success, by X's clock. While X's
// answers are incomplete the covered time stands still, and so does this.
func (t *turn) lastAsked() time.Time { return t.account.Decided().Add(Settle) }

// since returns the id below which nothing is read again: that of the newest known
// post that is older than the overlap. "" reads back as far as X goes.
func (t *turn) since(now time.Time) string {
	a := t.account
	start := OverlapStart(earliest(t.lastAsked(), now), now) // an older version may have covered time to come
	older := slices.IndexFunc(a.Recent, func(s state.Seen) bool { return !s.At.Before(start) })
	if older < 0 {
		older = len(a.Recent)
	}
	newest, ok := post.IDTime(a.Cursor)
	switch {
	case older == len(a.Recent) && (!ok || newest.Before(start) || len(a.Covered) == 0):
		return a.Cursor
	case older > 0: // the newest post may be younger: it was deleted, or set aside
		return a.Recent[older-1].ID
	case len(a.Recent) > 0 && a.PostsTotal <= len(a.Recent) && len(a.Gaps) == 0:
		return "" // all posts of the account are known and young
	case len(a.Covered) == 0: // then some are known
		return a.Recent[0].ID
	}
	return post.IDAt(start) // no post is known that is older: they were deleted, for instance
}

// expected returns the ids of the known posts that an answer about what is newer
// than since must hold.
func (t *turn) expected(since string) []string {
	var ids []string
	for _, s := range t.account.Recent {
		if post.CompareIDs(s.ID, since) > 0 {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// known returns which of the known posts a page holds. A post that was edited
// since holds its earlier versions.
func (t *turn) known(page post.Page) []string {
	here := map[string]bool{}
	for _, d := range page.Posts {
		here[d.ID] = true
		if d.Post != nil {
			for _, id := range d.Post.EditHistory {
				here[id] = true
			}
		}
	}
	var ids []string
	for _, s := range t.account.Recent {
		if here[s.ID] {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// isKnown reports whether a post of the timeline is archived and remembered.
func (t *turn) isKnown(id string) bool {
	return slices.ContainsFunc(t.account.Recent, func(s state.Seen) bool { return s.ID == id })
}

// changed reports whether X gives a known post otherwise than when it was archived, as
// far as its digest tells. What an older version wrote down has none.
func (t *turn) changed(d post.Document) bool {
	return d.Post != nil && slices.ContainsFunc(t.account.Recent, func(s state.Seen) bool { return s.ID == d.ID && s.Sum != d.Post.Digest() })
}

// quiet reports whether a first page shows that there is nothing new: it is the
// only page, every post on it is known and as it was, and every known post that must be
// on it is.
func (t *turn) quiet(a twitter.Answer) bool {
	if a.Page.Meta.NextToken != "" || len(a.Page.Unreadable) > 0 || !t.account.Incomplete.IsZero() {
		return false
	}
	ids := t.known(a.Page)
	for _, d := range a.Page.Posts {
		if !d.Earlier && (!slices.Contains(ids, d.ID) || t.changed(d)) {
			return false
		}
	}
	return !slices.ContainsFunc(t.expected(t.sinceID), func(id string) bool { return !slices.Contains(ids, id) })
}

// nothingNew covers the time up to a quiet answer.
func (t *turn) nothingNew(ctx context.Context, a twitter.Answer) {
	t.cover(state.Range{From: t.coverFrom(t.sinceID), To: t.xTime(a).Add(-Settle)})
	t.upToDate(ctx)
}

// coverFrom returns from when on a run covers that reads all that is newer than
// since: from the end of the covered time, or of the gap that follows it; from the
// beginning of time where it reads everything.
func (t *turn) coverFrom(since string) time.Time {
	a := t.account
	switch {
	case since == "":
		return time.Time{}
	case len(a.Covered) > 0:
		return t.account.Decided()
	}
	return t.coverFromKnown(since) // nothing is covered, but posts are known: only what is newer than they is
}

// coverFromKnown returns when a known post was posted.
func (t *turn) coverFromKnown(since string) time.Time {
	a := t.account
	if i := slices.IndexFunc(a.Recent, func(s state.Seen) bool { return s.ID == since }); i >= 0 {
		return a.Recent[i].At
	}
	at, ok := post.IDTime(since)
	if !ok {
		return t.xNow()
	}
	return at
}

func (t *turn) cover(r state.Range) {
	r.To = r.To.UTC().Truncate(time.Second)
	t.account.Covered = t.account.Covered.Add(r)
}

// upToDate notes that the account is up to date.
func (t *turn) upToDate(ctx context.Context) {
	t.compare(ctx)
	t.account.LastRun, t.account.Problem = t.now().UTC(), nil
	t.forgetKnown()
}

// addKnown remembers posts of the timeline that are archived. Those that X does not reach
// any more are of no use.
func (t *turn) addKnown(docs []post.Document) {
	a := t.account
	for _, d := range docs {
		if d.Post == nil || d.Earlier {
			continue
		}
		seen := state.Seen{ID: d.ID, At: d.Post.CreatedAt, Sum: d.Post.Digest()}
		if i := slices.IndexFunc(a.Recent, func(s state.Seen) bool { return s.ID == d.ID }); i >= 0 {
			a.Recent[i] = seen
		} else {
			a.Recent = append(a.Recent, seen)
		}
	}
	slices.SortFunc(a.Recent, func(x, y state.Seen) int { return post.CompareIDs(x.ID, y.ID) })
	a.Recent = slices.Clone(a.Recent[max(0, len(a.Recent)-t.capture.opt.Reach):])
}

// forgetKnown forgets the known posts that the next run need not read again, but for
// some anchors. While X's answers are incomplete none are forgotten.
func (t *turn) forgetKnown() {
	a := t.account
	if !a.Incomplete.IsZero() {
		return
	}
	start := t.lastAsked().Add(-Overlap)
	first := slices.IndexFunc(a.Recent, func(s state.Seen) bool { return !s.At.Before(start) })
	if first < 0 {
		first = len(a.Recent)
	}
	a.Recent = slices.Clone(a.Recent[max(0, first-anchorsKept):])
}
