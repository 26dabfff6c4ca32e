package azurite_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"xarchive/tests/sandbox/azurite"
)

// shared shows that Run works: TestMain sets it.
var shared *azurite.Server

func TestMain(m *testing.M) { os.Exit(azurite.Run(m, &shared)) }

func open(t *testing.T, connection, name string) *container.Client {
	t.Helper()
	c, err := container.NewClientFromConnectionString(connection, name, &container.ClientOptions{
		ClientOptions: policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBlobs(t *testing.T) {
	c := open(t, shared.ConnectionString(""), "blobs")
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		t.Errorf("made twice: %v", err)
	}
	b := c.NewBlockBlobClient("a/b.txt")
	only := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}
	put := func(text string) error {
		_, err := b.UploadBuffer(t.Context(), []byte(text), &blockblob.UploadBufferOptions{AccessConditions: only})
		return err
	}
	if err := put("one"); err != nil {
		t.Fatal(err)
	}
	if err := put("two"); !bloberror.HasCode(err, bloberror.BlobAlreadyExists) {
		t.Errorf("overwrote a blob in spite of If-None-Match: %v", err)
	}
	l, err := lease.NewBlobClient(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AcquireLease(t.Context(), 15, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Delete(t.Context(), nil); !bloberror.HasCode(err, bloberror.LeaseIDMissing) {
		t.Errorf("deleted a leased blob: %v", err)
	}
	buffer := make([]byte, 3)
	if _, err := b.DownloadBuffer(t.Context(), buffer, nil); err != nil || string(buffer) != "one" {
		t.Errorf("read %q, %v", buffer, err)
	}
}

// TestSecondAccount: the container of a task is another account's, reached by a
// SAS; one account's key opens nothing of the other.
func TestSecondAccount(t *testing.T) {
	s, err := azurite.Start(t.Context(), azurite.Options{Accounts: []string{"importservice"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	c := open(t, s.ConnectionString("importservice"), "tasks")
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	url, err := c.GetSASURL(sas.ContainerPermissions{Create: true, Write: true}, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	granted, err := container.NewClientWithNoCredential(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := granted.NewBlockBlobClient("x").UploadBuffer(t.Context(), []byte("x"), nil); err != nil {
		t.Errorf("writing with a SAS: %v", err)
	}
	if _, err := granted.NewBlobClient("x").DownloadBuffer(t.Context(), make([]byte, 1), nil); !bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch) {
		t.Errorf("a SAS that may write was let read: %v", err)
	}
	other := strings.ReplaceAll(s.ConnectionString("importservice"), s.Key("importservice"), s.Key(""))
	if _, err := open(t, other, "tasks").GetProperties(t.Context(), nil); err == nil {
		t.Error("another account's key opened the container")
	}
}

// TestDir: with a folder, blobs outlive the server; a fixed port stays.
func TestDir(t *testing.T) {
	o := azurite.Options{Dir: t.TempDir(), Port: freePort(t)}
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for round := range 2 {
		s, err := azurite.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		client, err := azblob.NewClientFromConnectionString(s.ConnectionString(""), nil)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			if _, err := client.CreateContainer(t.Context(), "kept", nil); err != nil {
				t.Error(err)
			}
			if _, err := client.UploadBuffer(t.Context(), "kept", "blob", content, nil); err != nil {
				t.Error(err)
			}
		} else {
			got := make([]byte, len(content))
			if _, err := client.DownloadBuffer(t.Context(), "kept", "blob", got, nil); err != nil || !bytes.Equal(got, content) {
				t.Errorf("after a restart: %v", err)
			}
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimSuffix(s.URL(""), "/"+azurite.DefaultAccount), "http://")); err == nil {
			conn.Close()
			t.Fatal("it still listens after Stop")
		}
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := azurite.Start(context.Background(), azurite.Options{Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil {
		s.Stop()
		t.Fatal("started on a port that is taken")
	}
	if !strings.Contains(err.Error(), "EADDRINUSE") {
		t.Errorf("the error does not say that the port is taken: %v", err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
