package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-message/mail"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/playground"
)

// TestPlayground: what the connector archives of X's own server is what was put in. The
// stand-in for X signs the account in, which the playground does not do.
func TestPlayground(t *testing.T) {
	p := playground.Start(t, "../sandbox/x/spec/2.166.json")
	texts := map[string]string{}
	quoted := ""
	for n := range 230 { // three pages, with those that it has already
		text, quotes := fmt.Sprintf("Post %d & its <text> 🦜 https://contoso.example/%d", n, n), ""
		if n%10 == 9 {
			quotes = quoted
		}
		quoted = p.Make(t, text, quotes)
		texts[quoted] = text
	}

	var rest atomic.Pointer[httputil.ReverseProxy]
	server := httptest.NewServer(p.Handler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { rest.Load().ServeHTTP(w, r) })))
	t.Cleanup(server.Close)
	w := &world{t: t, log: &lockedBuffer{}}
	s, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), App: app, Stderr: w.log, Corpus: accountsNamed(t, []string{playground.AccountID}), Env: map[string]string{"X_API_URL": server.URL}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log)
	}
	w.Sandbox = s
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the handler's log ends with\n%s", w.log.tail(60))
		}
	})
	target, err := url.Parse(s.XURL)
	if err != nil {
		t.Fatal(err)
	}
	rest.Store(httputil.NewSingleHostReverseProxy(target))

	w.connect("job", playground.AccountID)
	w.tick()
	posts := p.Posts(t)
	messages := w.messages(playground.AccountID)
	if len(messages) != len(posts) || len(posts) < len(texts) {
		t.Errorf("%d messages of %d posts, %d of them of this test", len(messages), len(posts), len(texts))
	}
	archive := w.container("archive")
	for name := range messages {
		id := strings.TrimSuffix(path.Base(name), ".eml")
		post, made := posts[id]
		if text := texts[id]; !made || text != "" && html.EscapeString(text) != post.Text {
			t.Errorf("%s is of the post %+v, made as %q", name, post, text)
			continue
		}
		checkPlaygroundPost(t, post, w.read(archive, name))
	}
	reads, err := s.Reads(t.Context())
	if err != nil || reads["posts"] != len(posts) || reads["users"] != 1 || len(reads) != 2 {
		t.Errorf("read %v, %v, want %d posts and their user", reads, err, len(posts))
	}
}

// checkPlaygroundPost checks a message of a post.
func checkPlaygroundPost(t *testing.T, p playground.Post, eml []byte) {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(eml))
	if err != nil {
		t.Errorf("post %s: %v", p.ID, err)
		return
	}
	if date, err := r.Header.Date(); err != nil || !date.Equal(p.Created.Truncate(time.Second)) {
		t.Errorf("post %s is of %v, %v, want %v", p.ID, date, err, p.Created)
	}
	text, whole := false, false
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("post %s: %v", p.ID, err)
			return
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			t.Errorf("post %s: %v", p.ID, err)
		}
		h := partHeader(part)
		kind, _, _ := h.ContentType()
		name, _ := (&mail.AttachmentHeader{Header: h}).Filename()
		switch {
		case name == "post.json":
			var kept struct {
				Data struct {
					ID, Text string
					Refs     []playground.Reference `json:"referenced_tweets"`
				}
			}
			whole = true
			if err := json.Unmarshal(body, &kept); err != nil || kept.Data.ID != p.ID || kept.Data.Text != p.Text || !slices.Equal(kept.Data.Refs, p.Refs) {
				t.Errorf("post %s is kept as %.500s, %v, want %+v", p.ID, body, err, p)
			}
		case kind == "text/plain" && name == "":
			text = text || strings.Contains(normal(string(body)), normal(html.UnescapeString(p.Text)))
		}
	}
	if !text || !whole {
		t.Errorf("post %s: its text is there: %v, its post.json: %v", p.ID, text, whole)
	}
}
