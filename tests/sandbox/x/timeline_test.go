package x

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/tests/sandbox/corpus"
)

func timelinePath(account string, v url.Values) string {
	return "/2/users/" + account + "/tweets?" + v.Encode()
}

// pages reads a timeline from its first page to its last.
func (w *world) pages(account string, v url.Values) (ids []string, requests int) {
	w.t.Helper()
	for {
		p := w.get(account, timelinePath(account, v))
		if p.status != 200 || p.Meta == nil {
			w.t.Fatalf("page %d: %d %s", requests+1, p.status, p.raw)
		}
		requests++
		got := p.ids(w.t)
		if p.Meta.ResultCount != len(got) || len(got) > 0 && (p.Meta.NewestID != got[0] || p.Meta.OldestID != got[len(got)-1]) {
			w.t.Fatalf("meta %+v of %v", p.Meta, got)
		}
		ids = append(ids, got...)
		if p.Meta.NextToken == "" {
			return ids, requests
		}
		v.Set("pagination_token", p.Meta.NextToken)
	}
}

func TestTimelineInThreePages(t *testing.T) {
	w := newWorld(t, nil)
	got, requests := w.pages(press, url.Values{"max_results": {"100"}})
	if want := postIDs(w.corpus.Posts(press)); !slices.Equal(got, want) || requests != 3 {
		t.Errorf("%d posts in %d requests, want %d in 3", len(got), requests, len(want))
	}
}

// Whatever is asked for, paging gives exactly the posts of the range, each once,
// newest first. Corpora are random: gaps, ids of one millisecond, edits.
func TestPagingIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 25 {
		var posts []string
		var ids []uint64
		id := uint64(1_500_000_000_000_000_000)
		n := random.IntN(60)
		for i := range n {
			id += 1 + random.Uint64N(3)*random.Uint64N(1<<30)
			ids = append(ids, id)
			kind := []string{"", `,"referenced_tweets":[{"type":"retweeted","id":"1"}]`, `,"referenced_tweets":[{"type":"replied_to","id":"1"}]`}[random.IntN(3)]
			posts = append(posts, fmt.Sprintf(`{"id":"%d","author_id":"7","text":"post %d"%s}`, id, i, kind))
		}
		random.Shuffle(n, func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
		c := loadCorpus(t, `{"data":[`+strings.Join(posts, ",")+`],"includes":{"users":[{"id":"7","name":"A","username":"a"}]}}`)
		w := newWorld(t, c)
		for range 6 {
			v := url.Values{"max_results": {strconv.Itoa(5 + random.IntN(20))}}
			since, until := uint64(0), ^uint64(0)
			if random.IntN(2) == 0 && n > 0 {
				since = ids[random.IntN(n)] + random.Uint64N(2)
				v.Set("since_id", strconv.FormatUint(since, 10))
			}
			if random.IntN(2) == 0 && n > 0 {
				until = ids[random.IntN(n)] + random.Uint64N(2)
				v.Set("until_id", strconv.FormatUint(until, 10))
			}
			want := []string{}
			for _, id := range slices.Backward(ids) {
				if id > since && id < until {
					want = append(want, strconv.FormatUint(id, 10))
				}
			}
			asked := v.Encode()
			if got, _ := w.pages("7", v); !slices.Equal(got, want) {
				t.Fatalf("%s: %v\nwant %v", asked, got, want)
			}
		}
	}
}

func TestTimelineRanges(t *testing.T) {
	w := newWorld(t, loadCorpus(t, `{"data":[
 {"id":"1800000000000000001","author_id":"7","created_at":"2024-06-10T08:00:00.000Z"},
 {"id":"1800000000000000002","author_id":"7","created_at":"2024-06-10T08:00:01.000Z","referenced_tweets":[{"type":"replied_to","id":"1"}]},
 {"id":"1800000000000000003","author_id":"7","created_at":"2024-06-10T08:00:02.000Z","referenced_tweets":[{"type":"retweeted","id":"1"}]}]}`))
	for query, want := range map[string]string{
		"":                                "321",
		"start_time=2024-06-10T08:00:01Z": "32",
		"end_time=2024-06-10T08:00:01Z":   "21",
		"start_time=2024-06-10T08:00:01Z&end_time=2024-06-10T08:00:02Z": "32",
		"exclude=replies":                              "31",
		"exclude=retweets,replies":                     "1",
		"since_id=1800000000000000001":                 "32",
		"until_id=1800000000000000003":                 "21",
		"since_id=1800000000000000003":                 "",
		"since_id=1&until_id=9000000000000000000":      "321",
		"until_id=2&max_results=5&tweet.fields=source": "",
	} {
		p := w.get("7", "/2/users/7/tweets?"+query)
		var got string
		for _, id := range p.ids(t) {
			got += id[len(id)-1:]
		}
		if p.status != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", query, p.status, got, want)
		}
		if want == "" && (strings.Contains(p.raw, `"data"`) || p.raw != `{"meta":{"result_count":0}}`) {
			t.Errorf("an empty page is %s", p.raw)
		}
	}
}

