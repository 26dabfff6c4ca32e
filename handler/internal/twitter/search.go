package twitter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/handler/internal/post"
)

// AppClient asks X in the app's own name, which X wants for searches of all of its
// archive. It signs in by client credentials, with the app's keys and nobody's account.
// https://docs.x.com/fundamentals/authentication/oauth-2-0/application-only
type AppClient struct {
	client *Client
	bearer *bearer
}

// App returns a client that asks X at baseURL in an app's name, through hc.
func (w *Words) App(hc *http.Client, baseURL string, app App) *AppClient {
	b := &bearer{http: hc, base: baseURL, app: app}
	signed := &http.Client{Transport: wording{b}, Timeout: hc.Timeout}
	return &AppClient{bearer: b, client: &Client{app: app, words: w, appOnly: true, api: &gotwitter.Client{
		Authorizer: noAuthorizer{},
		Client:     recording(signed, "{}"),
		Host:       baseURL,
	}}}
}

// Counting returns a client like c that reports what it reads, as [Client.Counting] does.
func (c *AppClient) Counting(count Counter) *AppClient {
	return &AppClient{client: c.client.Counting(count), bearer: c.bearer}
}

// bearer adds the app's token to requests. It gets one when it has none, and drops the
// one that X refuses, so that a second try has another.
type bearer struct {
	http *http.Client
	base string
	app  App

	mu    sync.Mutex
	token string
	asked time.Time // when the last request was let through
}

// searchPace is how long after a request the next one may follow: X takes one search a
// second, and a request may have to be made again in the other vocabulary.
const searchPace = 1100 * time.Millisecond

func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := b.get(req.Context())
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	pause := searchPace - time.Since(b.asked)
	b.asked = time.Now().Add(max(0, pause))
	b.mu.Unlock()
	if pause > 0 {
		if err := wait(req.Context(), pause); err != nil {
			return nil, err
		}
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token)
	transport := b.http.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		b.mu.Lock()
		b.token = ""
		b.mu.Unlock()
	}
	return resp, err
}

// refusedToken is X's refusal of the app's keys. It is never returned to callers of the
// package.
type refusedToken struct{ err error }

func (e *refusedToken) Error() string { return e.err.Error() }
func (e *refusedToken) Unwrap() error { return e.err }

