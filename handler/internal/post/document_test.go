package post

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files")

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

// TestGoldenDocuments: the documents that the archive keeps of a page, byte for
// byte. A change here is a change of the archive's format.
func TestGoldenDocuments(t *testing.T) {
	var got bytes.Buffer
	for _, d := range split(t) {
		got.Write(d.JSON)
		got.WriteString("\n")
	}
	name := filepath.Join("testdata", "documents.golden")
	if *update {
		if err := os.WriteFile(name, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the documents differ from %s:\n%s", name, got.Bytes())
	}
}

// TestBadPosts: what cannot be read of a page is named, each for itself, and all
// the rest comes out.
func TestBadPosts(t *testing.T) {
	p, err := SplitPage([]byte(`{"data":[
		{"id":"1800000000000000001","text":"good"},
		{"id":"418223901","text":"of 2007, and without a time"},
		{"id":"418223902","text":"of 2007","created_at":"2007-11-16T10:02:11.000Z"},
		null, 17, "text", ["1800000000000000002"],
		{"text":"no id"}, {"id":1800000000000000003}, {"id":"12x"}, {"id":"0"},
		{"id":"1800000000000000001","text":"good"},
		{"id":"1800000000000000001","text":"the same id"},
		{"id":"1800000000000000004","text":7,"author_id":"7"}
	],"meta":{"result_count":14}}`))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range p.Posts {
		ids = append(ids, d.ID)
		untimed := d.ID == "418223901"
		if (d.Err != nil) != untimed || (d.Post == nil) != untimed || untimed && !errors.Is(d.Err, ErrNoTime) {
			t.Errorf("post %s: post %v, error %v", d.ID, d.Post, d.Err)
		}
		if _, err := Parse(d.JSON); untimed && !errors.Is(err, ErrNoTime) {
			t.Errorf("want no time for its document either, got %v", err)
		}
	}
	if want := []string{"1800000000000000001", "418223901", "418223902", "1800000000000000004"}; !slices.Equal(ids, want) {
		t.Errorf("documents %v, want %v", ids, want)
	}
	var raw []string
	for _, u := range p.Unreadable {
		raw = append(raw, string(u.Raw))
		if !errors.Is(u.Err, ErrUnreadable) || fault.CauseOf(u.Err) != fault.SetAside {
			t.Errorf("%s: error %v", u.Raw, u.Err)
		}
	}
	if want := []string{"null", "17", `"text"`, `["1800000000000000002"]`, `{"text":"no id"}`, `{"id":1800000000000000003}`,
		`{"id":"12x"}`, `{"id":"0"}`, `{"id":"1800000000000000001","text":"the same id"}`}; !slices.Equal(raw, want) {
		t.Errorf("unreadable\n%q, want\n%q", raw, want)
	}
	if p.Count != 14 || !p.HasMeta {
		t.Errorf("%d elements, meta %v", p.Count, p.HasMeta)
	}
	if problems := p.Posts[3].Post.Problems; len(problems) != 1 || !strings.HasPrefix(problems[0], "post.text: ") {
		t.Errorf("problems %q, want the text alone", problems)
	}
}

// TestNotAPage: what is no answer of X's form is an error as a whole.
func TestNotAPage(t *testing.T) {
	for _, raw := range []string{``, `[]`, `5`, `{`, `<html>`, `{"data":5}`, `{"data":"x"}`, `{"data":[1}`, `{"includes":[]}`,
		`{"includes":{"tweets":{}}}`, `{"errors":{}}`, `{"meta":[]}`, `{"data":[]} {}`, `{"meta":{"result_count":"1"}}`} {
		if p, err := SplitPage([]byte(raw)); err == nil {
			t.Errorf("%s was read as %+v", raw, p)
		}
	}
}

// TestProblemAsAWhole: an answer that is nothing but a problem is read as one.
func TestProblemAsAWhole(t *testing.T) {
	p, err := SplitPage([]byte(`{"title":"Not Found","type":"about:blank","status":404,"detail":"no such post","resource_id":"5"}`))
	if want := []Problem{{Title: "Not Found", Type: "about:blank", Detail: "no such post", ResourceID: "5"}}; err != nil || !slices.Equal(bare(p.Errors), want) {
		t.Errorf("%+v, %v, want %+v", p.Errors, err, want)
	}
	p, err = SplitPage([]byte(`{"title":7,"detail":"of no interest","data":[{"id":"1800000000000000001"}]}`))
	if err != nil || len(p.Posts) != 1 || len(p.Errors) != 0 {
		t.Errorf("%+v, %v, want a post", p, err)
	}
}

// bare returns problems without the objects that they were read from.
func bare(problems []Problem) (out []Problem) {
	for _, p := range problems {
		p.Raw = ""
		out = append(out, p)
	}
	return out
}

func TestProblemValue(t *testing.T) {
	p, err := SplitPage([]byte(`{"errors":[{"value":"1"},{"value":2},{"value":null},{"value":["3"]},"text",{"title":"t","resource_type":"user"}]}`))
	want := []Problem{{Value: "1"}, {Value: "2"}, {}, {Value: `["3"]`}, {}, {Title: "t", ResourceType: "user"}}
	if err != nil || !slices.Equal(bare(p.Errors), want) {
		t.Errorf("%+v, %v, want %+v", p.Errors, err, want)
	}
}

// TestVersionInData: an earlier version that X sends in data, too, is the post in
// data, as in the answer to a look-up of both.
func TestVersionInData(t *testing.T) {
	const history = `"edit_history_tweet_ids":["1800000000000000002","1800000000000000003"]`
	p, err := SplitPage([]byte(`{"data":[{"id":"1800000000000000003","author_id":"7",` + history + `},{"id":"1800000000000000002","author_id":"7",` + history + `}],
		"includes":{"users":[{"id":"7"}],"tweets":[{"id":"1800000000000000002","author_id":"7",` + history + `}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Posts) != 2 || p.Posts[0].Earlier || p.Posts[1].Earlier {
		t.Errorf("want both posts as X sent them in data, got %+v", p.Posts)
	}
}

// FuzzSplitPage: an answer is refused, or every element of its data comes out: in
// a document that holds its bytes and reads as the same post, or as unreadable.
func FuzzSplitPage(f *testing.F) {
	f.Add([]byte(page))
	f.Add([]byte(`{"data":{"id":"5"},"includes":{"tweets":[{"id":"5"}]}}`))
	f.Add([]byte(`{"data":[{"id":"5"},{"id":"5"},{"id":"5","text":"other"},null,7,{"id":""}],"errors":[{"value":5}],"meta":{"result_count":6}}`))
	f.Add([]byte(`{"data":[{"id":"1800000000000000003","edit_history_tweet_ids":["x","1800000000000000002"],"author_id":"7"}],
		"includes":{"users":[{"id":"7"}],"tweets":[{"id":"x","author_id":"7"},{"id":"1800000000000000002","author_id":"7"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := SplitPage(raw)
		if err != nil {
			return
		}
		known := map[string]bool{}
		for _, u := range got.Unreadable {
			known[string(u.Raw)] = true
			if u.Err == nil {
				t.Errorf("unreadable for no reason: %q", u.Raw)
			}
		}
		for _, d := range got.Posts {
			var e struct{ Data json.RawMessage }
			if err := json.Unmarshal(d.JSON, &e); err != nil {
				t.Fatalf("document is no JSON: %q", d.JSON)
			}
			known[string(e.Data)] = true
			p, err := Parse(d.JSON)
			if !reflect.DeepEqual(p, d.Post) || (err == nil) != (d.Err == nil) {
				t.Fatalf("parsed with its page %+v, %v; alone %+v, %v", d.Post, d.Err, p, err)
			}
			if p != nil && p.ID != d.ID || CheckID(d.ID) != nil {
				t.Fatalf("document of %q holds %+v", d.ID, p)
			}
		}
		var whole struct{ Data json.RawMessage }
		if err := json.Unmarshal(raw, &whole); err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		if len(whole.Data) > 0 && json.Unmarshal(whole.Data, &list) != nil {
			list = []json.RawMessage{whole.Data}
		}
		if len(list) != got.Count {
			t.Errorf("%d elements, %d counted", len(list), got.Count)
		}
		for _, element := range list {
			if !known[string(element)] {
				t.Errorf("left out in silence: %q", element)
			}
		}
	})
}
