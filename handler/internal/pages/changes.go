package pages

import (
	"net/http"
	"strconv"

	"xarchive/handler/internal/audit"
)

// changesPage is who changed what, the newest first.
type changesPage struct {
	List    []change
	Broken  []string // what is wrong with the log
	Problem string
	Older   int // where the next page begins; 0 if this one is the last
	Newer   bool
}

type change struct {
	audit.Record
	Words, Door string
	Failed      bool
}

// shownChanges is how many changes a page has.
const shownChanges = 50

// changes is /Views/Changes.
func (q *request) changes() {
	if !q.enter() {
		return
	}
	before, err := strconv.Atoi(q.query("before"))
	if err != nil || before < 0 {
		before = 0
	}
	page := changesPage{Newer: before > 0}
	list, broken, err := q.pages.opt.Changes.Newest(q.r.Context(), before, shownChanges)
	code := http.StatusOK
	if err != nil {
		problem := q.explain("reading the log of changes", err)
		page.Problem, code = problem.Message, problem.Status
	}
	for _, r := range list {
		page.List = append(page.List, newChange(r))
		if r.N > 1 && len(page.List) == shownChanges {
			page.Older = r.N
		}
	}
	for _, b := range broken {
		page.Broken = append(page.Broken, b.Error())
	}
	q.show(code, "changes", "Changes", page)
}

// whatWords says what was changed.
var whatWords = map[string]string{
	audit.Acknowledged: "Loss acknowledged", audit.Exported: "Messages exported",
	audit.HistoryCounted: "Older posts counted", audit.HistoryRead: "Older posts to be read", audit.HistoryStopped: "Reading of older posts stopped",
	audit.SettingsSaved: "Settings saved", audit.SignedInWithX: "Account signed in with X", audit.TokenDeleted: "Account's token removed",
	audit.JobSaved: "Job saved", audit.JobDeleted: "Job deleted", audit.SignInRequired: "New sign-in with X required",
	audit.SessionBegun: "Signed in to these pages", audit.SessionEnded: "Signed out",
}

func newChange(r audit.Record) change {
	c := change{Record: r, Words: whatWords[r.What], Door: map[string]string{"call": "by a call", "page": "on these pages"}[r.Door]}
	switch {
	case r.What == audit.ChangeHasFailed:
		c.Words, c.Failed, c.Detail = "Number "+strconv.Itoa(r.Of)+" failed", true, "Cause: "+r.Detail
	case c.Words == "":
		c.Words = r.What // of a newer version
	}
	return c
}
