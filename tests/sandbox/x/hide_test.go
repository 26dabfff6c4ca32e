package x

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// posted is an account "7" with n posts, whose ids are returned oldest first.
func posted(t *testing.T, n int, change ...func(*Options)) (*world, []string) {
	t.Helper()
	w := newWorld(t, loadCorpus(t, `{"data":[{"id":"1800000000000000000","author_id":"7"}],"includes":{"users":[{"id":"7","name":"A","username":"a"}]}}`), change...)
	ids := []string{"1800000000000000000"}
	for i := range n - 1 {
		id := fmt.Sprint(1800000000000000001 + i)
		w.Post("7", corpus.Post{ID: id, Text: "post " + id})
		ids = append(ids, id)
	}
	return w, ids
}

// newest reads the first page of account 7.
func (w *world) newest(query string) page {
	w.t.Helper()
	p := w.get("7", "/2/users/7/tweets?"+query)
	if p.status != 200 {
		w.t.Fatalf("status %d: %s", p.status, p.raw)
	}
	if got := p.ids(w.t); p.Meta.ResultCount != len(got) {
		w.t.Errorf("result_count is %d of %d posts", p.Meta.ResultCount, len(got))
	}
	return p
}

// backwards returns ids newest first.
func backwards(ids []string) []string {
	out := slices.Clone(ids)
	slices.Reverse(out)
	return out
}

func (w *world) wantIDs(what string, got, want []string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: %v, expected %v", what, got, want)
	}
}

func TestShowLate(t *testing.T) {
	w, ids := posted(t, 4)
	w.ShowLate(ids[2], w.clock.now().Add(45*time.Second))
	without := []string{ids[3], ids[1], ids[0]}
	w.wantIDs("before its moment", w.newest("").ids(t), without)
	w.wantIDs("since the post before it", w.newest("since_id="+ids[1]).ids(t), ids[3:])
	if p := w.get("7", "/2/tweets?ids="+ids[2]); len(p.ids(t)) != 1 {
		t.Errorf("a look-up of a post that timelines do not show yet: %s", p.raw)
	}
	w.clock.add(45*time.Second - 1)
	w.wantIDs("just before its moment", w.newest("").ids(t), without)
	w.clock.add(1)
	w.wantIDs("at its moment", w.newest("").ids(t), backwards(ids))

	w.ShowLateAfter(ids[0], 2)
	for range 2 {
		w.wantIDs("for two answers", w.newest("").ids(t), backwards(ids[1:]))
	}
	w.wantIDs("in the third answer", w.newest("").ids(t), backwards(ids))
}

func TestLeaveOut(t *testing.T) {
	w, ids := posted(t, 12)
	w.LeaveOut(2, ids[11], ids[9])
	first := w.newest("max_results=5")
	w.wantIDs("a page with two left out", first.ids(t), []string{ids[10], ids[8], ids[7]})
	if first.Meta.NewestID != ids[10] || first.Meta.OldestID != ids[7] {
		t.Errorf("meta is %+v, expected it of what is sent", first.Meta)
	}
	second := w.newest("max_results=5&pagination_token=" + first.Meta.NextToken)
	w.wantIDs("the next page, which they are not on", second.ids(t), backwards(ids[2:7]))
	w.wantIDs("a second answer without them", w.newest("max_results=5").ids(t), []string{ids[10], ids[8], ids[7]})
	w.wantIDs("the third answer", w.newest("max_results=5").ids(t), backwards(ids[7:]))
}

func TestWithhold(t *testing.T) {
	w, ids := posted(t, 12, func(o *Options) { o.Reach = 10 })
	w.Withhold(ids[2:7]...)
	first := w.newest("max_results=5")
	w.wantIDs("the first page", first.ids(t), backwards(ids[7:]))
	second := w.newest("max_results=5&pagination_token=" + first.Meta.NextToken)
	if second.Meta.ResultCount != 0 || second.Data != nil || second.Meta.OldestID != "" || second.Meta.NextToken != "" {
		t.Errorf("a page of withheld posts at the end of the reach is %s", second.raw)
	}
	w.Withhold(ids[7:]...)
	first = w.newest("max_results=5")
	if first.Meta.ResultCount != 0 || first.Meta.NextToken == "" {
		t.Errorf("a page of withheld posts is %s, expected it empty and with a next_token", first.raw)
	}
	if p := w.get("7", "/2/tweets?ids="+ids[2]); len(p.ids(t)) != 1 {
		t.Errorf("a look-up of a withheld post: %s", p.raw)
	}
}

