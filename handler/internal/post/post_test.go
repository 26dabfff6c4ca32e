package post

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	p, err := Parse(split(t)[1].JSON)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Problems) > 0 {
		t.Errorf("problems: %v", p.Problems)
	}
	if p.Kind() != Reply || p.Version() != 2 || !slices.Equal(p.EarlierVersions(), []string{"1800000000000000002"}) {
		t.Errorf("kind %s, version %d, earlier %v", p.Kind(), p.Version(), p.EarlierVersions())
	}
	if want := time.Date(2024, 6, 10, 8, 0, 0, 123e6, time.UTC); !p.CreatedAt.Equal(want) {
		t.Errorf("created %v, want %v", p.CreatedAt, want)
	}
	if p.Author.Username != "ann" || p.InReplyToUser.Name != `Bob "B"` || p.Place != "Oslo, Norway" || p.Likes != 5 {
		t.Errorf("author %+v, reply to %+v, place %q, likes %d", p.Author, p.InReplyToUser, p.Place, p.Likes)
	}
	if q := p.Ref(Quoted); q == nil || q.Post == nil || q.Post.Text.Plain() != "quoted" || q.Post.Author.ID != "8" {
		t.Errorf("quoted: %+v", q)
	}
	if r := p.Ref(RepliedTo); r == nil || r.Post != nil || r.ID != "1700000000000000002" {
		t.Errorf("replied to: %+v", r)
	}
	var sources [][]string
	for _, m := range p.Shown() {
		sources = append(sources, m.Sources())
	}
	want := [][]string{
		{"https://pbs.twimg.com/media/x.jpg?name=orig", "https://pbs.twimg.com/media/x.jpg"},
		{"https://video.twimg.com/v/high.mp4?tag=1", "https://video.twimg.com/v/low.mp4?tag=1"},
		{"https://pbs.twimg.com/media/Q?format=png&name=orig", "https://pbs.twimg.com/media/Q?format=png&name=small"},
	}
	if !slices.EqualFunc(sources, want, slices.Equal) {
		t.Errorf("sources %q, want %q", sources, want)
	}
	if len(p.Polls) != 1 || p.Polls[0].Options[0] != (PollOption{"yes", 3}) || p.Polls[0].Status != "closed" {
		t.Errorf("polls: %+v", p.Polls)
	}
	var shown []string
	for _, s := range p.Text.Spans() {
		mark := s.Text
		if s.Link != nil {
			mark = "[" + mark + "→" + s.Link.Target + "]"
		}
		shown = append(shown, mark)
	}
	if got, want := strings.Join(shown, ""), "Look & see [https://t.co/a→https://example.com/?a=1&b=2] 😀 [@bob→https://x.com/Bob] <3"; got != want {
		t.Errorf("spans %q\nwant  %q", got, want)
	}
}

