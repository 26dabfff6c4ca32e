package outbound_test

import (
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"xarchive/handler/internal/outbound"
)

func TestAllowHosts(t *testing.T) {
	var asked []string
	allowed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if r.URL.Path == "/away" {
			http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
		}
	}))
	defer allowed.Close()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was reached") }))
	defer other.Close()

	web, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	hc := outbound.AllowHosts(web, allowed.URL+"/some/path", "https://pbs.twimg.com")
	for _, good := range []string{allowed.URL + "/a", strings.Replace(allowed.URL, "http", "HTTP", 1) + "/b"} {
		resp, err := hc.Get(good)
		if err != nil {
			t.Fatalf("%s: %v", good, err)
		}
		resp.Body.Close()
	}
	for _, bad := range []string{
		other.URL, allowed.URL + "/away?to=" + other.URL, strings.Replace(allowed.URL, "127.0.0.1", "localhost", 1),
		"http://pbs.twimg.com/x", "https://pbs.twimg.com:444/x", "https://pbs.twimg.com.example/x", "https://x@example.com/pbs.twimg.com",
	} {
		resp, err := hc.Get(bad)
		if !errors.Is(err, outbound.ErrHostNotAllowed) {
			t.Errorf("%s: %v", bad, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	if want := "/a /b /away"; strings.Join(asked, " ") != want {
		t.Errorf("asked for %v, want %s", asked, want)
	}
}

func TestCAFile(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	write := func(data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	trusting, err := outbound.New(outbound.Options{CAFile: file})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := trusting.Get(server.URL)
	if err != nil {
		t.Fatalf("with the server's certificate trusted: %v", err)
	}
	resp.Body.Close()
	wary, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := wary.Get(server.URL); err == nil {
		resp.Body.Close()
		t.Error("a certificate that nobody vouches for was taken")
	}
	write([]byte("no certificate"))
	if _, err := outbound.New(outbound.Options{CAFile: file}); err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("a file without certificates: %v", err)
	}
	if _, err := outbound.New(outbound.Options{CAFile: file + ".absent"}); err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("an absent file: %v", err)
	}
}

// TestConnectionsAreKept: as many requests at once as the connector makes to its
// storage account need their connections once only.
func TestConnectionsAreKept(t *testing.T) {
	const atOnce = 48
	var opened atomic.Int32
	arrived, answer := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var group sync.WaitGroup
		for range atOnce {
			group.Go(func() {
				resp, err := client.Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body) // or the connection cannot be used again
				resp.Body.Close()
			})
		}
		for range atOnce {
			<-arrived
		}
		for range atOnce { // all are there
			answer <- struct{}{}
		}
		group.Wait()
	}
	if n := opened.Load(); n != atOnce {
		t.Errorf("%d connections were opened, expected %d", n, atOnce)
	}
}
