package x

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dghubble/oauth1"
	gotwitter "github.com/g8rswimmer/go-twitter/v2"

	"xarchive/tests/sandbox/corpus"
)

// direct is the stand-in without sockets, and a client that signs as an account.
func direct(t testing.TB, change ...func(*Options)) (*Server, func(account string) *http.Client) {
	t.Helper()
	c, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Corpus: c, ConsumerKey: key, ConsumerSecret: secret, CallbackURLs: []string{callback}}
	for _, f := range change {
		f(&opt)
	}
	s := New(opt)
	return s, func(account string) *http.Client {
		token, tokenSecret := s.Token(account)
		ctx := context.WithValue(t.Context(), oauth1.HTTPClient, s.Client())
		return oauth1.NewConfig(key, secret).Client(ctx, oauth1.NewToken(token, tokenSecret))
	}
}

// TestDirect: the same server answers without sockets, signatures verified.
func TestDirect(t *testing.T) {
	s, as := direct(t)
	for _, base := range []string{"https://api.x.com", "http://127.0.0.1:1"} {
		resp, err := as(press).Get(base + "/2/users/me")
		if err != nil {
			t.Fatal(err)
		}
		if p := read(t, resp); p.status != 200 || str(p.Data, "id") != press {
			t.Errorf("%s: %d %s", base, p.status, p.raw)
		}
	}
	resp, err := s.Client().Get("https://api.x.com/2/users/me")
	if err != nil {
		t.Fatal(err)
	}
	if p := read(t, resp); p.status != 401 {
		t.Errorf("not signed: %d", p.status)
	}
	w := &mediaWorld{world: &world{t: t, corpus: s.opt.Corpus}}
	f, raw := w.file("photo")
	resp, err = s.Client().Get(f.URL + "?name=orig")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != string(raw) || resp.ContentLength != int64(len(raw)) {
		t.Errorf("a photo: %d bytes of %d, %v", len(body), len(raw), err)
	}
}

// TestDirectBroken: faults of the connection look like faults of the connection.
func TestDirectBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, as := direct(t)
		client := as(press)
		s.Fail(func(*http.Request) Fault { return Fault{Drop: true} })
		if _, err := client.Get("https://api.x.com/2/users/me"); !errors.Is(err, errBroken) {
			t.Errorf("a dropped connection: %v", err)
		}
		s.Fail(func(*http.Request) Fault { return Fault{CutAfter: 10} })
		resp, err := client.Get("https://api.x.com/2/users/me")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if len(body) != 10 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off after %d bytes, %v", len(body), err)
		}
		s.Fail(func(*http.Request) Fault { return Fault{Delay: time.Hour} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.x.com/2/users/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an answer that does not come: %v", err)
		}
	})
}

// TestMediaByAddress: a fault can be of one address, with its query, and of a video's
// one variant.
func TestMediaByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := direct(t)
		w := &mediaWorld{world: &world{t: t, corpus: s.opt.Corpus}}
		get := func(address string) (int, int, error) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.Client().Do(req)
			if err != nil {
				return 0, 0, err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return resp.StatusCode, len(body), err
		}
		f, raw := w.file("photo")
		s.FailMedia(f.URL+"?name=orig", MediaFault{Status: 503})
		if status, _, _ := get(f.URL + "?name=orig"); status != 503 {
			t.Errorf("the original answers %d, expected 503", status)
		}
		if status, n, err := get(f.URL); status != 200 || n != len(raw) || err != nil {
			t.Errorf("the plain address answers %d, %d bytes, %v", status, n, err)
		}
		s.FailMedia(f.URL+"?name=orig", MediaFault{})
		s.FailMedia(f.URL, MediaFault{Status: 403})
		if status, _, _ := get(f.URL + "?name=orig"); status != 200 {
			t.Errorf("the original answers %d, expected 200", status)
		}
		if status, _, _ := get(f.URL); status != 403 {
			t.Errorf("the plain address answers %d, expected 403", status)
		}
		video, long := w.file("video")
		s.FailMedia(video.URL, MediaFault{BreakAfter: 1000, Stall: true, Times: 1})
		if _, n, err := get(video.URL); n != 1000 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a file that stalls: %d bytes, %v, expected 1000 until the client gave up", n, err)
		}
		s.FailMedia(video.Name, MediaFault{Stall: true, Times: 1})
		if _, _, err := get(video.URL); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a server that does not answer: %v", err)
		}
		if status, n, err := get(video.URL); status != 200 || n != len(long) || err != nil {
			t.Errorf("afterwards: %d, %d bytes, %v", status, n, err)
		}
	})
}

