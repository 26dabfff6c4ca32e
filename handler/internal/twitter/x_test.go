package twitter

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// world is X's stand-in over HTTP, with a client that has signed in as the press
// account.
type world struct {
	x      *x.Server
	corpus *corpus.Corpus
	client *Client
	http   *http.Client
	url    string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{corpus: c, x: x.New(x.Options{Corpus: c, ConsumerKey: signInApp.Key, ConsumerSecret: signInApp.Secret})}
	srv := httptest.NewServer(w.x)
	t.Cleanup(srv.Close)
	w.http, w.url = srv.Client(), srv.URL
	token, secret := w.x.Token(corpus.PressAccount)
	w.client = NewClient(srv.Client(), srv.URL, signInApp, Token{token, secret})
	return w
}

// answers has X answer every request with a status and a body.
func (w *world) answers(status int, body string) {
	w.x.Fail(func(*http.Request) x.Fault { return x.Fault{Status: status, Body: body} })
}

// all reads the whole timeline of an account.
func (w *world) all(t testing.TB, account string, size int) (out []Answer) {
	t.Helper()
	for next := ""; ; {
		a, err := w.client.Timeline(t.Context(), account, Query{PageFrom: next, Size: size})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
		if next = a.Page.Meta.NextToken; next == "" {
			return out
		}
		if len(out) > Reach {
			t.Fatal("the timeline does not end")
		}
	}
}

// TestTimelineOfX: every post of the corpus is in the timelines and comes from a
// look-up, each is decoded once and reads as its document does, and a retained
// answer reads as the call did.
func TestTimelineOfX(t *testing.T) {
	w := newWorld(t)
	check := func(a Answer) {
		t.Helper()
		page, err := ReadAnswer(a.Raw)
		if err != nil || !reflect.DeepEqual(page, a.Page) {
			t.Errorf("the retained answer reads otherwise: %v", err)
		}
		if len(page.Unreadable) > 0 {
			t.Errorf("unreadable: %+v", page.Unreadable)
		}
		for _, d := range page.Posts {
			if p, err := post.Parse(d.JSON); err != nil || !reflect.DeepEqual(p, d.Post) {
				t.Errorf("post %s with its page is\n%+v, alone\n%+v, %v", d.ID, d.Post, p, err)
			}
			if len(d.Post.Problems) > 0 {
				t.Errorf("post %s: %q", d.ID, d.Post.Problems)
			}
		}
		if a.Rate.Limit == 0 || a.Rate.Reset.Before(time.Now()) || time.Since(a.Date).Abs() > time.Hour {
			t.Errorf("rate %+v, date %s", a.Rate, a.Date)
		}
	}
	for _, account := range w.corpus.Accounts() {
		var want, got []string
		for _, p := range w.corpus.Posts(account) {
			want = append(want, p.ID)
		}
		for _, a := range w.all(t, account, 0) {
			check(a)
			for _, d := range a.Page.Posts {
				if !d.Earlier {
					got = append(got, d.ID)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("account %s: %d posts, want %d", account, len(got), len(want))
		}
		for ids := range slices.Chunk(want, MaxLookup) {
			a, err := w.client.Lookup(t.Context(), ids)
			if err != nil {
				t.Fatal(err)
			}
			check(a)
			if a.Page.HasMeta || a.Page.Count != len(ids) {
				t.Errorf("a look-up of %d posts has %d, meta %v", len(ids), a.Page.Count, a.Page.HasMeta)
			}
		}
	}
}

func TestTimelineSize(t *testing.T) {
	w := newWorld(t)
	first := w.all(t, corpus.PressAccount, 5)[0]
	if first.Page.Meta.ResultCount != 5 {
		t.Errorf("a page has %d posts, want 5", first.Page.Meta.ResultCount)
	}
	before := w.x.Stats().Requests
	for _, size := range []int{-1, 4, PageSize + 1} {
		if _, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{Size: size}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d posts a page: %v, want an invalid request", size, err)
		}
	}
	if after := w.x.Stats().Requests; after != before {
		t.Error("X was asked for a page of a size that it does not have")
	}
}

// TestQuery: what is sent, and that nothing is sent that was not asked for.
func TestQuery(t *testing.T) {
	var got http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = *r
		if _, err := oauthParams(r, signInAccess.Secret); err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(`{"meta":{"result_count":0}}`))
	}))
	defer srv.Close()
	c := NewClient(srv.Client(), srv.URL, signInApp, signInAccess)
	for want, q := range map[string]Query{
		"100||||": {},
		"5|1|2|2026-01-02T03:04:05Z|t": {Size: 5, SinceID: "1", UntilID: "2", PageFrom: "t",
			EndTime: time.Date(2026, 1, 2, 5, 4, 5, 0, time.FixedZone("", 7200))},
	} {
		if _, err := c.Timeline(t.Context(), "77", q); err != nil {
			t.Fatal(err)
		}
		v := got.URL.Query()
		sent := strings.Join([]string{v.Get("max_results"), v.Get("since_id"), v.Get("until_id"), v.Get("end_time"), v.Get("pagination_token")}, "|")
		if got.URL.Path != "/2/users/77/tweets" || sent != want {
			t.Errorf("%s with %s, want %s", got.URL.Path, sent, want)
		}
		if q.EndTime.IsZero() && v.Has("end_time") {
			t.Error("an end_time was sent that nobody asked for")
		}
	}
}

