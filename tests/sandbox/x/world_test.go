package x

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dghubble/oauth1"

	"xarchive/tests/sandbox/corpus"
)

const (
	key      = "consumer-key"
	secret   = "consumer secret & more"
	callback = "https://app.example/Views/TwitterOAuth"
	press    = corpus.PressAccount
)

// clock is a time that tests set. OAuth's timestamps are the machine's, so tests
// that sign start from now.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is the stand-in behind a real HTTP server.
type world struct {
	*Server
	t      *testing.T
	corpus *corpus.Corpus
	clock  *clock
	url    string
}

func newWorld(t *testing.T, c *corpus.Corpus, change ...func(*Options)) *world {
	t.Helper()
	if c == nil {
		var err error
		if c, err = corpus.Builtin(); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, corpus: c, clock: &clock{at: time.Now()}}
	opt := Options{Corpus: c, ConsumerKey: key, ConsumerSecret: secret, CallbackURLs: []string{callback}, Now: w.clock.now}
	for _, f := range change {
		f(&opt)
	}
	w.Server = New(opt)
	srv := httptest.NewServer(w.Server)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// loadCorpus makes a corpus from the text of a posts.json.
func loadCorpus(t *testing.T, posts string) *corpus.Corpus {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "posts.json"), []byte(posts), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// as is an HTTP client that signs as an account.
func (w *world) as(account string) *http.Client {
	token, tokenSecret := w.Token(account)
	return oauth1.NewConfig(key, secret).Client(context.Background(), oauth1.NewToken(token, tokenSecret))
}

// page is an answer as a client reads it.
type page struct {
	Data     json.RawMessage
	Includes map[string][]json.RawMessage
	Errors   []struct{ Title, Detail, Parameter, Value, Message, Type string }
	Meta     *struct {
		ResultCount   int    `json:"result_count"`
		NewestID      string `json:"newest_id"`
		OldestID      string `json:"oldest_id"`
		NextToken     string `json:"next_token"`
		PreviousToken string `json:"previous_token"`
	}
	Title, Detail, Type string
	status              int
	header              http.Header
	raw                 string
}

func (w *world) get(account, path string) page {
	w.t.Helper()
	resp, err := w.as(account).Get(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	return read(w.t, resp)
}

func read(t *testing.T, resp *http.Response) page {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	p := page{status: resp.StatusCode, header: resp.Header, raw: string(body)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return p
}

// posts are data's objects.
func (p page) posts(t *testing.T) (out []json.RawMessage) {
	t.Helper()
	if p.Data != nil {
		if err := json.Unmarshal(p.Data, &out); err != nil {
			t.Fatalf("%v: %s", err, p.Data)
		}
	}
	return out
}

func (p page) ids(t *testing.T) (out []string) {
	t.Helper()
	for _, raw := range p.posts(t) {
		out = append(out, str(raw, "id"))
	}
	return out
}

func str(raw json.RawMessage, name string) (s string) {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(raw, &m)
	_ = json.Unmarshal(m[name], &s)
	return s
}

func members(t *testing.T, raw json.RawMessage) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return m
}

func postIDs(posts []corpus.Post) []string {
	out := []string{}
	for _, p := range posts {
		out = append(out, p.ID)
	}
	return out
}