// get returns the token, from X if there is none.
func (b *bearer) get(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != "" {
		return b.token, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.base+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", err
	}
	// RFC 6749, section 2.3.1: both are form-encoded before they are joined.
	req.SetBasicAuth(url.QueryEscape(b.app.Key), url.QueryEscape(b.app.Secret))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
	resp, err := b.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	rec := record{status: resp.StatusCode, header: resp.Header, body: body}
	if rec.status != http.StatusOK {
		err := statusError(rec, time.Now())
		if errors.Is(err, ErrForbidden) { // X answers wrong keys with 403, code 99
			err = fmt.Errorf("%w: %s", ErrUnauthorized, explain(body))
		}
		return "", &refusedToken{err}
	}
	var answer struct {
		Type  string `json:"token_type"`
		Token string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil || !strings.EqualFold(answer.Type, "bearer") || answer.Token == "" {
		return "", &refusedToken{fmt.Errorf("%w: it gives no bearer token", ErrIncomplete)}
	}
	b.token = answer.Token
	return b.token, nil
}

// unwrapped returns why X gave the app no token, where that is what failed.
func unwrapped(err error) error {
	var refused *refusedToken
	if errors.As(err, &refused) {
		return fmt.Errorf("signing in to X in the app's name: %w", refused.err)
	}
	return err
}

// notForApps are the fields of users that X refuses to who asks without an account.
var notForApps = []gotwitter.UserField{"parody"}

// forApps returns what may be asked for without an account.
func (a asking) forApps() asking {
	a.userFields = slices.DeleteFunc(slices.Clone(a.userFields), func(f gotwitter.UserField) bool { return slices.Contains(notForApps, f) })
	return a
}

// Search says which of an account's posts are searched for.
type Search struct {
	Handle   string    // of the account, without @
	From     time.Time // inclusive, whole seconds; must be given: without it X searches 30 days only
	To       time.Time // exclusive, whole seconds, at least 10 seconds ago
	PageFrom string    // X's token of the page; "" for the first
	Size     int       // posts in a page at most, 10 to 100; 0 for PageSize
}

func (s Search) query() string { return "from:" + s.Handle }

// Search reads one page of an account's posts from X's whole archive, newest first. X may
// leave out reposts, and shows nothing of protected accounts. X takes one request a
// second. Every post in the answer is billed. Errors are those of [Client.Timeline].
func (c *AppClient) Search(ctx context.Context, s Search) (Answer, error) {
	what := "searching for the posts of @" + s.Handle
	size := s.Size
	if size == 0 {
		size = PageSize
	}
	ctx = For(ctx, History)
	rec, page, err := c.client.ask(ctx, what, History, func(ctx context.Context, a asking) error {
		_, err := c.client.api.TweetSearch(ctx, s.query(), gotwitter.TweetSearchOpts{
			Expansions: a.expansions, TweetFields: a.postFields, UserFields: a.userFields,
			MediaFields: mediaFields, PollFields: pollFields, PlaceFields: placeFields,
			StartTime: s.From.UTC(), EndTime: s.To.UTC(), MaxResults: size, NextToken: s.PageFrom,
		})
		return err
	}, func(rec record, err error) (post.Page, error) {
		if err != nil {
			return post.Page{}, unwrapped(err)
		}
		page, err := ReadAnswer(rec.body)
		if err == nil && !page.HasMeta {
			err = fmt.Errorf("%w: it does not say how much it has", ErrIncomplete)
		}
		if err != nil {
			return post.Page{}, fmt.Errorf("%s: %w", what, err)
		}
		return page, nil
	})
	if err != nil {
		return Answer{}, err
	}
	return c.client.complete(ctx, rec, page)
}

// Count returns how many posts a search would find from its From to its To, which may be
// 31 days apart at most. X bills the request, not the posts.
func (c *AppClient) Count(ctx context.Context, s Search) (int, error) {
	what := "counting the posts of @" + s.Handle
	rec, err := call(ctx, what, func(ctx context.Context) error {
		_, err := c.client.api.TweetAllCounts(ctx, s.query(), gotwitter.TweetAllCountsOpts{
			StartTime: s.From.UTC(), EndTime: s.To.UTC(), Granularity: gotwitter.GranularityDay,
		})
		return err
	})
	if err != nil {
		return 0, unwrapped(err)
	}
	if err := c.client.counted(ctx, rec, Counts, nil); err != nil {
		return 0, err
	}
	var got struct {
		Data []struct {
			Tweets *int `json:"tweet_count"` // up to 2.166
			Posts  *int `json:"post_count"`  // from 2.167 on
		}
		Meta struct {
			Tweets    *int   `json:"total_tweet_count"`
			Posts     *int   `json:"total_post_count"`
			NextToken string `json:"next_token"`
		}
	}
	if err := json.Unmarshal(rec.body, &got); err != nil {
		return 0, fmt.Errorf("%s: %w: %w", what, ErrIncomplete, err)
	}
	total := got.Meta.Tweets
	if total == nil {
		total = got.Meta.Posts
	}
	sum := 0
	for _, d := range got.Data {
		for _, n := range []*int{d.Tweets, d.Posts} {
			if n != nil {
				sum += *n
			}
		}
	}
	switch {
	case total == nil:
		return 0, fmt.Errorf("%s: %w: it names no sum", what, ErrIncomplete)
	case got.Meta.NextToken != "":
		return 0, fmt.Errorf("%s: %w: it counts only a part of the time", what, ErrIncomplete)
	case sum != *total:
		return 0, fmt.Errorf("%s: %w: its days add up to %d, and it says %d", what, ErrIncomplete, sum, *total)
	}
	return *total, nil
}

// Owner is an account as it describes itself, with when it was made.
type Owner struct {
	User
	Created time.Time // UTC
}

// Owner reads an account by its id, which is billed as one user read. Errors are those
// of [Client.User].
func (c *AppClient) Owner(ctx context.Context, id string) (Owner, error) {
	what := "reading account " + id
	rec, err := call(ctx, what, func(ctx context.Context) error {
		_, err := c.client.api.UserLookup(ctx, []string{id}, gotwitter.UserLookupOpts{UserFields: append(slices.Clone(accountFields), gotwitter.UserFieldCreatedAt)})
		return err
	})
	if err != nil {
		return Owner{}, unwrapped(err)
	}
	if err := c.client.counted(ctx, rec, Users, dataIDs(rec.body)); err != nil {
		return Owner{}, err
	}
	u, err := readUser(rec.body)
	switch {
	case err != nil:
		return Owner{}, fmt.Errorf("%s: %w", what, err)
	case u.ID != id:
		return Owner{}, fmt.Errorf("%s: %w: it is about account %s", what, ErrIncomplete, u.ID)
	case u.Metrics.Posts == nil || u.Created.IsZero():
		return Owner{}, fmt.Errorf("%s: %w: it does not say how many posts the account has, or since when it is", what, ErrIncomplete)
	}
	return Owner{User{ID: u.ID, Name: u.Name, Username: u.Username, PostCount: *u.Metrics.Posts}, u.Created.UTC()}, nil
}
