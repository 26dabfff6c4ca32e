package functionshost

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What was seen in the real host (4.1037), row by row.

// TestWhatTheHostFailsToForward: such requests never reach the handler.
func TestWhatTheHostFailsToForward(t *testing.T) {
	h := run(t, Options{})
	long := strings.Repeat("x", 9<<10)
	for _, c := range []struct {
		what, method, target, body string
		headers                    []string
		want                       int
	}{
		{"chunked", "POST", "/api/x", "4\r\nbody\r\n0\r\n\r\n", []string{"Transfer-Encoding: chunked"}, 500},
		{"Content-Type", "POST", "/api/x", "body", []string{"Content-Type: garbage"}, 500},
		{"Host", "GET", "/api/x", "", []string{"Host: a!b"}, 500},
		{"header in UTF-8", "GET", "/api/x", "", []string{"X-A: é"}, 500},
		{"header that is no UTF-8", "GET", "/api/x", "", []string{"X-A: \xff"}, 400},
		{"large body", "POST", "/api/x", "", []string{fmt.Sprint("Content-Length: ", maxBody+1)}, 500},
		{"request line", "GET", "/api/" + long, "", nil, 414},
		{"headers", "GET", "/api/x", "", []string{"X-A: " + long, "X-B: " + long, "X-C: " + long, "X-D: " + long}, 431},
		{"ping", "GET", "/admin/host/ping", "", nil, 200},
		{"status", "POST", "/admin/host/status", "", nil, 404},
		{"status", "GET", "/admin/host/status", "", nil, 401},
		{"admin", "POST", "/admin/functions/ingest", "{}", nil, 401},
		{"runtime", "GET", "/runtime/webhooks/x", "", nil, 401},
	} {
		if resp, _ := h.send(t, c.method, c.target, c.body, c.headers...); resp.StatusCode != c.want {
			t.Errorf("%s: want %d, got %d", c.what, c.want, resp.StatusCode)
		}
	}
	if h.Forwarded() != 0 {
		t.Errorf("%d of them were forwarded", h.Forwarded())
	}
}

// TestHeadersOnTheWay: which the host keeps and which it drops.
func TestHeadersOnTheWay(t *testing.T) {
	h := run(t, Options{})
	got := h.echo(t, "POST", "/api/x?a=1&a=2", "body", "Content-Encoding: gzip", "Keep-Alive: 5", "TE: trailers", "Proxy-Authorization: x")
	if got.Header.Get("Content-Encoding") != "" {
		t.Error("Content-Encoding is passed on")
	}
	for name, want := range map[string]string{"Keep-Alive": "5", "Te": "trailers", "Proxy-Authorization": "x"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: want %q, got %q", name, want, got.Header.Get(name))
		}
	}
	if got.URI != "/api/x?a=1,2" {
		t.Errorf("the query came as %s", got.URI)
	}
	if got := h.echo(t, "GET", "/setup%0a", ""); got.URI != "/setup" {
		t.Errorf("/setup%%0a came as %s", got.URI)
	}
}

// TestAnswersAreBuffered: a chunked answer comes with its length, and of a broken one
// comes nothing.
func TestAnswersAreBuffered(t *testing.T) {
	h := run(t, Options{})
	if resp, body := h.send(t, "GET", "/api/pieces", ""); body != "one two" || resp.ContentLength != 7 {
		t.Errorf("want the whole answer with its length, got %q, %d", body, resp.ContentLength)
	}
	if resp, body := h.send(t, "GET", "/api/broken", ""); resp.StatusCode != 500 || body != "" {
		t.Errorf("want an empty 500, got %d %q", resp.StatusCode, body)
	}
}

// TestAnswerBeforeTheBody: the host sends the whole body first.
func TestAnswerBeforeTheBody(t *testing.T) {
	h := run(t, Options{})
	for size, want := range map[int64]int{1 << 10: 413, 5 << 20: 500} {
		req, err := http.NewRequest("POST", h.URL()+"/api/hasty", io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = size
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: want %d, got %d", size, want, resp.StatusCode)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRepeats: a request that gets no answer is sent again, three times, with the same
// id, unless it has a body.
func TestRepeats(t *testing.T) {
	for _, c := range []struct {
		method, body string
		want         int
	}{{"GET", "", 4}, {"DELETE", "", 4}, {"POST", "", 4}, {"POST", "body", 1}} {
		out := newOutput()
		h := run(t, Options{Stderr: out})
		if resp, _ := h.send(t, c.method, "/api/cut", c.body); resp.StatusCode != 500 {
			t.Errorf("%s: want 500, got %d", c.method, resp.StatusCode)
		}
		h.send(t, "GET", "/api/errors", "")
		var seen []string
		for line := range out.lines {
			if strings.HasPrefix(line, "fatal") {
				break
			}
			if strings.HasPrefix(line, "cut ") {
				seen = append(seen, line)
			}
		}
		if len(seen) != c.want || len(slices.Compact(seen)) != 1 {
			t.Errorf("%s with the body %q: want %d requests with one id, got %q", c.method, c.body, c.want, seen)
		}
	}
}

// TestConsole: stderr is errors, or a warning where "warn" stands in the line; stdout
// is information; host.json says what is passed on.
func TestConsole(t *testing.T) {
	const all = "INFO news,ERROR fatal: it broke,WARN level=WARN be careful"
	for levels, want := range map[string]string{
		`{}`:                                all,
		`{"Host.Function.Console":"None"}`:  "",
		`{"Host.Function.Console":"Error"}`: "ERROR fatal: it broke",
		`{"default":"Error","Host.Function.Console":"Warning"}`: "ERROR fatal: it broke,WARN level=WARN be careful",
		`{"default":"None","Host":"Information"}`:               all,
		`{"default":"Warning"}`:                                 "ERROR fatal: it broke,WARN level=WARN be careful",
	} {
		lines := make(chan string, 100)
		h := run(t, Options{Dir: stage(t, map[string]string{"host.json": `{"logging":{"logLevel":` + levels + `},` + goodHost[1:]}),
			Console: func(level slog.Level, line string) { lines <- level.String() + " " + line }})
		h.send(t, "GET", "/api/out", "")
		h.send(t, "GET", "/api/errors", "")
		if err := h.Stop(t.Context()); err != nil { // after it, all of the output has been copied
			t.Fatal(err)
		}
		close(lines)
		var got []string
		for line := range lines {
			if !strings.Contains(line, "port") && !strings.Contains(line, "last words") {
				got = append(got, line)
			}
		}
		if levels == `{}` || strings.Contains(want, "INFO") { // the outputs are read apart from one another
			slices.SortFunc(got, func(a, b string) int { return strings.Index(want, a) - strings.Index(want, b) })
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: want %q, got %q", levels, want, got)
		}
	}
}

// TestFaultyTimer: the real host disables it and serves the rest.
func TestFaultyTimer(t *testing.T) {
	var log strings.Builder
	h := run(t, Options{LeaveOutFaulty: true, Env: settings("INGEST_SCHEDULE", "every day"), Log: slog.New(slog.NewTextHandler(&log, nil))})
	h.echo(t, "GET", "/Status", "")
	if _, err := h.Tick(t.Context(), "ingest"); err == nil {
		t.Error("the timer runs")
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "neither NCRONTAB") {
		t.Errorf("the host does not say what is wrong:\n%s", log.String())
	}
}

// TestTerminal: the handler is in the terminal's process group.
func TestTerminal(t *testing.T) {
	h := run(t, Options{Terminal: true})
	h.echo(t, "GET", "/Status", "")
	if err := h.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", h.address); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
}
