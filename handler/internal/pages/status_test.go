package pages

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/jobs/jobstest"
	"xarchive/handler/internal/secrets"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

func TestOverview(t *testing.T) {
	w := newWorld(t)
	w.Vault.Put(secrets.TwitterAPIKey, "")
	b := w.browser()
	b.signIn("/Configure")
	b.get("/", 200, "2 things need you", "Enter the keys of your X app", "Enter the Entra app's ID", "Create a job in the Compliance Center", w.server.URL)
	for _, name := range []string{secrets.TwitterAPIKey, secrets.TwitterAPISecretKey, secrets.AADApplicationID, secrets.AADApplicationSecret} {
		w.Vault.Put(name, "x")
	}
	b.get("/", 200, "One thing needs you", "Enter the Entra app's ID")
	w.Vault.Put(secrets.AADApplicationURI, "x")
	b.get("/", 200, "Ready for the first job", "Waiting for the timer", "INGEST_SCHEDULE")

	now := w.Now()
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso <News>", Handle: "contoso", CreatedAt: now.Add(-time.Hour)})
	w.account(state.Account{ID: "77", PostsTotal: 12345, LastRun: now.Add(-3 * time.Minute), Covered: state.Ranges{{To: now.Add(-4 * time.Minute)}}})
	b.get("/", 200, "Working on it", "Not asked for yet", "12,345", "3 minutes ago")
	w.task(state.Task{JobID: "j-1", TaskID: "t", ReceivedAt: now.Add(-time.Hour), End: now.Add(-time.Hour), EndedAt: now, Verdict: &state.Verdict{}})
	b.get("/", 200, "All is well", "Read from X up to "+moment(now.Add(-4*time.Minute)), "Delivered to Microsoft 365 up to "+moment(now.Add(-time.Hour)), "Contoso <News> (@contoso) All is well")
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso", SignInNeeded: true})
	b.get("/", 200, "One thing needs you", "Contoso must sign in again")
	if !strings.Contains(b.page, `href="/preview/OnJobCreating?jobId=j-1&amp;tenantId=`+tenant+`"`) {
		t.Error("there is no way to the sign-in")
	}
	w.BreakState(true)
	b.get("/", 200, "The archive's state cannot be read")
	if strings.Contains(b.page, jobstest.InnerDetail) {
		t.Error("the page shows internals")
	}
	b.get("/Status", 503, "at reference")
}

