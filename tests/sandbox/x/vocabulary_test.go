package x

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestUnknownNames: names that X does not know are dropped in silence, and so is a
// list of fields that it does not have.
func TestUnknownNames(t *testing.T) {
	w := newWorld(t, loadCorpus(t, small))
	for query, want := range map[string]string{
		"tweet.fields=lang,wrong": "edit_history_tweet_ids id lang text",
		"tweet.fields=":           "edit_history_tweet_ids id text",
		"status.fields=lang":      "edit_history_tweet_ids id text",
		"expansions=author":       "edit_history_tweet_ids id text",
		"post.fields=lang,author_id,note_tweet,referenced_tweets":     "id lang text",
		"post.fields=lang&expansions=author_id,referenced_tweets.id":  "author_id id lang text",
		"post.fields=note_post&tweet.fields=lang":                     "id note_post text", // mixed: the older words are lost
		"expansions=edit_history_post_ids,referenced_posts,author_id": "author_id edit_history_post_ids id referenced_posts text",
	} {
		p := w.get("7", "/2/users/7/tweets?max_results=5&"+query)
		if p.status != 200 || len(p.Errors) > 0 && !strings.Contains(query, "referenced_posts") {
			t.Fatalf("%s: %d %s, want success and no errors", query, p.status, p.raw)
		}
		if got := names(t, p.posts(t)[0]); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if got := w.Stats().PostReads; got != 8 {
		t.Errorf("%d posts are billed, want 8: what is dropped costs as much", got)
	}
}

// TestPostWords: the same posts in the newer words. A referenced post comes without
// its author and its media.
func TestPostWords(t *testing.T) {
	w := newWorld(t, loadCorpus(t, small))
	older := w.get("7", "/2/users/7/tweets?"+everything(w.Server, TweetWords).Encode())
	newer := w.get("7", "/2/users/7/tweets?"+everything(w.Server, PostWords).Encode())
	post, was := newer.posts(t)[0], older.posts(t)[0]
	if want := InPostWords(was); string(post) != string(want) || !strings.Contains(string(post), `"note_post"`) {
		t.Errorf("%s, want %s", post, want)
	}
	if len(newer.Includes["tweets"]) > 0 || len(newer.Includes["posts"]) != 2 || len(older.Includes["tweets"]) != 2 {
		t.Errorf("included posts are under %v, want posts", newer.Includes)
	}
	var users, media []string
	for _, u := range newer.Includes["users"] {
		users = append(users, str(u, "id"))
	}
	for _, m := range newer.Includes["media"] {
		media = append(media, str(m, "media_key"))
	}
	if !slices.Equal(users, []string{"7", "8"}) || !slices.Equal(media, []string{"3_1", "3_2", "3_3"}) {
		t.Errorf("included are users %v and media %v: want those of the post itself", users, media)
	}
	for _, e := range newer.Errors {
		if !strings.HasPrefix(e.Type, newProblems) || strings.Contains(e.Parameter, "tweet") {
			t.Errorf("a problem in the older words: %+v", e)
		}
	}
	renamed := InPostWords([]byte(`{"text":"a","public_metrics":{"retweet_count":1,"tweet_count":2}}`))
	if string(renamed) != `{"text":"a","public_metrics":{"repost_count":1,"tweet_count":2}}` {
		t.Errorf("metrics: %s", renamed)
	}
}

// TestUnderstand: one vocabulary switched off, between two pages of a timeline.
func TestUnderstand(t *testing.T) {
	w := newWorld(t, nil)
	v := everything(w.Server, TweetWords)
	first := w.get(press, timelinePath(press, v))
	w.Understand(PostWords)
	v.Set("pagination_token", first.Meta.NextToken)
	second := w.get(press, timelinePath(press, v))
	got := names(t, second.posts(t)[0])
	if second.status != 200 || len(second.posts(t)) == 0 || strings.Contains(got, "history") || strings.Contains(got, "lang") {
		t.Errorf("in words that X no longer understands: %d, members %s, want those of the expansions only", second.status, got)
	}
	w.Understand(TweetWords)
	newer := w.get(press, timelinePath(press, everything(w.Server, PostWords)))
	if got := names(t, newer.posts(t)[0]); strings.Contains(got, "post") || strings.Contains(got, "lang") || !strings.Contains(got, "edit_history_tweet_ids") {
		t.Errorf("in words that X does not understand yet: members %s", got)
	}
}

// TestSpecification: X's document can be had without a sign-in, and names what X
// understands.
func TestSpecification(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		understood []Vocabulary
		version    string
	}{{[]Vocabulary{TweetWords, PostWords}, "2.167"}, {[]Vocabulary{TweetWords}, "2.166"}} {
		w.Understand(c.understood...)
		resp, err := w.Client().Get("https://api.x.com/2/openapi.json")
		if err != nil {
			t.Fatal(err)
		}
		p := read(t, resp)
		var doc struct{ Info struct{ Version string } }
		if err := json.Unmarshal([]byte(p.raw), &doc); err != nil || p.status != 200 || doc.Info.Version != c.version {
			t.Errorf("%d, version %q, %v, want %s", p.status, doc.Info.Version, err, c.version)
		}
	}
}

// TestRefuse: states of app and account, each in X's words, with room in the rate
// limit. Nothing is read and nothing counted.
func TestRefuse(t *testing.T) {
	w := newWorld(t, nil)
	for why, want := range map[Refusal]struct {
		status int
		says   string
	}{
		CreditsDepleted: {402, "CreditsDepleted"}, UsageCapExceeded: {429, "usage-capped"}, NotEnrolled: {403, "client-not-enrolled"},
		NoReadPermission: {403, "oauth1-permissions"}, SignedInSuspended: {403, `"code":64`}, OtherSignIn: {403, "unsupported-authentication"},
	} {
		w.Refuse(why)
		p := w.get(press, timelinePath(press, url.Values{}))
		if p.status != want.status || !strings.Contains(p.raw, want.says) || p.header.Get("x-rate-limit-remaining") == "0" {
			t.Errorf("%d: status %d %s, want %d with %s", why, p.status, p.raw, want.status, want.says)
		}
	}
	w.Refuse(Nothing)
	if got := w.Stats().PostReads; got != 0 {
		t.Errorf("%d posts were read by calls that were refused", got)
	}
	w.Leave(press, true)
	if p := w.get(press, timelinePath(press, url.Values{})); p.Meta != nil || p.Errors[0].Type != problems+"resource-not-found" {
		t.Errorf("an account that is gone: %s", p.raw)
	}
	w.Leave(press, false)
	if p := w.get(press, timelinePath(press, url.Values{})); p.Meta == nil {
		t.Errorf("an account that came back: %s", p.raw)
	}
}