// TestAccountNotShown: X's answer about an account that it does not show is never
// taken for an empty timeline.
func TestAccountNotShown(t *testing.T) {
	for _, c := range []struct {
		hide  func(*world)
		want  error
		cause fault.Cause
	}{
		{func(w *world) { w.x.Suspend(corpus.SupportAccount, true) }, ErrSuspended, fault.XSuspended},
		{func(w *world) { w.x.Protect(corpus.SupportAccount, true) }, ErrProtected, fault.XProtected},
		{func(w *world) { w.x.Leave(corpus.SupportAccount, true) }, ErrGone, fault.XGone},
	} {
		for _, words := range []x.Vocabulary{x.TweetWords, x.PostWords} {
			w := newWorld(t)
			w.x.Understand(words)
			c.hide(w)
			_, err := w.client.Timeline(t.Context(), corpus.SupportAccount, Query{})
			if !errors.Is(err, c.want) || !errors.Is(err, ErrForbidden) || fault.CauseOf(err) != c.cause || !strings.Contains(err.Error(), corpus.SupportAccount) {
				t.Errorf("%v, want %v, with X's words", err, c.want)
			}
		}
	}
}

// TestAccountNotShownWithMeta: that an empty page also has its place in the
// timeline makes no difference. An error about something else does not hide it.
func TestAccountNotShownWithMeta(t *testing.T) {
	for body, want := range map[string]error{
		`{"errors":[{"resource_type":"user","resource_id":"7","title":"Forbidden"}],"meta":{"result_count":0}}`:                             ErrForbidden,
		`{"errors":[{"resource_type":"tweet","resource_id":"7","title":"Authorization Error"}],"meta":{"result_count":0,"next_token":"t"}}`: nil,
	} {
		w := newWorld(t)
		w.answers(http.StatusOK, body)
		if _, err := w.client.Timeline(t.Context(), "7", Query{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
}

func TestStalePageToken(t *testing.T) {
	w := newWorld(t)
	token := w.all(t, corpus.PressAccount, 0)[0].Page.Meta.NextToken
	w.x.ForgetTokens()
	if _, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{PageFrom: token}); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v, want an invalid request", err)
	}
}

// TestIncompleteAnswer: an answer that lacks what it must have is an error, never
// an Answer that could be retained.
func TestIncompleteAnswer(t *testing.T) {
	timeline := func(w *world) (Answer, error) {
		return w.client.Timeline(t.Context(), corpus.PressAccount, Query{})
	}
	lookup := func(w *world) (Answer, error) { return w.client.Lookup(t.Context(), []string{"20", "21"}) }
	for _, c := range []struct {
		name, body string
		call       func(*world) (Answer, error)
	}{
		{"no JSON", "<html>", timeline},
		{"half of it", `{"data":[{"id":"20"`, timeline},
		{"of another form", `{"data":5,"meta":{"result_count":1}}`, timeline},
		{"fewer posts than it counts", `{"data":[{"id":"20"}],"meta":{"result_count":2}}`, timeline},
		{"no posts, and it counts some", `{"meta":{"result_count":17}}`, timeline},
		{"no meta", `{"data":[{"id":"20"}]}`, timeline},
		{"no meta, and an error about something else", `{"data":[{"id":"20"}],"errors":[{"title":"Not Found Error"}]}`, timeline},
		{"nothing", `{}`, timeline},
		{"null", `null`, timeline},
		{"no JSON for a look-up", "over capacity", lookup},
		{"nothing for a look-up", `{}`, lookup},
		{"an empty list for a look-up", `{"data":[]}`, lookup},
	} {
		w := newWorld(t)
		w.answers(http.StatusOK, c.body)
		a, err := c.call(w)
		if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrUnavailable) || fault.CauseOf(err) != fault.XIncomplete || a.Raw != nil {
			t.Errorf("%s: %v, want an incomplete answer", c.name, err)
		}
	}
	w := newWorld(t)
	w.x.Fail(func(*http.Request) x.Fault { return x.Fault{CutAfter: 1000} })
	if _, err := timeline(w); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a broken connection: %v, want unavailable", err)
	}
}

