package statement_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/statement"
	"xarchive/handler/internal/verify"
	"xarchive/tests/sandbox/blobs"
)

func day(month time.Month, d int) time.Time {
	return time.Date(2026, month, d, 12, 0, 0, 0, time.UTC)
}

// TestStatement: of an archive with posts of two months, one of them captured late, the
// statement of October counts those of October, and says what is missing.
func TestStatement(t *testing.T) {
	ctx := t.Context()
	server := blobs.New(blobs.Options{})
	mail, kept := blobtest.On(server).Container("archive"), state.New(blobtest.On(server).Container("state"))
	messages, chain := archive.New(mail), manifest.New(mail)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(key, id string, at time.Time, kind post.Kind) manifest.Line {
		t.Helper()
		e, _, err := messages.Put(ctx, "7", archive.Message{Key: key, PostID: id, Created: at, Kind: kind}, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "message %s", key)
			return err
		})
		must(err)
		return manifest.Line{Key: e.Key, PostID: e.PostID, Path: e.Name, SHA256: e.SHA256, Kind: string(kind), Posted: e.Created, Captured: at}
	}
	september := put("1", "1", day(9, 30), post.Tweet)
	october := []manifest.Line{put("2", "2", day(10, 1), post.Tweet), put("3", "3", day(10, 2), post.Reply), put("4", "4", day(10, 31), post.Quote),
		put("4.media", "4", day(10, 31), post.Quote), {Event: manifest.GivenUp, PostID: "3", Path: "x", Posted: day(10, 2), Media: []string{"3_1"}}}
	late := []manifest.Line{put("5", "5", day(10, 31).Add(11*time.Hour+59*time.Minute), post.Retweet), october[0]}
	put("9", "9", day(10, 7), post.Mentioning) // of somebody else
	must(kept.SaveMentions(ctx, &state.Mentions{AccountID: "7", Archived: 1, Covered: state.Ranges{{From: day(10, 8), To: day(11, 5)}},
		Gaps: []state.Gap{{Range: state.Range{To: day(10, 6)}, Why: state.BeyondReach}}}))
	november := put("6", "6", day(11, 1).Add(-12*time.Hour), post.Tweet)
	link := manifest.Link{}
	for _, blob := range []struct {
		day   string
		lines []manifest.Line
	}{{"2026-09-30", []manifest.Line{september}}, {"2026-10-01", october[:2]}, {"2026-10-31", october[2:]}, {"2026-11-01", append(late, november)}} {
		var err error
		link, err = chain.Append(ctx, "7", link, blob.day, blob.lines)
		must(err)
	}
	_, err := mail.Write(ctx, "7/2026/10/02/3.gone.json", []byte("{}"), blob.Condition{})
	must(err)
	r, err := kept.LoadAccount(ctx, "7")
	must(err)
	gap := state.Gap{Range: state.Range{From: day(9, 15), To: day(10, 3)}, Why: state.LeftOut}
	r.Account.Gaps = []state.Gap{gap, {Range: state.Range{From: day(11, 3), To: day(11, 4)}, Why: state.LeftOut}}
	r.Account.Covered = state.Ranges{{From: day(10, 3), To: day(11, 5)}}
	r.Account.SetAside.Posts = 2
	r.Account.Stated = &state.Stated{At: day(11, 5), Posts: 1230, Archived: 1227, Gone: 2, Missing: 5}
	must(r.Save(ctx))
	must(kept.UpdateJob(ctx, "j", func(j *state.Job) error {
		*j = state.Job{V: 1, ID: "j", TenantID: "t", AccountID: "7", AccountName: "=cmd|' /C calc'!A0", Handle: "contoso", CreatedAt: day(9, 1)}
		return nil
	}))
	must(kept.PutVerification(ctx, state.Verification{AccountID: "7", Last: &verify.Pass{Began: day(11, 5), Done: true}, Sound: day(11, 5)}))

	m := statement.Maker{State: kept, Archive: messages, Manifests: chain, Now: func() time.Time { return day(11, 6) }}
	month, err := statement.ParseMonth("2026-10")
	must(err)
	s, err := m.Make(ctx, month, "")
	must(err)
	var out strings.Builder
	must(s.CSV(&out))
	table, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil || len(table) != 2 {
		t.Fatalf("%v, %v", table, err)
	}
	got := map[string]string{}
	for i, name := range table[0] {
		got[name] = table[1][i]
	}
	for name, want := range map[string]string{"month": "2026-10", "account": "7", "name": "'=cmd|' /C calc'!A0 (@contoso)", "tweet": "1", "reply": "1", "quote": "1", "retweet": "1", "posts": "4",
		"further_messages": "1", "gone": "1", "gaps": "2026-09-15T12:00:00Z to 2026-10-03T12:00:00Z (left_out)", "not_the_connectors": "0",
		"archived_in_month": "4", "given_up_in_month": "1", "waiting": "0", "set_aside": "2", "read_until": "2026-11-05T12:00:00Z",
		"verified_until": "2026-11-05T12:00:00Z", "faults": "0", "delivered_until": "",
		"x_states_posts": "1230", "x_stated_on": "2026-11-05", "archived_then": "1227", "gone_then": "2", "missing_then": "5", "made": "2026-11-06T12:00:00Z",
		"mentions": "1", "mention_gaps": " to 2026-10-06T12:00:00Z (beyond_reach)", "mentions_read_until": "2026-11-05T12:00:00Z"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("columns that nobody expects: %v", got)
	}
	out.Reset()
	must(s.HTML(&out))
	if _, err := html.Parse(strings.NewReader(out.String())); err != nil || !strings.Contains(out.String(), "15 Sep 2026, 12:00 UTC to 3 Oct 2026, 12:00 UTC") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "<td>1,230, on 5 Nov 2026 (UTC)</td>") || !strings.Contains(out.String(), `<span class="bad">5</span>`) {
		t.Errorf("X's own number is not on the page:\n%s", out.String())
	}
	s.Accounts[0].Stated = nil // X was never asked
	out.Reset()
	must(s.HTML(&out))
	if !strings.Contains(out.String(), "all months</th><td>not known</td>") {
		t.Errorf("X's number is not said to be unknown:\n%s", out.String())
	}
	out.Reset()
	must(s.CSV(&out))
	if !strings.Contains(out.String(), ",,,,,,2026-11-06T12:00:00Z") {
		t.Errorf("X's number is not empty:\n%s", out.String())
	}
	if _, err := m.Make(ctx, month, "8"); fault.CauseOf(err) != fault.NotFound {
		t.Errorf("a statement of an account that is not there: %v", err)
	}

	// Of an account of which only messages are left, nothing is claimed that they do not show.
	_, _, err = messages.Put(ctx, "8", archive.Message{Key: "9", PostID: "9", Created: day(10, 5), Kind: post.Tweet}, func(w io.Writer) error {
		_, err := io.WriteString(w, "message 9")
		return err
	})
	must(err)
	for account, accounts := range map[string]int{"8": 1, "": 2} {
		s, err := m.Make(ctx, month, account)
		if err != nil || len(s.Accounts) != accounts {
			t.Fatalf("%+v, %v", s, err)
		}
		out.Reset()
		must(s.CSV(&out))
		if !strings.Contains(out.String(), "\r\n2026-10,8,8,1,0,0,0,1,0,0,not known,0,,,,,,,0,,,,,,,2026-11-06T12:00:00Z,0,,\r\n") {
			t.Errorf("the statement is %s", out.String())
		}
		out.Reset()
		must(s.HTML(&out))
		if !strings.Contains(out.String(), "not known: the connector has no record of the account") {
			t.Errorf("the page is %s", out.String())
		}
	}
	if got := statement.Before(day(1, 5)).String(); got != "2025-12" {
		t.Errorf("before January 2026 comes %s", got)
	}
}
