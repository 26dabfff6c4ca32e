package importer_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/fault"
	"xarchive/handler/internal/importer"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// task returns a task's container, as its owner sees it, and its SAS.
func task(t *testing.T, life time.Duration) (*container.Client, string) {
	t.Helper()
	c, err := container.NewClientFromConnectionString(blobs.ConnectionString(""), "t"+strings.ToLower(rand.Text()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	address, err := c.GetSASURL(sas.ContainerPermissions{Write: true, Create: true}, time.Now().Add(life), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, address
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestUpload(t *testing.T) {
	owner, address := task(t, time.Hour)
	c, err := importer.OpenContainer(address, http.DefaultClient, nil)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789", 1<<20) // several blocks
	for _, content := range []string{"first", large, "second"} {
		if err := c.Upload(t.Context(), "job/task/1.json", nil, text(content)); err != nil {
			t.Fatal(err)
		}
		got, err := owner.NewBlobClient("job/task/1.json").DownloadStream(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(got.Body); err != nil || b.String() != content || *got.ContentType != "application/json" {
			t.Errorf("%d bytes come back of %d, %v", b.Len(), len(content), err)
		}
		got.Body.Close()
	}
}

// TestUploadFails: what breaks off leaves nothing, and its own error is returned.
func TestUploadFails(t *testing.T) {
	owner, address := task(t, time.Hour)
	c, err := importer.OpenContainer(address, http.DefaultClient, nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = c.Upload(t.Context(), "a", nil, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 9<<20)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) || errors.Is(err, importer.ErrGone) {
		t.Errorf("%v", err)
	}
	if _, err := owner.NewBlobClient("a").GetProperties(t.Context(), nil); err == nil {
		t.Error("something was left")
	}
}

// TestResume: an upload that was interrupted goes on behind what it has staged, and
// begins again if the item is another by then.
func TestResume(t *testing.T) {
	owner, address := task(t, time.Hour)
	c, err := importer.OpenContainer(address, http.DefaultClient, nil)
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("0123456789", 1<<20)
	broken := errors.New("broken")
	var resume blob.Staged
	if err := c.Upload(t.Context(), "a", &resume, func(w io.Writer) error {
		if _, err := io.WriteString(w, content[:9<<20]); err != nil {
			return err
		}
		return broken
	}); !errors.Is(err, broken) || resume.Blocks != 2 {
		t.Fatalf("%v with %d blocks staged, expected the writer's own error and 2 blocks", err, resume.Blocks)
	}
	other := resume
	if err := c.Upload(t.Context(), "a", &other, text(strings.ToUpper(content[:4<<20])+"x"+content)); !errors.Is(err, blob.ErrBlocks) || other.Blocks != 0 {
		t.Errorf("another item: %v with %+v, expected ErrBlocks and nothing to go on from", err, other)
	}
	if err := c.Upload(t.Context(), "a", &resume, text(content)); err != nil {
		t.Fatal(err)
	}
	got, err := owner.NewBlobClient("a").GetProperties(t.Context(), nil)
	if err != nil || *got.ContentLength != int64(len(content)) {
		t.Errorf("the item was not put together: %v", err)
	}
}

// TestPanics: a panic of the writer is an error and leaves nothing.
func TestPanics(t *testing.T) {
	owner, address := task(t, time.Hour)
	c, err := importer.OpenContainer(address, http.DefaultClient, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Upload(t.Context(), "a", nil, func(io.Writer) error { panic("boom") }); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("%v, expected the panic", err)
	}
	if _, err := owner.NewBlobClient("a").GetProperties(t.Context(), nil); err == nil {
		t.Error("something was left")
	}
}

// TestRefused: errors say whether a SAS can ever be used, and never contain it.
func TestRefused(t *testing.T) {
	t.Parallel()
	_, expired := task(t, -time.Hour)
	owner, gone := task(t, time.Hour)
	if _, err := owner.Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	reader, _ := task(t, time.Hour)
	readOnly, err := reader.GetSASURL(sas.ContainerPermissions{Read: true}, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range []struct {
		what, address string
		want          error // nil: it may pass
	}{{"expired", expired, importer.ErrExpired}, {"gone", gone, importer.ErrGone}, {"read only", readOnly, nil}} {
		c, err := importer.OpenContainer(task.address, http.DefaultClient, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{10, 9 << 20} {
			err = c.Upload(t.Context(), "a", nil, text(strings.Repeat("x", size)))
			if err == nil || task.want != nil && !errors.Is(err, task.want) ||
				task.want == nil && (errors.Is(err, importer.ErrGone) || errors.Is(err, importer.ErrExpired)) || strings.Contains(err.Error(), "sig=") {
				t.Errorf("%s, %d bytes: %v", task.what, size, err)
			}
			if cause := fault.CauseOf(err); cause != fault.SASRefused {
				t.Errorf("%s, %d bytes: cause %s, want %s", task.what, size, cause, fault.SASRefused)
			}
		}
	}
	c, err := importer.OpenContainer("http://127.0.0.1:1/account/container?sig=hush", &http.Client{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Upload(t.Context(), "a", nil, text("x")); err == nil || errors.Is(err, importer.ErrGone) || strings.Contains(err.Error(), "hush") || fault.CauseOf(err) != fault.SASRefused {
		t.Errorf("a server that is down: %v", err)
	}
}

// TestUploadFollowsNoRedirect: whoever answers at the task's container cannot have the
// items sent on to another host.
func TestUploadFollowsNoRedirect(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var elsewhere atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			elsewhere.Add(1)
			w.WriteHeader(http.StatusCreated)
		}))
		defer other.Close()
		container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/account/elsewhere/stolen", status)
		}))
		defer container.Close()
		c, err := importer.OpenContainer(container.URL+"/account/container?sig=x", http.DefaultClient, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Upload(t.Context(), "job/task/1.json", nil, text("an item"))
		if err == nil || fault.CauseOf(err) != fault.SASRefused {
			t.Errorf("status %d: %v", status, err)
		}
		if elsewhere.Load() != 0 {
			t.Errorf("status %d: the item went to another host", status)
		}
	}
}
