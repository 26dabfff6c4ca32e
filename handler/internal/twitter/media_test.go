package twitter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/outbound"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// mediaServer is a media server behind pipes, so that a test in a synctest bubble
// can wait for minutes that nobody waits for.
type mediaServer struct {
	mu       sync.Mutex
	requests []*http.Request
	handler  http.Handler
}

func (s *mediaServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	s.handler.ServeHTTP(w, r)
}

func (s *mediaServer) asked() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// ranges are the Range headers of the requests, in their order.
func (s *mediaServer) ranges() string {
	var out []string
	for _, r := range s.asked() {
		out = append(out, r.Header.Get("Range"))
	}
	return strings.Join(out, "|")
}

// pipes are the connections to a server.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.accept <- there
	return here, nil
}

// serve starts a media server in the test's bubble.
func serve(t *testing.T, handler http.Handler) (Media, *mediaServer) {
	s := &mediaServer{handler: handler}
	listener := &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: s}
	go srv.Serve(listener)
	transport := &http.Transport{DialContext: listener.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
	})
	return Media{HTTP: &http.Client{Transport: transport}}, s
}

// inBubble runs a test against a media server.
func inBubble(t *testing.T, handler http.Handler, test func(t *testing.T, m Media, s *mediaServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, s := serve(t, handler)
		test(t, m, s)
	})
}

const address = "http://video.twimg.com/v/file.mp4?tag=1"

// download reads a file to its end.
func read(ctx context.Context, m Media, address string) ([]byte, error) {
	f, err := m.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// file is a server's file; the positions are told by what is there.
func file(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.Bytes()[:n]
}

// script answers each request with the next of its steps, the last for good.
func script(steps ...http.HandlerFunc) http.Handler {
	var mu sync.Mutex
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		step := steps[min(n, len(steps)-1)]
		n++
		mu.Unlock()
		step(w, r)
	})
}

// part sends content[from:to] as an answer that announces everything up to the end.
func part(content []byte, from, to int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)-from))
		if from > 0 {
			if w.Header().Get("Content-Range") == "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
			}
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(content[from:to])
		if to < len(content) {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

// stall sends content[from:to] and then nothing.
func stall(content []byte, from, to int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover(); <-r.Context().Done() }()
		part(content, from, to)(w, r)
	}
}