func TestRefuseRate(t *testing.T) {
	w := newWorld(t, nil)
	for _, offset := range []time.Duration{-2 * time.Second, time.Minute} {
		w.RefuseRate(2, offset)
		for range 2 {
			p := w.get(press, "/2/users/me")
			if want := fmt.Sprint(w.clock.now().Add(offset).Unix()); p.status != 429 || p.header.Get("x-rate-limit-reset") != want || p.header.Get("x-rate-limit-remaining") != "0" {
				t.Errorf("%d, reset %s, expected 429 and %s", p.status, p.header.Get("x-rate-limit-reset"), want)
			}
		}
		if p := w.get(press, "/2/users/me"); p.status != 200 {
			t.Errorf("the third call: %d", p.status)
		}
	}
}

// TestSkew: X's clock is its own: answers say its time, resets are in it, and it
// refuses signatures of another time.
func TestSkew(t *testing.T) {
	w := newWorld(t, nil, func(o *Options) { o.Skew = -4 * time.Minute })
	p := w.get(press, "/2/users/me")
	x := w.clock.now().Add(-4 * time.Minute)
	if date, err := http.ParseTime(p.header.Get("Date")); p.status != 200 || err != nil || date.Unix() != x.Unix() {
		t.Errorf("%d, Date %s, expected %s", p.status, p.header.Get("Date"), x)
	}
	if reset := p.header.Get("x-rate-limit-reset"); reset != fmt.Sprint(x.Add(windowLength).Unix()) {
		t.Errorf("reset %s, expected it on X's clock", reset)
	}
	end := w.clock.now().Add(-time.Minute).UTC().Format(time.RFC3339)
	if p := w.get(press, "/2/users/"+press+"/tweets?end_time="+url.QueryEscape(end)); p.status != 400 || !strings.Contains(p.raw, "10 seconds prior") {
		t.Errorf("an end_time past X's now: %d %s", p.status, p.raw)
	}
	for _, skew := range []time.Duration{6 * time.Minute, -6 * time.Minute} {
		w := newWorld(t, nil, func(o *Options) { o.Skew = skew })
		if p := w.get(press, "/2/users/me"); p.status != 401 || p.header.Get("Date") == "" {
			t.Errorf("%s off: %d, expected 401", skew, p.status)
		}
	}
}

// BenchmarkPage reads a page of 10 posts of an account with 500, as the connector
// does: signed, with everything it asks for.
func BenchmarkPage(b *testing.B) {
	s, as := direct(b, func(o *Options) { o.PageSize = 10; o.Limits = map[string]int{"GET /2/users/:id/tweets": 1 << 30} })
	for n := len(s.opt.Corpus.Posts(press)); n < 500; n++ {
		s.Post(press, corpus.Post{Text: fmt.Sprint("post ", n)})
	}
	client := &gotwitter.Client{Authorizer: nobody{}, Client: as(press), Host: "https://api.x.com"}
	opts := gotwitter.UserTweetTimelineOpts{MaxResults: 100}
	for _, f := range s.specs[TweetWords].names["GET /2/tweets"]["tweet.fields"] {
		opts.TweetFields = append(opts.TweetFields, gotwitter.TweetField(f))
	}
	for _, e := range s.specs[TweetWords].names["GET /2/tweets"]["expansions"] {
		opts.Expansions = append(opts.Expansions, gotwitter.Expansion(e))
	}
	for b.Loop() {
		answer, err := client.UserTweetTimeline(b.Context(), press, opts)
		if err != nil || len(answer.Raw.Tweets) != 10 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
