package post

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// page is an answer of the X API with the things that are easily lost.
const page = `{"data":[
 {"id":"1800000000000000003","text":"Look &amp; see https://t.co/a 😀 @bob &lt;3","author_id":"7","created_at":"2024-06-10T08:00:00.123Z",
  "conversation_id":"1800000000000000001","in_reply_to_user_id":"8","edit_history_tweet_ids":["1800000000000000002","1800000000000000003"],
  "referenced_tweets":[{"type":"quoted","id":"1700000000000000001"},{"type":"replied_to","id":"1700000000000000002"}],
  "attachments":{"media_keys":["3_1","7_2"],"poll_ids":["5"]},"geo":{"place_id":"pl"},
  "entities":{"urls":[{"start":15,"end":29,"url":"https://t.co/a","expanded_url":"https://example.com/?a=1&b=2","display_url":"example.com"}],
   "mentions":[{"start":32,"end":36,"username":"Bob"}]},
  "public_metrics":{"like_count":5}, "unknown":{"kept":[1,2]}},
 {"id":"1800000000000000001","text":"plain","author_id":"7","created_at":"2024-06-10T07:00:00.000Z"}
],
"includes":{
 "tweets":[{"id":"1700000000000000001","text":"quoted","author_id":"8","attachments":{"media_keys":["3_9"]}},
           {"id":"1800000000000000002","text":"before the edit","author_id":"7","edit_history_tweet_ids":["1800000000000000002","1800000000000000003"]},
           {"id":"1600000000000000000","text":"nobody refers to this","author_id":"9"}],
 "users":[{"id":"7","username":"ann","name":"Ann"},{"id":"8","username":"bob","name":"Bob \"B\""},{"id":"9","username":"eve","name":"Eve"}],
 "media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/x.jpg"},
          {"media_key":"7_2","type":"video","variants":[
            {"bit_rate":256,"content_type":"video/mp4","url":"https://video.twimg.com/v/low.mp4?tag=1"},
            {"content_type":"application/x-mpegURL","url":"https://video.twimg.com/v/p.m3u8"},
            {"bit_rate":2176,"content_type":"video/mp4","url":"https://video.twimg.com/v/high.mp4?tag=1"}]},
          {"media_key":"3_9","type":"photo","url":"https://pbs.twimg.com/media/Q?format=png&name=small"},
          {"media_key":"3_8","type":"photo","url":"https://pbs.twimg.com/media/other.jpg"}],
 "polls":[{"id":"5","options":[{"label":"yes","votes":3}],"voting_status":"closed","end_datetime":"2024-06-11T08:00:00.000Z"}],
 "places":[{"id":"pl","full_name":"Oslo, Norway"}]},
"errors":[{"value":"1700000000000000002","resource_id":"1700000000000000002","resource_type":"tweet","title":"Not Found Error","detail":"gone"},
          {"value":"1","resource_id":"1","title":"of another post"}],
"meta":{"result_count":2,"newest_id":"1800000000000000003","oldest_id":"1800000000000000001","next_token":"t"}}`

func split(t *testing.T) []Document {
	t.Helper()
	p, err := SplitPage([]byte(page))
	if err != nil {
		t.Fatal(err)
	}
	if p.Meta.NextToken != "t" || p.Meta.ResultCount != 2 || len(p.Errors) != 2 {
		t.Errorf("meta %+v, errors %+v", p.Meta, p.Errors)
	}
	return p.Posts
}

