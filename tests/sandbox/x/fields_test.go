package x

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// small is a corpus in which every member that X could send is there.
const small = `{"data":[
 {"id":"1800000000000000009","text":"re","author_id":"7","created_at":"2024-06-10T08:00:00.000Z","lang":"en","unknown":1,
  "in_reply_to_user_id":"8","referenced_tweets":[{"type":"replied_to","id":"1700000000000000001"},{"type":"quoted","id":"1700000000000000404"}],
  "attachments":{"media_keys":["3_1"],"poll_ids":["5"]},"geo":{"place_id":"pl"},
  "entities":{"mentions":[{"start":0,"end":4,"username":"BOB","id":"8"}],"urls":[{"start":0,"end":2,"url":"u"}]},
  "note_tweet":{"text":"long", "entities":{"mentions":[{"start":0,"end":4,"username":"eve"},{"username":"nobody"}]}},
  "article":{"title":"T","cover_media":"3_2","media_entities":["3_3"]},
  "edit_history_tweet_ids":["1800000000000000008","1800000000000000009"]},
 {"id":"1800000000000000008","text":"old","author_id":"7","edit_history_tweet_ids":["1800000000000000008","1800000000000000009"]}],
"includes":{
 "tweets":[{"id":"1700000000000000001","text":"asked","author_id":"8","lang":"no","attachments":{"media_keys":["7_9"]}}],
 "users":[{"id":"7","name":"Ann","username":"ann","protected":false,"description":"d"},{"id":"8","name":"Bob","username":"bob","description":"d"},{"id":"9","name":"Eve","username":"eve"}],
 "media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/a.jpg","alt_text":"a"},{"media_key":"3_2","type":"photo"},{"media_key":"3_3","type":"photo"},
          {"media_key":"7_9","type":"video","variants":[]}],
 "polls":[{"id":"5","options":[],"voting_status":"open"}],
 "places":[{"id":"pl","full_name":"Oslo, Norway","country":"Norway"}]}}`

func names(t *testing.T, raw []byte) string {
	t.Helper()
	return strings.Join(slices.Sorted(maps.Keys(members(t, raw))), " ")
}

func TestNothingThatWasNotAskedFor(t *testing.T) {
	w := newWorld(t, loadCorpus(t, small))
	for query, want := range map[string]string{
		"":                                "edit_history_tweet_ids id text",
		"tweet.fields=created_at":         "created_at edit_history_tweet_ids id text",
		"tweet.fields=note_tweet,article": "article edit_history_tweet_ids id note_tweet text",
		"tweet.fields=public_metrics":     "edit_history_tweet_ids id text", // not in the corpus
		"expansions=author_id":            "author_id edit_history_tweet_ids id text",
		"expansions=attachments.media_keys,geo.place_id": "attachments edit_history_tweet_ids geo id text",
		"expansions=referenced_tweets.id":                "edit_history_tweet_ids id referenced_tweets text",
		"expansions=entities.mentions.username":          "edit_history_tweet_ids entities id text",
	} {
		p := w.get("7", "/2/users/7/tweets?"+query)
		if got := names(t, p.posts(t)[0]); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if strings.Contains(p.raw, "unknown") {
			t.Errorf("%s: a member that cannot be asked for is sent", query)
		}
		if query != "" && !strings.Contains(query, "expansions") && strings.Contains(p.raw, "includes") {
			t.Errorf("%s: something is included", query)
		}
	}
	p := w.get("7", "/2/users/7/tweets?expansions=entities.mentions.username")
	if got := names(t, members(t, p.posts(t)[0])["entities"]); got != "mentions" {
		t.Errorf("entities hold %s", got)
	}
}

