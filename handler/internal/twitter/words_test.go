package twitter

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// allowed returns the parameters of a call and the names that each takes, of the
// extract of X's specification that the stand-in has. It is read here for itself: the
// stand-in drops what it does not know.
func allowed(t *testing.T, version, path string) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile("../../../tests/sandbox/x/spec/" + version + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]struct {
			Get struct {
				Parameters []struct {
					Name   string
					Schema struct{ Items struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, p := range doc.Paths[path].Get.Parameters {
		out[p.Name] = p.Schema.Items.Enum
	}
	return out
}

// TestNamesAskedFor: whatever is asked for, X's specification has it, in the one
// vocabulary that the request is in.
func TestNamesAskedFor(t *testing.T) {
	for version, words := range map[string]x.Vocabulary{"2.166": x.TweetWords, "2.167": x.PostWords} {
		w := newWorld(t)
		w.x.Understand(words)
		w.all(t, corpus.SupportAccount, 0) // finds out which words X honours
		var requests []*http.Request
		w.x.Fail(func(r *http.Request) x.Fault { requests = append(requests, r); return x.Fault{} })
		w.all(t, corpus.SupportAccount, 0)
		if _, err := w.client.Lookup(t.Context(), []string{w.corpus.Posts(corpus.PressAccount)[0].ID}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.client.User(t.Context(), corpus.PressAccount); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, r := range requests {
			path := map[string]string{"/2/users/" + corpus.SupportAccount + "/tweets": "/2/users/{id}/tweets", "/2/users/" + corpus.PressAccount: "/2/users/{id}"}[r.URL.Path]
			if path == "" {
				path = r.URL.Path
			}
			if id, one := strings.CutPrefix(path, "/2/tweets/"); one && id != "" {
				path = "/2/tweets/{id}"
			}
			seen[path] = true
			takes := allowed(t, version, path)
			for param, values := range r.URL.Query() {
				names, known := takes[param]
				if !known {
					t.Errorf("%s %s: X has no parameter %s", version, path, param)
				}
				for name := range strings.SplitSeq(values[0], ",") {
					if names != nil && !slices.Contains(names, name) {
						t.Errorf("%s %s: %s has no %s", version, path, param, name)
					}
				}
			}
		}
		if len(seen) < 3 {
			t.Errorf("%s: only %v were asked", version, seen)
		}
	}
}

// TestAskedFor: an archive needs these; a test fails where one is forgotten.
func TestAskedFor(t *testing.T) {
	both := []string{"article", "paid_partnership", "matched_media_notes", "suggested_source_links", "suggested_source_links_with_counts", "card_uri",
		"community_id", "display_text_range", "media_metadata", "scopes", "withheld", "entities", "created_at", "edit_controls"}
	for v, also := range map[post.Vocabulary][]string{
		post.TweetWords: {"note_tweet", "author_id", "edit_history_tweet_ids", "referenced_tweets", "in_reply_to_user_id"},
		post.PostWords:  {"note_post", "article_title"},
	} {
		for _, name := range slices.Concat(both, also) {
			if !slices.ContainsFunc(asks(v).postFields, func(f gotwitter.TweetField) bool { return string(f) == name }) {
				t.Errorf("in the words of %q, %s is not asked for", v, name)
			}
		}
		for _, e := range asks(v).expansions {
			if strings.Contains(string(e), "mentions") {
				t.Errorf("in the words of %q, %s is asked for: X may bill each person", v, e)
			}
		}
	}
}

// TestWordsSwitchedOff: X stops understanding one vocabulary between two pages. Every
// post is read whole, with all it refers to, and X is asked twice only for the page at
// which it changed.
func TestWordsSwitchedOff(t *testing.T) {
	for _, to := range []x.Vocabulary{x.PostWords, x.TweetWords} {
		w := newWorld(t)
		w.x.Understand(1 - to)
		want := map[string]*post.Post{}
		for _, a := range newWorld(t).all(t, corpus.PressAccount, 0) { // in the older words all along
			for _, d := range a.Page.Posts {
				want[d.ID] = d.Post
			}
		}
		got, twice := 0, 0
		for next, pages := "", 0; ; pages++ {
			if pages == 3 {
				w.x.Understand(to)
			}
			before := w.x.Stats().ByPath["GET /2/users/:id/tweets"]
			a, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{PageFrom: next, Size: 20})
			if err != nil {
				t.Fatal(err)
			}
			if w.x.Stats().ByPath["GET /2/users/:id/tweets"]-before > 1 {
				twice++
			}
			if page, err := ReadAnswer(a.Raw); err != nil || !reflect.DeepEqual(page, a.Page) {
				t.Errorf("the retained answer reads otherwise: %v", err)
			}
			for _, d := range a.Page.Posts {
				got++
				if !same(d.Post, want[d.ID]) {
					t.Errorf("post %s is\n%+v, want\n%+v", d.ID, d.Post, want[d.ID])
				}
			}
			if next = a.Page.Meta.NextToken; next == "" {
				break
			}
		}
		known := 1 // X is asked in the older words first
		if to == x.TweetWords {
			known = 2
		}
		if got < 100 || twice != known {
			t.Errorf("%d posts, %d pages were asked for twice, want %d", got, twice, known)
		}
	}
}

// same reports whether two readings of a post tell the same. Of a user who was replied
// to, the newer words bring more than the handle.
func same(a, b *post.Post) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	if x.InReplyToUser.ID == y.InReplyToUser.ID && x.InReplyToUser.Username == y.InReplyToUser.Username {
		x.InReplyToUser = y.InReplyToUser
	}
	return reflect.DeepEqual(x, y)
}

// TestRawOfCompletedPage: a page that posts had to be looked up for is retained as the
// list of X's own answers, and counts what X bills.
func TestRawOfCompletedPage(t *testing.T) {
	w := newWorld(t)
	w.x.Understand(x.PostWords)
	read := w.x.Stats().PostReads
	a, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{})
	if err != nil {
		t.Fatal(err)
	}
	var bodies []json.RawMessage
	if err := json.Unmarshal(a.Raw, &bodies); err != nil || len(bodies) < 2 {
		t.Fatalf("%d answers are retained, want the page and its look-up: %v", len(bodies), err)
	}
	first, err := ReadAnswer(bodies[0])
	if err != nil || len(first.Lacks) == 0 || len(a.Page.Lacks) > 0 {
		t.Errorf("alone the page lacks %d posts, completed %d, %v", len(first.Lacks), len(a.Page.Lacks), err)
	}
	asked := first.Count // in the older words, in vain
	if got := w.x.Stats().PostReads - read; got != a.Reads+asked {
		t.Errorf("X gave %d posts, %d of them in vain; the answer counts %d", got, asked, a.Reads)
	}
}

// TestChanged: an answer that in neither vocabulary has what X must send is an error,
// and says what it lacks.
func TestChanged(t *testing.T) {
	const history = `"edit_history_tweet_ids":["1800000000000000001"]`
	for body, says := range map[string]string{
		`{"data":[{"id":"1800000000000000001","text":"a",` + history + `}],"meta":{"result_count":1}}`:                                                                "author_id",
		`{"data":[{"id":"1800000000000000001","text":"a","author_id":"7"}],"meta":{"result_count":1}}`:                                                                "edit history",
		`{"data":[{"id":"1800000000000000001","text":"so…","display_text_range":[0,2],"author_id":"7",` + history + `}],"meta":{"result_count":1}}`:                   "cut off",
		`{"data":[{"id":"1800000000000000001","text":"a","author_id":"7","edit_history_ids":["1800000000000000001"]}],"includes":{"x":[]},"meta":{"result_count":1}}`: "edit history",
	} {
		w := newWorld(t)
		w.answers(http.StatusOK, body)
		for name, call := range map[string]func() (Answer, error){
			"timeline": func() (Answer, error) { return w.client.Timeline(t.Context(), "7", Query{}) },
			"look-up":  func() (Answer, error) { return w.client.Lookup(t.Context(), []string{"1800000000000000001"}) },
		} {
			a, err := call()
			if !errors.Is(err, ErrChanged) || errors.Is(err, ErrUnavailable) || fault.CauseOf(err) != fault.XChanged || !strings.Contains(err.Error(), says) || a.Raw != nil {
				t.Errorf("%s of %s: %v, want that X changed, for its %s", name, body, err, says)
			}
		}
	}
}

// TestNamesRefused: an X that says that it does not take the names, instead of
// dropping them, is asked in the other vocabulary, too.
func TestNamesRefused(t *testing.T) {
	w := newWorld(t)
	w.x.Fail(func(r *http.Request) x.Fault {
		if r.URL.Query().Has("tweet.fields") {
			return x.Fault{Status: 400, Body: `{"errors":[{"parameters":{"tweet.fields":["id"]},"message":"The query parameter [tweet.fields] is not one of [post.fields]"}],"title":"Invalid Request"}`}
		}
		return x.Fault{}
	})
	if a, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{}); err != nil || a.Page.Vocabulary != post.PostWords {
		t.Errorf("%q, %v, want an answer in the newer words", a.Page.Vocabulary, err)
	}
	w.answers(400, `{"errors":[{"parameters":{"expansions":["a"]},"message":"no"}],"title":"Invalid Request"}`)
	if _, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{}); !errors.Is(err, ErrChanged) {
		t.Errorf("%v, want that X changed", err)
	}
}

// TestWordsAreShared: what one client found out the next one knows, if it is of the
// same app.
func TestWordsAreShared(t *testing.T) {
	w := newWorld(t)
	w.x.Understand(x.PostWords)
	token, secret := w.x.Token(corpus.PressAccount)
	words := new(Words)
	for n, want := range []int{2, 1} { // timelines asked for
		c := words.Client(w.x.Client(), "https://api.x.com", signInApp, Token{token, secret})
		before := w.x.Stats().ByPath["GET /2/users/:id/tweets"]
		if _, err := c.Timeline(t.Context(), corpus.PressAccount, Query{}); err != nil {
			t.Fatal(err)
		}
		if got := w.x.Stats().ByPath["GET /2/users/:id/tweets"] - before; got != want {
			t.Errorf("client %d asked %d times, want %d", n+1, got, want)
		}
	}
	if got := words.of(App{Key: "another"}); got != post.TweetWords {
		t.Errorf("another app is asked for in the words of %q", got)
	}
}
