package x

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/tests/sandbox/corpus"
)

func TestRateLimit(t *testing.T) {
	w := newWorld(t, nil, func(o *Options) { o.Limits = map[string]int{"GET /2/users/me": 2} })
	reset := strconv.FormatInt(w.clock.now().Add(15*time.Minute).Unix(), 10)
	for i, want := range []string{"1", "0", "0"} {
		p := w.get(press, "/2/users/me")
		status := 200
		if i == 2 {
			status = 429
			if p.raw != `{"title":"Too Many Requests","type":"about:blank","status":429,"detail":"Too Many Requests"}` || p.header.Get("Retry-After") != "" {
				t.Errorf("429: %s %v", p.raw, p.header)
			}
		}
		if p.status != status || p.header.Get("x-rate-limit-limit") != "2" || p.header.Get("x-rate-limit-remaining") != want || p.header.Get("x-rate-limit-reset") != reset {
			t.Errorf("request %d: %d %v", i, p.status, p.header)
		}
	}
	if p := w.get(corpus.SupportAccount, "/2/users/me"); p.status != 200 {
		t.Errorf("another user: %d", p.status)
	}
	if p := w.get(press, "/2/users/"+press+"/tweets"); p.status != 200 || p.header.Get("x-rate-limit-limit") != "900" {
		t.Errorf("another call: %d %v", p.status, p.header)
	}
	w.LimitRate(0, w.clock.now().Add(time.Second))
	if p := w.get(corpus.SupportAccount, "/2/tweets?ids=1"); p.status != 429 {
		t.Errorf("limited: %d", p.status)
	}
	w.clock.add(2 * time.Second)
	if p := w.get(corpus.SupportAccount, "/2/tweets?ids=1"); p.status != 200 {
		t.Errorf("after the reset: %d", p.status)
	}
}

func TestWindowBeginsAnew(t *testing.T) {
	w := newWorld(t, nil, func(o *Options) { o.Limits = map[string]int{"GET /2/users/me": 1} })
	for range 2 {
		if p := w.get(press, "/2/users/me"); p.status != 200 {
			t.Errorf("%d", p.status)
		}
		// The signatures' time is the machine's; the window's is ours, so it is
		// ended rather than waited out.
		w.mu.Lock()
		for _, win := range w.windows {
			win.reset = w.clock.now()
		}
		w.mu.Unlock()
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t, nil)
	ids := postIDs(w.corpus.Posts(press))[:7]
	before := w.Stats()
	w.get(press, "/2/users/"+press+"/tweets?max_results=5")
	w.get(press, "/2/tweets?ids="+strings.Join(ids, ","))
	w.get(press, "/2/tweets?ids="+ids[0]+",1")
	w.get(press, "/2/users/me")
	got := w.Stats()
	if got.Requests-before.Requests != 4 || got.PostReads != 5+7+1 || got.BilledReads != 7 {
		t.Errorf("%+v", got)
	}
	if got.ByPath["GET /2/tweets"] != 2 || got.ByPath["GET /2/users/:id/tweets"] != 1 {
		t.Errorf("by path: %v", got.ByPath)
	}
	got.ByPath["GET /2/tweets"] = 99
	if w.Stats().ByPath["GET /2/tweets"] != 2 {
		t.Error("the counts can be changed from outside")
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	client := w.as(press)
	newest := w.corpus.Posts(press)[0].ID
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			if i%10 == 0 {
				w.ForgetTokens()
				w.FailMedia("x", MediaFault{Status: 500})
				w.Until(press, "")
			}
			resp, err := client.Get(w.url + "/2/tweets?ids=" + newest)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("%d", resp.StatusCode)
			}
		})
	}
	group.Wait()
	if got := w.Stats(); got.Requests != 40 || got.PostReads != 40 || got.BilledReads != 1 {
		t.Errorf("%+v", got)
	}
}

// A post is billed again on the next UTC day.
func TestBilledByDay(t *testing.T) {
	c, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	s := New(Options{Corpus: c, Now: func() time.Time { return at }})
	posts := c.Posts(press)[:3]
	s.countReads(posts)
	s.countReads(posts)
	at = at.Add(2 * time.Minute)
	s.countReads(posts)
	if got := s.Stats(); got.PostReads != 9 || got.BilledReads != 6 {
		t.Errorf("%+v", got)
	}
}

func TestDownAndFaults(t *testing.T) {
	w := newWorld(t, nil)
	w.Down(true)
	if p := w.get(press, "/2/users/me"); p.status != 503 {
		t.Errorf("down: %d", p.status)
	}
	w.Down(false)

	var mu sync.Mutex
	var next Fault
	w.Fail(func(*http.Request) Fault {
		mu.Lock()
		defer mu.Unlock()
		f := next
		next = Fault{}
		return f
	})
	once := func(f Fault) {
		mu.Lock()
		defer mu.Unlock()
		next = f
	}
	once(Fault{Status: 500, Body: "<html>"})
	if p := w.get(press, "/2/users/me"); p.status != 500 || p.raw != "<html>" {
		t.Errorf("500: %d %s", p.status, p.raw)
	}
	once(Fault{Delay: time.Nanosecond})
	if p := w.get(press, "/2/users/me"); p.status != 200 {
		t.Errorf("after the fault: %d", p.status)
	}

	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // on a kept connection Go would try again
	once(Fault{Drop: true})
	if resp, err := fresh.Get(w.url + "/2/users/me"); err == nil {
		t.Errorf("a dropped connection answers %d", resp.StatusCode)
	}
	before := w.Stats().PostReads
	once(Fault{CutAfter: 100})
	resp, err := w.as(press).Get(w.url + "/2/users/" + press + "/tweets?max_results=5")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if len(body) != 100 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off after %d bytes, %v", len(body), err)
	}
	if w.Stats().PostReads != before+5 {
		t.Error("what was cut off is not billed")
	}
	w.Fail(nil)
	if p := w.get(press, "/2/users/me"); p.status != 200 {
		t.Errorf("at the end: %d", p.status)
	}
}