func TestMute(t *testing.T) {
	w, ids := posted(t, 2)
	w.Mute(ids[1], "99")
	p := w.get("7", "/2/tweets?ids="+ids[0]+","+ids[1]+",99,98")
	w.wantIDs("sent", p.ids(t), ids[:1])
	if len(p.Errors) != 1 || p.Errors[0].Value != "98" {
		t.Errorf("explained: %+v, expected 98 alone", p.Errors)
	}
	if p := w.get("7", "/2/tweets/"+ids[1]); p.raw != `{}` {
		t.Errorf("a muted post is looked up: %s", p.raw)
	}
	w.wantIDs("the timeline", w.newest("").ids(t), backwards(ids))
	answer := w.Post("7", corpus.Post{Text: "re", Refs: []corpus.Ref{{Type: "quoted", ID: ids[1]}}})
	p = w.get("7", "/2/tweets?ids="+answer.ID+"&expansions=referenced_tweets.id")
	if len(p.Includes["tweets"]) != 0 || len(p.Errors) != 0 {
		t.Errorf("a muted post beside another: %s", p.raw)
	}
}

// TestReachAndPageSize: both can be small, so that a test needs few posts.
func TestReachAndPageSize(t *testing.T) {
	w, ids := posted(t, 30, func(o *Options) { o.Reach, o.PageSize = 20, 7 })
	got, requests := w.pages("7", url.Values{"max_results": {"100"}})
	w.wantIDs("reached", got, backwards(ids[10:]))
	if requests != 3 {
		t.Errorf("20 posts in pages of 7 took %d requests, expected 3", requests)
	}
	if got, _ = w.pages("7", url.Values{"exclude": {"replies"}}); len(got) != 5 {
		t.Errorf("without replies %d posts are reached, expected a quarter of 20", len(got))
	}
	w.Post("7", corpus.Post{}) // the reach counts from the newest post at the time of the call
	if got, _ = w.pages("7", url.Values{}); len(got) != 20 || got[19] != ids[11] {
		t.Errorf("after one more post %v is reached, expected %s to be the oldest", got, ids[11])
	}
}

func TestPost(t *testing.T) {
	w, ids := posted(t, 1)
	at := w.clock.now()
	p := w.Post("7", corpus.Post{Text: `with "quotes" & more`, EditHistory: []string{"1", "2"}, Refs: []corpus.Ref{{Type: "replied_to", ID: ids[0]}}})
	if p.Kind != corpus.Reply || p.AuthorID != "7" || !p.CreatedAt.Equal(at.UTC().Truncate(time.Second)) {
		t.Errorf("posted %+v", p)
	}
	if when, ok := corpus.IDTime(p.ID); !ok || at.Sub(when).Abs() > time.Millisecond {
		t.Errorf("its id says %v, expected %v", when, at)
	}
	got := w.newest("tweet.fields=created_at,referenced_tweets").posts(t)[0]
	if string(members(t, got)["text"]) != `"with \"quotes\" \u0026 more"` || !strings.HasSuffix(str(got, "created_at"), ".000Z") {
		t.Errorf("sent as %s", got)
	}
}

// TestCallHooks: what OnCall does is in the answer, what AfterCall does is not.
func TestCallHooks(t *testing.T) {
	w, ids := posted(t, 1)
	var calls []string
	var early, late corpus.Post
	w.OnCall(func(n int, endpoint string) {
		calls = append(calls, fmt.Sprint("on ", n, " ", endpoint))
		early = w.Post("7", corpus.Post{Text: "early"})
	})
	w.AfterCall(func(n int, endpoint string) {
		calls = append(calls, fmt.Sprint("after ", n, " ", endpoint))
		late = w.Post("7", corpus.Post{Text: "late"})
	})
	w.wantIDs("the first call", w.newest("").ids(t), []string{early.ID, ids[0]})
	w.wantIDs("the hooks", calls, []string{"on 1 GET /2/users/:id/tweets", "after 1 GET /2/users/:id/tweets"})
	w.OnCall(nil)
	w.AfterCall(nil)
	w.wantIDs("the second call", w.newest("").ids(t), []string{late.ID, early.ID, ids[0]})
	w.wantIDs("the hooks, taken away", calls, calls[:2])
}
