// Package playground starts X's own API Playground (github.com/xdevplatform/playground,
// v1.2.1 of January 2026): a second counterpart besides the stand-in for X, and one that
// X wrote. It is a local server of the API v2 that validates each request against X's
// specification, pages timelines and counts cost. It is started where XPLAYGROUND names
// its binary:
//
//	go install github.com/xdevplatform/playground/cmd/playground@v1.2.1
//	XPLAYGROUND=$(go env GOPATH)/bin/playground go test ./handler/internal/twitter ./tests/e2e -run Playground
//
// It knows the specification as the names of version 2.166 that are kept for the
// stand-in; with XSPECIFICATION, as the whole document of that version
// (https://api.x.com/2/openapi.json), types and bounds of parameters included.
//
// It is simpler than X. It takes any signature as good, and all requests as those of its
// own user, whom it does not sign in. It knows the older words only, sends no long
// texts, leaves out posts that it does not have without a word, and numbers posts from 0.
// Its search looks for the words of a query in the text of posts, "from:" included; its
// counts do the same, by the hour. Its posts live in memory, and what its state import
// brings is in no timeline.
package playground

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// ownUser is the playground's own user. X gives no account the id 0.
	ownUser = "0"

	// AccountID is the id under which [Server.Handler] shows its own user.
	AccountID = "9007199254740993"

	// ConsumerKey is the key of the app whose reads it counts as its own.
	ConsumerKey = "your_consumer_key_here"
)

// Server is a running playground.
type Server struct {
	URL string
	log *output
}

// output is what the playground prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Start starts one that ends with the test, and skips the test where there is none. It
// connects to nothing: its specification is in its home, as its cache, and whatever it
// would fetch besides is refused at once. spec is the file of the names.
func Start(t *testing.T, spec string) *Server {
	t.Helper()
	binary := os.Getenv("XPLAYGROUND")
	if binary == "" {
		t.Skip("XPLAYGROUND names no binary of X's API Playground")
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".playground-openapi-cache.json"), specification(t, spec), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	cmd := exec.CommandContext(t.Context(), binary, "start", "--host", "127.0.0.1", "--port", strconv.Itoa(port))
	cmd.Env = []string{"HOME=" + home, "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1"}
	s := &Server{URL: fmt.Sprintf("http://127.0.0.1:%d", port), log: &output{}}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // it is killed at the test's end
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(s.URL + "/health")
		if err == nil {
			resp.Body.Close()
			s.removeFirst(t)
			return s
		}
		select {
		case <-ended:
			t.Fatalf("the playground ended: %s", s.log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the playground does not answer: %v\n%s", err, s.log)
		}
	}
}

// specification returns X's whole document where there is one, else that of the names.
func specification(t *testing.T, names string) []byte {
	t.Helper()
	whole := os.Getenv("XSPECIFICATION")
	raw, err := os.ReadFile(cmp.Or(whole, names))
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	if whole == "" {
		spec["openapi"], spec["components"] = "3.0.0", map[string]any{}
	}
	if raw, err = json.Marshal(inlined(spec)); err != nil {
		t.Fatal(err)
	}
	return raw
}

// inlined puts a document's parameters where it only refers to them: the playground does
// not follow references of parameters, and takes a timeline's for those of a user.
func inlined(spec map[string]any) map[string]any {
	components, _ := spec["components"].(map[string]any)
	shared, _ := components["parameters"].(map[string]any)
	paths, _ := spec["paths"].(map[string]any)
	for _, path := range paths {
		operations, _ := path.(map[string]any)
		for _, operation := range operations {
			o, _ := operation.(map[string]any)
			list, _ := o["parameters"].([]any)
			for i, parameter := range list {
				p, _ := parameter.(map[string]any)
				ref, _ := p["$ref"].(string)
				if meant := shared[strings.TrimPrefix(ref, "#/components/parameters/")]; meant != nil {
					list[i] = meant
				}
			}
		}
	}
	return spec
}

// Call makes a call to it, in its own user's name.
func (s *Server) Call(t *testing.T, method, path string, body, into any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", fmt.Sprintf("OAuth oauth_consumer_key=%q, oauth_token=\"token\"", ConsumerKey))
	resp, err := http.DefaultClient.Do(req)
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

// Reference is a post that another one refers to.
type Reference struct{ Type, ID string }

// Post is a post as the playground has it.
type Post struct {
	ID, Text, Lang string
	Author         string      `json:"author_id"`
	Created        time.Time   `json:"created_at"`
	Refs           []Reference `json:"referenced_tweets"`
	Metrics        struct {
		Likes int `json:"like_count"`
	} `json:"public_metrics"`
}

// Make makes a post as X's API makes one, by the playground's user, and returns its id.
// quoted is the id of a post that it quotes, or "".
func (s *Server) Make(t *testing.T, text, quoted string) string {
	t.Helper()
	body := map[string]any{"text": text}
	if quoted != "" {
		body["quote_tweet_id"] = quoted
	}
	var answer struct{ Data struct{ ID string } }
	s.Call(t, http.MethodPost, "/2/tweets", body, &answer)
	return answer.Data.ID
}

// removeFirst deletes the post that has the id 0, which X gives to none, and its user's
// posts that refer to it or to one that was deleted.
func (s *Server) removeFirst(t *testing.T) {
	t.Helper()
	gone := map[string]bool{}
	for again := true; again; {
		again = false
		for id, p := range s.Posts(t) {
			if id == "0" || slices.ContainsFunc(p.Refs, func(r Reference) bool { return r.ID == "0" || gone[r.ID] }) {
				s.Call(t, http.MethodDelete, "/2/tweets/"+id, nil, nil)
				gone[id], again = true, true
			}
		}
	}
}

// Posts returns all posts of its own user, by id.
func (s *Server) Posts(t *testing.T) map[string]Post {
	t.Helper()
	var state struct{ Tweets map[string]Post }
	s.Call(t, http.MethodGet, "/state/export", nil, &state)
	maps.DeleteFunc(state.Tweets, func(_ string, p Post) bool { return p.Author != ownUser })
	return state.Tweets
}

// PostReads returns how many posts the playground has counted as read with
// [ConsumerKey]. It counts look-ups and searches so, and no timelines.
func (s *Server) PostReads(t *testing.T) int {
	t.Helper()
	var usage struct {
		Usage map[string]struct {
			Groups map[string]struct{ Usage string }
		}
	}
	s.Call(t, http.MethodGet, "/api/accounts/"+ownUser+"/usage", nil, &usage)
	n, _ := strconv.Atoi(usage.Usage[ownUser].Groups["Post"].Usage) // without one, nothing was read
	return n
}

// Handler passes requests of the API v2 on to the playground, with its own user under
// [AccountID]. It gives apps a token whose reads the playground counts, too, and leaves
// everything else (the sign-in of accounts) to rest.
func (s *Server) Handler(t *testing.T, rest http.Handler) http.Handler {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	api := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.Path = strings.Replace(r.Out.URL.Path, "/2/users/"+AccountID, "/2/users/"+ownUser, 1)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			r.Body.Close()
			body = ownUserID.ReplaceAll(body, []byte(`"$1":"`+AccountID+`"`))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/", rest)
	mux.Handle("/2/", api)
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token_type":"bearer","access_token":"test"}`)
	})
	return mux
}

// ownUserID is where answers name the own user; no post has the id 0.
var ownUserID = regexp.MustCompile(`"(id|author_id|in_reply_to_user_id)": *"0"`)
