package customhandler

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// What the real host does and a handler must live with.

// TestSecondTick: a tick while one runs does nothing, says so, and succeeds; the
// next one runs.
func TestSecondTick(t *testing.T) {
	started, release, runs := make(chan struct{}), make(chan struct{}), 0
	r := start(t, func(context.Context, Invocation) (Result, error) {
		runs++
		started <- struct{}{}
		<-release
		return Result{Logs: []string{"first"}}, nil
	})
	first := make(chan string, 1)
	go func() {
		_, body, err := r.exchange("POST", "/ingest", tick)
		first <- fmt.Sprint(body, err)
	}()
	<-started
	const says = "the function runs already"
	if status, body := r.send(t, "POST", "/ingest", tick); status != 200 || !strings.Contains(body, `"Outputs":{}`) || !strings.Contains(body, says) {
		t.Errorf("the second tick: want a success that says %q, got %d %s", says, status, body)
	}
	if !strings.Contains(r.log.String(), "level=INFO msg=\""+says) || strings.Contains(r.log.String(), "level=ERROR") {
		t.Errorf("want an INFO line with %q and no error, got:\n%s", says, r.log)
	}
	release <- struct{}{}
	if got := <-first; !strings.Contains(got, `["first"]`) {
		t.Errorf("the first tick: %s", got)
	}
	go func() { <-started; release <- struct{}{} }()
	if status, _ := r.send(t, "POST", "/ingest", tick); status != 200 || runs != 2 {
		t.Errorf("the tick after: status %d, %d runs, want 200 and 2", status, runs)
	}
}

// TestTickAfterAPanic: neither a panic nor net/http's own way to cut a connection
// leaves the host without an answer, or the function marked as running.
func TestTickAfterAPanic(t *testing.T) {
	for _, value := range []any{"secret detail", http.ErrAbortHandler} {
		runs := 0
		r := start(t, func(context.Context, Invocation) (Result, error) {
			if runs++; runs == 1 {
				panic(value)
			}
			return Result{}, nil
		})
		if status, body := r.send(t, "POST", "/ingest", tick); status != 500 || !strings.HasPrefix(body, `{"Message":`) {
			t.Errorf("panic of %v: want 500 with a message, got %d %q", value, status, body)
		}
		if status, body := r.send(t, "POST", "/ingest", tick); status != 200 || body == "" || runs != 2 {
			t.Errorf("the tick after it: want 200 with an envelope and 2 runs, got %d %q and %d", status, body, runs)
		}
	}
}

// TestInvocationID: the host appends its own id to whatever a client sent.
func TestInvocationID(t *testing.T) {
	const id = "6a0f2a1c-1111-4111-8111-000000000000"
	for _, c := range []struct {
		sent []string
		want string
	}{
		{nil, ""}, {[]string{id}, id}, {[]string{"forged, " + id}, id}, {[]string{"a,b", "c," + id}, id}, {[]string{"forged", id}, id},
		{[]string{id + ", no id!"}, ""}, {[]string{id + ","}, ""}, {[]string{strings.Repeat("a", 65)}, ""},
	} {
		r := &http.Request{Header: http.Header{"X-Azure-Functions-Invocationid": c.sent}}
		if got := invocationID(r); got != c.want {
			t.Errorf("%q: want %q, got %q", c.sent, c.want, got)
		}
	}
}

// upload sends a body to the end before it looks at the answer, as the host does.
func (r *running) upload(t *testing.T, path string, size int) (*http.Response, error) {
	t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, size); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(conn, zeros{}, int64(size)); err != nil {
		return nil, fmt.Errorf("sending the body: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestBodyIsReadBeforeTheAnswer: whoever sends a large body that nobody wants gets
// the handler's answer, not a broken connection.
func TestBodyIsReadBeforeTheAnswer(t *testing.T) {
	r := start(t, never(t))
	for path, want := range map[string]int{"/Configure": 200, "/panic": 500, "/ingest": 400, "/Ingest": 404} {
		for _, size := range []int{0, 300 << 10, 5 << 20, maxDrain - 1} {
			resp, err := r.upload(t, path, size)
			if err != nil || resp.StatusCode != want || resp.Close && size > 0 && path != "/ingest" {
				t.Errorf("%s with %d bytes: want %d on a connection that stays, got %+v, %v", path, size, want, resp, err)
			}
		}
	}
}

// TestEndlessBody: there is a bound to it, and then the connection closes.
func TestEndlessBody(t *testing.T) {
	r := start(t, never(t))
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = fmt.Fprintf(conn, "POST /Configure HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n", 1<<40)
		_, _ = io.CopyN(conn, zeros{}, maxDrain) // and then nothing, for ever
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 || !resp.Close {
		t.Fatalf("want 200 and the end of the connection, got %+v, %v", resp, err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "http:/Configure" {
		t.Errorf("%q, %v", body, err)
	}
}
