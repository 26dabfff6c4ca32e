package blob_test

import (
	"errors"
	"testing"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/blob/blobtest"
	"xarchive/tests/sandbox/blobs"
)

// interrupted uploads data and has the service refuse after so many blocks.
func interrupted(t *testing.T, c *blob.Container, s *blobs.Server, data []byte, after int, resume *blob.Staged) {
	t.Helper()
	n := 0
	s.Before(func(o blobs.Op) error {
		if o.Name == "PutBlock" {
			if n++; n > after {
				return &blobs.Answer{Status: 403, Code: "AuthorizationFailure"}
			}
		}
		return nil
	})
	defer s.Before(nil)
	if _, err := c.Upload(t.Context(), "a", blob.Upload{Resume: resume}, pieces(data)); err == nil {
		t.Fatal("the upload was to be interrupted")
	}
}

// An interrupted upload goes on where it stopped, in another process too.
func TestUploadResumed(t *testing.T) {
	const block = blob.BlockSize
	for _, size := range []int{4 * block, 4*block + 7} {
		c, s := blobtest.Server(t)
		data := random(1, size)
		var resume blob.Staged
		interrupted(t, c, s, data, 2, &resume)
		interrupted(t, blobtest.On(s).Container(blobtest.Name), s, data, 1, &resume)
		if resume.Blocks != 3 {
			t.Fatalf("staged %+v, expected 3 blocks", resume)
		}
		s.ResetCalls()
		_, err := c.Upload(t.Context(), "a", blob.Upload{Resume: &resume}, pieces(data))
		if err != nil || read(t, c, "a") != string(data) {
			t.Fatalf("going on: %v", err)
		}
		if sent := s.Calls().BytesIn; sent > int64(size-3*block)+4096 {
			t.Errorf("%d bytes sent again; expected those after the third block alone, %d", sent, size-3*block)
		}
		if resume != (blob.Staged{}) {
			t.Errorf("after its end: %+v, expected nothing", resume)
		}
	}
}

// Bytes other than those staged earlier are never mixed with them: the upload says
// so, and begins again when it is asked again.
func TestUploadResumedWithOtherBytes(t *testing.T) {
	const block = blob.BlockSize
	data := random(1, 4*block+7)
	changedFirst := append([]byte("other"), data[5:]...)
	changedThird := append(append(append([]byte{}, data[:2*block]...), random(9, block)...), data[3*block:]...)
	for name, other := range map[string][]byte{
		"the first block differs": changedFirst, "the third block differs": changedThird,
		"shorter by a block": data[:2*block], "shorter": data[:2*block+1], "short": data[:9], "empty": nil,
	} {
		c, s := blobtest.Server(t)
		var resume blob.Staged
		interrupted(t, c, s, data, 3, &resume)
		_, err := c.Upload(t.Context(), "a", blob.Upload{Resume: &resume}, pieces(other))
		is(t, name, err, blob.ErrBlocks)
		if resume.Blocks != 0 || len(s.Names(blobtest.Name)) != 0 {
			t.Errorf("%s: staged %+v, visible %q; expected nothing", name, resume, s.Names(blobtest.Name))
		}
		if _, err := c.Upload(t.Context(), "a", blob.Upload{Resume: &resume}, pieces(other)); err != nil || read(t, c, "a") != string(other) {
			t.Errorf("%s, asked again: %v", name, err)
		}
	}
	// The bytes differ only after what was staged: that is no conflict.
	c, s := blobtest.Server(t)
	var resume blob.Staged
	interrupted(t, c, s, data, 2, &resume)
	if _, err := c.Upload(t.Context(), "a", blob.Upload{Resume: &resume}, pieces(changedThird)); err != nil || read(t, c, "a") != string(changedThird) {
		t.Errorf("different after what was staged: %v", err)
	}
}

// A suspended instance that goes on with the same upload and other bytes does not
// get its bytes into what the next instance commits.
func TestUploadResumedByTwo(t *testing.T) {
	const block = blob.BlockSize
	ours := random(1, 3*block)
	theirs := append(append([]byte{}, ours[:block]...), random(2, 3*block)...)
	c, s := blobtest.Server(t)
	var resume blob.Staged
	interrupted(t, c, s, ours, 1, &resume)
	copied := resume
	n := 0
	s.Before(func(o blobs.Op) error {
		if o.Name != "PutBlockList" {
			return nil
		}
		s.Before(nil) // all our blocks are staged: the suspended instance stages its own
		n++
		late := copied
		interrupted(t, c, s, theirs, 2, &late)
		return nil
	})
	_, err := c.Upload(t.Context(), "a", blob.Upload{Resume: &resume}, pieces(ours))
	if n == 0 || err != nil && !errors.Is(err, blob.ErrBlocks) {
		t.Fatalf("upload: %v, other instance %d times", err, n)
	}
	if err == nil && read(t, c, "a") != string(ours) {
		t.Error("committed other bytes than were written")
	}
}

// Blocks that the service has dropped are noticed.
func TestUploadResumedTooLate(t *testing.T) {
	c, s := blobtest.Server(t)
	data := random(1, 3*blob.BlockSize)
	var resume blob.Staged
	interrupted(t, c, s, data, 2, &resume)
	put(t, c, "a", "a Put Blob drops staged blocks")
	_, err := c.Upload(t.Context(), "a", blob.Upload{Resume: &resume}, pieces(data))
	is(t, "going on", err, blob.ErrBlocks)
	if _, err := c.Upload(t.Context(), "a", blob.Upload{Resume: &resume}, pieces(data)); err != nil || read(t, c, "a") != string(data) {
		t.Errorf("asked again: %v", err)
	}
}
