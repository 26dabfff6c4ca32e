package archive_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/storage/storagetest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

func at(id string, created time.Time) *post.Post {
	return &post.Post{ID: id, CreatedAt: created}
}

func write(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

var noon = time.Date(2024, 6, 10, 12, 0, 0, 5e6, time.UTC)

func TestPutOnce(t *testing.T) {
	ctx := t.Context()
	a := archive.New(storagetest.Container(t))
	p := at("1800", noon)
	if _, err := a.Find(ctx, archive.Name("7", p)); !errors.Is(err, archive.ErrNotFound) {
		t.Fatalf("before: %v", err)
	}
	e, created, err := a.Put(ctx, "7", p, write("first"))
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if e.Name != "7/2024/06/10/1800.eml" {
		t.Errorf("name %q", e.Name)
	}
	sum := sha256.Sum256([]byte("first"))
	if e.SHA256 != hex.EncodeToString(sum[:]) || e.Size != 5 {
		t.Errorf("entry %+v", e)
	}
	again, created, err := a.Put(ctx, "7", p, write("second"))
	if err != nil || created {
		t.Fatal(created, err)
	}
	if again.SHA256 != e.SHA256 || !again.Created.Equal(noon) || again.Kind != post.Tweet || again.Size != 5 {
		t.Errorf("entry of what was there: %+v, want %+v", again, e)
	}
	if got := read(t, a, again); got != "first" {
		t.Errorf("archived %q", got)
	}
}

// TestPutInBlocks: messages around and above the block size arrive whole.
func TestPutInBlocks(t *testing.T) {
	ctx := t.Context()
	a := archive.New(storagetest.Container(t))
	for i, size := range []int{0, 4<<20 - 1, 4 << 20, 4<<20 + 1, 9 << 20} {
		data := make([]byte, size)
		rng := rand.New(rand.NewPCG(uint64(size), 0))
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		e, _, err := a.Put(ctx, "7", at(fmt.Sprint(100+i), noon), func(w io.Writer) error {
			for part := data; len(part) > 0; {
				n := min(len(part), 1+rng.IntN(1<<20))
				if _, err := w.Write(part[:n]); err != nil {
					return err
				}
				part = part[n:]
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if read(t, a, e) != string(data) {
			t.Errorf("%d bytes do not come back", size)
		}
	}
}

// TestPutFails: a message that breaks off is not there at all.
func TestPutFails(t *testing.T) {
	a := archive.New(storagetest.Container(t))
	broken := errors.New("broken")
	_, _, err := a.Put(t.Context(), "7", at("1", noon), func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 5<<20)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, err := a.FindPost(t.Context(), "7", "1"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("found: %v", err)
	}
}

func TestAlteredIsNoticed(t *testing.T) {
	ctx := t.Context()
	c := storagetest.Container(t)
	a := archive.New(c)
	e, _, err := a.Put(ctx, "7", at("1", noon), write("what was posted"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := c.Client(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.NewBlockBlobClient(e.Name).Upload(ctx, streaming.NopCloser(strings.NewReader("what was wished")), &blockblob.UploadOptions{
		Metadata: map[string]*string{"sha256": &e.SHA256}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Open(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, archive.ErrAltered) {
		t.Errorf("reading an altered message: %v", err)
	}
}

// TestList compares windows of every width, across days, months and years,
// with a plain filter. Both ends of a window are part of it.
func TestList(t *testing.T) {
	ctx := t.Context()
	a := archive.New(storagetest.Container(t))
	start := time.Date(2023, 12, 30, 0, 0, 0, 0, time.UTC)
	var times []time.Time
	for i := range 40 {
		p := at(fmt.Sprint(1000-i*7%40), start.Add(time.Duration(i)*31*time.Hour))
		times = append(times, p.CreatedAt)
		if _, _, err := a.Put(ctx, "7", p, write("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := a.Put(ctx, "77", at("5", start), write("another account")); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		from, to := times[rng.IntN(40)], times[rng.IntN(40)]
		got, err := a.List(ctx, "7", from, to)
		if err != nil {
			t.Fatal(err)
		}
		var want []time.Time
		for _, at := range times {
			if !at.Before(from) && !at.After(to) {
				want = append(want, at)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%v to %v: %d entries, want %d", from, to, len(got), len(want))
		}
		for i := range got {
			if !got[i].Created.Equal(want[i]) {
				t.Fatalf("entry %d is of %v, want %v", i, got[i].Created, want[i])
			}
		}
	}
	// Posts of one instant come in the order of their numbers.
	for _, id := range []string{"200", "99"} {
		if _, _, err := a.Put(ctx, "9", at(id, noon), write("x")); err != nil {
			t.Fatal(err)
		}
	}
	same, err := a.List(ctx, "9", noon, noon)
	if err != nil || len(same) != 2 || same[0].PostID != "99" {
		t.Errorf("%+v, %v", same, err)
	}
}

func TestFindPost(t *testing.T) {
	ctx := t.Context()
	a := archive.New(storagetest.Container(t))
	const id = "1800000000000000000"
	inID, _ := post.IDTime(id)
	for _, p := range []*post.Post{at(id, inID), at("1800000000000000001", noon.AddDate(-3, 0, 0)), at("20", time.Date(2006, 3, 21, 20, 50, 14, 0, time.UTC))} {
		if _, _, err := a.Put(ctx, "7", p, write("x")); err != nil {
			t.Fatal(err)
		}
		if e, err := a.FindPost(ctx, "7", p.ID); err != nil || e.PostID != p.ID || !e.Created.Equal(p.CreatedAt.Truncate(time.Millisecond)) {
			t.Errorf("post %s: %+v, %v", p.ID, e, err)
		}
	}
	if _, err := a.FindPost(ctx, "7", "21"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
}

func read(t *testing.T, a *archive.Archive, e archive.Entry) string {
	t.Helper()
	r, err := a.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