func TestReach(t *testing.T) {
	var posts []string
	for i := range 3300 {
		posts = append(posts, fmt.Sprintf(`{"id":"%d","author_id":"7"}`, 1_800_000_000_000_000_000+i))
	}
	w := newWorld(t, loadCorpus(t, `{"data":[`+strings.Join(posts, ",")+`]}`))
	got, _ := w.pages("7", url.Values{"max_results": {"100"}})
	if len(got) != 3200 || got[3199] != "1800000000000000100" {
		t.Errorf("%d posts back to %s", len(got), got[len(got)-1])
	}
	if got, _ := w.pages("7", url.Values{"max_results": {"100"}, "exclude": {"replies"}}); len(got) != 800 {
		t.Errorf("%d posts without replies", len(got))
	}
	if got, _ := w.pages("7", url.Values{"max_results": {"100"}, "until_id": {"1800000000000000150"}}); len(got) != 50 {
		t.Errorf("%d posts before one that is nearly out of reach", len(got))
	}
}

func TestPageTokens(t *testing.T) {
	w := newWorld(t, nil)
	all := postIDs(w.corpus.Posts(press))
	v := url.Values{"max_results": {"5"}, "since_id": {all[50]}}
	first := w.get(press, timelinePath(press, v))
	if first.Meta.PreviousToken != "" {
		t.Error("the first page has a previous one")
	}
	v.Set("pagination_token", first.Meta.NextToken)
	v.Set("tweet.fields", "lang") // other fields may be asked for
	second := w.get(press, timelinePath(press, v))
	if got := second.ids(t); !slices.Equal(got, all[5:10]) {
		t.Errorf("second page %v", got)
	}
	v.Set("pagination_token", second.Meta.PreviousToken)
	if got := w.get(press, timelinePath(press, v)).ids(t); !slices.Equal(got, all[:5]) {
		t.Errorf("back to the first page: %v", got)
	}
	v.Set("pagination_token", second.Meta.NextToken)
	refused := func(what string, p page) {
		t.Helper()
		if p.status != 400 || p.Type != problems+"invalid-request" || !strings.Contains(p.raw, "pagination_token") {
			t.Errorf("%s: %d %s", what, p.status, p.raw)
		}
	}
	other := url.Values{"max_results": {"5"}, "since_id": {all[49]}, "pagination_token": {second.Meta.NextToken}}
	refused("another since_id", w.get(press, timelinePath(press, other)))
	refused("another account", w.get(press, timelinePath(corpus.SupportAccount, v)))
	refused("made up", w.get(press, timelinePath(press, url.Values{"pagination_token": {"7140dibdnow9c7btw"}})))
	w.ForgetTokens()
	refused("forgotten", w.get(press, timelinePath(press, v)))
}

// A post that comes while someone pages does not move the pages.
func TestPagingWhilePostsCome(t *testing.T) {
	w := newWorld(t, nil)
	all := postIDs(w.corpus.Posts(press))
	first := w.get(press, timelinePath(press, url.Values{"max_results": {"5"}}))
	if _, err := w.corpus.Add([]byte(`{"data":{"id":"` + corpus.NewID(time.Now().Add(-time.Minute), 1) + `","author_id":"` + press + `","text":"new"}}`)); err != nil {
		t.Fatal(err)
	}
	second := w.get(press, timelinePath(press, url.Values{"max_results": {"5"}, "pagination_token": {first.Meta.NextToken}}))
	if got := second.ids(t); !slices.Equal(got, all[5:10]) {
		t.Errorf("%v, want %v", got, all[5:10])
	}
}