func silence(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

// TestMediaFromX reads every file of the corpus from X's stand-in, over connections
// that break after every 10,000 bytes.
func TestMediaFromX(t *testing.T) {
	c, err := corpus.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	stand := x.New(x.Options{Corpus: c})
	stand.FailMedia("", x.MediaFault{BreakAfter: 10_000})
	inBubble(t, stand.Media(), func(t *testing.T, m Media, s *mediaServer) {
		for _, account := range c.Accounts() {
			for _, p := range c.Posts(account) {
				for _, f := range c.Files(p) {
					want, _, ok := c.Media(f.Name)
					if !ok {
						continue
					}
					whole, err := io.ReadAll(want)
					if err != nil {
						t.Fatal(err)
					}
					got, err := read(t.Context(), m, strings.Replace(f.URL, "https:", "http:", 1))
					if err != nil || !bytes.Equal(got, whole) {
						t.Errorf("%s: %d bytes and %v, want %d bytes", f.Name, len(got), err, len(whole))
					}
				}
			}
		}
		for _, r := range s.asked() {
			if r.Header.Get("Referer") != "" || !strings.HasPrefix(r.UserAgent(), "xarchive") {
				t.Fatalf("asked as %q with the Referer %q", r.UserAgent(), r.Header.Get("Referer"))
			}
		}
	})
}

func TestMediaResumption(t *testing.T) {
	content := file(100_000)
	old := []string{"ETag", `"a"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"}
	shorter := func(w http.ResponseWriter, r *http.Request) { // ends in good order
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 40000-49999/%d", len(content)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(content[40_000:50_000])
	}
	slowly := func(w http.ResponseWriter, r *http.Request) { // ignores Range, and takes 8 minutes for what is known
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		for chunk := range slices.Chunk(content, 5_000) {
			time.Sleep(mediaIdle - time.Second)
			_, _ = w.Write(chunk)
			_ = http.NewResponseController(w).Flush()
		}
	}
	for _, c := range []struct {
		name   string
		steps  []http.HandlerFunc
		ranges string // of the requests
	}{
		{"nothing breaks", []http.HandlerFunc{part(content, 0, 100_000)}, ""},
		{"it breaks", []http.HandlerFunc{part(content, 0, 40_000, old...), part(content, 40_000, 100_000, old...)}, "|bytes=40000-"},
		{"it breaks without a byte", []http.HandlerFunc{part(content, 0, 0), part(content, 0, 100_000)}, "|"},
		{"it breaks without a byte in between", []http.HandlerFunc{part(content, 0, 40_000), part(content, 40_000, 40_000), part(content, 40_000, 70_000),
			part(content, 70_000, 70_000), part(content, 70_000, 70_000), part(content, 70_000, 100_000)},
			"|bytes=40000-|bytes=40000-|bytes=70000-|bytes=70000-|bytes=70000-"},
		{"the server fails for a while", []http.HandlerFunc{status(503), status(429), part(content, 0, 40_000), status(500), status(408), part(content, 40_000, 100_000)},
			"|||bytes=40000-|bytes=40000-|bytes=40000-"},
		{"a part is shorter than asked for", []http.HandlerFunc{part(content, 0, 40_000), shorter, part(content, 50_000, 100_000)}, "|bytes=40000-|bytes=50000-"},
		{"Range is ignored", []http.HandlerFunc{part(content, 0, 40_000, old...), part(content, 0, 100_000, old...)}, "|bytes=40000-"},
		{"Range is ignored, and it breaks before the known bytes are through", []http.HandlerFunc{part(content, 0, 40_000), part(content, 0, 30_000), part(content, 0, 100_000)},
			"|bytes=40000-|bytes=40000-"},
		{"Range is ignored by a slow server", []http.HandlerFunc{part(content, 0, 40_000), slowly}, "|bytes=40000-"},
		{"no answer comes", []http.HandlerFunc{silence, part(content, 0, 100_000)}, "|"},
		{"it stalls", []http.HandlerFunc{stall(content, 0, 40_000), part(content, 40_000, 100_000)}, "|bytes=40000-"},
		{"it stalls while known bytes are read past", []http.HandlerFunc{part(content, 0, 40_000), stall(content, 0, 20_000), part(content, 40_000, 100_000)},
			"|bytes=40000-|bytes=40000-"},
		{"a part from elsewhere", []http.HandlerFunc{part(content, 0, 40_000), part(content, 30_000, 100_000), part(content, 40_000, 100_000)}, "|bytes=40000-|bytes=40000-"},
		{"only the time of change is known", []http.HandlerFunc{part(content, 0, 40_000, old[2:]...), part(content, 40_000, 100_000, old[2:]...)}, "|bytes=40000-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, script(c.steps...), func(t *testing.T, m Media, s *mediaServer) {
				got, err := read(t.Context(), m, address)
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d bytes and %v, want the %d of the file", len(got), err, len(content))
				}
				if s.ranges() != c.ranges {
					t.Errorf("asked for %q, want %q", s.ranges(), c.ranges)
				}
			})
		})
	}
}

func TestIfRange(t *testing.T) {
	content := file(100)
	for want, header := range map[string][]string{
		`"strong"`:                      {"ETag", `"strong"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"},
		"Mon, 02 Jan 2006 15:04:05 GMT": {"ETag", `W/"weak"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"},
		"":                              {"ETag", `W/"weak"`},
	} {
		inBubble(t, script(part(content, 0, 40, header...), part(content, 40, 100, header...)), func(t *testing.T, m Media, s *mediaServer) {
			if got, err := read(t.Context(), m, address); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%q and %v", got, err)
			}
			if got := s.asked()[1].Header.Get("If-Range"); got != want {
				t.Errorf("If-Range is %q, want %q", got, want)
			}
		})
	}
}

// TestMediaFailures: what comes of a file that cannot be had, and how often it
// is asked for.
func TestMediaFailures(t *testing.T) {
	content, other := file(100_000), file(90_000)
	begun := part(content, 0, 40_000, "ETag", `"a"`)
	more := func(w http.ResponseWriter, r *http.Request) { // more than the file has
		w.Header().Set("Content-Range", "bytes 40000-109999/*")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, 70_000))
	}
	huge := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(maxMedia+1))
		_ = http.NewResponseController(w).Flush()
	}
	for _, c := range []struct {
		name     string
		steps    []http.HandlerFunc
		want     error
		requests int
	}{
		{"gone, with and without its query", []http.HandlerFunc{status(404)}, ErrNotFound, 2},
		{"gone for good", []http.HandlerFunc{status(410)}, ErrNotFound, 1},
		{"forbidden, by whomever", []http.HandlerFunc{status(403)}, ErrUnavailable, 2},
		{"forbidden, and gone without its query", []http.HandlerFunc{status(403), status(404)}, ErrUnavailable, 2},
		{"gone, and forbidden without its query", []http.HandlerFunc{status(404), status(403)}, ErrUnavailable, 2},
		{"gone, and down without its query", []http.HandlerFunc{status(404), status(503)}, ErrUnavailable, 1 + mediaTries},
		{"a proxy wants a sign-in", []http.HandlerFunc{status(407)}, ErrUnavailable, 1},
		{"overload", []http.HandlerFunc{status(503)}, ErrUnavailable, mediaTries},
		{"too many requests", []http.HandlerFunc{status(429)}, ErrUnavailable, mediaTries},
		{"never an answer", []http.HandlerFunc{silence}, ErrUnavailable, mediaTries},
		{"never a byte", []http.HandlerFunc{stall(content, 0, 0)}, ErrUnavailable, mediaTries},
		{"never another byte", []http.HandlerFunc{part(content, 0, 40_000), part(content, 40_000, 40_000)}, ErrUnavailable, 1 + mediaTries},
		{"gone while it was read", []http.HandlerFunc{begun, status(404)}, ErrNotFound, 2},
		{"another version, in part", []http.HandlerFunc{begun, part(content, 40_000, 100_000, "ETag", `"b"`)}, ErrUnavailable, 2},
		{"another version, whole", []http.HandlerFunc{begun, part(content, 0, 100_000, "ETag", `"b"`)}, ErrUnavailable, 2},
		{"a version without a name", []http.HandlerFunc{begun, part(content, 40_000, 100_000)}, ErrUnavailable, 2},
		{"another length, in part", []http.HandlerFunc{part(content, 0, 40_000), part(other, 40_000, 90_000)}, ErrUnavailable, 2},
		{"another length, whole", []http.HandlerFunc{part(content, 0, 40_000), part(other, 0, 90_000)}, ErrUnavailable, 2},
		{"more than the file has", []http.HandlerFunc{part(content, 0, 40_000), more}, ErrUnavailable, 2},
		{"too long", []http.HandlerFunc{huge}, ErrNotFound, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, script(c.steps...), func(t *testing.T, m Media, s *mediaServer) {
				_, err := read(t.Context(), m, address)
				if other := map[bool]error{true: ErrUnavailable, false: ErrNotFound}[c.want == ErrNotFound]; !errors.Is(err, c.want) || errors.Is(err, other) {
					t.Errorf("want %v, got %v", c.want, err)
				}
				if got := len(s.asked()); got != c.requests {
					t.Errorf("asked %d times, want %d", got, c.requests)
				}
			})
		})
	}
}

// TestMediaWithoutLength: a server that does not say how long its file is cannot
// send more than is accepted.
func TestMediaWithoutLength(t *testing.T) {
	inBubble(t, script(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(file(100))
	}), func(t *testing.T, m Media, s *mediaServer) {
		if got, err := read(t.Context(), m, address); err != nil || !bytes.Equal(got, file(100)) {
			t.Errorf("%q and %v, want the file", got, err)
		}
		d := &download{ctx: t.Context(), http: m.HTTP, address: address, max: 50, size: -1}
		if err := d.connect(); err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, err := io.ReadAll(d); !errors.Is(err, ErrNotFound) {
			t.Errorf("want a file too long, got %v", err)
		}
	})
}

// TestSlowReader: that its reader takes its time does not break a connection.
func TestSlowReader(t *testing.T) {
	content := file(100_000)
	inBubble(t, script(part(content, 0, 100_000)), func(t *testing.T, m Media, s *mediaServer) {
		f, err := m.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var got []byte
		for b := make([]byte, 10_000); err == nil; {
			time.Sleep(10 * mediaIdle)
			var n int
			n, err = f.Read(b)
			got = append(got, b[:n]...)
		}
		if err != io.EOF || !bytes.Equal(got, content) || len(s.asked()) != 1 {
			t.Errorf("%d bytes and %v over %d connections, want the file over one", len(got), err, len(s.asked()))
		}
		if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("want the end to stay the end, got %d bytes and %v", n, err)
		}
	})
}

func TestMediaEndsWithItsContext(t *testing.T) {
	reason := errors.New("the time is over")
	content := file(100_000)
	for name, steps := range map[string][]http.HandlerFunc{
		"before an answer":     {silence},
		"while it is read":     {stall(content, 0, 40_000)},
		"between two tries":    {status(503)},
		"reading past a start": {part(content, 0, 40_000), stall(content, 0, 10_000)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, script(steps...), func(t *testing.T, m Media, s *mediaServer) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, reason)
				defer cancel()
				if _, err := read(ctx, m, address); !errors.Is(err, reason) {
					t.Errorf("want the context's cause, got %v", err)
				}
			})
		})
	}
}

func TestMediaClosed(t *testing.T) {
	inBubble(t, script(stall(file(100_000), 0, 40_000)), func(t *testing.T, m Media, s *mediaServer) {
		f, err := m.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if _, err := f.Read(make([]byte, 10)); !errors.Is(err, fs.ErrClosed) || len(s.asked()) != 1 {
			t.Errorf("want a closed stream and no request, got %v and %d requests", err, len(s.asked()))
		}
	})
}

// TestMediaRedirect: a redirect within X's servers is followed, without a Referer; one
// that leads elsewhere is not.
func TestMediaRedirect(t *testing.T) {
	inBubble(t, script(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://pbs.twimg.com/elsewhere", http.StatusFound)
	}, part(file(10), 0, 10)), func(t *testing.T, m Media, s *mediaServer) {
		if got, err := read(t.Context(), m, address); err != nil || len(got) != 10 {
			t.Fatalf("%q and %v, want the file", got, err)
		}
		if got := s.asked()[1]; got.Host != "pbs.twimg.com" || got.Referer() != "" {
			t.Errorf("host %s, Referer %q", got.Host, got.Referer())
		}
	})
	server := httptest.NewServer(http.RedirectHandler("http://pbs.twimg.com.example/", http.StatusFound))
	defer server.Close()
	m := Media{HTTP: outbound.AllowHosts(&http.Client{Transport: &http.Transport{}}, server.URL)}
	for _, address := range []string{server.URL, "http://other.example/", "http://bad host/", "://", "data/tweets_media/1-a.jpg"} {
		if _, err := m.Open(t.Context(), address); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: want an address that is not asked again, got %v", address, err)
		}
	}
}

// TestMediaWithoutQuery: a film that X's server refuses with its query is read without
// it. A photo's query says which copy is meant, and stays.
func TestMediaWithoutQuery(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		w := newWorld(t)
		media := Media{HTTP: w.x.Client()}
		for _, kind := range []string{"video", "photo"} {
			address := sourceOf(t, w, kind)
			w.x.FailMedia(address, x.MediaFault{Status: status})
			f, err := media.Open(t.Context(), address)
			if kind == "photo" {
				if err == nil {
					t.Errorf("status %d: %s was read from %s", status, address, f.Address)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if want, _, _ := strings.Cut(address, "?"); f.Address != want || f.ContentType != "video/mp4" {
				t.Errorf("status %d: read from %s as %s, want %s as video/mp4", status, f.Address, f.ContentType, want)
			}
			f.Close()
		}
	}
}

// sourceOf is an address with a query, of a media of that type.
func sourceOf(t *testing.T, w *world, kind string) string {
	t.Helper()
	for _, a := range w.all(t, corpus.PressAccount, 0) {
		for _, d := range a.Page.Posts {
			for _, m := range d.Post.Media {
				for _, source := range m.Sources() {
					if m.Type == kind && strings.Contains(source, "?") {
						return source
					}
				}
			}
		}
	}
	t.Fatalf("the corpus has no %s with a query in its address", kind)
	return ""
}

// TestMediaType: the bytes say what a file is, then the server; never the address.
func TestMediaType(t *testing.T) {
	const png = "\x89PNG\r\n\x1a\n"
	for _, c := range []struct{ body, said, want string }{
		{png, "image/png", "image/png"},
		{png, "image/jpeg", "image/png"},
		{png, "", "image/png"},
		{"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/jpeg", "image/webp"},
		{"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "application/octet-stream", "video/mp4"},
		{"nothing known", "video/mp4; codecs=avc1", "video/mp4"},
		{"nothing known", "text/html", ""},
		{"", "image/gif", "image/gif"},
	} {
		inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.said)
			_, _ = io.WriteString(w, c.body)
		}), func(t *testing.T, m Media, _ *mediaServer) {
			f, err := m.Open(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if body, err := io.ReadAll(f); err != nil || string(body) != c.body || f.ContentType != c.want {
				t.Errorf("%q, which the server calls %q, is read as %q of type %q (%v), want type %q", c.body, c.said, body, f.ContentType, err, c.want)
			}
		})
	}
}
