package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/tests/sandbox/blobs"
)

// random returns bytes that are the same for the same seed.
func random(seed uint64, n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(out) // never fails
	return out
}

// pieces returns a function that writes data in pieces of random length.
func pieces(data []byte) func(io.Writer) error {
	rng := rand.New(rand.NewPCG(uint64(len(data)), 0))
	return func(w io.Writer) error {
		for part := data; len(part) > 0; {
			n := min(len(part), 1+rng.IntN(3<<20))
			if _, err := w.Write(part[:n]); err != nil {
				return fmt.Errorf("writing a piece: %w", err)
			}
			part = part[n:]
		}
		return nil
	}
}

// Blobs of any length arrive whole, with type, metadata and digest: around the
// bounds of the small buffer and of a block, and at exact multiples of blocks.
func TestUploadOfAnyLength(t *testing.T) {
	everywhere(t, func(t *testing.T, c *blob.Container) {
		const block = blob.BlockSize
		for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, block - 1, block, block + 1, 2 * block, 2*block + 5} {
			data, name := random(uint64(size), size), fmt.Sprint(size)
			sum := sha256.Sum256(data)
			digest := hex.EncodeToString(sum[:])
			info, err := c.Upload(t.Context(), name, blob.Upload{Type: "message/rfc822",
				Metadata: func(sum string) map[string]string { return map[string]string{"digest": sum} }}, pieces(data))
			if err != nil || info.Name != name || info.Size != int64(size) || info.Metadata["sha256"] != digest {
				t.Errorf("%d bytes: %+v, %v; expected name, size and SHA-256 %s", size, info, err, digest)
			}
			got, info, err := c.Read(t.Context(), name)
			if err != nil || !bytes.Equal(got, data) || info.Metadata["digest"] != digest {
				t.Errorf("%d bytes: read back %d, %+v, %v", size, len(got), info, err)
			}
		}
	})
}

func TestUploadConditions(t *testing.T) {
	everywhere(t, func(t *testing.T, c *blob.Container) {
		for _, size := range []int{5, blob.BlockSize + 5} {
			name, data := fmt.Sprint(size), random(1, size)
			_, err := c.Upload(t.Context(), name, blob.Upload{If: blob.Condition{Absent: true}}, pieces(data))
			is(t, "making", err, nil)
			_, err = c.Upload(t.Context(), name, blob.Upload{If: blob.Condition{Absent: true}}, pieces(random(2, size)))
			is(t, "making again", err, blob.ErrExists)
			_, err = c.Upload(t.Context(), name, blob.Upload{If: blob.Condition{ETag: `"0x1"`}}, pieces(random(2, size)))
			is(t, "replacing another version", err, blob.ErrChanged)
			if got := read(t, c, name); got != string(data) {
				t.Errorf("%d bytes: what was there first has changed", size)
			}
			_, err = c.Upload(t.Context(), name, blob.Upload{}, pieces(random(2, size)))
			is(t, "replacing", err, nil)
		}
	})
}

// An upload that fails leaves nothing visible, whatever write makes of its error.
func TestUploadThatFails(t *testing.T) {
	broken := errors.New("broken")
	c, s := blobtest.Server(t)
	_, err := c.Upload(t.Context(), "a", blob.Upload{}, func(w io.Writer) error {
		if err := pieces(random(1, blob.BlockSize+1))(w); err != nil {
			return err
		}
		return broken
	})
	if err != broken {
		t.Errorf("write's error: %v; expected it as it is", err)
	}
	s.Before(func(o blobs.Op) error {
		if o.Name == "PutBlock" && s.Calls().ByName["PutBlock"] == 4 { // the third of this upload
			return &blobs.Answer{Status: 403, Code: "AuthorizationFailure"}
		}
		return nil
	})
	_, err = c.Upload(t.Context(), "a", blob.Upload{}, func(w io.Writer) error {
		for range 5 {
			_, _ = w.Write(random(1, blob.BlockSize)) // ignores the error
		}
		return nil
	})
	var status *blob.StatusError
	if !errors.As(err, &status) || status.Status != 403 {
		t.Errorf("an error that write ignored: %v; expected the service's refusal", err)
	}
	if got := s.Names(blobtest.Name); len(got) != 0 {
		t.Errorf("visible: %q", got)
	}
}