// TestTimer: while the timer is off, every page answers; so the pages say when it last
// ticked, and that it must be looked after.
func TestTimer(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Status")
	b.has("The timer has not ticked yet", "INGEST_SCHEDULE")
	if err := w.State.Ticked(t.Context(), w.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.get("/Status", 200, "The timer last ticked 1 hour ago.")
	b.get("/", 200)
	if strings.Contains(b.page, "timer") {
		t.Error("the overview speaks of a timer that ticks")
	}
	if err := w.State.Ticked(t.Context(), w.Now().Add(-time.Hour-time.Second)); err != nil {
		t.Fatal(err)
	}
	b.get("/Status", 200, "Nothing is read from X until it ticks again", "INGEST_SCHEDULE")
	if !strings.Contains(b.page, `role="alert"`) {
		t.Error("it is no alert")
	}
	b.get("/", 200, "The timer does not tick", "things need you")
}

func TestStatus(t *testing.T) {
	w := newWorld(t)
	now := w.Now()
	b := w.browser()
	b.signIn("/Status")
	b.has("No jobs yet", "has not asked for anything yet")
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso News", CreatedAt: now.AddDate(0, -1, 0)})
	w.account(state.Account{ID: "77", PostsTotal: 1, LastRun: now.Add(-2 * time.Hour), Covered: state.Ranges{{To: now.Add(-2 * time.Hour)}},
		Problem: &state.Problem{Cause: fault.XUnauthorized, Text: "asking: 401 inner"}, Gaps: []state.Gap{{Range: state.Range{From: now.AddDate(0, 0, -9), To: now.AddDate(0, 0, -8)}}},
		Daily: map[string]int{now.Format(time.DateOnly): 3, now.AddDate(0, 0, -40).Format(time.DateOnly): 9},
		Rate:  state.Rate{Limit: 900, Remaining: 90, Reset: now.Add(10 * time.Minute)}})
	for _, task := range []state.Task{
		{JobID: "j-1", TaskID: "t-wait", BlobSASURI: "https://x?sig=hush"},
		{JobID: "j-1", TaskID: "t-again", Problem: &state.Problem{Cause: fault.Import, Text: "inner"}, Attempts: 1, NotBefore: now.Add(3 * time.Minute)},
		{JobID: "j-1", TaskID: "t-done", EndedAt: now, Uploads: 2, Verdict: &state.Verdict{}},
		{JobID: "j-1", TaskID: "t-bad", EndedAt: now, Verdict: &state.Verdict{Status: 2, Reason: "X no longer reaches it"}},
	} {
		w.task(task)
	}
	b.get("/Status", 200, "Contoso News Last run failed", "Sign in with X again", "Behind by 2 hours", "90 of 900", "full again in 10 minutes",
		"A gap.", "posts from "+moment(now.AddDate(0, 0, -9)), "3 posts in the last 30 days",
		"Waiting", "Trying again, 1 attempt failed", "did not take the delivery", "Next attempt in 3 minutes.", "Delivered 2 items", "Failed 0 items. X no longer reaches it")
	for _, hidden := range []string{"inner", "hush"} {
		if strings.Contains(b.page, hidden) {
			t.Errorf("the page shows %q", hidden)
		}
	}
	if !strings.Contains(b.page, `role="img" aria-label="Bar chart of posts per day. 3 posts`) || !strings.Contains(b.page, `<th scope="row">`+day(now)+`</th><td class="num">3</td>`) {
		t.Error("the chart is not in words and in a table")
	}
}

// TestGone: the status page lists what X no longer gives, and what it gives again, in X's
// words.
func TestGone(t *testing.T) {
	w := newWorld(t)
	now := w.Now()
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso"})
	b := w.browser()
	b.signIn("/Status")
	if strings.Contains(b.page, "Gone from X") {
		t.Error("the page speaks of posts that are gone; there are none")
	}
	err := w.State.AddGone(t.Context(), "77",
		state.GonePost{PostID: "1800", Name: "77/2026/11/26/1800.eml", Noticed: now.Add(-time.Hour), LastSeen: now.AddDate(0, 0, -1), Why: "Not Found Error: <it> is not there", Times: 1},
		state.GonePost{PostID: "1801", Name: "77/2026/11/26/1801.eml", Noticed: now.Add(-2 * time.Hour), Why: "Authorization Error: no", Times: 1, Back: now})
	if err != nil {
		t.Fatal(err)
	}
	b.get("/Status", 200, "Gone from X: 1; back again: 1", "1800 Noticed", "last seen", "Gone Not Found Error: <it> is not there", "1801 Noticed", "Back since")
	if strings.Index(b.page, "1800") > strings.Index(b.page, "1801") {
		t.Error("the post that was noticed last is not the first")
	}
	if _, err := w.StateContainer.Write(t.Context(), "gone/77.json", []byte("[]"), blob.Condition{}); err != nil {
		t.Fatal(err)
	}
	b.get("/Status", 200, "A record of the connector cannot be read", "gone/77.json", "Contoso")
}

// TestDamagedRecords: a record that cannot be read is named, and everything else is
// shown.
func TestDamagedRecords(t *testing.T) {
	w := newWorld(t)
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso"})
	if _, err := w.StateContainer.Write(t.Context(), "jobs/broken.json", []byte("{"), blob.Condition{}); err != nil {
		t.Fatal(err)
	}
	w.Save(state.Job{ID: "j-2", AccountID: "78", AccountName: "Fabrikam"})
	if _, err := w.StateContainer.Write(t.Context(), "accounts/78.json", []byte("[]"), blob.Condition{}); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.signIn("/Status")
	b.has("A record of the connector cannot be read", "jobs/broken.json", "accounts/78.json", "Contoso", "Fabrikam Last run failed")
	b.get("/", 200, "A record cannot be read", "Contoso")
}

func TestWords(t *testing.T) {
	for cause, want := range map[fault.Cause]string{fault.XUnauthorized: "Sign in with X again", fault.Import: "the posts are safe in the archive", "from the future": "its log says more"} {
		if got := cause.Meaning().Words(); !strings.Contains(got, want) {
			t.Errorf("%s: want %q in %q", cause, want, got)
		}
	}
	for want, job := range map[string]state.Job{"Contoso (@contoso)": {AccountName: "Contoso", Handle: "contoso", AccountID: "7"}, "@contoso": {Handle: "contoso", AccountID: "7"},
		"Contoso": {AccountName: "Contoso", AccountID: "7"}, "7": {AccountID: "7"}} {
		if got := accountName(job); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

func TestChart(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)
	c := newChart(map[string]int{"2026-03-01": 1, "2026-02-28": 1000, "2026-01-31": 5, "2026-01-30": 7, "2026-02-01": -3}, now)
	if len(c.Bars) != chartDays || c.Total != 1006 || c.Top != 1000 || !strings.HasPrefix(c.Summary, "1,006 posts in the last 30 days, most on 28 February 2026 (1,000)") {
		t.Errorf("%+v", c)
	}
	for _, b := range c.Bars {
		if (b.Posts > 0) != (b.Height > 0) || b.Y+b.Height != chartHeight || b.Y < 0 || b.X+b.Width > c.Width {
			t.Errorf("%+v", b)
		}
	}
	if c := newChart(nil, now); c.Total != 0 || c.Summary != "No posts in the last 30 days." {
		t.Errorf("%+v", c)
	}
}

// TestAcknowledge: a person acknowledges a loss with name and reason; it is kept and
// shown, and asks for nobody any more. What is no longer as it was shown is refused.
func TestAcknowledge(t *testing.T) {
	w := newWorld(t)
	now := w.Now()
	for _, name := range []string{secrets.AADApplicationID, secrets.AADApplicationSecret, secrets.AADApplicationURI} {
		w.Vault.Put(name, "x")
	}
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso", CreatedAt: now.Add(-48 * time.Hour)})
	gap := state.Gap{Range: state.Range{From: now.Add(-30 * time.Hour), To: now.Add(-29 * time.Hour)}, Why: state.LeftOut}
	account := state.Account{ID: "77", LastRun: now, Covered: state.Ranges{{To: now}}, Gaps: []state.Gap{gap}}
	w.account(account)
	w.task(state.Task{JobID: "j-1", AccountID: "77", TaskID: "t", ReceivedAt: now.Add(-time.Hour), End: now.Add(-time.Hour), EndedAt: now, Verdict: &state.Verdict{}})
	b := w.browser()
	b.signIn("/Status")
	b.has("Contoso A gap", "Acknowledge the loss")
	finding := func() string {
		m := regexp.MustCompile(`name="finding" value="([^"]+)"`).FindStringSubmatch(b.page)
		if m == nil {
			t.Fatalf("nothing to acknowledge: %s", b.text())
		}
		return m[1]
	}
	id := finding()
	b.post("/Status", 400, "do", "acknowledge", "job", "j-1", "finding", id, "by", " ", "reason", "x")
	b.has("Your name is missing", "Contoso A gap")
	b.post("/Status", 400, "do", "acknowledge", "job", "j-1", "finding", id, "by", "Ada", "reason", strings.Repeat("x", 1001))
	b.post("/Status", 400, "do", "acknowledge", "job", "j-1", "finding", "0000", "by", "Ada", "reason", "x")
	b.has("has changed meanwhile")
	b.post("/Status", 404, "do", "acknowledge", "job", "j-9", "finding", id, "by", "Ada", "reason", "x")
	b.post("/Status", 303, "do", "acknowledge", "job", "j-1", "finding", id, "by", "Ada <b>", "reason", "Counsel knows")
	b.get("/Status", 200, "Contoso Well, but for what is known to be lost", "A gap.", "Acknowledged by Ada <b> on "+moment(now), "Counsel knows")
	b.get("/", 200, "All is well, but for what is known to be lost")
	b.get("/Views/Changes", 200, "Loss acknowledged A gap.", "Ada <b>: Counsel knows Account 77")
	account.Gaps = append(account.Gaps, state.Gap{Range: state.Range{From: now.Add(-20 * time.Hour), To: now.Add(-19 * time.Hour)}, Why: state.LeftOut})
	w.account(account)
	b.get("/", 200, "Something cannot be had any more", "See and acknowledge")
	b.get("/Status", 200, "Contoso A gap", "Counsel knows")
	if finding() == id {
		t.Error("the new gap goes by the name of the old one")
	}
}

// silent is a storage account that answers nothing.
type silent struct {
	*state.Store
	left chan time.Duration // until the first call is given up
}

func (s silent) LastTick(ctx context.Context) (time.Time, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	s.left <- time.Until(deadline)
	<-ctx.Done()
	return time.Time{}, context.Cause(ctx)
}

// TestSilentStorage: while the storage account does not answer, each page says so
// within three seconds.
func TestSilentStorage(t *testing.T) {
	w := newWorld(t)
	left := make(chan time.Duration, 3)
	w.serve(w.Access, w.Jobs, func(o *Options) { o.Health.Records = silent{w.State, left} })
	b := w.browser()
	b.signIn("/Configure")
	for uri, status := range map[string]int{"/": 200, "/Status": 503, jobURL: 503} {
		b.get(uri, status, "The storage account does not answer")
		if d := <-left; d > 3*time.Second {
			t.Errorf("%s gives up after %s", uri, d)
		}
	}
}

// TestMentionsOnPages: the status page and the account's say how far what mentions the
// account is read, what keeps it and what is missing; where it is off, nothing.
func TestMentionsOnPages(t *testing.T) {
	w := newWorld(t)
	now := w.Now().UTC()
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso", Handle: "contoso", CreatedAt: now.Add(-100 * time.Hour)})
	w.account(state.Account{ID: "77", PostsTotal: 3, LastRun: now.Add(-time.Minute), Covered: state.Ranges{{To: now.Add(-time.Minute)}}})
	b := w.browser()
	b.signIn("/Status")
	pages := []string{"/Status", "/Status/Account?job=j-1"}
	for _, uri := range pages {
		b.get(uri, 200)
		if strings.Contains(b.page, "ention") && uri == "/Status" {
			t.Errorf("%s speaks of mentions, which are off", uri)
		}
	}
	w.serve(w.Access, w.Jobs, func(o *Options) { o.Health.Mentions = true })
	for _, uri := range pages {
		b.get(uri, 200, "Mentions: starting", "Mentions by others 0 archived")
	}
	from, to := now.Add(-48*time.Hour), now.Add(-2*time.Hour)
	m := state.Mentions{AccountID: "77", Archived: 1234, Covered: state.Ranges{{From: from, To: to}}, LastRun: to,
		Gaps:    []state.Gap{{Range: state.Range{To: from}, Why: state.BeyondReach, Noticed: to}},
		Problem: state.NewProblem(errors.New("what may be read of X this month is needed for new posts"), now)}
	if err := w.State.SaveMentions(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	for _, uri := range pages {
		b.get(uri, 200, "Mentions by others 1,234 archived", "Mentions read from "+moment(from), "Mentions read until "+moment(to),
			"Mentions are not read", "its own posts do not", "is needed for new posts", "Older mentions are missing", "before "+moment(from))
	}
	w.serve(w.Access, w.Jobs)
	b.get("/Status", 200, "1,234 archived; reading them is off")
	if strings.Contains(b.page, "Older mentions are missing") {
		t.Error("what is off is a finding")
	}
}

// TestEventsOnPages: the status page, the overview and the health call say how X sends its
// events; where they are off, nothing, unless X could not be told.
func TestEventsOnPages(t *testing.T) {
	w := newWorld(t)
	now := w.Now().UTC()
	b := w.browser()
	b.signIn("/Status")
	if b.get("/Status", 200); strings.Contains(b.page, "X's events") || strings.Contains(b.page, "its events") {
		t.Error("the page speaks of events, which are off")
	}
	w.serve(w.Access, w.Jobs, func(o *Options) { o.Health.Activity = true })
	b.get("/Status", 200, "X is told to send its events")
	record := state.Activity{URL: "https://app/api/XActivity", WebhookID: "12", Accounts: []string{"77"}, CheckedAt: now.Add(-time.Minute), LastEvent: now}
	save := func() {
		t.Helper()
		if err := w.State.SaveActivity(t.Context(), &record); err != nil {
			t.Fatal(err)
		}
	}
	save()
	b.get("/Status", 200, "X sends events of 1 account, as it said on "+moment(record.CheckedAt))
	record.Problem = state.NewProblem(twitter.ErrForbidden, now)
	save()
	for _, uri := range []string{"/", "/Status"} {
		b.get(uri, 200, "X does not send its events", "Posts are read as without events")
	}
	record.Problem, record.CheckedAt = nil, now.Add(-7*time.Hour)
	save()
	b.get("/Status", 200, "X's events are not looked after")
	w.serve(w.Access, w.Jobs)
	b.get("/Status", 200, "X still sends events", "told to send no more")
}
