// Package twitter is the connector's view of the X API v2: sign-in by OAuth
// 1.0a, an account's timeline page by page, look-ups by post id, and media.
//
// Calls are made with g8rswimmer/go-twitter and signed by dghubble/oauth1. The
// signature is made in the HTTP transport, not in go-twitter's Authorizer: the
// Authorizer runs before the query is added, and OAuth 1.0a signs the query.
// What X sent is handed on as the raw body, because go-twitter's structs drop
// what they do not know (note_tweet, edit history, articles) and because the
// raw body is the evidence that the archive keeps.
package twitter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
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
	api *gotwitter.Client
}

// NewClient returns a client that asks X at baseURL, signing with the app's keys
// and the account's token, through hc.
func NewClient(hc *http.Client, baseURL string, app App, token Token) *Client {
	return &Client{&gotwitter.Client{
		Authorizer: noAuthorizer{},
		Client:     recording(signing(hc, app, token)),
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

// Answer is what X sent to a successful call.
type Answer struct {
	Raw  []byte // the body, JSON
	Rate Rate
}

// Rate is what X says of the caller's budget at the endpoint just called. It is
// zero where X says nothing.
type Rate struct {
	Limit     int       // calls in a window
	Remaining int       // calls left in this window
	Reset     time.Time // UTC; when the next window begins
}

func readRate(h http.Header, now time.Time) Rate {
	limit, err := strconv.Atoi(h.Get("x-rate-limit-limit"))
	remaining, err2 := strconv.Atoi(h.Get("x-rate-limit-remaining"))
	if err != nil || err2 != nil {
		return Rate{}
	}
	return Rate{Limit: limit, Remaining: remaining, Reset: reset(h, now)}
}

// maxAnswer bounds an answer's body. A page of 100 posts with everything they
// refer to is below 2 MiB.
const maxAnswer = 32 << 20

// record is an answer's status and body as they came over the wire.
type record struct {
	status int
	header http.Header
	body   []byte
}

type recordKey struct{}

// recorder keeps a copy of each answer in the record that its request's
// context carries.
type recorder struct{ base http.RoundTripper }

func recording(hc *http.Client) *http.Client {
	return &http.Client{Transport: recorder{hc.Transport}, Timeout: hc.Timeout,
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
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if rec, ok := req.Context().Value(recordKey{}).(*record); ok {
		*rec = record{resp.StatusCode, resp.Header, body}
	}
	return resp, nil
}

// call makes one API call and judges it by what came over the wire; go-twitter
// failing to decode a good answer is no failure.
func call(ctx context.Context, what string, do func(context.Context) error) (Answer, error) {
	var rec record
	err := do(context.WithValue(ctx, recordKey{}, &rec))
	if ctx.Err() != nil {
		return Answer{}, context.Cause(ctx)
	}
	switch {
	case rec.status == 0 && errors.Is(err, gotwitter.ErrParameter):
		return Answer{}, fmt.Errorf("%s: %w: %w", what, ErrInvalid, err)
	case rec.status == 0:
		return Answer{}, fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	case rec.status == http.StatusOK && json.Valid(rec.body):
		return Answer{Raw: rec.body, Rate: readRate(rec.header, time.Now())}, nil
	case rec.status == http.StatusOK:
		return Answer{}, fmt.Errorf("%s: %w: its answer is not JSON", what, ErrUnavailable)
	}
	return Answer{}, fmt.Errorf("%s: %w", what, statusError(rec, time.Now()))
}
