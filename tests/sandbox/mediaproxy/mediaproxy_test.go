package mediaproxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"xarchive/tests/sandbox/certs"
	"xarchive/tests/sandbox/mediaproxy"
)

func start(t *testing.T, handler http.HandlerFunc) (*mediaproxy.Server, *http.Client) {
	t.Helper()
	ca, err := certs.Start(t.Context(), certs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := mediaproxy.Start(t.Context(), mediaproxy.Options{Authority: ca, Handler: handler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	proxy, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &http.Client{Transport: transport}
}

func TestMedia(t *testing.T) {
	s, hc := start(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.URL, " ", r.Header.Get("Range"))
	})
	for _, host := range []string{"pbs.twimg.com", "video.twimg.com"} {
		for range 2 {
			req, err := http.NewRequest(http.MethodGet, "https://"+host+"/media/a%2Fb.jpg?name=orig", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Range", "bytes=0-1")
			answer, err := hc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if want := host + " /media/a%2Fb.jpg?name=orig bytes=0-1"; string(text) != want {
				t.Errorf("the handler got %q, want %q", text, want)
			}
		}
	}
	if r := s.Refused(); len(r) != 0 {
		t.Errorf("refused %q", r)
	}
}

func TestRefused(t *testing.T) {
	s, hc := start(t, func(http.ResponseWriter, *http.Request) { t.Error("a refused request reached the handler") })
	for _, target := range []string{"https://api.x.com/2/tweets", "https://pbs.twimg.com:8443/x", "https://evil.pbs.twimg.com/"} {
		answer, err := hc.Get(target)
		if err == nil {
			answer.Body.Close()
			t.Errorf("%s was reached", target)
		} else if !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{"http://pbs.twimg.com/x", "http://example.com/y"} {
		answer, err := hc.Get(target)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s is answered %d", target, answer.StatusCode)
		}
	}
	// Through an allowed tunnel, to another host.
	req, err := http.NewRequest(http.MethodGet, "https://pbs.twimg.com/z", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "metadata.internal"
	answer, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("another Host inside a tunnel is answered %d", answer.StatusCode)
	}
	want := []string{
		"CONNECT api.x.com:443", "CONNECT pbs.twimg.com:8443", "CONNECT evil.pbs.twimg.com:443",
		"GET http://pbs.twimg.com/x", "GET http://example.com/y", "GET https://metadata.internal/z",
	}
	if got := s.Refused(); !slices.Equal(got, want) {
		t.Errorf("refused %q", got)
	}
}

// TestStream: 500 MB pass, and at no time is a large part of them in memory.
func TestStream(t *testing.T) {
	const size = 500 << 20
	chunk := make([]byte, 1<<20)
	_, hc := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for range size / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	answer, err := hc.Get("https://video.twimg.com/big.mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var received int64
	var most uint64
	for received < size {
		n, err := io.CopyN(io.Discard, answer.Body, 50<<20)
		received += n
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	if received != size {
		t.Errorf("%d of %d bytes came", received, size)
	}
	if most > 64<<20 {
		t.Errorf("%d MB were in memory", most>>20)
	}
}

func TestStop(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s, hc := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(entered)
		<-release
	})
	answer, err := hc.Get("https://pbs.twimg.com/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	<-entered
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Error("an open tunnel outlived Stop")
	}
	close(release)
	if _, err := hc.Get("https://pbs.twimg.com/again"); err == nil {
		t.Error("it still serves after Stop")
	}
}
