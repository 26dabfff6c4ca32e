package blobs_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"xarchive/tests/sandbox/azurite"
	"xarchive/tests/sandbox/blobs"
)

// Where Azurite 3.35.0 does not do what Azure's documentation says, a case has another
// expectation for it: see the calls of store.either.

var emulator *azurite.Server

func TestMain(m *testing.M) { os.Exit(azurite.Run(m, &emulator)) }

// store is a server under test with a container of the case's own.
type store struct {
	azurite    bool
	connection string
	http       *http.Client
	container  *container.Client
	name       string
}

// open opens a container that does not exist yet.
func (s *store) open(t *testing.T, name string) *container.Client {
	t.Helper()
	c, err := container.NewClientFromConnectionString(s.connection, name, &container.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: s.http, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *store) blob(name string) *blockblob.Client { return s.container.NewBlockBlobClient(name) }

// either chooses what is expected where Azurite differs from Azure's documentation.
func (s *store) either(documented, azurite string) string {
	if s.azurite {
		return azurite
	}
	return documented
}

// put stores text and returns its ETag.
func (s *store) put(t *testing.T, name, text string) azcore.ETag {
	t.Helper()
	done, err := s.upload(t.Context(), name, text, nil)
	if err != nil {
		t.Fatalf("putting %s: %v", name, err)
	}
	return *done.ETag
}

func (s *store) upload(ctx context.Context, name, text string, o *blockblob.UploadOptions) (blockblob.UploadResponse, error) {
	return s.blob(name).Upload(ctx, streaming.NopCloser(strings.NewReader(text)), o)
}

// eachStore runs a case against the in-process client, the handler behind a socket
// and Azurite.
func eachStore(t *testing.T, run func(*testing.T, *store)) {
	ours := blobs.New(blobs.Options{})
	server := httptest.NewServer(ours)
	t.Cleanup(server.Close)
	for _, s := range []*store{
		{connection: ours.ConnectionString(), http: ours.Client()},
		{connection: ours.ConnectionStringAt(server.URL), http: server.Client()},
		{connection: emulator.ConnectionString(""), http: http.DefaultClient, azurite: true},
	} {
		name := "in process"
		switch {
		case s.azurite:
			name = "Azurite"
		case s.http != nil && strings.Contains(s.connection, server.URL):
			name = "over a socket"
		}
		t.Run(name, func(t *testing.T) {
			s.name = "t" + uuid.NewString()
			s.container = s.open(t, s.name)
			if _, err := s.container.Create(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = s.container.Delete(context.Background(), nil) })
			run(t, s)
		})
	}
}

// outcome is "ok", or the status and code of an error.
func outcome(err error) string {
	var refused *azcore.ResponseError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refused):
		return http.StatusText(refused.StatusCode) + ": " + refused.ErrorCode
	}
	return err.Error()
}

func want(t *testing.T, err error, expected string) {
	t.Helper()
	if got := outcome(err); got != expected {
		t.Errorf("the service answered %q, expected %q", got, expected)
	}
}