// TestOddAnswer: what is odd and can be read is an Answer; see the tests of post.
func TestOddAnswer(t *testing.T) {
	w := newWorld(t)
	w.answers(http.StatusOK, `{"data":[null,{"id":"20","text":"of 2006","author_id":"7","edit_history_tweet_ids":["20"]},
		{"id":"1800000000000000001","author_id":"7","edit_history_tweet_ids":["1800000000000000001"]}],"meta":{"result_count":2,"next_token":"t"}}`)
	a, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Page.Unreadable) != 1 || len(a.Page.Posts) != 2 || !errors.Is(a.Page.Posts[0].Err, post.ErrNoTime) || a.Page.Posts[1].Err != nil {
		t.Errorf("%+v", a.Page)
	}
}

// TestLookupOfGonePosts: X names what it does not have.
func TestLookupOfGonePosts(t *testing.T) {
	w := newWorld(t)
	there := w.corpus.Posts(corpus.PressAccount)[0].ID
	gone := w.corpus.Posts(corpus.PressAccount)[1].ID
	w.x.Delete(gone)
	for _, ids := range [][]string{{gone}, {there, gone}} {
		a, err := w.client.Lookup(t.Context(), ids)
		if err != nil || len(a.Page.Posts) != len(ids)-1 || len(a.Page.Errors) != 1 || a.Page.Errors[0].ResourceID != gone {
			t.Errorf("%v: %+v, %v", ids, a.Page.Errors, err)
		}
	}
	if _, err := w.client.Lookup(t.Context(), nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("a look-up of nothing: %v", err)
	}
}

// TestLookupNotFound: a 404 is an answer where it says for which posts, or where
// there is only one. Nothing is written that X did not say.
func TestLookupNotFound(t *testing.T) {
	const named = `{"errors":[{"value":"20","resource_id":"20","resource_type":"tweet","title":"Not Found Error","detail":"Could not find tweet with id: [20]."}]}`
	const unnamed = `{"title":"Not Found","type":"about:blank","status":404,"detail":"Not Found"}`
	for _, c := range []struct {
		name, body string
		ids        []string
		want       []post.Problem // nil: ErrNotFound
	}{
		{"one, named", named, []string{"20"},
			[]post.Problem{{Title: "Not Found Error", Detail: "Could not find tweet with id: [20].", ResourceType: "tweet", ResourceID: "20", Value: "20",
				Raw: named[len(`{"errors":[`) : len(named)-len(`]}`)]}}},
		{"one, not named", unnamed, []string{"20"}, []post.Problem{{Title: "Not Found", Type: "about:blank", Detail: "Not Found", Raw: unnamed}}},
		{"two, one named", named, []string{"20", "21"}, nil},
		{"two, none named", unnamed, []string{"20", "21"}, nil},
		{"no word of X's", "<html>404</html>", []string{"20"}, nil},
	} {
		w := newWorld(t)
		w.answers(http.StatusNotFound, c.body)
		a, err := w.client.Lookup(t.Context(), c.ids)
		if c.want == nil {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v, want not found", c.name, err)
			}
			continue
		}
		again, bad := ReadAnswer([]byte(c.body))
		if err != nil || bad != nil || string(a.Raw) != c.body || !slices.Equal(a.Page.Errors, c.want) || !slices.Equal(again.Errors, c.want) {
			t.Errorf("%s: %+v, %v; read again %+v, %v; want %+v", c.name, a.Page.Errors, err, again.Errors, bad, c.want)
		}
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status int
		want   error
		cause  fault.Cause
	}{
		{400, ErrInvalid, fault.XRefused},
		{401, ErrUnauthorized, fault.XUnauthorized},
		{403, ErrForbidden, fault.XForbidden},
		{404, ErrNotFound, fault.XRefused},
		{410, ErrNotFound, fault.XRefused},
		{302, ErrUnavailable, fault.XUnavailable},
		{500, ErrUnavailable, fault.XUnavailable},
		{503, ErrUnavailable, fault.XUnavailable},
	} {
		w := newWorld(t)
		w.answers(c.status, "")
		_, err := w.client.Timeline(t.Context(), corpus.PressAccount, Query{})
		if !errors.Is(err, c.want) || fault.CauseOf(err) != c.cause {
			t.Errorf("status %d: %v with cause %s, want %v", c.status, err, fault.CauseOf(err), c.want)
		}
	}
	w := newWorld(t)
	w.x.Fail(func(*http.Request) x.Fault { return x.Fault{Drop: true} })
	if _, err := w.client.Lookup(t.Context(), []string{"20"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no answer: %v, want unavailable", err)
	}
	w = newWorld(t)
	w.x.Revoke(corpus.PressAccount)
	if _, err := w.client.Lookup(t.Context(), []string{"20"}); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("a revoked token: %v, want unauthorized", err)
	}
}