func TestParseTakesWhatItCan(t *testing.T) {
	p, err := Parse([]byte(`{"data":{"id":"1800000000000000003","text":"words","author_id":7,"public_metrics":"many","created_at":"yesterday"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Text.Plain() != "words" || len(p.Problems) != 3 {
		t.Errorf("text %q, problems %q", p.Text.Plain(), p.Problems)
	}
	if inID, _ := IDTime("1800000000000000003"); !p.CreatedAt.Equal(inID) {
		t.Errorf("created %v, want the time in the id %v", p.CreatedAt, inID)
	}
	p, err = Parse([]byte(`{"data":{"id":"1800000000000000003","attachments":{"media_keys":["3_1","3_2"],"poll_ids":["5","6"]},"geo":{"place_id":"pl"},"withheld":7},
		"includes":{"media":[{"media_key":"3_1","width":"wide","type":"photo"}],"polls":[{"id":"5","end_datetime":"soon","voting_status":1}],"places":[{"id":"pl","full_name":5}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, problem := range p.Problems {
		name, _, _ := strings.Cut(problem, ":")
		names = append(names, name)
	}
	if want := []string{"media 3_1.width", "poll 5.end_datetime", "poll 5.voting_status", "place pl.full_name"}; !slices.Equal(names, want) {
		t.Errorf("problems of %q, want %q", names, want)
	}
	if p.Media[0].Type != "photo" || p.Media[1].Type != "unknown" || p.Polls[1].ID != "6" || p.Place != "pl" || p.Withheld != "this post: 7" {
		t.Errorf("post %+v", p)
	}
	for _, bad := range []string{``, `[]`, `{"data":{}}`, `{"data":{"id":"12x"}}`, `{"data":{"id":"12","text":"no time"}}`, `{"data":[1]}`} {
		if p, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s was read as %+v", bad, p)
		}
	}
}

// IDTime's example is X's own: https://docs.x.com/resources/fundamentals/x-ids
// and the first tweet with a picture of the id's layout.
func TestIDTime(t *testing.T) {
	at, ok := IDTime("1541815603606036480")
	if want := time.UnixMilli(1656432460105).UTC(); !ok || !at.Equal(want) {
		t.Errorf("%v %v, want %v", at, ok, want)
	}
	if _, ok := IDTime("20"); ok {
		t.Error("a number of 2006 holds a time")
	}
}

func TestCompareIDs(t *testing.T) {
	ids := []string{"1800000000000000001", "99", "1000000000000000000", "18446744073709551615", "100"}
	slices.SortFunc(ids, CompareIDs)
	if want := []string{"99", "100", "1000000000000000000", "1800000000000000001", "18446744073709551615"}; !slices.Equal(ids, want) {
		t.Errorf("%v", ids)
	}
}

// FuzzText: whatever text and positions X sends, the spans put together are the
// text, and unescaping leaves other entities alone.
func FuzzText(f *testing.F) {
	f.Add("a &amp;lt; &copy; b", 2, 7, 3, 9)
	f.Add("😀&lt;&gt;", 1, 5, 0, 1)
	f.Fuzz(func(t *testing.T, wire string, s1, e1, s2, e2 int) {
		text := Text{Wire: wire, Links: []Link{{Kind: Mention, Words: "@bob", Start: s1, End: e1}, {Kind: PlainURL, Words: "https://t.co/a", URL: "https://t.co/a", Start: s2, End: e2},
			{Kind: Hashtag, Words: "#" + wire[:min(len(wire), 3)], Start: e1, End: s2}}}
		var b strings.Builder
		for _, s := range text.Spans() {
			b.WriteString(s.Text)
		}
		if got, want := b.String(), strings.ToValidUTF8(text.Plain(), "\uFFFD"); got != want && strings.ToValidUTF8(wire, "") == wire {
			t.Errorf("spans %q, text %q", got, want)
		}
		if strings.Contains(wire, "&copy;") && !strings.Contains(text.Plain(), "&copy;") && !strings.Contains(wire, "&amp;") {
			t.Error("an escape that X does not make was undone")
		}
	})
}

// TestKinds: a post's kind, address and version, from what X says of it.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		members string // of the post's object
		kind    Kind
		url     string
		version int
	}{
		{``, Tweet, "https://x.com/i/status/1800000000000000003", 1},
		{`,"author_id":"7"`, Tweet, "https://x.com/ann/status/1800000000000000003", 1},
		{`,"referenced_tweets":[{"type":"quoted","id":"5"}]`, Quote, "https://x.com/i/status/1800000000000000003", 1},
		{`,"referenced_tweets":[{"type":"quoted","id":"5"},{"type":"replied_to","id":"6"}]`, Reply, "https://x.com/i/status/1800000000000000003", 1},
		{`,"referenced_tweets":[{"type":"retweeted","id":"5"}]`, Retweet, "https://x.com/i/status/1800000000000000003", 1},
		{`,"edit_history_tweet_ids":["1800000000000000001","1800000000000000002","1800000000000000003"]`, Tweet, "https://x.com/i/status/1800000000000000003", 3},
	} {
		p, err := Parse([]byte(`{"data":{"id":"1800000000000000003"` + c.members + `},"includes":{"users":[{"id":"7","username":"ann"}]}}`))
		if err != nil || p.Kind() != c.kind || p.URL() != c.url || p.Version() != c.version || !slices.Contains(Kinds(), p.Kind()) {
			t.Errorf("%s: %+v, %v; want %s, %s, version %d", c.members, p, err, c.kind, c.url, c.version)
		}
	}
}

// TestLongForms: the whole text is shown, not the one that X cuts off for old programs.
func TestLongForms(t *testing.T) {
	p, err := Parse([]byte(`{"data":{"id":"1800000000000000003","text":"the beginn…","entities":{"hashtags":[{"start":0,"end":3,"tag":"cut"}]},
		"note_tweet":{"text":"the beginning and #the $END","entities":{"hashtags":[{"start":18,"end":22,"tag":"the"}],"cashtags":[{"start":23,"end":27,"tag":"END"}]}},
		"article":{"title":"A title","preview_text":"cut","plain_text":"the whole article"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Text.Plain() != "the beginning and #the $END" || p.Text.Preview(10) != "the begin…" || len(p.Text.Links) != 2 || p.Text.Links[1].Target != "https://x.com/search?q=%24END" {
		t.Errorf("text %+v", p.Text)
	}
	if p.Article == nil || p.Article.Title != "A title" || p.Article.Text != "the whole article" || p.Article.Beginning {
		t.Errorf("article %+v", p.Article)
	}
}

func TestWithheld(t *testing.T) {
	for raw, want := range map[string]string{
		`{"copyright":true,"country_codes":["XY"]}`:                       "this post in all countries because of a copyright claim",
		`{"copyright":false,"country_codes":["XX"],"scope":"user"}`:       "this account in all countries",
		`{"copyright":false,"country_codes":["DE","FR"],"scope":"tweet"}`: "this post in Germany and France",
		`{"copyright":false,"country_codes":["in","ZZ"],"scope":"user"}`:  "this account in India and ZZ",
		`"everywhere"`: `this post: "everywhere"`, `null`: "",
	} {
		p, err := Parse([]byte(`{"data":{"id":"1800000000000000003","withheld":` + raw + `}}`))
		if err != nil || p.Withheld != want {
			t.Errorf("%s: %+v, %v, want %q", raw, p, err, want)
		}
	}
}

func TestFileName(t *testing.T) {
	for source, want := range map[string]string{
		"https://video.twimg.com/v/high.mp4?tag=1":               "high.mp4",
		"https://pbs.twimg.com/media/Q?format=png&name=orig":     "Q.png",
		"https://pbs.twimg.com/media/x.jpg?format=png&name=orig": "x.jpg",
		"https://pbs.twimg.com/":                                 "media", "https://pbs.twimg.com": "media", "://": "media",
	} {
		if got := FileName(source); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}
