package post

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// newer says in the newer words what page says in the older ones.
func newer(raw string) string {
	return strings.NewReplacer(`"edit_history_tweet_ids"`, `"edit_history_post_ids"`, `"referenced_tweets"`, `"referenced_posts"`,
		`"note_tweet"`, `"note_post"`, `"tweets":[`, `"posts":[`).Replace(raw)
}

// TestBothVocabularies: an answer means the same in either vocabulary, and each
// document says which one it is in and names its includes accordingly.
func TestBothVocabularies(t *testing.T) {
	older, err := SplitPage([]byte(page))
	if err != nil {
		t.Fatal(err)
	}
	got, err := SplitPage([]byte(newer(page)))
	if err != nil {
		t.Fatal(err)
	}
	if older.Vocabulary != TweetWords || got.Vocabulary != PostWords {
		t.Errorf("the answers are in %q and %q", older.Vocabulary, got.Vocabulary)
	}
	for i, d := range got.Posts {
		if !reflect.DeepEqual(d.Post, older.Posts[i].Post) {
			t.Errorf("post %s reads otherwise in the newer words:\n%+v\n%+v", d.ID, d.Post, older.Posts[i].Post)
		}
		want := strings.Replace(newer(string(older.Posts[i].JSON)), `"vocabulary":"tweet"`, `"vocabulary":"post"`, 1)
		if string(d.JSON) != want {
			t.Errorf("document\n%s, want\n%s", d.JSON, want)
		}
	}
	if p := got.Posts[1]; !bytes.Contains(p.JSON, []byte(`"includes":{"posts":[`)) || !bytes.HasSuffix(p.JSON, []byte(`,"vocabulary":"post"}`)) {
		t.Errorf("the document does not say what it is in: %s", p.JSON)
	}
}

