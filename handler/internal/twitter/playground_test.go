package twitter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"xarchive/handler/internal/post"
)

// X's own API Playground (github.com/xdevplatform/playground, v1.2.1 of January 2026) is
// a second counterpart besides the stand-in, and one that X wrote: a local server that
// validates each request against X's specification, pages timelines and counts cost.
// XPLAYGROUND names its binary:
//
//	go install github.com/xdevplatform/playground/cmd/playground@v1.2.1
//	XPLAYGROUND=$(go env GOPATH)/bin/playground go test ./handler/internal/twitter -run Playground
//
// It is simpler than X: it takes any signature as good, knows the older words only,
// sends no long texts, and its posts live in memory. Nothing is searched or counted
// there: the connector does neither.

// playground is a running one, whose state is what a test put there.
type playground struct{ url string }

// startPlayground starts one that connects to nothing: specification and prices are in
// its home as its cache.
func startPlayground(t *testing.T) playground {
	t.Helper()
	binary := os.Getenv("XPLAYGROUND")
	if binary == "" {
		t.Skip("XPLAYGROUND names no binary of X's API Playground")
	}
	home := t.TempDir()
	raw, err := os.ReadFile("../../../tests/sandbox/x/spec/2.166.json")
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	spec["openapi"], spec["components"] = "3.0.0", map[string]any{}
	if raw, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".playground-openapi-cache.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	cmd := exec.CommandContext(t.Context(), binary, "start", "--host", "127.0.0.1", "--port", strconv.Itoa(port))
	// Whatever it would fetch is refused at once.
	cmd.Env = []string{"HOME=" + home, "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1"}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // it is killed at the test's end
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	p := playground{fmt.Sprintf("http://127.0.0.1:%d", port)}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(p.url + "/health")
		if err == nil {
			resp.Body.Close()
			return p
		}
		select {
		case <-ended:
			t.Fatalf("the playground ended: %s", log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the playground does not answer: %v\n%s", err, log.String())
		}
	}
}

// call makes a call of the playground's own.
func (p playground) call(t *testing.T, hc *http.Client, method, path string, body, into any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, resp.StatusCode, err, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}

// put is a post as the playground has it.
type put struct {
	ID, Text, Lang string
	Author         string    `json:"author_id"`
	Created        time.Time `json:"created_at"`
	Refs           []struct {
		Type post.RefType
		ID   string
	} `json:"referenced_tweets"`
	Metrics struct {
		Likes int `json:"like_count"`
	} `json:"public_metrics"`
}

// TestPlayground: X's own server takes every request, what is read of it is what it
// has, and both count the same reads. Its state import does not put posts into
// timelines, so posts are made as X's API makes them, by its own user.
func TestPlayground(t *testing.T) {
	p := startPlayground(t)
	app, token := App{"your_consumer_key_here", "secret"}, Token{"token", "secret"} // they count for account 0
	signed := signing(http.DefaultClient, app, token)
	made := map[string]string{}
	quoted := ""
	for n := range 13 {
		body := map[string]any{"text": fmt.Sprintf("post %d of the test", n)}
		if n%4 == 3 {
			body["quote_tweet_id"] = quoted
		}
		var answer struct{ Data struct{ ID string } }
		p.call(t, signed, http.MethodPost, "/2/tweets", body, &answer)
		made[answer.Data.ID], quoted = body["text"].(string), answer.Data.ID
	}
	var state struct{ Tweets map[string]put }
	p.call(t, http.DefaultClient, http.MethodGet, "/state/export", nil, &state)
	want := map[string]put{}
	for id, tweet := range state.Tweets {
		if tweet.Author == "0" && id != "0" { // X gives no post the id 0
			want[id] = tweet
		}
	}

	c := NewClient(http.DefaultClient, p.url, app, token)
	u, err := c.User(t.Context(), "0")
	if err != nil || u.Username == "" {
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
			if ref.Type != tweet.Refs[i].Type || ref.ID != tweet.Refs[i].ID || ref.Post == nil || ref.Post.Text.Wire != state.Tweets[ref.ID].Text {
				t.Errorf("post %s refers to %+v, want %+v", d.ID, ref, tweet.Refs[i])
			}
		}
	}
	pages := 0
	for next := ""; ; {
		a, err := c.Timeline(t.Context(), "0", Query{PageFrom: next, Size: 5})
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
	before, reads := p.postReads(t), 0
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
	if got := p.postReads(t) - before; got != reads || reads != len(made) {
		t.Errorf("it counts %d reads of posts, the product %d, want %d: each once a day", got, reads, len(made))
	}
}

// postReads is how many posts the playground has counted as read by account 0.
func (p playground) postReads(t *testing.T) int {
	t.Helper()
	var usage struct {
		Usage map[string]struct {
			Groups map[string]struct{ Usage string }
		}
	}
	p.call(t, http.DefaultClient, http.MethodGet, "/api/accounts/0/usage", nil, &usage)
	n, _ := strconv.Atoi(usage.Usage["0"].Groups["Post"].Usage) // without one, nothing was read
	return n
}
