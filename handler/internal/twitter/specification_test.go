package twitter

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/x"
)

// TestCompare: X's documents have every name that is asked for; a name that is taken
// out of one is found missing.
func TestCompare(t *testing.T) {
	for version, words := range map[string]struct {
		spoken x.Vocabulary
		want   post.Vocabulary
	}{"2.166": {x.TweetWords, post.TweetWords}, "2.167": {x.PostWords, post.PostWords}} {
		w := newWorld(t)
		w.x.Understand(words.spoken)
		got, err := Compare(t.Context(), w.x.Client(), "https://api.x.com")
		if err != nil || got.Version != version || !slices.Equal(got.Vocabularies, []post.Vocabulary{words.want}) || len(got.Unknown) > 0 {
			t.Errorf("%+v, %v, want every name of %s known", got, err, version)
		}
		raw, err := os.ReadFile("../../../tests/sandbox/x/spec/" + version + ".json")
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.NewReplacer(`"note_tweet"`, `"note"`, `"note_post"`, `"note"`, `"/2/users/me"`, `"/2/me"`, `"since_id"`, `"since"`, `"granularity"`, `"grain"`, `"cap_reset_day"`, `"reset"`, `"next_token"`, `"token"`).Replace(string(raw))
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(changed)) }))
		got, err = Compare(t.Context(), srv.Client(), srv.URL)
		want := []string{"/2/users/me", string(words.want) + ".fields note_" + string(words.want), "since_id", "granularity", "usage.fields cap_reset_day", "next_token"}
		slices.Sort(want)
		if err != nil || !slices.Equal(got.Unknown, want) {
			t.Errorf("unknown are %q, %v, want %q", got.Unknown, err, want)
		}
		srv.Close()
	}
}

// TestCompareRefs: in X's own document, lists that several calls take stand once, and
// are referred to. One that has neither vocabulary is no specification to go by.
func TestCompareRefs(t *testing.T) {
	const doc = `{"info":{"version":"3"},"paths":{"/2/tweets":{"get":{"parameters":[{"name":"ids"},{"$ref":"#/components/parameters/F"}]}}},
		"components":{"parameters":{"F":{"name":"NAME.fields","schema":{"items":{"enum":["id","text"]}}}}}}`
	for name, want := range map[string]string{"post": "post.fields created_at", "status": "post.fields"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Replace(doc, "NAME", name, 1)))
		}))
		got, err := Compare(t.Context(), srv.Client(), srv.URL)
		if err != nil || !slices.Contains(got.Unknown, want) || slices.Contains(got.Unknown, "post.fields text") {
			t.Errorf("%s: unknown are %q, %v, want %s among them", name, got.Unknown, err, want)
		}
		srv.Close()
	}
}

// TestCompareUnavailable: a document that cannot be had says nothing.
func TestCompareUnavailable(t *testing.T) {
	for _, f := range []x.Fault{{Status: 503}, {Status: 404}, {Drop: true}, {Status: 200, Body: "<html>"}, {Status: 200, Body: "{}"}} {
		w := newWorld(t)
		w.x.Fail(func(*http.Request) x.Fault { return f })
		if got, err := Compare(t.Context(), w.x.Client(), "https://api.x.com"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v: %+v, %v, want unavailable", f, got, err)
		}
	}
}