// TestLongPost: the whole text of a long post, in either vocabulary.
func TestLongPost(t *testing.T) {
	for _, name := range []string{"note_tweet", "note_post"} {
		p, err := Parse([]byte(`{"data":{"id":"1800000000000000001","text":"short…","` + name + `":{"text":"the whole","entities":{"hashtags":[{"start":0,"end":3,"tag":"a"}]}}}}`))
		if err != nil || p.Text.Wire != "the whole" || len(p.Text.Links) != 1 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestDoubts: what shows that X did not understand the request, and what does not.
func TestDoubts(t *testing.T) {
	const good = `"author_id":"7","edit_history_post_ids":["1800000000000000001"]`
	for _, c := range []struct{ name, members, want string }{
		{"all is there", good + `,"text":"a"`, ""},
		{"in the older words", `"author_id":"7","edit_history_tweet_ids":["1800000000000000001"]`, ""},
		{"no author", `"edit_history_post_ids":["1800000000000000001"]`, "author_id"},
		{"no history", `"author_id":"7"`, "edit history"},
		{"cut off", good + `,"text":"so…","display_text_range":[0,2]`, "cut off"},
		{"cut off, with an address", good + `,"text":"so… https://t.co/a","display_text_range":[0,3]`, "cut off"},
		{"cut off, with the post's address", good + `,"text":"so… https://t.co/a","display_text_range":[0,18],
			"entities":{"urls":[{"start":4,"end":18,"url":"https://t.co/a","expanded_url":"https://x.com/i/web/status/1800000000000000001"}]}`, "cut off"},
		{"cut off, with the whole text", good + `,"text":"so…","display_text_range":[0,2],"note_post":{"text":"so much"}`, ""},
		{"written with an ellipsis", good + `,"text":"so…","display_text_range":[0,3]`, ""},
		{"written with an ellipsis, and an escape", good + `,"text":"a &amp; b…","display_text_range":[0,6]`, ""},
		{"written with an ellipsis before a photo", good + `,"text":"so… https://t.co/a","display_text_range":[0,3],"attachments":{"media_keys":["3_1"]}`, ""},
		{"written with an ellipsis before a quote", good + `,"text":"so… https://t.co/a","display_text_range":[0,3],"referenced_posts":[{"type":"quoted","id":"1"}]`, ""},
		{"a repost", good + `,"text":"RT @a: so…","display_text_range":[0,5],"referenced_posts":[{"type":"retweeted","id":"1"}]`, ""},
		{"a range of another form", good + `,"text":"so…","display_text_range":{"start":0}`, ""},
	} {
		p, err := SplitPage([]byte(`{"data":[{"id":"1800000000000000001",` + c.members + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.Doubts, "; "); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: doubts %q, want one about %q", c.name, got, c.want)
		}
	}
}

// TestLacks: what a page lacks of the posts that its posts refer to is named, and
// comes from a look-up.
func TestLacks(t *testing.T) {
	const raw = `{"data":[{"id":"1800000000000000001","text":"a","author_id":"7","edit_history_post_ids":["1800000000000000001"],
		"referenced_posts":[{"type":"quoted","id":"11"},{"type":"replied_to","id":"12"}],"attachments":{"media_source_tweet_id":["13"]}},
		{"id":"1800000000000000002","text":"b","author_id":"7","edit_history_post_ids":["1800000000000000002"],"referenced_posts":[{"type":"quoted","id":"14"}]}],
		"includes":{"posts":[{"id":"11","text":"q"},{"id":"12","text":"r","author_id":"8"},{"id":"14","text":"s","author_id":"7"}],"users":[{"id":"7","username":"ann"}]},
		"errors":[{"resource_id":"13","title":"Not Found Error"}]}`
	p, err := SplitPage([]byte(raw))
	if err != nil || !slices.Equal(p.Lacks, []string{"11", "12"}) {
		t.Fatalf("it lacks %v (%v), want 11 and 12: of 13 X says why, 14 is whole", p.Lacks, err)
	}
	p, err = SplitPage([]byte(raw), []byte(`{"data":[{"id":"11","text":"q","author_id":"9","attachments":{"media_keys":["3_1"]}}],
		"includes":{"users":[{"id":"9","username":"eve"}],"media":[{"media_key":"3_1","type":"photo"}]},
		"errors":[{"resource_id":"12","value":"12","title":"Authorization Error"},{"resource_id":"8","title":"Forbidden"}]}`))
	if err != nil || len(p.Lacks) > 0 || p.Count != 2 || len(p.Posts) != 2 {
		t.Fatalf("with the look-up it lacks %v of %d posts (%v)", p.Lacks, p.Count, err)
	}
	quoted := p.Posts[0].Post.Ref(Quoted).Post
	if quoted == nil || quoted.Author.Username != "eve" || len(quoted.Media) != 1 || quoted.Media[0].Type != "photo" {
		t.Errorf("the quoted post is %+v", quoted)
	}
	for _, part := range []string{`{"id":"11","text":"q","author_id":"9"`, `"username":"eve"`, `"media_key":"3_1"`, `"Authorization Error"`} {
		if !bytes.Contains(p.Posts[0].JSON, []byte(part)) {
			t.Errorf("the document lacks %s: %s", part, p.Posts[0].JSON)
		}
	}
	if bytes.Contains(p.Posts[1].JSON, []byte("eve")) {
		t.Errorf("a document has what was looked up for another: %s", p.Posts[1].JSON)
	}
}

// TestUnknownGroups: objects of a group that is not known here are kept with the posts
// that name them; what names nothing is kept with all.
func TestUnknownGroups(t *testing.T) {
	p, err := SplitPage([]byte(`{"data":[{"id":"1800000000000000001","topic_ids":["t1"]},{"id":"1800000000000000002"}],
		"includes":{"topics":[{"id":"t1","name":"Sea"},{"id":"t2","name":"Land"}],"moods":["calm"],"weather":{"rain":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`{"moods":["calm"],"topics":[{"id":"t1","name":"Sea"}],"weather":[{"rain":true}]}`, `{"moods":["calm"],"weather":[{"rain":true}]}`} {
		var d struct{ Includes json.RawMessage }
		if err := json.Unmarshal(p.Posts[i].JSON, &d); err != nil || string(d.Includes) != want {
			t.Errorf("post %d includes %s, want %s (%v)", i+1, d.Includes, want, err)
		}
	}
}

// TestRepliedTo: of a user whom X does not include, the handle is in the post's own
// mentions.
func TestRepliedTo(t *testing.T) {
	p, err := Parse([]byte(`{"data":{"id":"1800000000000000001","in_reply_to_user_id":"8","entities":{"mentions":[
		{"start":0,"end":4,"username":"ann","id":"7"},{"start":5,"end":9,"username":"bob","id":"8"}]}}}`))
	if want := (User{ID: "8", Username: "bob"}); err != nil || p.InReplyToUser != want {
		t.Errorf("%+v, %v, want %+v", p.InReplyToUser, err, want)
	}
}
