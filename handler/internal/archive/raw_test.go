package archive_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
)

// TestRaw: a raw answer comes back byte for byte by any gzip, stands once it is written,
// and is found altered or missing.
func TestRaw(t *testing.T) {
	c := blobtest.Container(t)
	a := archive.New(c)
	at := time.Date(2026, 11, 26, 23, 59, 59, 0, time.UTC)
	body := bytes.Repeat([]byte(`{"data":[{"id":"1","text":"ü"}]} `), 1000)
	raw := archive.NewRaw("7", at, body, "1f")
	for range 2 {
		if err := a.PutRaw(t.Context(), raw, at, body); err != nil {
			t.Fatal(err)
		}
	}
	packed, _, err := c.Read(t.Context(), raw.Path)
	if err != nil || len(packed) > len(body)/10 {
		t.Fatalf("%d bytes of %d, %v", len(packed), len(body), err)
	}
	unpack, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(unpack); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v; want X's", len(got), err)
	}
	if n, err := a.CheckRaw(t.Context(), raw.Path); err != nil || n != int64(len(packed)) {
		t.Errorf("it was written a moment ago: %d bytes, %v", n, err)
	}
	for i := range packed { // no byte may be changed of what the answer is made of
		if i > 20 && i < len(packed)-20 && i%7 != 0 {
			continue
		}
		flipped := bytes.Clone(packed)
		flipped[i] ^= 1
		if _, err := c.Write(t.Context(), raw.Path, flipped, blob.Condition{}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.CheckRaw(t.Context(), raw.Path); !errors.Is(err, archive.ErrAltered) && !(i >= 3 && i < 10 && err == nil) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
	}
	if _, err := a.CheckRaw(t.Context(), archive.NewRaw("7", at, []byte("x"), "").Path); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}
