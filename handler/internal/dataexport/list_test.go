package dataexport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"xarchive/handler/internal/post"
)

const plain = `window.YTD.tweets.part0 = [ {"tweet":{"id_str":"1787000000000000001","full_text":"a","created_at":"Mon May 06 12:00:00 +0000 2024"}}, {"tweet":{}} ]`

// TestElements: a data file is a list that is assigned to one of X's names, and nothing
// else. What it is assigned to was another name in older exports.
func TestElements(t *testing.T) {
	for _, c := range []struct {
		text, says string
		n          int
	}{
		{plain, "", 2},
		{"\ufeff" + plain + " ;\n", "", 2},
		{strings.Replace(plain, "tweets", "tweet", 1), "", 2},
		{"window.YTD.a.part12=[]", "", 0},
		{"window.YTD.a.part12 = [1] [2]", "follows", 1},
		{"window.YTD.a = [1]", "begins with", 0},
		{"var x = [1]", "begins with", 0},
		{strings.Repeat("x", 300) + "= []", "does not begin", 0},
		{"window.YTD.a.part0 = {}", "no list", 0},
		{"window.YTD.a.part0 = [1", "unexpected EOF", 1},
		{"window.YTD.a.part0 = [1,]", "invalid character", 1},
		{"window.YTD.a.part0 = [alert(1)]", "invalid character", 0},
		{"window.YTD.a.part0 = [1, " + `"` + strings.Repeat("x", 9000) + `"]`, "more than", 1},
		{"window.YTD.a.part0 = [" + strings.Repeat("[", 900) + strings.Repeat("]", 900) + "]", "", 1},
		{"", "unexpected EOF", 0},
	} {
		n := 0
		err := elements(strings.NewReader(c.text), 1900, func(json.RawMessage) error { n++; return nil })
		if (err == nil) != (c.says == "") || !strings.Contains(fmt.Sprint(err), c.says) || n != c.n {
			t.Errorf("%.60q: %d elements, %v; want %d, %q", c.text, n, err, c.n, c.says)
		}
	}
}

// FuzzElements: whatever a data file has, each of its elements becomes a document that can
// be read, or an error, and the same again from the document alone.
func FuzzElements(f *testing.F) {
	f.Add([]byte(plain), []byte(`{"createdAt":"2024-05-06T12:00:00.000Z","core":{"text":"a long one","urls":[{"shortUrl":"https://t.co/a"}]}}`))
	f.Add([]byte(`window.YTD.t.part0 = [ 1, {"id":7,"id_str":5,"text":"x"}, {"id_str":"9","entities":{"urls":{}}} ]`), []byte(`{"core":5}`))
	f.Add([]byte(`window.YTD.t.part0 = [{"id_str":"1787000000000000001","full_text":"RT @a: b","extended_entities":{"media":[{"id_str":"1","type":"video","video_info":{"variants":[{"bitrate":"x"}]}}]},
		"edit_info":{"edit":{"editControlInitial":{"editTweetIds":["1","1787000000000000001"]}}},"coordinates":{"coordinates":["1","2"]}}]`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, list, note []byte) {
		if !json.Valid(note) {
			note = nil
		}
		_ = elements(bytes.NewReader(list), 1<<16, func(raw json.RawMessage) error {
			raw = unwrapped(raw, "tweet")
			d := post.Exported{File: "data/tweets.js", Tweet: raw, Note: note, Article: note, Media: []string{"data/tweets_media/1-a.jpg"}}.Document()
			again, err := post.Parse(d.JSON)
			if !json.Valid(d.JSON) || (d.Post == nil) == (d.Err == nil) || (err == nil) != (d.Err == nil) || !reflect.DeepEqual(again, d.Post) {
				t.Errorf("%s: %v, %v", raw, d.Err, err)
			}
			if d.Post != nil {
				d.Post.Digest()
				if n, ok := post.ReadNote(note); ok {
					n.MayBeOf(raw)
				}
			}
			return nil
		})
	})
}