func TestSplitPage(t *testing.T) {
	docs := split(t)
	var ids []string
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	if want := []string{"1800000000000000002", "1800000000000000003", "1800000000000000001"}; !slices.Equal(ids, want) {
		t.Fatalf("documents %v, want %v", ids, want)
	}
	if !docs[0].Earlier || docs[1].Earlier || docs[2].Earlier {
		t.Error("the earlier version is not marked, or another is")
	}
	for _, d := range docs {
		if !json.Valid(d.JSON) {
			t.Fatalf("document %s is no JSON: %s", d.ID, d.JSON)
		}
	}
	edited := docs[1].JSON
	for _, part := range []string{
		"{\"id\":\"1800000000000000003\",\"text\":\"Look &amp; see", `"unknown":{"kept":[1,2]}`, // bytes as they came
		`{"id":"7","username":"ann"`, `{"id":"8","username":"bob"`, `"media_key":"3_1"`, `"media_key":"7_2"`, `"media_key":"3_9"`,
		`"full_name":"Oslo, Norway"`, `"votes":3`, `"text":"quoted"`, `"detail":"gone"`,
	} {
		if !bytes.Contains(edited, []byte(part)) {
			t.Errorf("document lacks %s", part)
		}
	}
	for _, part := range []string{"nobody refers to this", "Eve", "3_8", "of another post", "plain"} {
		if bytes.Contains(edited, []byte(part)) {
			t.Errorf("document holds %s, which is not of this post", part)
		}
	}
	if bytes.Contains(docs[2].JSON, []byte("includes\":{\"tweets")) {
		t.Error("a plain post includes posts")
	}
}

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
		text := Text{Wire: wire, Links: []Link{{Kind: Mention, Start: s1, End: e1}, {Kind: PlainURL, URL: "https://t.co/a", Start: s2, End: e2}}}
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

// FuzzSplitPage: an answer is refused or every post of it comes out, as a
// document that holds that post's bytes.
func FuzzSplitPage(f *testing.F) {
	f.Add([]byte(page))
	f.Add([]byte(`{"data":{"id":"5"},"includes":{"tweets":[{"id":"5"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := SplitPage(raw)
		if err != nil {
			return
		}
		for _, d := range got.Posts {
			if !json.Valid(d.JSON) {
				t.Fatalf("document is no JSON: %q", d.JSON)
			}
			if p, err := Parse(d.JSON); err == nil && p.ID != d.ID {
				t.Fatalf("document of %s holds %s", d.ID, p.ID)
			}
		}
	})
}

// TestNeighbours: a post's document is the same whatever else is on its page.
func TestNeighbours(t *testing.T) {
	const own = `{"id":"1800000000000000003","text":"a","author_id":"7","referenced_tweets":[{"type":"quoted","id":"1700000000000000001"}]}`
	const quoted = `{"id":"1700000000000000001","text":"b","author_id":"8","entities":{"mentions":[{"username":"eve"}]},"referenced_tweets":[{"type":"replied_to","id":"1600000000000000000"}]}`
	alone, err := SplitPage([]byte(`{"data":` + own + `,"includes":{"tweets":[` + quoted + `],"users":[{"id":"7","username":"ann"},{"id":"8","username":"bob"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	among, err := SplitPage([]byte(`{"data":[{"id":"1900000000000000003","text":"@eve","author_id":"7"},` + own + `],
		"includes":{"tweets":[{"id":"1600000000000000000","text":"c","author_id":"9"},` + quoted + `],
		"users":[{"id":"9","username":"eve"},{"id":"8","username":"bob"},{"id":"7","username":"ann"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(alone.Posts[0].JSON, among.Posts[1].JSON) {
		t.Errorf("alone\n%s\namong others\n%s", alone.Posts[0].JSON, among.Posts[1].JSON)
	}
}

// TestIncompleteVersion: an earlier version whose photo X did not include is left to
// a look-up.
func TestIncompleteVersion(t *testing.T) {
	page := func(media string) int {
		p, err := SplitPage([]byte(`{"data":[{"id":"1800000000000000003","text":"a","author_id":"7","edit_history_tweet_ids":["1800000000000000002","1800000000000000003"]}],
			"includes":{"users":[{"id":"7","username":"ann"}],"media":[` + media + `],
			"tweets":[{"id":"1800000000000000002","text":"a","author_id":"7","attachments":{"media_keys":["3_1"]}}]}}`))
		if err != nil {
			t.Fatal(err)
		}
		return len(p.Posts)
	}
	if n := page(""); n != 1 {
		t.Errorf("without the photo: %d posts", n)
	}
	if n := page(`{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/x.jpg"}`); n != 2 {
		t.Errorf("with the photo: %d posts", n)
	}
}
