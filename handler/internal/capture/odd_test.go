package capture_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/capture"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/twitter"
)

// scripted is X giving the answers of a list, in turn; then it has nothing.
type scripted struct {
	answers []string
	lookups []string
	asked   int
}

func (x *scripted) Timeline(context.Context, string, twitter.Query) (twitter.Answer, error) {
	if x.asked++; x.asked > len(x.answers) {
		return twitter.Answer{Raw: []byte(`{"meta":{"result_count":0}}`)}, nil
	}
	return twitter.Answer{Raw: []byte(x.answers[x.asked-1])}, nil
}

func (x *scripted) Lookup(_ context.Context, ids []string) (twitter.Answer, error) {
	x.lookups = append(x.lookups, ids...)
	var posts []string
	for _, id := range ids {
		posts = append(posts, fmt.Sprintf(`{"id":%q,"text":"earlier","author_id":"7"}`, id))
	}
	return twitter.Answer{Raw: fmt.Appendf(nil, `{"data":[%s]}`, strings.Join(posts, ","))}, nil
}

// scriptedPage is n posts, the newest with number from, counted downwards.
func scriptedPage(from, n int, token string, more func(id string) string) string {
	var posts []string
	for i := range n {
		id := postID(from - i)
		posts = append(posts, fmt.Sprintf(`{"id":%q,"text":"t","author_id":"7"%s}`, id, more(id)))
	}
	return fmt.Sprintf(`{"data":[%s],"meta":{"result_count":%d%s}}`, strings.Join(posts, ","), n, token)
}

// postID is the id of the post of the n-th second of 2024.
func postID(n int) string {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
	return fmt.Sprint(uint64(at.UnixMilli()-1288834974657) << 22)
}

func plainPost(string) string { return "" }

// with makes a capture that asks x instead.
func (w *world) with(x capture.X) *capture.Capture {
	c := w.capture()
	c.SignIn = func(context.Context, string, bool) (capture.X, error) { return x, nil }
	return c
}

// TestLimitInDoubt: 32 pages, however the last looks, may have met X's limit of 3,200.
func TestLimitInDoubt(t *testing.T) {
	full := func(pages int) (answers []string) {
		for i := range pages {
			answers = append(answers, scriptedPage(4000-100*i, 100, fmt.Sprintf(`,"next_token":"t%d"`, i), plainPost))
		}
		return answers
	}
	for what, answers := range map[string][]string{
		"an empty page after 32": append(full(32), `{"meta":{"result_count":0}}`),
		"a thin 32nd page":       append(full(31), scriptedPage(900, 97, "", plainPost)),
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			if err := w.with(&scripted{answers: answers}).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			a, err := w.state.Account(t.Context(), account)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Unreachable) != 1 || !a.Unreachable[0].From.IsZero() || a.Covered.Contains(state.Range{To: w.x.now.AddDate(-1, 0, 0)}) {
				t.Errorf("unreachable %v, covered %v", a.Unreachable, a.Covered)
			}
		})
	}
}

// TestOddAnswer: an answer that cannot be read, or lacks what it counts, is asked for
// again, and nothing counts as covered meanwhile.
func TestOddAnswer(t *testing.T) {
	for _, odd := range []string{`{"data":[null],"meta":{"result_count":1}}`, `{"meta":{"result_count":17}}`, `{"data":[{"text":"no id"}],"meta":{"result_count":1}}`} {
		w := newWorld(t)
		x := &scripted{answers: []string{odd, scriptedPage(5, 2, "", plainPost)}}
		if err := w.with(x).Run(t.Context()); !errors.Is(err, twitter.ErrUnavailable) {
			t.Errorf("%s: %v", odd, err)
		}
		if a, _ := w.state.Account(t.Context(), account); len(a.Covered) != 0 || a.LastError == "" {
			t.Errorf("%s: covered %v, error %q", odd, a.Covered, a.LastError)
		}
		if err := w.with(x).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(w.archived(t)); got != 2 || x.asked != 2 {
			t.Errorf("%s: %d posts archived, X asked %d times", odd, got, x.asked)
		}
	}
}

// TestManyVersions: more missing versions than one look-up takes, on two pages.
func TestManyVersions(t *testing.T) {
	w := newWorld(t)
	versions := func(id string) string {
		return fmt.Sprintf(`,"edit_history_tweet_ids":["1%s","2%s",%q]`, id[:15], id[:15], id)
	}
	x := &scripted{answers: []string{scriptedPage(400, 75, `,"next_token":"t"`, versions), scriptedPage(300, 75, "", versions)}}
	if err := w.with(x).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range 75 {
		for _, from := range []int{400, 300} {
			id := postID(from - i)
			want[id], want["1"+id[:15]], want["2"+id[:15]] = true, true, true
		}
	}
	got := w.archived(t)
	for id := range want {
		if !got[id] {
			t.Errorf("version %s is not archived", id)
		}
	}
	seen := map[string]bool{}
	for _, id := range x.lookups {
		if seen[id] {
			t.Errorf("%s was looked up twice", id)
		}
		seen[id] = true
	}
}

// TestStalledMedia: a file that never comes to its end takes the time of some ticks,
// then the post is archived without it, and everything after it, too.
func TestStalledMedia(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(stop)
	page := strings.Replace(scriptedPage(10, 3, "", func(id string) string {
		if id == postID(9) {
			return `,"attachments":{"media_keys":["3_1"]}`
		}
		return ""
	}), `"meta"`, fmt.Sprintf(`"includes":{"media":[{"media_key":"3_1","type":"photo","url":"%s/x.jpg"}]},"meta"`, server.URL), 1)
	w := newWorld(t)
	x := &scripted{answers: []string{page}}
	for tick := 1; len(w.archived(t)) < 3; tick++ {
		if tick > 7 {
			t.Fatal("the post is still waited for")
		}
		c := w.with(x)
		c.Media = twitter.Media{HTTP: server.Client()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_ = c.Run(ctx) // it runs out of time
		cancel()
	}
	if a, _ := w.state.Account(t.Context(), account); a.Run != nil && a.Run.Stored == 0 && len(a.Held) == 0 {
		t.Errorf("account %+v", a)
	}
	if x.asked != 1 {
		t.Errorf("X was asked %d times", x.asked)
	}
}
