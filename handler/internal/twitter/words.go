package twitter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"xarchive/handler/internal/post"
)

// Words remembers which vocabulary X honours, app by app, for all clients that share
// it. It is kept in memory only: a new process finds out again, with one more request.
// The zero value is ready for use, by many goroutines.
type Words struct {
	mu    sync.Mutex
	byApp map[string]post.Vocabulary // by the app's key
}

// of returns the vocabulary to ask in first: the one that X last honoured. Where none
// is known it is the older one, which brings more in one request.
func (w *Words) of(app App) post.Vocabulary {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.byApp[app.Key]; v != "" {
		return v
	}
	return post.TweetWords
}

func (w *Words) remember(app App, v post.Vocabulary) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byApp == nil {
		w.byApp = map[string]post.Vocabulary{}
	}
	w.byApp[app.Key] = v
}

// notUnderstood is an answer from which it shows that X did not understand the words
// of the request. It is never returned to callers of the package.
type notUnderstood struct {
	vocabulary post.Vocabulary
	signs      string
}

func (e *notUnderstood) Error() string {
	return fmt.Sprintf("asked in the words of %q: %s", e.vocabulary, e.signs)
}

// ask makes a request in the vocabulary that X honours, and judges the answer by what
// X always sends to who asks for it (canaries): each post's author and edit history,
// and the whole of a long text. purpose is what is read for, unless the context says it.
// X drops names that it does not know in silence, so
// that nothing else tells. An answer that lacks them is asked for again in the other
// vocabulary; if that one lacks them as well, the error is [ErrChanged].
func (c *Client) ask(ctx context.Context, what string, purpose Purpose, send func(context.Context, asking) error, read func(record, error) (post.Page, error)) (record, post.Page, error) {
	v := c.words.of(c.app)
	rec, page, err := c.askIn(ctx, what, purpose, v, send, read)
	var first, second *notUnderstood
	if !errors.As(err, &first) {
		return rec, page, err
	}
	other := post.TweetWords
	if v == other {
		other = post.PostWords
	}
	rec, page, err = c.askIn(ctx, what, purpose, other, send, read)
	if err == nil && page.Count == 0 {
		err = &notUnderstood{other, "it has none of the posts"}
	}
	switch {
	case errors.As(err, &second):
		return record{}, post.Page{}, fmt.Errorf("%s: %w: %w; %w", what, ErrChanged, first, second)
	case err != nil:
		return rec, post.Page{}, err
	}
	c.words.remember(c.app, other)
	return rec, page, nil
}

// askIn makes a request in one vocabulary.
func (c *Client) askIn(ctx context.Context, what string, purpose Purpose, v post.Vocabulary, send func(context.Context, asking) error, read func(record, error) (post.Page, error)) (record, post.Page, error) {
	wanted := asks(v)
	if c.appOnly {
		wanted = wanted.forApps()
	}
	rec, err := call(context.WithValue(ctx, vocabularyKey{}, v), what, func(ctx context.Context) error { return send(ctx, wanted) })
	if errors.Is(err, ErrInvalid) && refusesNames(rec.body) {
		return rec, post.Page{}, &notUnderstood{v, err.Error()}
	}
	page, err := read(rec, err)
	if countErr := c.countedPosts(ctx, rec, page, purpose); countErr != nil {
		return record{}, post.Page{}, fmt.Errorf("%s: counting what X sent: %w", what, countErr)
	}
	if err != nil {
		return rec, post.Page{}, err
	}
	signs := page.Doubts
	if page.Vocabulary != "" && page.Vocabulary != v {
		signs = append(signs, fmt.Sprintf("it is in the words of %q", page.Vocabulary))
	}
	if len(signs) > 0 {
		return rec, post.Page{}, &notUnderstood{v, strings.Join(signs[:min(len(signs), 3)], ", ")}
	}
	return rec, page, nil
}

// refusesNames reports whether X says that it does not take the fields or expansions
// of a request. It is not known to say so.
func refusesNames(body []byte) bool {
	var said struct {
		Errors []struct {
			Parameters map[string]json.RawMessage `json:"parameters"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(body, &said) // an answer in another form says nothing
	for _, e := range said.Errors {
		for name := range e.Parameters {
			if name == "expansions" || strings.HasSuffix(name, ".fields") {
				return true
			}
		}
	}
	return false
}

type vocabularyKey struct{}

// wording puts a request that go-twitter made, which knows the older words only, into
// the vocabulary that its context names. Names in the lists are right already. It
// stands before the signing.
type wording struct{ base http.RoundTripper }

func (t wording) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	if v, _ := req.Context().Value(vocabularyKey{}).(post.Vocabulary); v == post.PostWords && query.Has("tweet.fields") {
		query["post.fields"] = query["tweet.fields"]
		query.Del("tweet.fields")
		req = req.Clone(req.Context())
		req.URL.RawQuery = query.Encode()
	}
	return t.base.RoundTrip(req)
}
