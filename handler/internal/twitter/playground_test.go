package twitter

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/playground"
)

// namesOfX holds the names that the playground knows.
const namesOfX = "../../../tests/sandbox/x/spec/2.166.json"

// TestPlayground: X's own server takes every request, what is read of it is what it
// has, and both count the same reads. Posts are made as X's API makes them.
func TestPlayground(t *testing.T) {
	p := playground.Start(t, namesOfX)
	app, token := App{playground.ConsumerKey, "secret"}, Token{"token", "secret"}
	made, search := map[string]string{}, Search{Handle: "searched", From: time.Now().Add(-time.Hour).Truncate(time.Second), To: time.Now().Add(2 * time.Hour).Truncate(time.Second)}
	quoted := ""
	for n := range 13 {
		text, quotes := fmt.Sprintf("post %d of the test", n), ""
		if n%4 == 3 {
			quotes = quoted
		}
		if n > 2 {
			text += ", from:" + search.Handle // by which it finds them
		}
		quoted = p.Make(t, text, quotes)
		made[quoted] = text
	}
	want := p.Posts(t)
	server := httptest.NewServer(p.Handler(t, http.NotFoundHandler()))
	defer server.Close()

	c := NewClient(server.Client(), server.URL, app, token)
	u, err := c.User(t.Context(), playground.AccountID)
	if err != nil || u.ID != playground.AccountID || u.Username == "" {
		t.Errorf("user %+v, %v", u, err)
	}
	read := map[string]bool{}
	check := func(d post.Document) {
		read[d.ID] = true
		tweet, known := want[d.ID]
		if !known || d.Err != nil || d.Post.Text.Wire != tweet.Text || d.Post.Author.Username != u.Username || !d.Post.CreatedAt.Equal(tweet.Created.Truncate(time.Millisecond)) ||
			d.Post.Language != tweet.Lang || d.Post.Likes != tweet.Metrics.Likes || len(d.Post.References) != len(tweet.Refs) {
			t.Errorf("post %s is %+v, %v, want %+v", d.ID, d.Post, d.Err, tweet)
			return
		}
		for i, ref := range d.Post.References {
			if string(ref.Type) != tweet.Refs[i].Type || ref.ID != tweet.Refs[i].ID || ref.Post == nil || ref.Post.Text.Wire != want[ref.ID].Text {
				t.Errorf("post %s refers to %+v, want %+v", d.ID, ref, tweet.Refs[i])
			}
		}
	}
	pages := 0
	for next := ""; ; {
		a, err := c.Timeline(t.Context(), playground.AccountID, Query{PageFrom: next, Size: 5})
		if err != nil {
			t.Fatal(err)
		}
		if pages++; pages > len(want) {
			t.Fatal("the timeline does not end")
		}
		for _, d := range a.Page.Posts {
			check(d)
		}
		if next = a.Page.Meta.NextToken; next == "" {
			break
		}
	}
	for id, text := range made {
		if !read[id] || want[id].Text != text {
			t.Errorf("post %s (%q) was made, and is not in the timeline", id, text)
		}
	}
	if len(read) != len(want) || pages < 3 {
		t.Errorf("read %d posts in %d pages, want %d", len(read), pages, len(want))
	}
	// Look-ups, of which it counts the cost; of timelines it does not. It leaves out what
	// it does not have, without a word.
	before, reads := p.PostReads(t), 0
	for range 2 {
		a, err := c.Lookup(t.Context(), append(slices.Collect(maps.Keys(made)), "99999"))
		if err != nil || a.Page.Count != len(made) {
			t.Fatalf("looked up %d posts, %v, want %d", a.Page.Count, err, len(made))
		}
		for _, d := range a.Page.Posts {
			check(d)
		}
		reads = a.Reads
	}
	if got := p.PostReads(t) - before; got != reads || reads != len(made) {
		t.Errorf("it counts %d reads of posts, the product %d, want %d: each once a day", got, reads, len(made))
	}

	// A search of everything, and a count, in the app's own name.
	inAppsName := new(Words).App(server.Client(), server.URL, app)
	a, err := inAppsName.Search(t.Context(), search)
	if err != nil || a.Page.Count != len(made)-3 {
		t.Fatalf("searching found %d posts, %v, want %d", a.Page.Count, err, len(made)-3)
	}
	for _, d := range a.Page.Posts {
		check(d)
	}
	if got := p.PostReads(t) - before; got != len(made) {
		t.Errorf("it counts %d reads of posts after the search, want %d as before it", got, len(made))
	}
	if n, err := inAppsName.Count(t.Context(), search); err != nil || n != a.Page.Count {
		t.Errorf("it counts %d posts, %v, and gives %d", n, err, a.Page.Count)
	}
}
