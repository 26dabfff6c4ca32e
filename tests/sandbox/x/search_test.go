package x

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// TestSearchIsStrict: the search of all posts is as strict as X's: an app's token, a
// second between two requests, 30 days where no start is given, names of the
// specification, 31 days of counts an answer.
func TestSearchIsStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)))
		s, as := direct(t)
		old := s.Post(press, corpus.Post{Text: "old", CreatedAt: time.Now().AddDate(0, 0, -31)})
		recent := s.Post(press, corpus.Post{Text: "recent", CreatedAt: time.Now().AddDate(0, 0, -29)})
		handle := ""
		if raw, ok := s.opt.Corpus.User(press); ok {
			handle = strings.Split(strings.Split(string(raw), `"username":"`)[1], `"`)[0]
		}
		token := ""
		get := func(client *http.Client, path string, v url.Values) page {
			t.Helper()
			req, err := http.NewRequest(http.MethodGet, "https://api.x.com"+path+"?"+v.Encode(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if client == nil {
				client = s.Client()
				req.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			return read(t, resp)
		}
		const search, counts = "/2/tweets/search/all", "/2/tweets/counts/all"
		from := func(more ...string) url.Values {
			v := url.Values{"query": {"from:" + handle}}
			for i := 0; i < len(more); i += 2 {
				v.Set(more[i], more[i+1])
			}
			return v
		}
		if p := get(nil, search, from()); p.status != 401 {
			t.Errorf("without a token: %d %s", p.status, p.raw)
		}
		if p := get(as(press), search, from()); p.status != 403 {
			t.Errorf("with an account's token: %d %s", p.status, p.raw)
		}
		req, _ := http.NewRequest(http.MethodPost, "https://api.x.com/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		req.SetBasicAuth(url.QueryEscape(key), url.QueryEscape(secret))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer := read(t, resp)
		if _, after, ok := strings.Cut(string(answer.raw), `"access_token":"`); ok {
			token, _, _ = strings.Cut(after, `"`)
		}
		if p := get(nil, "/2/users/"+press+"/tweets", nil); p.status != 403 {
			t.Errorf("a timeline with an app's token: %d %s", p.status, p.raw)
		}
		if p := get(nil, search, from()); p.status != 200 || strings.Contains(string(p.raw), old.ID) || !strings.Contains(string(p.raw), recent.ID) {
			t.Errorf("without a start: %d %s", p.status, p.raw)
		}
		if p := get(nil, search, from()); p.status != 429 {
			t.Errorf("within a second: %d", p.status)
		}
		start := time.Now().AddDate(0, 0, -40).UTC().Format(time.RFC3339)
		for _, c := range []struct {
			v      url.Values
			status int
			has    string
		}{
			{from("start_time", start), 200, old.ID},
			{from("start_time", start, "max_results", "500"), 200, old.ID},
			{from("start_time", start, "max_results", "500", "tweet.fields", "context_annotations"), 400, "max_results"},
			{from("start_time", start, "user.fields", "parody"), 400, "parody"},
			{from("start_time", start, "exclude", "replies"), 400, "exclude"},
			{from("start_time", start, "next_token", "nonsense"), 400, "next_token"},
			{url.Values{}, 400, "query"},
		} {
			time.Sleep(time.Second)
			if p := get(nil, search, c.v); p.status != c.status || !strings.Contains(string(p.raw), c.has) {
				t.Errorf("%s: %d %s", c.v.Encode(), p.status, p.raw)
			}
		}
		end := time.Now().Add(-time.Minute).UTC()
		for days, more := range map[int]bool{31: false, 40: true} {
			p := get(nil, counts, from("granularity", "day", "start_time", end.AddDate(0, 0, -days).Format(time.RFC3339), "end_time", end.Format(time.RFC3339)))
			if p.status != 200 || strings.Contains(string(p.raw), "next_token") != more || !strings.Contains(string(p.raw), `"total_tweet_count"`) {
				t.Errorf("%d days: %d %s", days, p.status, p.raw)
			}
		}
		if got := s.Stats().Counts; got != 2 {
			t.Errorf("%d counts, want 2", got)
		}
	})
}