// An upload whose last answer is lost is a success if the blob is this one.
func TestUploadWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for op, size := range map[string]int{"PutBlob": 5, "PutBlockList": blob.BlockSize + 5} {
			c, s := blobtest.Server(t)
			o := blob.Upload{If: blob.Condition{Absent: true}, Metadata: func(sum string) map[string]string { return map[string]string{"sha256": sum} }}
			s.Before(losing(op, 1))
			info, err := c.Upload(t.Context(), "a", o, pieces(random(1, size)))
			if err != nil || info.Size != int64(size) {
				t.Errorf("%s: %+v, %v; expected success", op, info, err)
			}
			// Another's blob is not taken for ours.
			s.Before(func(o blobs.Op) error {
				if o.Name != op {
					return nil
				}
				s.Before(nil)
				put(t, c, "b", "theirs")
				return &blobs.Drop{}
			})
			_, err = c.Upload(t.Context(), "b", o, pieces(random(1, size)))
			is(t, op+": another was first", err, blob.ErrExists)
		}
	})
}

// However many uploads run at once, they take no more than their buffers; and a
// wait for a buffer ends with its context.
func TestUploadsShareBuffers(t *testing.T) {
	s := blobs.New(blobs.Options{})
	account := blobtest.On(s)
	account.Buffers = blob.NewBuffers(2*blob.BlockSize + 1)
	c := account.Container(blobtest.Name)
	var holding, most atomic.Int32
	data := random(1, 200<<10)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := c.Upload(t.Context(), fmt.Sprint(i), blob.Upload{}, func(w io.Writer) error {
				if _, err := w.Write(data[:100<<10]); err != nil { // from here on it holds a buffer
					return err
				}
				n := holding.Add(1)
				defer holding.Add(-1)
				for {
					m := most.Load()
					if n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				_, err := w.Write(data[100<<10:])
				return err
			})
			if err != nil || read(t, c, fmt.Sprint(i)) != string(data) {
				t.Errorf("upload %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 2 {
		t.Errorf("%d uploads held a buffer at once; there are 2", most.Load())
	}

	// Both buffers taken: small uploads go on, large ones wait until they are told not to.
	_, err := c.Upload(t.Context(), "outer", blob.Upload{}, func(w io.Writer) error {
		if _, err := w.Write(data); err != nil {
			return err
		}
		_, err := c.Upload(t.Context(), "inner", blob.Upload{}, func(w io.Writer) error {
			if _, err := w.Write(data); err != nil {
				return err
			}
			_, err := c.Upload(t.Context(), "small", blob.Upload{}, text("small"))
			is(t, "a small upload", err, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("why")
			cancel(why)
			_, err = c.Upload(ctx, "large", blob.Upload{}, pieces(data))
			is(t, "a large upload under an ended context", err, why)
			return nil
		})
		return err
	})
	is(t, "uploads", err, nil)
}

// An Upload makes a blob of whatever a function writes, without knowing its length.
func ExampleContainer_Upload() {
	s := blobs.New(blobs.Options{})
	account := blob.Account{ConnectionString: s.ConnectionString(), HTTP: s.Client(), Buffers: blob.NewBuffers(16 << 20)}
	c := account.Container("archive")

	message := blob.Upload{
		Type:     "message/rfc822",
		If:       blob.Condition{Absent: true}, // never overwrite
		Metadata: func(sum string) map[string]string { return map[string]string{"sha256": sum} },
	}
	ctx := context.Background()
	info, err := c.Upload(ctx, "7/2024/06/10/1800.eml", message, func(w io.Writer) error {
		_, err := io.Copy(w, strings.NewReader("Subject: hello\r\n"))
		return err
	})
	fmt.Println(info.Size, info.Metadata["sha256"][:8], err)

	_, err = c.Upload(ctx, "7/2024/06/10/1800.eml", message, func(io.Writer) error { return nil })
	fmt.Println(errors.Is(err, blob.ErrExists))
	// Output:
	// 16 fde4e794 <nil>
	// true
}
