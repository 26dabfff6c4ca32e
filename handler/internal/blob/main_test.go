package blob_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/tests/sandbox/blobs"
)

func TestMain(m *testing.M) { os.Exit(blobtest.Run(m)) }

// everywhere runs a test on the server in memory and on Azurite.
func everywhere(t *testing.T, test func(t *testing.T, c *blob.Container)) {
	t.Run("memory", func(t *testing.T) { test(t, blobtest.Container(t)) })
	t.Run("Azurite", func(t *testing.T) { test(t, blobtest.Azurite(t)) })
}

func put(t *testing.T, c *blob.Container, name, text string) (etag string) {
	t.Helper()
	etag, err := c.Write(t.Context(), name, []byte(text), blob.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return etag
}

func read(t *testing.T, c *blob.Container, name string) string {
	t.Helper()
	data, _, err := c.Read(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func is(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, expected %v", what, got, want)
	}
}

// text returns a function that writes text.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// losing has the answers to the first n calls of an operation lost after they took
// effect.
func losing(op string, n int) func(blobs.Op) error {
	return func(o blobs.Op) error {
		if o.Name != op || n == 0 {
			return nil
		}
		n--
		return &blobs.Drop{After: true}
	}
}

var background = context.Background()
