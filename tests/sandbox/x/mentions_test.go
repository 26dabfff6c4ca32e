package x

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// TestMentionsAreStrict: what mentions an account is read like a timeline: posts of
// everybody who names it, no reposts, the newest 800, since_id and until_id exclusive,
// parameters and fields as X's specification has them.
func TestMentionsAreStrict(t *testing.T) {
	const account, other, handle = "7", "8", "@contoso"
	w := newWorld(t, loadCorpus(t, `{"data":[{"id":"1700000000000000000","text":"first","author_id":"7","created_at":"2023-09-08T00:00:00.000Z"}],"includes":{"users":[{"id":"7","name":"Contoso","username":"contoso"},{"id":"8","name":"Bob","username":"bob"}]}}`))
	var want []string
	begin := time.Now().Add(-time.Hour)
	for i := range 830 {
		p := w.Post(other, corpus.Post{Text: fmt.Sprintf("%d %s", i, handle), CreatedAt: begin.Add(time.Duration(i) * time.Second)})
		want = append(want, p.ID)
	}
	own := w.Post(account, corpus.Post{Text: "we, " + handle, CreatedAt: begin.Add(900 * time.Second)})
	w.Post(other, corpus.Post{Text: "nobody", CreatedAt: begin.Add(901 * time.Second)})
	w.Post(other, corpus.Post{Text: "RT " + handle, Kind: corpus.Retweet, Refs: []corpus.Ref{{Type: "retweeted", ID: own.ID}}, CreatedAt: begin.Add(902 * time.Second)})
	want = append(want, own.ID)
	slices.Reverse(want)
	read := func(v url.Values) (ids []string) {
		t.Helper()
		for {
			p := w.get(account, "/2/users/"+account+"/mentions?"+v.Encode())
			if p.status != 200 || p.Meta == nil {
				t.Fatalf("%d %s", p.status, p.raw)
			}
			ids = append(ids, p.ids(t)...)
			if p.Meta.NextToken == "" {
				return ids
			}
			v.Set("pagination_token", p.Meta.NextToken)
		}
	}
	if got := read(url.Values{"max_results": {"100"}}); !slices.Equal(got, want[:800]) {
		t.Errorf("%d posts, want the newest 800 of %d", len(got), len(want))
	}
	if got := read(url.Values{"since_id": {want[10]}, "until_id": {want[2]}}); !slices.Equal(got, want[3:10]) {
		t.Errorf("between two ids: %v, want %v", got, want[3:10])
	}
	if got := read(url.Values{"until_id": {want[799]}}); len(got) > 0 {
		t.Errorf("beyond the reach: %v", got)
	}
	for name, query := range map[string]string{"no parameter of it": "exclude=replies", "too small": "max_results=4", "too large": "max_results=101", "no id": "since_id=x"} {
		if p := w.get(account, "/2/users/"+account+"/mentions?"+query); p.status != 400 {
			t.Errorf("%s: %d %s", name, p.status, p.raw)
		}
	}
	w.Protect(other, true)
	if got := read(url.Values{}); !slices.Equal(got, []string{own.ID}) {
		t.Errorf("posts of a protected account are shown: %v", got)
	}
}