func TestRefusedParameters(t *testing.T) {
	w := newWorld(t, nil)
	soon := w.clock.now().Add(-5 * time.Second).UTC().Format(time.RFC3339)
	timeline := "/2/users/" + press + "/tweets?"
	for query, says := range map[string]string{
		timeline + "max_results=4":                                                 "The `max_results` query parameter value [4] is not between 5 and 100",
		timeline + "max_results=101":                                               "[101] is not between 5 and 100",
		timeline + "max_results=ten":                                               "[ten] is not between",
		timeline + "exclude=quotes":                                                "[replies,retweets]",
		timeline + "since=5":                                                       "The query parameter [since] is not one of [since_id,until_id,",
		timeline + "since_id=abc":                                                  "The `since_id` query parameter value [abc] is not valid",
		timeline + "until_id=-5":                                                   "`until_id`",
		timeline + "since_id=12345678901234567890":                                 "`since_id`",
		timeline + "start_time=2024-06-10":                                         "`start_time`",
		timeline + "end_time=2024-06-10T08:00:00.000Z":                             "`end_time`",
		timeline + "end_time=" + url.QueryEscape(soon):                             "must be a minimum of 10 seconds prior to the request time",
		timeline + "start_time=2030-01-01T00:00:00Z":                               "'start_time' must be before",
		timeline + "start_time=2024-06-10T08:00:00Z&end_time=2024-06-10T08:00:00Z": "'start_time' must be before 'end_time'",
		"/2/users/abc/tweets":                                                      "The `id` query parameter value [abc] is not valid",
		"/2/tweets":                                                                "`ids` query parameter can not be empty",
		"/2/tweets?ids=1,x":                                                        "The `ids` query parameter value [x] is not valid",
		"/2/tweets?ids=1,,2":                                                       "The `ids` query parameter value [] is not valid",
		"/2/tweets?ids=1&max_results=5":                                            "[max_results] is not one of [ids,tweet.fields,",
		"/2/tweets?ids=" + strings.Repeat("1,", 100) + "1":                         "[101] is not between 1 and 100",
		"/2/tweets/x1":                                                             "`id`",
	} {
		p := w.get(press, query)
		if p.status != 400 || p.Title != "Invalid Request" || p.Detail != "One or more parameters to your request was invalid." || p.Type != problems+"invalid-request" || !strings.Contains(p.raw, strings.ReplaceAll(says, `"`, `\"`)) {
			t.Errorf("%.90s: %d %s, want %s", query, p.status, p.raw, says)
		}
	}
	// The oauth1 library does not sign parameters that come twice.
	if p := w.signedGet(timeline+"since_id=1&since_id=2", nil, nil); p.status != 400 || !strings.Contains(p.raw, "Duplicate parameters are not allowed: the `since_id` query parameter") {
		t.Errorf("a parameter that comes twice: %d %s", p.status, p.raw)
	}
	for _, path := range []string{"/2/users", "/2/nothing", "/1.1/statuses/user_timeline.json", "/"} {
		if p := w.get(press, path); p.status != 404 {
			t.Errorf("%s: %d", path, p.status)
		}
	}
}

// The product's library reads the stand-in as it would read X.
func TestGoTwitter(t *testing.T) {
	w := newWorld(t, nil)
	client := &gotwitter.Client{Authorizer: nobody{}, Client: w.as(press), Host: w.url}
	ctx := context.Background()
	opts := gotwitter.UserTweetTimelineOpts{
		MaxResults: 100, TweetFields: []gotwitter.TweetField{gotwitter.TweetFieldAuthorID, gotwitter.TweetFieldCreatedAt, "note_tweet"},
		Expansions: []gotwitter.Expansion{gotwitter.ExpansionAuthorID, gotwitter.ExpansionAttachmentsMediaKeys}, EndTime: w.clock.now().Add(-30 * time.Second).UTC(),
	}
	var got []string
	for {
		answer, err := client.UserTweetTimeline(ctx, press, opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, tweet := range answer.Raw.Tweets {
			got = append(got, tweet.ID)
			if tweet.AuthorID != press {
				t.Errorf("post %s is of %s", tweet.ID, tweet.AuthorID)
			}
		}
		if users := answer.Raw.Includes.Users; len(users) != 1 || users[0].UserName != "ContosoEnergy" {
			t.Errorf("users %v", users)
		}
		if opts.PaginationToken = answer.Meta.NextToken; opts.PaginationToken == "" {
			break
		}
	}
	want := postIDs(w.corpus.Posts(press))
	if !slices.Equal(got, want) {
		t.Errorf("%d posts, want %d", len(got), len(want))
	}
	found, err := client.TweetLookup(ctx, append(want[:99], "1"), gotwitter.TweetLookupOpts{})
	if err != nil || len(found.Raw.Tweets) != 99 || len(found.Raw.Errors) != 1 {
		t.Errorf("look-up: %v %v", found, err)
	}
	me, err := client.AuthUserLookup(ctx, gotwitter.UserLookupOpts{})
	if err != nil || me.Raw.Users[0].ID != press {
		t.Errorf("me: %v %v", me, err)
	}
	_, err = client.TweetLookup(ctx, []string{"abc"}, gotwitter.TweetLookupOpts{})
	var refused *gotwitter.ErrorResponse
	if !errors.As(err, &refused) || refused.StatusCode != 400 || refused.Title != "Invalid Request" {
		t.Errorf("a bad id: %v", err)
	}
}

// nobody leaves signing to the HTTP client.
type nobody struct{}

func (nobody) Add(*http.Request) {}
