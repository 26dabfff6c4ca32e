package post

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// answer takes X's answer apart.
func answer(t *testing.T, raw string) Page {
	t.Helper()
	p, err := SplitPage([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	repost = `{"data":[{"id":"1800000000000000003","text":"RT @bob: see","author_id":"7","entities":{"mentions":[{"start":3,"end":7,"username":"bob","id":"8"}]},
		"referenced_tweets":[{"type":"retweeted","id":"1700000000000000002"}]}],
		"includes":{"users":[{"id":"7","username":"ann"}],"tweets":[
		{"id":"1700000000000000002","text":"see","author_id":"8","referenced_tweets":[{"type":"quoted","id":"1600000000000000001"}],"attachments":{"media_keys":["3_2"]}}]}}`
	innermost = `{"id":"1600000000000000001","text":"cracks in 3 of 40","author_id":"9","attachments":{"media_keys":["3_1"],"poll_ids":["5"]},"unknown":[1, 2],
		"referenced_tweets":[{"type":"replied_to","id":"1500000000000000001"}]}`
	lookedUp = `{"data":[` + innermost + `,{"id":"1700000000000000002","text":"see again","author_id":"8","attachments":{"media_keys":["3_2"]}}],
		"includes":{"users":[{"id":"9","username":"quill"},{"id":"8","username":"bob"},{"id":"10","username":"eve"}],"polls":[{"id":"5","options":[{"label":"yes"}]}],
		"media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/a.png"},{"media_key":"3_2","type":"photo","url":"https://pbs.twimg.com/media/b.png"}]}}`
)

// TestComplete: a repost of a quote lacks the post that is quoted, and the author and
// photo of the one that is repeated. One look-up brings both.
func TestComplete(t *testing.T) {
	doc := answer(t, repost).Posts[0]
	if got, want := doc.Lacks(), []string{"1700000000000000002", "1600000000000000001"}; !slices.Equal(got, want) {
		t.Fatalf("the document lacks %v, want %v", got, want)
	}
	if quoted := doc.Post.Ref(Retweeted).Post.Ref(Quoted); quoted.Post != nil || quoted.Why != "" {
		t.Errorf("before the look-up: %+v", quoted)
	}
	if by := doc.Post.Ref(Retweeted).Post.Author; by != (User{ID: "8", Username: "bob"}) {
		t.Errorf("author %+v, want the handle from the mention", by)
	}
	whole := Complete(doc, answer(t, lookedUp))
	if lacks := whole.Lacks(); lacks != nil || whole.Err != nil {
		t.Fatalf("the completed document lacks %v, %v", lacks, whole.Err)
	}
	quoted := whole.Post.Ref(Retweeted).Post.Ref(Quoted).Post
	if quoted == nil || quoted.Author.Username != "quill" || quoted.Media[0].URL == "" || len(quoted.Polls[0].Options) != 1 {
		t.Fatalf("the quoted post: %+v", quoted)
	}
	if got := len(whole.Post.Shown()); got != 2 {
		t.Errorf("%d media are shown, want 2", got)
	}
	for _, part := range []string{innermost, `{"id":"9","username":"quill"}`, `"text":"see","author_id":"8"`} {
		if !bytes.Contains(whole.JSON, []byte(part)) {
			t.Errorf("the document lacks %s:\n%s", part, whole.JSON)
		}
	}
	for _, part := range []string{"eve", "see again"} {
		if bytes.Contains(whole.JSON, []byte(part)) {
			t.Errorf("the document has %q, which is not its own:\n%s", part, whole.JSON)
		}
	}
	if !json.Valid(whole.JSON) || whole.ID != doc.ID {
		t.Errorf("the document %s: %s", whole.ID, whole.JSON)
	}
	if again := Complete(doc, answer(t, lookedUp)); !bytes.Equal(again.JSON, whole.JSON) {
		t.Error("the same look-up gives other bytes")
	}
	if again := Complete(whole, answer(t, lookedUp)); !bytes.Equal(again.JSON, whole.JSON) {
		t.Error("a whole document changed")
	}
}

// TestCompleteReasons: what X says of a post that it does not give stays with the
// document, and it is not looked up again.
func TestCompleteReasons(t *testing.T) {
	for _, c := range []struct{ problem, want string }{
		{`"title":"Not Found Error","type":"https://api.twitter.com/2/problems/resource-not-found","detail":"Could not find tweet with ids: [1600000000000000001]."`, "deleted, or never there"},
		{`"title":"Authorization Error","type":"https://api.x.com/2/problems/not-authorized-for-resource","detail":"Sorry, you are not authorized."`, "protected: only followers of its author may read it"},
		{`"title":"Forbidden","type":"https://api.x.com/2/problems/resource-unavailable","detail":"User has been suspended: [9]."`, "its author's account is suspended"},
		{`"title":"Odd","detail":"Something new"`, "Odd: Something new"},
	} {
		doc := Complete(answer(t, repost).Posts[0], answer(t, `{"errors":[{"resource_id":"1600000000000000001","value":"1600000000000000001",`+c.problem+`}]}`))
		if quoted := doc.Post.Ref(Retweeted).Post.Ref(Quoted); quoted.Why != c.want {
			t.Errorf("%s: %q, want %q", c.problem, quoted.Why, c.want)
		}
		if got := doc.Lacks(); !slices.Equal(got, []string{"1700000000000000002"}) {
			t.Errorf("%s: still lacks %v", c.problem, got)
		}
	}
}

// TestLacksNothing: what needs no look-up, and what cannot be read.
func TestLacksNothing(t *testing.T) {
	for _, raw := range []string{`{"data":[{"id":"1800000000000000003","text":"a","author_id":"7"}]}`,
		`{"data":[{"id":"1800000000000000003","text":"a","referenced_tweets":[{"type":"quoted","id":"1800000000000000003"}]}]}`,
		`{"data":[{"id":"1800000000000000003","referenced_tweets":[{"type":"quoted","id":"5"}]}],"errors":[{"value":"5","title":"Not Found Error"}]}`} {
		if got := answer(t, raw).Posts[0].Lacks(); got != nil {
			t.Errorf("%s lacks %v", raw, got)
		}
	}
	bad := Document{JSON: []byte(`{`)}
	if got := bad.Lacks(); got != nil || !bytes.Equal(Complete(bad, Page{}).JSON, bad.JSON) {
		t.Errorf("what is no document lacks %v", got)
	}
}

// TestPlaces: a link is where its words are: at X's position, else at the nearest
// place that has them, else nowhere.
func TestPlaces(t *testing.T) {
	for _, c := range []struct{ text, entities, want string }{
		{"😀😀 @bob hi", `"mentions":[{"start":5,"end":9,"username":"bob"}]`, "😀😀 [@bob] hi"}, // counted in UTF-16
		{"@bobby @bob", `"mentions":[{"start":0,"end":4,"username":"bobb"},{"start":1,"end":5,"username":"bob"}]`, "@bobby [@bob]"},
		{"a @bob b @bob", `"mentions":[{"start":9,"end":13,"username":"Bob"},{"start":0,"end":4,"username":"bob"}]`, "a [@bob] b [@bob]"},
		{"nobody here", `"mentions":[{"start":0,"end":4,"username":"bob"}]`, "nobody here"},
		{"＃tag and $ABC", `"hashtags":[{"start":0,"end":4,"tag":"tag"}],"cashtags":[{"start":0,"end":4,"tag":"ABC"}]`, "[＃tag] and [$ABC]"},
		{"x&amp;y #tag", `"hashtags":[{"start":4,"end":8,"tag":"tag"}]`, "x&y [#tag]"},
		{"see https://t.co/a or https://t.co/ab", `"urls":[{"start":0,"end":14,"url":"https://t.co/a","display_url":"a.example"}]`, "see [a.example] or https://t.co/ab"},
		{"see https://t.co/a", `"urls":[{"start":4,"end":18,"url":"https://t.co/a"},{"start":-4,"end":99,"url":"https://t.co/a"}]`, "see [https://t.co/a]"},
		{"two https://t.co/p", `"urls":[{"start":4,"end":18,"url":"https://t.co/p","display_url":"pic.x.com/p","media_key":"3_1"},{"start":4,"end":18,"url":"https://t.co/p","display_url":"pic.x.com/p","media_key":"3_2"}]`, "two"},
	} {
		doc := `{"data":{"id":"1800000000000000003","text":` + quote(c.text) + `,"entities":{` + c.entities + `},"attachments":{"media_keys":["3_1","3_2"]}}}`
		p, err := Parse([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, s := range p.Text.ShownSpans() {
			if s.Link != nil {
				s.Text = "[" + s.Text + "]"
			}
			b.WriteString(s.Text)
		}
		if b.String() != c.want {
			t.Errorf("%s with %s: %q, want %q", c.text, c.entities, b.String(), c.want)
		}
	}
}

func quote(s string) string { b, _ := json.Marshal(s); return string(b) }

// TestPhotoAddresses: X's four ways to write a photo's address name the original and a
// file.
func TestPhotoAddresses(t *testing.T) {
	for address, want := range map[string][2]string{
		"https://pbs.twimg.com/media/Aa1":                        {"https://pbs.twimg.com/media/Aa1?name=orig", "Aa1"},
		"https://pbs.twimg.com/media/Aa1?format=jpg&name=medium": {"https://pbs.twimg.com/media/Aa1?format=jpg&name=orig", "Aa1.jpg"},
		"https://pbs.twimg.com/media/Aa1.png:large":              {"https://pbs.twimg.com/media/Aa1.png?name=orig", "Aa1.png"},
		"https://pbs.twimg.com/media/Aa1.gif":                    {"https://pbs.twimg.com/media/Aa1.gif?name=orig", "Aa1.gif"},
	} {
		got := Media{Type: "photo", URL: address}.Sources()
		if len(got) != 2 || got[0] != want[0] || got[1] != address || FileName(got[0]) != want[1] {
			t.Errorf("%s: %q, file %q; want %q", address, got, FileName(got[0]), want)
		}
	}
}

// TestNoFile: a media of an unknown type is had at its address, and of one without an
// address the truth is said.
func TestNoFile(t *testing.T) {
	playlist := Variant{ContentType: "application/x-mpegURL", URL: "https://video.twimg.com/p.m3u8"}
	for _, c := range []struct {
		media  Media
		source string
		why    string
	}{
		{Media{Type: "hologram", URL: "https://video.twimg.com/h.bin"}, "https://video.twimg.com/h.bin", ""},
		{Media{Type: "audio", Variants: []Variant{playlist, {ContentType: "audio/mp4", URL: "https://video.twimg.com/a.m4a"}}}, "https://video.twimg.com/a.m4a", ""},
		{Media{Type: "video", Variants: []Variant{playlist}}, playlist.URL, ""},
		{Media{Type: "video", PreviewURL: "https://pbs.twimg.com/p.jpg"}, "", "X names no file for it"},
		{Media{Type: "photo"}, "", "X names no file for it"},
		{Media{Type: "unknown"}, "", "X did not describe it"},
	} {
		var first string
		if s := c.media.Sources(); len(s) > 0 {
			first = s[0]
		}
		if first != c.source || c.media.NoFile() != c.why {
			t.Errorf("%+v: source %q, %q; want %q, %q", c.media, first, c.media.NoFile(), c.source, c.why)
		}
	}
}

// TestNotice: X's words in place of the author's are known by the address that stands on
// words and is nowhere in the text.
func TestNotice(t *testing.T) {
	const learn = `"entities":{"urls":[{"start":%START,"end":%END,"url":"https://help.x.com/rules","expanded_url":"https://help.x.com/rules","display_url":"Learn more"}]}`
	for _, c := range []struct {
		text, more string
		want       bool
	}{
		{"This Post is unavailable. Learn more.", learn, true},
		{"Dieser Beitrag fehlt. Learn more", learn, true},
		{"This Post is unavailable. Learn more.", "", false}, // anybody can write that
		{"This Post from @ann has been withheld in France in response to a legal demand. Learn more.", `"withheld":{"country_codes":["FR"]}`, true},
		{"This Post from @ann has been withheld in France in response to a legal demand. Learn more.", "", false},
		{"Learn more at https://t.co/a", `"entities":{"urls":[{"start":14,"end":28,"url":"https://t.co/a","display_url":"a.example"}]}`, false},
		{"words https://t.co/a", `"entities":{"urls":[{"start":0,"end":5,"url":"https://t.co/a","display_url":"words"}]}`, false},
		{"This Post is unavailable. Learn more.", strings.ReplaceAll(strings.ReplaceAll(learn, "https://help.x.com/rules", "https://t.co/abc"), `"Learn more"`, `"help.x.com/rules"`), true},
		{"cut", `"note_tweet":{"text":"the author's long text"},` + learn, false},
	} {
		start := max(strings.Index(c.text, "Learn more"), 0)
		more := strings.NewReplacer("%START", quoteInt(start), "%END", quoteInt(start+10)).Replace(c.more)
		if more != "" {
			more = "," + more
		}
		p, err := Parse([]byte(`{"data":{"id":"1800000000000000003","text":` + quote(c.text) + more + `}}`))
		if err != nil || p.Notice != c.want {
			t.Errorf("%q with %s: notice %v, %v; want %v", c.text, more, p != nil && p.Notice, err, c.want)
		}
	}
}

func quoteInt(n int) string { b, _ := json.Marshal(n); return string(b) }

// TestFacts: what X says of a post besides its text.
func TestFacts(t *testing.T) {
	p, err := Parse([]byte(`{"data":{"id":"1800000000000000003","author_id":"7","geo":{"coordinates":{"type":"Point","coordinates":[-1.9100,54.3544]}},"community_id":"149",
		"reply_settings":"following","paid_partnership":true,"article":{"preview_text":"It beg","cover_media":"3_1","media_entities":["3_1","3_2","3_2"]}},
		"includes":{"users":[{"id":"7","username":"ann"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Location != "54.3544, -1.9100" || p.Community != "149" || !p.Paid || p.Replies != "Only accounts that @ann follows, or that are mentioned, may reply" {
		t.Errorf("%+v", p)
	}
	if a := p.Article; a == nil || !a.Beginning || a.Text != "It beg" || a.Cover == nil || len(a.Media) != 1 {
		t.Errorf("article %+v", a)
	}
	for setting, want := range map[string]string{"everyone": "", "mentionedUsers": "Only accounts mentioned may reply", "verified": "Only verified accounts may reply",
		"subscribers": "Only subscribers of the author may reply", "moonlight": "X limits who may reply: moonlight"} {
		if got := replies(setting, ""); got != want {
			t.Errorf("%s: %q, want %q", setting, got, want)
		}
	}
}
