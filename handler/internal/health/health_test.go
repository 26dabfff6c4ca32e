package health_test

import (
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/health"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/verify"
)

var now = time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func covered(until time.Duration) state.Ranges { return state.Ranges{{To: ago(until)}} }

var job = state.Job{ID: "j", AccountID: "7", CreatedAt: ago(30 * 24 * time.Hour)}

// TestRead: each state of an account has its own level and words. What needs a person
// is never called well or working, and what goes on by itself never needs one.
func TestRead(t *testing.T) {
	problem := func(c fault.Cause) *state.Problem { return &state.Problem{Cause: c, Text: "inner"} }
	fresh := state.Job{ID: "j", AccountID: "7", CreatedAt: ago(time.Minute)}
	again := state.Job{ID: "j", AccountID: "7", CreatedAt: job.CreatedAt, SignedInAt: ago(5 * time.Minute)}
	asks := state.Job{ID: "j", AccountID: "7", CreatedAt: job.CreatedAt, SignInNeeded: true}
	for name, c := range map[string]struct {
		job     state.Job
		account state.Account
		level   health.Level
		title   string
		do      health.Action
	}{
		"up to date":                     {job, state.Account{Covered: covered(time.Minute)}, health.Well, "", health.None},
		"just set up":                    {fresh, state.Account{}, health.Working, "Starting", health.None},
		"never read":                     {job, state.Account{}, health.NeedsYou, "Not started", health.None},
		"a first read of a long history": {job, state.Account{Run: &state.Run{Posts: 900}, TriedAt: ago(time.Minute)}, health.Working, "Reading what is there", health.None},
		"behind, at work":                {job, state.Account{Covered: covered(5 * time.Hour), Run: &state.Run{Posts: 3000}, TriedAt: ago(time.Minute)}, health.Working, "Behind by 5 hours", health.None},
		"behind, and nobody at work":     {job, state.Account{Covered: covered(5 * time.Hour)}, health.NeedsYou, "Behind by 5 hours", health.None},
		"behind for X's limit":           {job, state.Account{Covered: covered(2 * time.Hour), RateReset: now.Add(time.Minute)}, health.Working, "Behind by 2 hours", health.None},
		"sign-in needed":                 {asks, state.Account{Covered: covered(time.Minute)}, health.NeedsYou, "Sign-in needed", health.SignIn},
		"keys refused":                   {job, state.Account{Covered: covered(time.Minute), Problem: problem(fault.XUnauthorized)}, health.NeedsYou, "Last run failed", health.SignIn},
		"keys refused, signed in since":  {again, state.Account{Covered: covered(time.Minute), Problem: problem(fault.XUnauthorized), TriedAt: ago(10 * time.Minute)}, health.Working, "Signed in again", health.None},
		"keys refused after a sign-in":   {again, state.Account{Covered: covered(time.Minute), Problem: problem(fault.XUnauthorized), TriedAt: ago(time.Minute)}, health.NeedsYou, "Last run failed", health.SignIn},
		"suspended, signed in since":     {again, state.Account{Covered: covered(time.Minute), Problem: problem(fault.XSuspended), TriedAt: ago(10 * time.Minute)}, health.NeedsYou, "Last run failed", health.None},
		"signed in, and nobody tries it": {state.Job{ID: "j", AccountID: "7", CreatedAt: job.CreatedAt, SignedInAt: ago(2 * time.Hour)}, state.Account{Covered: covered(time.Minute), Problem: problem(fault.XUnauthorized), TriedAt: ago(3 * time.Hour)}, health.NeedsYou, "Last run failed", health.SignIn},
		"forbidden":                      {job, state.Account{Covered: covered(time.Minute), Problem: problem(fault.XForbidden)}, health.NeedsYou, "Last run failed", health.Settings},
		"X is down":                      {job, state.Account{Covered: covered(2 * time.Hour), Problem: problem(fault.XUnavailable)}, health.Working, "Last run failed", health.None},
		"X is down for long":             {job, state.Account{Covered: covered(7 * time.Hour), Problem: problem(fault.XUnavailable)}, health.NeedsYou, "Last run failed", health.None},
		"X's answers are incomplete":     {job, state.Account{Covered: covered(20 * time.Minute), Incomplete: ago(20 * time.Minute)}, health.Working, "X's answers are incomplete", health.None},
		"a wrong clock":                  {job, state.Account{Covered: covered(time.Minute), Skew: time.Minute}, health.NeedsYou, "The clock is wrong", health.None},
		"media waited for":               {job, state.Account{Covered: covered(time.Minute), Waiting: map[string]state.Waiting{"media/1": {}}}, health.Working, "1 post not complete yet", health.None},
		"media lost":                     {job, state.Account{Covered: covered(time.Minute), Lost: []state.Lost{{}}}, health.Lost, "1 post without all that belongs to it", health.None},
		"3,200 of 3,500 posts":           {job, state.Account{Covered: covered(time.Minute), Gaps: []state.Gap{{Range: state.Range{To: ago(time.Hour)}}}}, health.Lost, "Older posts are missing", health.None},
		"a gap":                          {job, state.Account{Covered: covered(time.Minute), Gaps: []state.Gap{{Range: state.Range{From: ago(2 * time.Hour), To: ago(time.Hour)}}}}, health.Lost, "A gap", health.None},
		"posts set aside":                {job, state.Account{Covered: covered(time.Minute), SetAside: state.SetAside{Posts: 2}}, health.NeedsYou, "2 posts set aside", health.None},
	} {
		v := health.Read(c.job, c.account, nil, now)
		title, do := "", health.None
		if len(v.Findings) > 0 {
			title, do = v.Findings[0].Title, v.Findings[0].Do
		}
		if v.Level() != c.level || title != c.title || do != c.do {
			t.Errorf("%s: %s, %q, to do %q; want %s, %q, %q", name, v.Level(), title, do, c.level, c.title, c.do)
		}
		for _, f := range v.Findings {
			if strings.Contains(f.Text, "inner") || !strings.HasSuffix(f.Text, ".") {
				t.Errorf("%s: %q is no sentence for a person", name, f.Text)
			}
		}
		if !v.Until.Equal(c.account.Covered.End()) {
			t.Errorf("%s: read until %s", name, v.Until)
		}
	}
}

