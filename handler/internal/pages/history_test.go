package pages

import (
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/audit"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/state"
)

// counted has X's counts in the history that was asked for: two months, 1,200 posts.
func (w *world) counted(change func(*state.History)) {
	w.T.Helper()
	err := w.State.ChangeHistory(w.T.Context(), jobstest.Press, func(h *state.History) error {
		month := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
		h.Made = month.AddDate(0, -1, 0)
		h.Months = []state.HistoryMonth{{Range: state.Range{From: month, To: month.AddDate(0, 1, 0)}, Counted: 1000}, {Range: state.Range{From: month.AddDate(0, -1, 0), To: month}, Counted: 200}}
		if change != nil {
			change(h)
		}
		return nil
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) history() state.History {
	w.T.Helper()
	h, err := w.State.History(w.T.Context(), jobstest.Press)
	if err != nil {
		w.T.Fatal(err)
	}
	return h
}

// TestHistory: the older posts of an account are counted, the price is seen, and only then
// may they be read, so many at most; it can be stopped, and go on. Who did it is written
// down.
func TestHistory(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Status")
	b.get(w.atX(b.toX(jobURL), jobstest.Press), 303)
	b.get(jobURL, 200)
	b.post(jobURL, 303, "do", "save", "account", jobstest.Press)
	const page = "/Status/History?job=j-1"
	b.get("/Status/Account?job=j-1", 200, "Read older posts")
	if !strings.Contains(b.page, `href="`+page+`"`) {
		t.Error("the account's page does not lead to its older posts")
	}
	b.get(page, 200, "First, count them", "bills $0.01 for each month")
	b.post(page, 400, "do", "count", "from", "yesterday")
	b.has("written like 2026-11-30")
	b.post(page, 400, "do", "count", "from", "2026-05-02", "to", "2026-05-01")
	b.has("From must be before To")
	b.post(page, 303, "do", "count", "from", "2026-04-01", "to", "2026-05-31")
	b.get(b.location(), 200, "The posts are being counted", "Stop")
	if h := w.history(); h.MaxReads != 0 || h.From.Format(time.DateOnly) != "2026-04-01" || h.To.After(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("asked for: %+v", h)
	}
	asked := w.history().Asked.Format(time.RFC3339Nano)
	b.post(page, 400, "do", "read", "asked", asked, "most", "100")
	b.has("not counted to their end")

	w.counted(nil)
	b.get(page, 200, "The posts are counted", "1,200 posts in 2 months", "up to $6.00", "Read them …", "Count again")
	for _, most := range []string{"", "9", "-5", "many", "99999999"} {
		do := "review"
		if most == "99999999" {
			do = "read"
		}
		b.get(page, 200)
		b.post(page, 400, "do", do, "asked", asked, "most", most)
		b.has("posts", "10")
	}
	b.get(page, 200)
	b.post(page, 200, "do", "review", "asked", asked, "most", "600")
	b.has("Read these posts?", "Up to 600 posts", "costs up to $3.00", "What they quote or answer comes on top", "Read them, for up to $3.00 and what they refer to")
	if h := w.history(); h.MaxReads != 0 {
		t.Error("it is read before anybody has confirmed it")
	}
	b.post(page, 400, "do", "read", "asked", "2020-01-01T00:00:00Z", "most", "600")
	b.has("has changed meanwhile")
	b.post(page, 303, "do", "read", "asked", asked, "most", "600")
	if h := w.history(); h.MaxReads != 600 || !h.Ended.IsZero() {
		t.Errorf("to be read: %+v", h)
	}
	b.get(page, 200)
	b.post(page, 400, "do", "count")
	b.has("stop that first")
	w.counted(func(h *state.History) {
		h.Reads, h.Months[0].Found, h.Months[0].New = 400, 390, 380
		h.Problem, h.Until = &state.Problem{Cause: fault.XCredits, Text: "inner"}, w.Now().Add(time.Hour)
	})
	b.get(page, 200, "The posts are being read", "400 of at most 600", "390 of 1,200 that X counts", "begun", "not read yet", "It waits. The credits at X are used up", "Stop")
	b.post(page, 303, "do", "stop", "asked", asked)
	b.get(b.location(), 200, "Stopped", "a person stopped it", "Go on …")
	b.post(page, 400, "do", "stop", "asked", asked)
	b.get(page, 200)
	b.post(page, 303, "do", "read", "asked", asked, "most", "2000")
	if h := w.history(); h.MaxReads != 2000 || !h.Ended.IsZero() || h.Stopped != "" || h.Months[0].Found != 390 {
		t.Errorf("gone on with: %+v", h)
	}
	w.counted(func(h *state.History) {
		h.Ended, h.Reads, h.Stated = w.Now(), 1250, 1300
		h.Months[0].Found, h.Months[0].Done, h.Months[1].Found, h.Months[1].Done = 1000, true, 150, true
	})
	b.get(page, 200, "All is read", "complete", "fewer than X counts", "X's search may lack reposts", "1,300")
	b.post(page, 400, "do", "read", "asked", asked, "most", "2000") // it is over

	list, _, err := w.Audit.Newest(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, r := range list {
		if r.What != audit.ChangeHasFailed && strings.HasPrefix(r.What, "history") {
			done = append(done, r.What+" "+r.JobID+" "+r.Detail)
		}
	}
	if got := strings.Join(done, "\n"); !strings.Contains(got, "history_read j-1 600 posts at most, 3.00 US dollars") || !strings.Contains(got, "history_stopped j-1") || !strings.Contains(got, "history_counted j-1 from 2026-04-01T00:00:00Z to 2026-06-01T00:00:00Z") {
		t.Errorf("the log of changes has:\n%s", got)
	}
	b.get("/Views/Changes", 200, "Older posts to be read", "Reading of older posts stopped", "Older posts counted")
}

// TestHistoryForms: only people who have signed in, by a form of the page's own, decide
// about money.
func TestHistoryForms(t *testing.T) {
	w := newWorld(t)
	stranger := w.browser()
	stranger.get("/Status/History?job=j-1", 200, "APISecretKey")
	b := w.browser()
	b.signIn("/Status")
	b.get("/Status/History?job=j-1", 404)
	b.get("/Status/History", 400, "job is missing")
	b.get(w.atX(b.toX(jobURL), jobstest.Press), 303)
	b.get(jobURL, 200)
	b.post(jobURL, 303, "do", "save", "account", jobstest.Press)
	if got := b.send("POST", "/Status/History?job=j-1", "do=count&csrf=wrong"); got != 403 {
		t.Errorf("a form with a wrong token: %d, want 403", got)
	}
	if got := b.send("POST", "/Status/History?job=j-1", "do=count", "Sec-Fetch-Site", "cross-site"); got != 403 {
		t.Errorf("a form of another site: %d, want 403", got)
	}
	if _, err := w.State.History(t.Context(), jobstest.Press); err == nil {
		t.Error("something was asked for")
	}
}
