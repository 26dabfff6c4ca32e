package state_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/verify"
)

var updateGolden = flag.Bool("update", false, "write the golden files of the format")

// golden compares a record with a file, byte for byte. A change of a golden file is a
// change of the format: docs/format.md says what that takes.
func golden(t *testing.T, file string, record any) {
	t.Helper()
	got, err := json.MarshalIndent(record, "", "  ")
	must(t, err)
	got = append(got, '\n')
	file = filepath.Join("testdata", file)
	if *updateGolden {
		must(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from the format:\n%s\nexpected\n%s", file, got, want)
	}
}

var (
	problem = state.Problem{Cause: fault.XUnavailable, Text: "X cannot be reached", At: now}
	window  = state.Range{From: now.Add(-time.Hour), To: now}
	gap     = state.Gap{Range: window, Why: state.BeyondReach, Noticed: now}
	item    = state.Item{ID: "1800", Modified: now, FileName: "1800.json", Name: "7/2026/11/26/1800.eml"}
	aside   = state.AsidePost{V: 1, AccountID: "7", PostID: "1800", Problem: problem, First: now, Version: "1.2.0", Raw: []byte("{"),
		Answered: now, Origin: []archive.Raw{{Path: "raw/7/2026/11/26/ab.json.gz", SHA256: "ab", RequestID: "1f"}}}
	waiting = state.Waiting{PostID: "1800", Name: "7/2026/11/26/1800.eml", Versions: []string{"1799"}, Done: 1, Media: []string{"3_1"}, Text: true, Since: now, Next: now, Tries: 2, Why: "status 503"}
)

var (
	faults = verify.Faults{Count: 2, Named: []string{"7/2026/11/26/1800.eml: archived message does not have its SHA-256"}}
	pass   = verify.Pass{Began: now, Last: manifest.Link{N: 3, SHA256: "cd"}, Line: 4, Since: now, Notes: now, Chain: true, Day: now, Done: true, Report: verify.Report{Notes: 2, UnlistedNotes: 1,
		Messages: 10, Bytes: 20, Lines: 10, Raw: 1, Unlisted: 1, Pending: 1, Stamps: 1, Untrusted: 1, StampedTo: now,
		Altered: faults, Missing: faults, Foreign: faults, Extra: faults, Broken: faults}}
)

// format is one record of each kind, with every field set, by its section in
// docs/format.md; the fields of the format before this one are in old.
var format = map[string]any{
	"job": state.Job{V: 1, ID: "j", TenantID: "t", AccountID: "7", AccountName: "Contoso", Handle: "contoso", CreatedAt: now, SignInNeeded: true, SignedInAt: now, AskedAt: now},
	"account": state.Account{V: 1, ID: "7", Since: now, Asked: state.Asked{Day: "2026-11-26", Posts: 100}, Cursor: "1800", Recent: []state.Seen{{ID: "1800", At: now, Sum: "AbC_"}}, Covered: state.Ranges{window}, Gaps: []state.Gap{gap}, Closed: []state.ClosedGap{{Gap: gap, At: now, By: "search", Posts: 120}}, Incomplete: now, Slow: map[string]int{"1800": 1},
		Run: &state.Run{Key: "K", SinceID: "1700", UntilID: "1900", EndTime: now, NextToken: "token", Began: now, LastPage: now, CoverTo: now, Pages: 3, Posts: 250,
			Returned: []string{"1800"}, NewestID: "1850", CursorBefore: "1800", OldestID: "1750", Oldest: now, Complete: true, From: now, Checked: true, Uncovered: true, Stored: 1, Within: 20},
		Waiting: map[string]state.Waiting{"versions/1800": waiting}, Lost: []state.Lost{{Waiting: waiting, At: now}}, RateReset: now, CapRenews: now,
		Rate: state.Rate{Limit: 900, Remaining: 12, Reset: now}, TriedAt: now, LastRun: now, Problem: &problem, Skew: 2 * time.Second,
		SetAside: state.SetAside{Posts: 1, Version: "1.2.0"}, Manifest: manifest.Link{N: 3, SHA256: "cd"}, PostsTotal: 1234, Versions: 7, Unlisted: 2,
		Stated: &state.Stated{At: now, Posts: 1230, Archived: 1227, Gone: 2, Missing: 5, Since: now, Said: 5, Credits: new(12.5)}, Daily: map[string]int{"2026-11-26": 3}, Unreachable: state.Ranges{window}},
	"owner": state.Owner{V: 1, JobID: "j", At: now},
	"reads": state.Reads{V: 1, ID: "7", Months: map[string]state.ReadsFor{"2026-11": {"posts": 120, "lookUps": 3}}, Days: map[string]state.ReadsFor{"2026-11-26": {"posts": 2, "users": 1}},
		Billed: map[string]state.Billed{"2026-11-26": {Posts: state.PostIDs{0x88, 0x0e, 0x2a}, Users: []string{"7"}}}, Warned: "2026-11"},
	"task": state.Task{V: 1, JobID: "j", TaskID: "t", AccountID: "7", Start: window.From, End: window.To, Dirty: []string{"1800"}, BlobSASURI: "https://inbox/c?sig=secret", ReceivedAt: now,
		Begun: true, Position: "7/2026/11/26/1800.eml", Chunks: 2, Uploads: 60, Extra: true, ExtraDone: 3,
		Partials: []state.Partial{{Key: "1801", Staged: blob.Staged{Prefix: "P", Blocks: 4, SHA256: "ab"}, Tries: 1}}, Left: []state.Left{{Key: "1700", Problem: problem}}, LeftMore: 2,
		TriedAt: now, Attempts: 2, NotBefore: now, Counted: "2026-11-26", Problem: &problem, Verdict: &state.Verdict{Status: 1, Reason: "r", Refusal: "no", Items: []state.Item{item}}, EndedAt: now},
	"items":      state.Items{V: 1, Items: []state.Item{item}},
	"found":      state.Found{V: 1, Names: []string{"7/2026/11/26/1800.eml"}, Gone: map[string]string{"1799": "deleted"}, At: now},
	"delivered":  state.Delivered{V: 1, Accounts: map[string]state.Ranges{"7": {window}}},
	"late":       state.Late{V: 1, AccountID: "7", Name: "7/2026/11/26/1800.eml", Key: "1800", Noted: now},
	"aside-post": aside,
	"sign-in":    state.SignIn{V: 1, Token: "x", Sealed: []byte("sealed"), RedirectURL: "https://app", Page: true, CreatedAt: now, ExpiresAt: now},
	"signed-out": state.SignedOut{V: 1, At: now},
	"sweep":      state.Sweep{V: 1, At: now},
	"tick":       state.Tick{V: 1, At: now},
	"ack":        state.Acknowledgement{V: 1, AccountID: "7", Losses: []string{"gap/left_out/2026"}, What: "A gap", By: "Ada", Reason: "known", At: now},
	"day":        state.Day{V: 1, Day: "2026-11-26", Items: 1200},

	"round":        state.Round{V: 1, At: now, After: "7", Done: true, Statement: "2026-10"},
	"verification": state.Verification{V: 1, AccountID: "7", Pass: &pass, Last: &pass, Ended: now, Sound: now},
	"gone": state.Gone{V: 1, AccountID: "7", More: 3, Posts: []state.GonePost{
		{PostID: "1800", Name: "7/2026/11/26/1800.eml", Noticed: now, LastSeen: now, Why: "Not Found Error: Could not find it", Times: 2, Back: now, First: "1799", Others: true}}},
	"audit": state.Audit{V: 1, AccountID: "7", Days: map[string]time.Time{"2026-11-25": now}, Day: "2026-11-19", Began: now, After: "7/2026/11/19/1700.eml",
		GoneAt: now, Looks: 120, Silent: 1, Until: now, LastLook: now, Problem: &problem},
	"history": state.History{V: 1, AccountID: "7", JobID: "j", Asked: now, From: window.From, To: window.To, MaxReads: 5000, Made: now, Ended: now, Stopped: "r",
		Months: []state.HistoryMonth{{Range: window, Counted: 120, Found: 119, New: 80, Oldest: now, Edge: []string{"1700"}, Done: true}}, Reads: 130, Counts: 1, Stated: 4000,
		Until: now, Last: now, Problem: &problem},
	"activity": state.Activity{V: 1, URL: "https://app/api/XActivity", WebhookID: "12", Accounts: []string{"7"}, CheckedAt: now, Until: now, LastEvent: now, Problem: &problem},
	"event":    state.Event{V: 1, ID: "1900", AccountID: "7", What: "deleted", PostID: "1800", At: now, Next: now},
	"seen":     state.SeenEvent{V: 1, ID: "1900"},
	"mentions": state.Mentions{V: 1, AccountID: "7", Cursor: "1800", Recent: []state.Seen{{ID: "1800", At: now, Sum: "AbC_"}}, Covered: state.Ranges{window}, Gaps: []state.Gap{gap},
		Run:      &state.MentionsRun{SinceID: "1700", Began: now, LastPage: now, CoverTo: now, Asked: 200, Posts: 180, NewestID: "1900", OldestID: "1750", Oldest: now, Back: true},
		Archived: 1234, LastRun: now, LastTurn: now, Until: now, Problem: &problem},
	"change": state.Change{V: 1, AccountID: "7", PostID: "1800", At: now, What: "gone", Tries: 1, Next: now},
}

// names are the blobs that the records of format are kept in.
var names = map[string]string{
	"job": "jobs/j.json", "account": "accounts/7.json", "owner": "owners/7.json", "reads": "reads/7.json", "task": "tasks/open/j/t.json", "items": "tasks/items/j/t/000000.json",
	"found": "tasks/found/j/t.json", "delivered": "delivered/j.json", "late": "late/j/1800.json", "aside-post": "set-aside/posts/7/1800.json",
	"sign-in": "signins/2d711642b726b04401627ca9fbac32f5.json", "signed-out": "signed-out/2d711642b726b04401627ca9fbac32f5.json", "sweep": "sweep.json", "tick": "tick.json", "day": "day.json",
	"round": "verify.json", "verification": "verified/7.json",
	"ack":  "acknowledged/7/7f13fb16bb8fb468579f05e6a3839222.json",
	"gone": "gone/7.json", "audit": "audits/7.json", "change": "changes/j/1800.json", "history": "histories/7.json", "mentions": "mentions/7.json", "activity": "activity.json", "event": "activity/open/7/deleted-1900.json", "seen": "activity/seen/1900.json",
}

// TestFormat: what is written does not change unnoticed.
func TestFormat(t *testing.T) {
	for kind, record := range format {
		whole(t, kind, reflect.ValueOf(record))
		golden(t, "v1/"+kind+".json", record)
		back := reflect.New(reflect.TypeOf(record))
		data, err := os.ReadFile("testdata/v1/" + kind + ".json")
		must(t, err)
		must(t, json.Unmarshal(data, back.Interface()))
		if !reflect.DeepEqual(back.Elem().Interface(), record) {
			t.Errorf("%s does not come back:\n%+v\nexpected\n%+v", kind, back.Elem(), record)
		}
	}
}

// whole checks that every field is set, so that the golden file shows it.
func whole(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	if v.IsZero() {
		t.Errorf("%s is not set: the golden file does not show it", path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		whole(t, path, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			whole(t, path, v.Index(0))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() || v.Type().Field(i).Tag.Get("json") == "-" {
				continue // it is not stored
			}
			whole(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
}

// TestOlderFormat: what the version before this format wrote is still read, and
// becomes what the files say.
func TestOlderFormat(t *testing.T) {
	s, server := newStore(t)
	ctx := t.Context()
	for file, name := range map[string]string{"account": "accounts/7.json", "job": "jobs/j.json", "task-open": "tasks/open/j/uploading.json",
		"task-verdict": "tasks/open/j/verdict.json", "task-ended": "tasks/ended/j/ended.json", "signin": "signins/c07ef8a04bf7f77e2f6fe2b8ff28d4a3.json"} {
		data, err := os.ReadFile("testdata/v0/" + file + ".json")
		must(t, err)
		if file == "signin" {
			must(t, s.PutSignIn(ctx, state.SignIn{Token: "request-token"}))
			for _, n := range server.Names("test") {
				if filepath.Dir(n) == "signins" {
					name = n
				}
			}
		}
		raw(t, server, name, string(data))
	}
	a, err := s.Account(ctx, "7")
	must(t, err)
	golden(t, "v0/account.becomes.json", a)
	j, err := s.Job(ctx, "j")
	must(t, err)
	golden(t, "v0/job.becomes.json", j)
	for _, id := range []string{"uploading", "verdict"} {
		claim, err := s.ClaimTask(ctx, "j", id)
		must(t, err)
		golden(t, map[string]string{"uploading": "v0/task-open.becomes.json", "verdict": "v0/task-verdict.becomes.json"}[id], claim.Task)
		must(t, claim.Save(ctx))
		if claim.Task.V != state.Version {
			t.Errorf("saved with version %d, expected %d", claim.Task.V, state.Version)
		}
		claim.Release()
	}
	ended, err := s.EndedTask(ctx, "j", "ended")
	must(t, err)
	golden(t, "v0/task-ended.becomes.json", ended)
	in, err := s.SignIn(ctx, "request-token", now.AddDate(0, 0, -30))
	must(t, err)
	golden(t, "v0/signin.becomes.json", in)
}

// everything asks for every record of format, and tries to change each.
func everything(t *testing.T, s *state.Store) map[string]error {
	ctx := t.Context()
	out := map[string]error{
		"UpdateJob":    s.UpdateJob(ctx, "j", func(*state.Job) error { return nil }),
		"TakeAccount":  s.TakeAccount(ctx, "7", "j2", now),
		"ReleaseOwner": s.ReleaseOwner(ctx, "7", "j"),
		"PutFound":     s.PutFound(ctx, "j", "t", state.Found{}),
		"AddDelivered": s.AddDelivered(ctx, "j", "7", window),
		"RetriedAside": s.RetriedAside(ctx, state.AsidePost{AccountID: "7", PostID: "1800"}),
		"PutSignIn":    s.PutSignIn(ctx, state.SignIn{Token: "x"}),
	}
	_, out["Job"] = s.Job(ctx, "j")
	_, out["Account"] = s.Account(ctx, "7")
	_, out["LoadAccount"] = s.LoadAccount(ctx, "7")
	_, out["Verification"] = s.Verification(ctx, "7")
	_, _, out["Round"] = s.Round(ctx)
	out["PutVerification"] = s.PutVerification(ctx, state.Verification{AccountID: "7"})
	_, out["Mentions"] = s.Mentions(ctx, "7")
	_, out["Activity"] = s.Activity(ctx)
	_, out["Owner"] = s.Owner(ctx, "7", now)
	_, out["LoadReads"] = s.LoadReads(ctx, "7")
	_, out["AddTask"] = s.AddTask(ctx, state.Task{JobID: "j", TaskID: "t"})
	_, out["ClaimTask"] = s.ClaimTask(ctx, "j", "t")
	_, out["Found"] = s.Found(ctx, "j", "t")
	_, out["Delivered"] = s.Delivered(ctx, "j", "7")
	_, out["SignIn"] = s.SignIn(ctx, "x", now.Add(-time.Hour))
	_, _, out["Sweep"] = s.Sweep(ctx, now)
	for _, err := range s.Items(ctx, "j", "t", 0, 1) {
		out["Items"] = err
	}
	return out
}

// TestNewerFormat: a record of a newer format is refused, and never overwritten or
// removed; what needs it not goes on.
func TestNewerFormat(t *testing.T) {
	s, server := newStore(t)
	for kind, name := range names {
		data, err := os.ReadFile("testdata/v1/" + kind + ".json")
		must(t, err)
		raw(t, server, name, string(bytes.Replace(data, []byte(`"v": 1`), []byte(`"v": 2`), 1)))
	}
	for call, err := range everything(t, s) {
		if !errors.Is(err, state.ErrNewer) || fault.CauseOf(err) != fault.StateNewer {
			t.Errorf("%s: %v, expected ErrNewer", call, err)
		}
	}
	is(t, "DeleteJob", s.DeleteJob(t.Context(), "j"), state.ErrNewer)
	_, err := s.PutAside(t.Context(), state.AsidePost{AccountID: "7", PostID: "1800"})
	is(t, "PutAside", err, nil)
	must(t, s.AddLate(t.Context(), "j", state.Late{Key: "1800"}))
	is(t, "Acknowledge", s.Acknowledge(t.Context(), state.Acknowledgement{AccountID: "7", Losses: []string{"gap/left_out/2026"}}), state.ErrExists)
	for kind, name := range names {
		if b, there := server.Get("test", name); !there || !bytes.Contains(b.Content, []byte(`"v": 2`)) {
			t.Errorf("%s was overwritten or removed: %s", kind, b.Content)
		}
	}
	jobs, damaged, err := s.Jobs(t.Context())
	if err != nil || len(jobs) != 0 || len(damaged) != 1 || !errors.Is(damaged[0].Err, state.ErrNewer) {
		t.Errorf("jobs %+v, %+v, %v; expected one that cannot be read", jobs, damaged, err)
	}
}

// TestDamaged: what is no record of its name is not taken for an empty one, and does
// not stop what is listed beside it.
func TestDamaged(t *testing.T) {
	for _, text := range []string{"", "{", "null", "{}", "[]", `"x"`, `{"v":"1"}`, `{"v":1,"id":"other","jobId":7}`} {
		s, server := newStore(t)
		for _, name := range names {
			raw(t, server, name, text)
		}
		for call, err := range everything(t, s) {
			switch call {
			case "PutFound", "RetriedAside", "PutSignIn", "PutVerification": // written afresh
				is(t, call, err, nil)
			case "Items", "Found", "SignIn": // after that
			default:
				if !errors.Is(err, state.ErrDamaged) {
					t.Errorf("%q: %s: %v, expected ErrDamaged", text, call, err)
				}
			}
		}
	}
	s, server := newStore(t)
	putJob(t, s, "b", "7")
	raw(t, server, "jobs/a.json", "{")
	raw(t, server, "jobs/c.json", `{"v":1,"id":"b"}`)
	raw(t, server, "jobs/readme.txt", "not ours")
	jobs, damaged, err := s.Jobs(t.Context())
	if err != nil || len(jobs) != 1 || len(damaged) != 2 || damaged[0].Name != "jobs/a.json" || damaged[1].Name != "jobs/c.json" || string(damaged[0].Raw) != "{" {
		t.Errorf("jobs %+v, damaged %+v, %v; expected b, and a and c damaged", jobs, damaged, err)
	}
	must(t, s.DeleteJob(t.Context(), "a"))
}