// TestCapTold: of the monthly cap it is said when it begins again, as far as X says, and
// when X is asked.
func TestCapTold(t *testing.T) {
	capped := state.Account{Covered: covered(time.Minute), Problem: &state.Problem{Cause: fault.XUsageCap, Text: "inner"}, RateReset: now.Add(24 * time.Hour)}
	text := func() string { return health.Read(job, capped, nil, now).Findings[0].Text }
	asked := "X is asked again on " + health.Moment(capped.RateReset)
	if got := text(); !strings.Contains(got, asked) || strings.Contains(got, "By X's account") {
		t.Errorf("X names no day: %q", got)
	}
	capped.CapRenews = time.Date(2031, 3, 1, 0, 0, 0, 0, time.UTC)
	if got := text(); !strings.Contains(got, asked) || !strings.Contains(got, "begins again on 1 March 2031.") {
		t.Errorf("X names 1 March 2031: %q", got)
	}
}

// TestDeliver: what Microsoft 365 has is derived from tasks that ended well, and from
// nothing else.
func TestDeliver(t *testing.T) {
	task := func(change func(*state.Task)) []state.Task {
		x := state.Task{JobID: "j", TaskID: "t", Start: ago(48 * time.Hour), End: ago(24 * time.Hour), ReceivedAt: ago(2 * time.Hour)}
		change(&x)
		return []state.Task{x, {JobID: "another", TaskID: "t", ReceivedAt: ago(time.Hour)}}
	}
	done := func(v state.Verdict) []state.Task {
		return task(func(x *state.Task) { x.EndedAt, x.Verdict = ago(time.Hour), &v })
	}
	for name, c := range map[string]struct {
		job   state.Job
		tasks []state.Task
		level health.Level
		title string
		until time.Time
	}{
		"delivered":     {job, done(state.Verdict{}), health.Well, "", ago(24 * time.Hour)},
		"never asked":   {job, nil, health.NeedsYou, "Never asked for", time.Time{}},
		"not asked yet": {state.Job{ID: "j", CreatedAt: ago(time.Hour)}, nil, health.Working, "Not asked for yet", time.Time{}},
		"no longer asked": {job, task(func(x *state.Task) {
			x.ReceivedAt, x.EndedAt, x.Verdict = ago(100*time.Hour), ago(99*time.Hour), &state.Verdict{}
		}), health.NeedsYou, "No longer asked for", ago(24 * time.Hour)},
		"refused":        {job, done(state.Verdict{Refusal: "status 400."}), health.NeedsYou, "A delivery was refused", time.Time{}},
		"failed for now": {job, done(state.Verdict{Status: 1, Reason: "the SAS has expired"}), health.NeedsYou, "A delivery failed", time.Time{}},
		"refused, and delivered since": {job, append(done(state.Verdict{Refusal: "status 400."}), state.Task{JobID: "j", TaskID: "again", Start: ago(49 * time.Hour), End: ago(24 * time.Hour),
			ReceivedAt: ago(time.Hour), EndedAt: ago(time.Minute), Verdict: &state.Verdict{}}), health.Well, "", ago(24 * time.Hour)},
		"refused, and delivered in part since": {job, append(done(state.Verdict{Refusal: "status 400."}), state.Task{JobID: "j", TaskID: "again", Start: ago(47 * time.Hour), End: ago(24 * time.Hour),
			ReceivedAt: ago(time.Hour), EndedAt: ago(time.Minute), Verdict: &state.Verdict{}}), health.NeedsYou, "A delivery was refused", ago(24 * time.Hour)},
		"not whole": {job, done(state.Verdict{Status: 2, Reason: "a gap"}), health.Lost, "A delivery is not whole", time.Time{}},
		"an altered message": {job, task(func(x *state.Task) {
			x.EndedAt, x.Verdict, x.Left = ago(time.Hour), &state.Verdict{Status: 2}, []state.Left{{Key: "1", Problem: state.Problem{Cause: fault.ArchiveAltered}}}
		}), health.NeedsYou, "An archived message was altered", time.Time{}},
		"under way":                {job, task(func(*state.Task) {}), health.Working, "A delivery is under way", time.Time{}},
		"under way for too long":   {job, task(func(x *state.Task) { x.ReceivedAt = ago(30 * time.Hour) }), health.NeedsYou, "A delivery is overdue", time.Time{}},
		"no token for the service": {job, task(func(x *state.Task) { x.Problem = &state.Problem{Cause: fault.EntraSignIn} }), health.NeedsYou, "A delivery does not get through", time.Time{}},
		"more than a day takes": {job, task(func(x *state.Task) {
			x.Problem = &state.Problem{Cause: fault.ImportDay}
			x.ReceivedAt = ago(30 * time.Hour)
		}), health.Working, "The rest is delivered tomorrow", time.Time{}},
		"the service is out of order": {job, task(func(x *state.Task) { x.Problem = &state.Problem{Cause: fault.Import} }), health.Working, "A delivery is under way", time.Time{}},
	} {
		v := health.Deliver(c.job, c.tasks, nil, now)
		title := ""
		if len(v.Findings) > 0 {
			title = v.Findings[0].Title
		}
		if v.Level() != c.level || title != c.title || !v.Until.Equal(c.until) {
			t.Errorf("%s: %s, %q, until %s; want %s, %q, %s", name, v.Level(), title, v.Until, c.level, c.title, c.until)
		}
		for _, f := range v.Findings {
			if !strings.HasSuffix(f.Text, ".") {
				t.Errorf("%s: %q is no sentence", name, f.Text)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := health.Number(n); got != want {
			t.Errorf("%d: want %s, got %s", n, want, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "under a minute", time.Minute: "1 minute", 119 * time.Minute: "1 hour", 49 * time.Hour: "2 days"} {
		if got := health.Span(d); got != want {
			t.Errorf("%s: want %s, got %s", d, want, got)
		}
	}
}

// TestArchive: a fault that was found stays until a reading finds none; the time up to
// which all is verified is that of the last good reading.
func TestArchive(t *testing.T) {
	at := time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)
	var bad verify.Report
	bad.Altered = verify.Faults{Count: 2, Named: []string{"7/2026/06/01/1.eml: archived message does not have its SHA-256"}}
	for name, c := range map[string]struct {
		known state.Verification
		level health.Level
		says  string
	}{
		"never read":         {state.Verification{}, health.Well, ""},
		"as it was":          {state.Verification{Last: &verify.Pass{}, Sound: at}, health.Well, ""},
		"altered":            {state.Verification{Last: &verify.Pass{Report: bad}, Sound: at.AddDate(0, 0, -1)}, health.NeedsYou, "2 altered (7/2026/06/01/1.eml"},
		"read for a month":   {state.Verification{Pass: &verify.Pass{Began: at.AddDate(0, -1, 0), Report: verify.Report{Messages: 12000}}, Sound: at.AddDate(0, -1, 0)}, health.Working, "12,000 messages so far"},
		"read since an hour": {state.Verification{Pass: &verify.Pass{Began: at.Add(-time.Hour)}, Last: &verify.Pass{}, Sound: at.AddDate(0, 0, -1)}, health.Well, ""},
	} {
		v := health.Archive(c.known, at)
		if v.Level() != c.level || v.Until != c.known.Sound || c.says != "" && !strings.Contains(v.Findings[0].Text, c.says) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// TestAcknowledged: what a person knows of is calm and stays in the list; what is new,
// or has grown, is asked about anew.
func TestAcknowledged(t *testing.T) {
	gap := state.Gap{Range: state.Range{From: ago(3 * time.Hour), To: ago(2 * time.Hour)}, Why: state.LeftOut}
	lost := func(id string) state.Lost {
		return state.Lost{Waiting: state.Waiting{PostID: id, Media: []string{"3_1"}}}
	}
	account := state.Account{ID: "7", Covered: covered(time.Minute), Gaps: []state.Gap{gap}, Lost: []state.Lost{lost("1"), lost("2")}}
	task := state.Task{JobID: "j", TaskID: "t", Start: ago(5 * time.Hour), End: ago(time.Hour), ReceivedAt: ago(time.Hour), EndedAt: ago(time.Minute), Verdict: &state.Verdict{Status: 2, Reason: "a gap"}}
	known := map[string]string{}
	stand := func() health.Standing {
		var list []state.Acknowledgement
		for loss := range known {
			list = append(list, state.Acknowledgement{AccountID: "7", Losses: []string{loss}, By: "Ada"}, state.Acknowledgement{AccountID: "8", Losses: []string{loss}})
		}
		return health.Stand(job, account, []state.Task{task}, state.Verification{}, health.NewKnown(list, "7"), now)
	}
	s := stand()
	if len(s.Findings()) != 3 || s.Level() != health.Lost {
		t.Fatalf("%s, %+v", s.Level(), s.Findings())
	}
	for _, f := range s.Findings() {
		if !f.Acknowledgeable() {
			t.Errorf("%s cannot be acknowledged", f.Title)
		}
		for _, loss := range f.Losses {
			known[loss] = ""
		}
	}
	s = stand()
	if s.Level() != health.Well || len(s.Findings()) < 3 || s.Findings()[0].Known.By != "Ada" || s.Summary() != "Well, but for what is known to be lost" {
		t.Errorf("acknowledged: %s, %q, %+v", s.Level(), s.Summary(), s.Findings())
	}
	account.Gaps = []state.Gap{{Range: state.Range{From: gap.From, To: ago(time.Hour)}, Why: gap.Why}}
	if s = stand(); s.Level() != health.Lost || s.Summary() != "A gap" {
		t.Errorf("a gap that has grown: %s, %q", s.Level(), s.Summary())
	}
	account.Gaps, account.Lost = []state.Gap{gap}, append(account.Lost, lost("3"))
	if s = stand(); s.Level() != health.Lost || s.Summary() != "1 post without all that belongs to it" || !strings.HasSuffix(s.Findings()[0].Text, ": 3.") {
		t.Errorf("one post more: %s, %+v", s.Level(), s.Findings())
	}
	account.Lost = account.Lost[:2]
	task.EndedAt = now
	if s = stand(); s.Level() != health.Lost || s.Summary() != "A delivery is not whole" {
		t.Errorf("a task that ended badly once more: %s, %q", s.Level(), s.Summary())
	}
}

// TestReason: what is said of a task has no names of blobs and no times for machines.
func TestReason(t *testing.T) {
	left := func(c fault.Cause, key string) state.Left {
		return state.Left{Key: key, Problem: state.Problem{Cause: c, Text: "7/2026/x.eml: inner"}}
	}
	for want, task := range map[string]state.Task{
		"": {Verdict: &state.Verdict{}},
		"Posts may be missing from 1 Mar 2024, 11:13 UTC to 22 Oct 2025, 14:10 UTC: X no longer gives them.": {Verdict: &state.Verdict{Status: 2,
			Reason: "posts may be missing from 2024-03-01T11:13:11Z to 2025-10-22T14:10:36Z: X no longer gives them"}},
		"A; message 1, 2, 3 and 1 other not delivered: An archived message does not have the bytes that were archived; message 5 not delivered: The storage account does not answer as it should.": {
			Verdict: &state.Verdict{Status: 2, Reason: "a; not delivered: message 1 (inner)"},
			Left:    []state.Left{left(fault.ArchiveAltered, "1"), left(fault.ArchiveAltered, "2"), left(fault.Storage, "5"), left(fault.ArchiveAltered, "3"), left(fault.ArchiveAltered, "4")}},
		"The container that the Compliance Center named cannot be written to.": {Problem: &state.Problem{Cause: fault.SASRefused, Text: "inner"},
			Verdict: &state.Verdict{Status: 1, Reason: "10 attempts brought the task no further than message 1; the last ended with: uploading job-a/t.json: inner"}},
		"The window is not captured.":                        {Verdict: &state.Verdict{Status: 1, Reason: "the window is not captured; the account's problem: X cannot be reached. (inner)"}},
		"The Import service answered: status 400 no thanks.": {Verdict: &state.Verdict{Refusal: "status 400 no thanks"}},
	} {
		if got := health.Reason(task); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

// TestMentions: each state of what mentions an account has its own level and words; what
// keeps the account's own posts from being read is said once.
func TestMentions(t *testing.T) {
	problem := func(c fault.Cause) *state.Problem { return &state.Problem{Cause: c, Text: "inner"} }
	read := state.Account{LastRun: ago(time.Minute)}
	gap := []state.Gap{{Range: state.Range{From: ago(3 * time.Hour), To: ago(2 * time.Hour)}, Why: state.BeyondReach}}
	for name, c := range map[string]struct {
		account  state.Account
		mentions state.Mentions
		level    health.Level
		title    string
	}{
		"up to date":                   {read, state.Mentions{Covered: covered(time.Minute)}, health.Well, ""},
		"not begun":                    {read, state.Mentions{}, health.Working, "Mentions: starting"},
		"the account comes first":      {state.Account{}, state.Mentions{}, health.Well, ""},
		"reading what is there":        {read, state.Mentions{Run: &state.MentionsRun{Posts: 300}}, health.Working, "Mentions: reading what is there"},
		"behind":                       {read, state.Mentions{Covered: covered(2 * time.Hour)}, health.Working, "Mentions are behind by 2 hours"},
		"behind for long":              {read, state.Mentions{Covered: covered(7 * time.Hour)}, health.NeedsYou, "Mentions are behind by 7 hours"},
		"behind, as the account is":    {state.Account{LastRun: ago(time.Hour), Problem: problem(fault.XUnavailable)}, state.Mentions{Covered: covered(7 * time.Hour)}, health.Well, ""},
		"X is down for them":           {read, state.Mentions{Covered: covered(time.Minute), Problem: problem(fault.XUnavailable)}, health.Working, "Mentions are not read"},
		"X is down for them for long":  {read, state.Mentions{Covered: covered(7 * time.Hour), Problem: problem(fault.XUnavailable)}, health.NeedsYou, "Mentions are not read"},
		"X forbids them":               {read, state.Mentions{Covered: covered(time.Minute), Problem: problem(fault.XForbidden)}, health.NeedsYou, "Mentions are not read"},
		"the month's reads are needed": {read, state.Mentions{Covered: covered(time.Hour), Problem: problem(fault.Other)}, health.Working, "Mentions are not read"},
		"a gap":                        {read, state.Mentions{Covered: covered(time.Minute), Gaps: gap}, health.Lost, "A gap in mentions"},
		"more than X gives":            {read, state.Mentions{Covered: covered(time.Minute), Gaps: []state.Gap{{Range: state.Range{To: ago(time.Hour)}}}}, health.Lost, "Older mentions are missing"},
	} {
		v := health.Mentions(c.account, c.mentions, nil, now)
		title := ""
		if len(v.Findings) > 0 {
			title = v.Findings[0].Title
		}
		if v.Level() != c.level || title != c.title {
			t.Errorf("%s: %s %q, want %s %q", name, v.Level(), title, c.level, c.title)
		}
	}
	v := health.Mentions(read, state.Mentions{Covered: covered(time.Minute), Gaps: gap}, nil, now)
	known := health.NewKnown([]state.Acknowledgement{{AccountID: "7", Losses: v.Findings[0].Losses, By: "Ada"}}, "7")
	if v = health.Mentions(read, state.Mentions{Covered: covered(time.Minute), Gaps: gap}, known, now); v.Level() != health.Well || v.Findings[0].Known == nil {
		t.Errorf("a gap that is known: %+v", v)
	}
}
