package x

import (
	"encoding/json"
	"strconv"
	"testing"

	"xarchive/tests/sandbox/corpus"
)

// count is what GET /2/users/:id says of account 7's posts.
func (w *world) count() int {
	w.t.Helper()
	p := w.get("7", "/2/users/7?user.fields=public_metrics")
	var u struct {
		Metrics struct {
			Tweets *int `json:"tweet_count"`
		} `json:"public_metrics"`
	}
	if err := json.Unmarshal(p.Data, &u); err != nil || u.Metrics.Tweets == nil {
		w.t.Fatalf("status %d, %s: %v", p.status, p.raw, err)
	}
	return *u.Metrics.Tweets
}

// TestTweetCount: it is what the account has at this moment, whatever timelines show.
func TestTweetCount(t *testing.T) {
	w, ids := posted(t, 5, func(o *Options) { o.Reach = 3 })
	steps := []struct {
		what string
		do   func()
		want int
	}{
		{"five posts, two out of reach", func() {}, 5},
		{"one is deleted", func() { w.Delete(ids[0]) }, 4},
		{"the newest is not posted yet", func() { w.Until("7", ids[3]) }, 3},
		{"it is posted", func() { w.Until("7", "") }, 4},
		{"one comes", func() {
			w.Post("7", corpus.Post{ID: "1900000000000000001", EditHistory: []string{"1900000000000000001", "1900000000000000002"}})
		}, 5},
		{"it is edited", func() {
			w.Post("7", corpus.Post{ID: "1900000000000000002", EditHistory: []string{"1900000000000000001", "1900000000000000002"}})
		}, 5},
		{"some are hidden", func() { w.Withhold(ids[1]); w.Mute(ids[2]); w.LeaveOut(9, ids[3]); w.ShowLateAfter(ids[4], 9) }, 5},
	}
	for _, s := range steps {
		s.do()
		if got := w.count(); got != s.want {
			t.Errorf("%s: tweet_count is %d, expected %d", s.what, got, s.want)
		}
	}
}

func TestUserLookup(t *testing.T) {
	w := newWorld(t, nil)
	p := w.get(press, "/2/users/"+press)
	if p.status != 200 || names(t, p.Data) != "id name username" || p.header.Get("x-rate-limit-limit") != "900" {
		t.Errorf("without fields: %d %s", p.status, p.raw)
	}
	p = w.get(press, "/2/users/"+press+"?user.fields=public_metrics,created_at")
	metrics := members(t, members(t, p.Data)["public_metrics"])
	if got, want := string(metrics["tweet_count"]), strconv.Itoa(len(w.corpus.Posts(press))); got != want || len(metrics) != 4 {
		t.Errorf("public_metrics are %s, expected all four members and a tweet_count of %s", members(t, p.Data)["public_metrics"], want)
	}
	me := w.get(press, "/2/users/me?user.fields=public_metrics,created_at")
	if string(me.Data) != string(p.Data) {
		t.Errorf("/2/users/me says %s, /2/users/:id %s", me.Data, p.Data)
	}
	if p := w.get(press, "/2/users/1"); p.status != 200 || p.Data != nil || p.Errors[0].Title != "Not Found Error" || p.Errors[0].Parameter != "id" {
		t.Errorf("a user that is not there: %d %s", p.status, p.raw)
	}
	for _, path := range []string{"/2/users/abc", "/2/users/1?max_results=5"} {
		if p := w.get(press, path); p.status != 400 || p.Title != "Invalid Request" {
			t.Errorf("%s: %d %s", path, p.status, p.raw)
		}
	}
	w.Suspend(press, true)
	if p := w.get(corpus.SupportAccount, "/2/users/"+press); p.Data != nil || p.Errors[0].Title != "Forbidden" {
		t.Errorf("a suspended user: %s", p.raw)
	}
	w.Protect(corpus.SupportAccount, true)
	if p := w.get(press, "/2/users/"+corpus.SupportAccount); p.Data == nil {
		t.Errorf("a protected user's profile: %s", p.raw)
	}
}