// mediaWorld serves the media hosts; ask reads a file as the product would.
type mediaWorld struct {
	*world
	url string
}

func newMediaWorld(t *testing.T) *mediaWorld {
	w := newWorld(t, nil)
	srv := httptest.NewServer(w.Media())
	t.Cleanup(srv.Close)
	return &mediaWorld{w, srv.URL}
}

func (w *mediaWorld) ask(method, address string, header map[string]string) (*http.Response, []byte, error) {
	w.t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "https://"), "/")
	req, err := http.NewRequest(method, w.url+"/"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = host
	for n, v := range header {
		req.Header.Set(n, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// file finds a file of that type in the corpus, with its bytes.
func (w *mediaWorld) file(kind string) (corpus.File, []byte) {
	w.t.Helper()
	for _, p := range w.corpus.Posts(press) {
		for _, f := range w.corpus.Files(p) {
			file, _, ok := w.corpus.Media(f.Name)
			if f.Type != kind || !ok {
				continue
			}
			defer file.Close()
			raw, err := io.ReadAll(file)
			if err != nil {
				w.t.Fatal(err)
			}
			return f, raw
		}
	}
	w.t.Fatalf("no %s in the corpus", kind)
	return corpus.File{}, nil
}

func TestMedia(t *testing.T) {
	w := newMediaWorld(t)
	sent := int64(0)
	for kind, want := range map[string]string{"photo": "image/", "video": "video/mp4", "animated_gif": "video/mp4"} {
		f, raw := w.file(kind)
		resp, body, err := w.ask("GET", f.URL, nil)
		sent += int64(len(body))
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(body, raw) || !strings.HasPrefix(resp.Header.Get("Content-Type"), want) {
			t.Errorf("%s: %d, %d bytes, %s, %v", f.URL, resp.StatusCode, len(body), resp.Header.Get("Content-Type"), err)
		}
		tag := resp.Header.Get("ETag")
		resp, body, _ = w.ask("GET", f.URL, map[string]string{"Range": "bytes=100-", "If-Range": tag})
		sent += int64(len(body))
		if resp.StatusCode != 206 || !bytes.Equal(body, raw[100:]) || tag == "" {
			t.Errorf("%s from byte 100: %d, %d bytes", f.URL, resp.StatusCode, len(body))
		}
		if resp, body, _ = w.ask("HEAD", f.URL, nil); resp.StatusCode != 200 || resp.ContentLength != int64(len(raw)) || len(body) > 0 {
			t.Errorf("HEAD %s: %d, %d bytes", f.URL, resp.StatusCode, resp.ContentLength)
		}
	}
	photo, raw := w.file("photo")
	if resp, body, _ := w.ask("GET", photo.URL+"?name=orig", nil); resp.StatusCode != 200 || !bytes.Equal(body, raw) {
		t.Errorf("orig: %d", resp.StatusCode)
	}
	sent += int64(len(raw))
	for _, bad := range []string{photo.URL + "?name=huge", "https://pbs.twimg.com/media/none.jpg", "https://other.example/" + photo.Name, "https://pbs.twimg.com/"} {
		if resp, _, _ := w.ask("GET", bad, nil); resp.StatusCode != 404 {
			t.Errorf("%s: %d", bad, resp.StatusCode)
		}
	}
	if resp, _, _ := w.ask("POST", photo.URL, nil); resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	if got := w.Stats(); got.MediaRequests != 3*3+1+4+1 || got.MediaBytes < sent || got.Requests != 0 {
		t.Errorf("%+v, at least %d bytes were sent", got, sent)
	}
}

func TestMediaFaults(t *testing.T) {
	w := newMediaWorld(t)
	f, raw := w.file("video")
	w.FailMedia(f.Name, MediaFault{Status: 503, Times: 1})
	for _, want := range []int{503, 200} {
		if resp, _, _ := w.ask("GET", f.URL, nil); resp.StatusCode != want {
			t.Errorf("%d, want %d", resp.StatusCode, want)
		}
	}
	w.FailMedia(f.Name, MediaFault{BreakAfter: 1000, Times: 1})
	_, body, err := w.ask("GET", f.URL, nil)
	if err == nil || !bytes.Equal(body, raw[:1000]) {
		t.Errorf("broken off after %d bytes, %v", len(body), err)
	}
	if resp, rest, _ := w.ask("GET", f.URL, map[string]string{"Range": "bytes=1000-"}); resp.StatusCode != 206 || !bytes.Equal(rest, raw[1000:]) {
		t.Errorf("the rest: %d, %d bytes", resp.StatusCode, len(rest))
	}
	w.FailMedia("", MediaFault{Status: 500})
	for range 2 {
		if resp, _, _ := w.ask("GET", f.URL, nil); resp.StatusCode != 500 {
			t.Errorf("all files fail: %d", resp.StatusCode)
		}
	}
	w.FailMedia("", MediaFault{})
	if resp, _, _ := w.ask("GET", f.URL, nil); resp.StatusCode != 200 {
		t.Errorf("at the end: %d", resp.StatusCode)
	}
}
