package blobs_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"xarchive/tests/sandbox/blobs"
)

// opened is a server with an empty container "ccc", whose client tries again as the
// product's does.
func opened(t testing.TB) (*blobs.Server, *container.Client) {
	t.Helper()
	server := blobs.New(blobs.Options{})
	o := &container.ClientOptions{}
	o.Transport = server.Client()
	c, err := container.NewClientFromConnectionString(server.ConnectionString(), "ccc", o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return server, c
}

func create(ctx context.Context, c *container.Client, name string) error {
	_, err := c.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(strings.NewReader("x")), &blockblob.UploadOptions{AccessConditions: ifNoneMatch("*")})
	return err
}

// once is a Before that does one thing to the first call of an operation.
func once(name string, fault error) func(blobs.Op) error {
	return func(op blobs.Op) error {
		if op.Name != name || fault == nil {
			return nil
		}
		now := fault
		fault = nil
		return now
	}
}

// TestInterrupted: the SDK tries again after a lost connection, in fake time. When
// only the answer was lost, the second try finds what the first one wrote.
func TestInterrupted(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    error
		expected string
		stored   bool
	}{
		{"before the effect", &blobs.Drop{}, "ok", true},
		{"after the effect", &blobs.Drop{After: true}, "Conflict: BlobAlreadyExists", true},
		{"before the effect, for good", &blobs.Drop{Final: true}, "connection broke before", false},
		{"after the effect, for good", &blobs.Drop{After: true, Final: true}, "connection broke after", true},
		{"by any other error", errors.New("a test's own"), "ok", true},
		{"by a busy service", &blobs.Answer{Status: 503, Code: "ServerBusy"}, "ok", true},
		{"by a refusal", &blobs.Answer{Status: 403, Code: "AuthorizationPermissionMismatch"}, "Forbidden: AuthorizationPermissionMismatch", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := opened(t)
				server.Before(once("PutBlob", c.fault))
				if got := outcome(create(t.Context(), client, "a")); !strings.Contains(got, c.expected) {
					t.Errorf("the SDK returned %q, expected %q", got, c.expected)
				}
				if _, stored := server.Get("ccc", "a"); stored != c.stored {
					t.Errorf("stored: %t, expected %t", stored, c.stored)
				}
			})
		})
	}
}

// TestCancelled: a Before that cancels the caller's context leaves it in the dark
// about a call that took effect.
func TestCancelled(t *testing.T) {
	server, client := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	server.Before(func(blobs.Op) error { cancel(); return nil })
	if err := create(ctx, client, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("the SDK returned %v, expected that the context was canceled", err)
	}
	if names := server.Names("ccc"); !slices.Equal(names, []string{"a"}) {
		t.Errorf("stored: %v, expected a", names)
	}
}

// TestSocketDropped: Before also breaks connections of a server that listens.
func TestSocketDropped(t *testing.T) {
	server := blobs.New(blobs.Options{})
	listens := httptest.NewServer(server)
	defer listens.Close()
	s := &store{connection: server.ConnectionStringAt(listens.URL), http: listens.Client()}
	s.container = s.open(t, "ccc")
	if _, err := s.container.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	server.Before(func(blobs.Op) error { return &blobs.Drop{After: true} })
	var refused *azcore.ResponseError
	if err := create(t.Context(), s.container, "a"); err == nil || errors.As(err, &refused) {
		t.Errorf("the SDK returned %v, expected a broken connection", err)
	}
	if names := server.Names("ccc"); !slices.Equal(names, []string{"a"}) {
		t.Errorf("stored: %v, expected a", names)
	}
}

func TestCalls(t *testing.T) {
	server, c := opened(t)
	server.ResetCalls()
	var numbers []int
	var names []string
	server.Before(func(op blobs.Op) error {
		numbers, names = append(numbers, op.N), append(names, op.Name+" "+op.Blob)
		return nil
	})
	for _, err := range []error{
		create(t.Context(), c, "a"),
		func() error {
			answer, err := c.NewBlobClient("a").DownloadStream(t.Context(), nil)
			if err != nil {
				return err
			}
			return answer.Body.Close()
		}(),
		func() error { _, err := c.NewListBlobsFlatPager(nil).NextPage(t.Context()); return err }(),
		func() error { _, err := c.NewBlobClient("a").Delete(t.Context(), nil); return err }(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := server.Calls()
	if got.Write != 1 || got.Read != 1 || got.List != 1 || got.Delete != 1 || got.All() != 4 || got.ByName["PutBlob"] != 1 || got.BytesIn != 1 {
		t.Errorf("counted %+v (%v)", got, names)
	}
	for i, n := range numbers {
		if n != i+2 { // the first call made the container
			t.Errorf("the calls are numbered %v, expected 2 and up", numbers)
			break
		}
	}
}

// TestLatency: each call takes as long as it is told to, in fake time, and ends with
// its context.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := opened(t)
		server.SetLatency(50 * time.Millisecond)
		start := time.Now()
		if err := create(t.Context(), c, "a"); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 50*time.Millisecond {
			t.Errorf("a call took %s, expected 50ms", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := create(ctx, c, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call past its deadline returned %v", err)
		}
		if names := server.Names("ccc"); !slices.Equal(names, []string{"a"}) {
			t.Errorf("stored: %v, expected a alone: the deadline came first", names)
		}
	})
}

// TestShortPages: the service may answer with fewer names than it was asked for.
func TestShortPages(t *testing.T) {
	server := blobs.New(blobs.Options{PageSize: 2})
	s := &store{connection: server.ConnectionString(), http: server.Client()}
	s.container = s.open(t, "ccc")
	if _, err := s.container.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s.put(t, name, name)
	}
	pages := 0
	for pager := s.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr(int32(100))}); pager.More(); pages++ {
		if _, err := pager.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if pages != 3 {
		t.Errorf("five names came in %d pages, expected 3", pages)
	}
}

func TestUnknown(t *testing.T) {
	_, c := opened(t)
	_, err := c.NewAppendBlobClient("a").Create(t.Context(), nil)
	if got, expected := outcome(err), http.StatusText(http.StatusNotImplemented)+": NotImplemented"; got != expected {
		t.Errorf("an operation that is not known returned %q, expected %q", got, expected)
	}
}

// BenchmarkPutGet is a blob of 1 KB written and read through the SDK.
func BenchmarkPutGet(b *testing.B) {
	server, c := opened(b)
	content, buffer := make([]byte, 1024), make([]byte, 1024)
	blob := c.NewBlockBlobClient("a")
	server.ResetCalls()
	for b.Loop() {
		if _, err := blob.UploadBuffer(b.Context(), content, nil); err != nil {
			b.Fatal(err)
		}
		got, err := blob.DownloadStream(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := got.Body.Read(buffer); n != len(buffer) {
			b.Fatal(n, err)
		}
		got.Body.Close()
	}
	b.ReportMetric(float64(server.Calls().All())/b.Elapsed().Seconds(), "calls/s")
}
