// Package twitter is the connector's view of the X API v2: sign-in by OAuth
// 1.0a, an account's timeline page by page, look-ups by post id, and media.
//
// What an answer of X is, is known here and nowhere else: an [Answer] has the
// bytes that X sent, which the archive keeps as evidence, and the [post.Page]
// that they are; [ReadAnswer] makes the same page of retained bytes. An answer
// that cannot be whole is an error and never an Answer.
//
// X speaks two vocabularies, see [post.Vocabulary]. A request is made in one of them,
// never in both; which one X honours shows in its answers only, and is remembered in
// [Words].
//
// Calls are made with g8rswimmer/go-twitter and signed by dghubble/oauth1. The
// signature is made in the HTTP transport, not in go-twitter's Authorizer: the
// Authorizer runs before the query is added, and OAuth 1.0a signs the query.
// go-twitter builds the requests only. Its structs drop what they do not know
// (note_tweet, edit history, articles), so the transport takes the answer, and
// leaves go-twitter an empty object to decode.
package twitter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/dghubble/oauth1"
	gotwitter "github.com/g8rswimmer/go-twitter/v2"
)

// App is the consumer key pair of the company's X developer app.
type App struct {
	Key, Secret string
}

// Token is an OAuth 1.0a token with its secret: a request token during sign-in,
// or the access token of a connected account.
type Token struct {
	Token, Secret string
}

// Client reads from X on behalf of one account.
type Client struct {
	api   *gotwitter.Client
	app   App
	words *Words
	count Counter // nil: none

	http *http.Client // that signs nothing
	base string       // X's address

	appOnly bool // it asks in the app's name, without an account
}

// NewClient returns a client that asks X at baseURL, signing with the app's keys
// and the account's token, through hc. It finds out for itself which vocabulary X
// honours; see [Words.Client].
func NewClient(hc *http.Client, baseURL string, app App, token Token) *Client {
	return new(Words).Client(hc, baseURL, app, token)
}

// Client is NewClient for a client that shares with others what is known of X's words.
func (w *Words) Client(hc *http.Client, baseURL string, app App, token Token) *Client {
	signed := signing(hc, app, token)
	signed.Transport = wording{signed.Transport}
	return &Client{app: app, words: w, http: hc, base: baseURL, api: &gotwitter.Client{
		Authorizer: noAuthorizer{},
		Client:     recording(signed, "{}"),
		Host:       baseURL,
	}}
}

// noAuthorizer stands where go-twitter would have requests authorized, too
// early for OAuth 1.0a.
type noAuthorizer struct{}

func (noAuthorizer) Add(*http.Request) {}

// signing returns a client like hc that signs every request.
func signing(hc *http.Client, app App, token Token) *http.Client {
	ctx := context.WithValue(context.Background(), oauth1.HTTPClient, hc)
	signed := oauth1.NewClient(ctx, oauth1.NewConfig(app.Key, app.Secret), oauth1.NewToken(token.Token, token.Secret))
	signed.Timeout = hc.Timeout
	return signed
}

// maxAnswer bounds an answer's body, in bytes. A page of 100 posts with everything
// they refer to is below 2 MiB.
const maxAnswer = 32 << 20

// record is an answer as it came over the wire.
type record struct {
	status int
	header http.Header
	body   []byte
}

type recordKey struct{}

// recorder keeps a copy of each answer in the record that its request's
// context carries.
type recorder struct {
	base    http.RoundTripper
	instead string // the body that the caller reads; "" is X's
}

// recording returns a client like hc that records, and follows no redirect: an
// API that redirects is not X's.
func recording(hc *http.Client, instead string) *http.Client {
	return &http.Client{Transport: recorder{hc.Transport, instead}, Timeout: hc.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (t recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading X's answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("X's answer is longer than %d bytes", maxAnswer)
	}
	if rec, ok := req.Context().Value(recordKey{}).(*record); ok {
		*rec = record{resp.StatusCode, resp.Header, body}
	}
	read := body
	if t.instead != "" {
		read = []byte(t.instead)
	}
	resp.Body = io.NopCloser(bytes.NewReader(read))
	return resp, nil
}

// call makes one API call and judges it by the status that came over the wire.
// The record is that of an answer, whatever its status. An answer that arrives after ctx
// has ended is returned all the same, since X bills it; see seenThrough.
func call(ctx context.Context, what string, do func(context.Context) error) (record, error) {
	if ctx.Err() != nil {
		return record{}, context.Cause(ctx)
	}
	through, end := seenThrough(ctx)
	defer end()
	var rec record
	err := do(context.WithValue(through, recordKey{}, &rec))
	switch {
	case rec.status == 0 && ctx.Err() != nil:
		return record{}, context.Cause(ctx)
	case rec.status == 0 && errors.Is(err, gotwitter.ErrParameter):
		return record{}, fmt.Errorf("%s: %w: %w", what, ErrInvalid, err)
	case rec.status == 0:
		return record{}, fmt.Errorf("%s: %w: %w", what, ErrUnavailable, withoutURL(err))
	case rec.status == http.StatusOK:
		return rec, nil
	}
	return rec, fmt.Errorf("%s: %w", what, statusError(rec, time.Now()))
}

// seeingThrough is how long after its context has ended a request is waited for that X has
// got, and how long what the answer had may take to be counted.
const seeingThrough = 5 * time.Second

// seenThrough returns a context that ends some time after ctx: X bills what it sends, and a
// request that is broken off in the meantime would be paid and not counted.
func seenThrough(ctx context.Context) (context.Context, context.CancelFunc) {
	through, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-through.Done():
		case <-time.After(seeingThrough):
			cancel(context.Cause(ctx))
		}
	})
	return through, func() {
		stop()
		cancel(nil)
	}
}

// withoutURL returns what an error of net/http says, without the request's URL: that
// names all fields, and would make every line and record of the failure a page long.
func withoutURL(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