// TestRedirect: what X's API redirects to is not asked, it would get a signed
// request.
func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer srv.Close()
	c := NewClient(srv.Client(), srv.URL, signInApp, signInAccess)
	if _, err := c.Lookup(t.Context(), []string{"20"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v, want unavailable", err)
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := contextWithReason(t)
	w.x.Fail(func(*http.Request) x.Fault { cancel(); return x.Fault{Delay: time.Hour} })
	_, err := w.client.Timeline(ctx, corpus.PressAccount, Query{})
	if !errors.Is(err, errReason) {
		t.Errorf("%v, want the context's cause", err)
	}
}

func ExampleReadAnswer() {
	// An answer as it was retained: two posts, of which one was there in 2006.
	raw := []byte(`{"data":[{"id":"1800000000000000001","text":"Hello","author_id":"7"},{"id":"20","text":"Hello, 2006"}],
		"includes":{"users":[{"id":"7","username":"ann"}]},"meta":{"result_count":2,"next_token":"abc"}}`)
	page, err := ReadAnswer(raw)
	if err != nil {
		fmt.Println(err) // ErrIncomplete: ask again, and conclude nothing
		return
	}
	for _, d := range page.Posts {
		if d.Err != nil {
			fmt.Println("set aside:", d.Err)
			continue
		}
		fmt.Println(d.Post.URL(), d.Post.CreatedAt)
	}
	fmt.Println("next page:", page.Meta.NextToken)
	// Output:
	// https://x.com/ann/status/1800000000000000001 2024-06-10 03:00:17.039 +0000 UTC
	// set aside: post 20: the post has no time: X sent no created_at, and its id holds none
	// next page: abc
}

// FuzzReadAnswer: no answer makes it panic, and what it accepts is whole by its
// own count. That no element is left out is fuzzed in post.
func FuzzReadAnswer(f *testing.F) {
	w := newWorld(f)
	a, err := w.client.Timeline(f.Context(), corpus.SupportAccount, Query{Size: 5})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.Raw)
	f.Add([]byte(`{"errors":[{"resource_id":"20"}]}`))
	f.Add([]byte(`{"data":[null],"meta":{"result_count":1}}`))
	f.Add([]byte(`[{"data":[{"id":"21","referenced_posts":[{"type":"quoted","id":"20"}]}]},{"data":[{"id":"20"}]}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		page, err := ReadAnswer(raw)
		if err != nil {
			if !errors.Is(err, ErrIncomplete) {
				t.Errorf("error %v", err)
			}
			return
		}
		if page.Meta.ResultCount > page.Count || page.Count > 0 && len(page.Posts)+len(page.Unreadable) == 0 {
			t.Errorf("%d counted, %d in data, %d posts, %d unreadable", page.Meta.ResultCount, page.Count, len(page.Posts), len(page.Unreadable))
		}
		_, _ = readTimeline(raw, "7")
	})
}

// BenchmarkTimeline is one page of 100 posts: from the call to parsed posts, and
// from the retained answer to parsed posts.
func BenchmarkTimeline(b *testing.B) {
	raw := newWorld(b).all(b, corpus.PressAccount, 0)[0].Raw
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) }))
	defer srv.Close()
	c := NewClient(srv.Client(), srv.URL, signInApp, signInAccess)
	for name, read := range map[string]func() error{
		"call":     func() error { _, err := c.Timeline(b.Context(), corpus.PressAccount, Query{}); return err },
		"retained": func() error { _, err := ReadAnswer(raw); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