func TestExpansions(t *testing.T) {
	w := newWorld(t, loadCorpus(t, small))
	for expansion, want := range map[string]string{
		"author_id":                                   "users 7",
		"in_reply_to_user_id":                         "users 8",
		"entities.mentions.username":                  "users 8",
		"entities.note.mentions.username":             "users 9 error nobody",
		"referenced_tweets.id":                        "tweets 1700000000000000001 error 1700000000000000404",
		"referenced_tweets.id.author_id":              "users 8",
		"referenced_tweets.id.attachments.media_keys": "media 7_9",
		"attachments.media_keys":                      "media 3_1",
		"attachments.poll_ids":                        "polls 5",
		"attachments.media_source_tweet":              "",
		"geo.place_id":                                "places pl",
		"article.cover_media":                         "media 3_2",
		"article.media_entities":                      "media 3_3",
		"edit_history_tweet_ids":                      "tweets 1800000000000000008",
	} {
		p := w.get("7", "/2/users/7/tweets?expansions="+expansion)
		var got []string
		for _, kind := range slices.Sorted(maps.Keys(p.Includes)) {
			for _, raw := range p.Includes[kind] {
				id := str(raw, "id")
				if kind == "media" {
					id = str(raw, "media_key")
				}
				got = append(got, kind, id)
			}
		}
		for _, e := range p.Errors {
			got = append(got, "error", e.Value)
			if e.Parameter != expansion || e.Title != "Not Found Error" || e.Type != problems+"resource-not-found" {
				t.Errorf("%s: %+v", expansion, e)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", expansion, got, want)
		}
	}
}

func TestIncludedMembers(t *testing.T) {
	w := newWorld(t, loadCorpus(t, small))
	p := w.get("7", "/2/users/7/tweets?expansions=author_id,attachments.media_keys,attachments.poll_ids,geo.place_id,referenced_tweets.id")
	for kind, want := range map[string]string{
		"users": "id name username", "media": "media_key type", "polls": "id options", "places": "full_name id",
		"tweets": "attachments author_id id text", // linking members only: the corpus has no edit history of it
	} {
		if got := names(t, p.Includes[kind][0]); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
	p = w.get("7", "/2/users/7/tweets?expansions=author_id,attachments.media_keys&user.fields=description&media.fields=url")
	if got := names(t, p.Includes["users"][0]) + "/" + names(t, p.Includes["media"][0]); got != "description id name username/media_key type url" {
		t.Errorf("with fields: %s", got)
	}
	if got := names(t, w.get("7", "/2/users/me").Data) + "/" + names(t, w.get("7", "/2/users/me?user.fields=protected").Data); got != "id name username/id name protected username" {
		t.Errorf("me: %s", got)
	}
}

// Everything asked for: the objects are the corpus' own bytes.
func TestBytesAreKept(t *testing.T) {
	w := newWorld(t, nil)
	v := everything(w.Server, TweetWords)
	v.Set("max_results", "100")
	posts, objects := 0, 0
	for {
		p := w.get(press, timelinePath(press, v))
		for _, raw := range append(p.posts(t), p.Includes["tweets"]...) {
			posts++
			if own, ok := w.corpus.Post(str(raw, "id")); !ok || string(own.Raw) != string(raw) {
				t.Errorf("%s\nwant %s", raw, own.Raw)
			}
		}
		for kind, get := range map[string]func(string) ([]byte, bool){
			"users": func(s string) ([]byte, bool) { return w.corpus.User(s) }, "polls": func(s string) ([]byte, bool) { return w.corpus.Poll(s) },
			"places": func(s string) ([]byte, bool) { return w.corpus.Place(s) }, "media": func(s string) ([]byte, bool) { return w.corpus.MediaObject(s) },
		} {
			for _, raw := range p.Includes[kind] {
				objects++
				if own, _ := get(cmp.Or(str(raw, "id"), str(raw, "media_key"))); string(own) != string(raw) {
					t.Errorf("%s\nwant %s", raw, own)
				}
			}
		}
		if p.Meta.NextToken == "" {
			break
		}
		v.Set("pagination_token", p.Meta.NextToken)
	}
	if posts < len(w.corpus.Posts(press)) || objects < 50 {
		t.Errorf("%d posts and %d objects seen", posts, objects)
	}
}

// everything asks for all that a vocabulary has.
func everything(s *Server, v Vocabulary) url.Values {
	out := url.Values{}
	for param, names := range s.specs[v].names["GET /2/tweets"] {
		if len(names) > 0 {
			out.Set(param, strings.Join(names, ","))
		}
	}
	return out
}

func TestLookup(t *testing.T) {
	w := newWorld(t, nil)
	posts := w.corpus.Posts(press)
	ids := []string{posts[3].ID, "1", posts[0].ID, posts[3].ID}
	p := w.get(press, "/2/tweets?ids="+strings.Join(ids, ","))
	if got := p.ids(t); !slices.Equal(got, []string{posts[3].ID, posts[0].ID}) || p.Meta != nil {
		t.Errorf("data %v, meta %v", got, p.Meta)
	}
	if len(p.Errors) != 1 || p.Errors[0].Parameter != "ids" || p.Errors[0].Detail != "Could not find tweet with ids: [1]." {
		t.Errorf("errors %+v", p.Errors)
	}
	one := w.get(press, "/2/tweets/"+posts[3].ID)
	if str(one.Data, "id") != posts[3].ID {
		t.Errorf("one: %s", one.raw)
	}
	if none := w.get(press, "/2/tweets/1"); none.status != 200 || none.Data != nil || len(none.Errors) != 1 {
		t.Errorf("none: %s", none.raw)
	}
	// An earlier version is not in the timeline, but there.
	for _, p := range w.corpus.All(press) {
		if i := slices.Index(p.EditHistory, p.ID); i >= 0 && i < len(p.EditHistory)-1 {
			if got := w.get(press, "/2/tweets?ids="+p.ID).ids(t); !slices.Equal(got, []string{p.ID}) {
				t.Errorf("version %s: %v", p.ID, got)
			}
		}
	}
}

func TestGoneAndHidden(t *testing.T) {
	w := newWorld(t, loadCorpus(t, small))
	const id, other = "1800000000000000009", "1700000000000000001"
	w.Delete(other)
	p := w.get("7", "/2/tweets?expansions=referenced_tweets.id&ids="+id+","+other)
	if len(p.Errors) != 3 || p.Errors[0].Value != other || p.Errors[0].Parameter != "ids" || p.Includes != nil {
		t.Errorf("deleted: %s", p.raw)
	}
	w.Protect("7", true)
	p = w.get("8", "/2/tweets?ids="+id)
	if p.Data != nil || len(p.Errors) != 1 || p.Errors[0].Title != "Authorization Error" || p.Errors[0].Type != problems+"not-authorized-for-resource" {
		t.Errorf("protected, by another: %s", p.raw)
	}
	if p := w.get("8", "/2/users/7/tweets"); p.status != 200 || p.Meta != nil || p.Data != nil || p.Errors[0].Title != "Authorization Error" {
		t.Errorf("protected timeline, by another: %s", p.raw)
	}
	if p := w.get("7", "/2/users/7/tweets"); len(p.posts(t)) != 1 {
		t.Errorf("protected, by itself: %s", p.raw)
	}
	w.Suspend("7", true)
	if p := w.get("7", "/2/users/7/tweets"); p.Meta != nil || p.Errors[0].Title != "Forbidden" {
		t.Errorf("suspended: %s", p.raw)
	}
	if p := w.get("7", "/2/users/5555/tweets"); p.Meta != nil || p.Errors[0].Title != "Not Found Error" {
		t.Errorf("nobody: %s", p.raw)
	}
}

// A post that the corpus says is not to be seen is refused the same way.
func TestRefusalsOfTheCorpus(t *testing.T) {
	w := newWorld(t, nil)
	got := map[string]string{}
	v := url.Values{"max_results": {"100"}, "expansions": {"referenced_tweets.id"}}
	for {
		p := w.get(press, timelinePath(press, v))
		for _, e := range p.Errors {
			got[e.Title] = e.Parameter
		}
		if p.Meta.NextToken == "" {
			break
		}
		v.Set("pagination_token", p.Meta.NextToken)
	}
	if want := map[string]string{"Not Found Error": "referenced_tweets.id", "Authorization Error": "referenced_tweets.id"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestHorizon(t *testing.T) {
	w := newWorld(t, loadCorpus(t, small))
	const first, second = "1800000000000000008", "1800000000000000009"
	w.Until("7", first)
	p := w.get("7", "/2/users/7/tweets?expansions=edit_history_tweet_ids")
	if got := p.ids(t); !slices.Equal(got, []string{first}) {
		t.Errorf("timeline %v", got)
	}
	if got := string(members(t, p.posts(t)[0])["edit_history_tweet_ids"]); got != `["`+first+`"]` || len(p.Errors) > 0 {
		t.Errorf("history %s, errors %v", got, p.Errors)
	}
	if p := w.get("7", "/2/tweets?ids="+second); p.Data != nil || p.Errors[0].Title != "Not Found Error" {
		t.Errorf("a post of the future: %s", p.raw)
	}
	w.Until("7", "")
	if got := w.get("7", "/2/users/7/tweets").ids(t); !slices.Equal(got, []string{second}) {
		t.Errorf("timeline %v", got)
	}
}

// In stages, every post of the built-in corpus comes by.
func TestHorizonInStages(t *testing.T) {
	w := newWorld(t, nil)
	posts := w.corpus.Posts(press)
	for _, n := range []int{len(posts) - 1, 100, 0} {
		w.Until(press, posts[n].ID)
		got, _ := w.pages(press, url.Values{"max_results": {"100"}})
		if want := postIDs(w.corpus.PostsUntil(press, posts[n].ID)); !slices.Equal(got, want) {
			t.Errorf("up to post %d: %d posts, want %d", n, len(got), len(want))
		}
	}
}
