package export_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/export"
)

// endless is a container with as many messages as are asked for, none of which is in
// memory. It notes the most memory that was in use.
type endless struct {
	archive.Container
	n int

	mu    sync.Mutex
	heap  uint64 // bytes, the most that was seen
	reads int
}

const (
	small = 2 << 10
	large = 24 << 20 // every 4,000th message
)

func (c *endless) length(i int) int64 {
	if i%4000 == 1 {
		return large
	}
	return small
}

const letterHead = "From: Contoso <press@contoso.example>\r\nTo: archive@contoso.example\r\n\r\n"

// body is the i-th message.
func (c *endless) body(i int) io.Reader {
	return io.LimitReader(io.MultiReader(strings.NewReader(fmt.Sprintf("X-Number: %d\r\n%s", i, letterHead)), new(lines)), c.length(i))
}

// lines is a text without an end. Its value is how much of it has been read.
type lines int

const line = "From the archive, a line of a message that goes on\r\n"

func (l *lines) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], line[(int(*l)+n)%len(line):])
	}
	*l += lines(n)
	return n, nil
}

func (c *endless) at(i int) time.Time {
	return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute)
}

func (c *endless) name(i int) string { return archive.Name(account, c.at(i), fmt.Sprint(i+1)) }

func (c *endless) Folders(_ context.Context, prefix string) ([]string, error) {
	var out []string
	for i := range c.n {
		name := c.name(i)
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		folder, _, _ := strings.Cut(name[len(prefix):], "/")
		if folder = prefix + folder + "/"; len(out) == 0 || out[len(out)-1] != folder {
			out = append(out, folder)
		}
	}
	return out, nil
}

func (c *endless) List(_ context.Context, prefix string, _ bool) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		day, err := time.Parse(account+"/2006/01/02/", prefix)
		if err != nil {
			yield(blob.Info{}, err)
			return
		}
		first := int(day.Sub(c.at(0)) / time.Minute)
		for i := max(first, 0); i < min(first+24*60, c.n); i++ {
			h := sha256.New()
			if _, err := io.Copy(h, c.body(i)); err != nil {
				yield(blob.Info{}, err)
				return
			}
			if !yield(blob.Info{Name: c.name(i), Size: c.length(i), Metadata: map[string]string{"postid": fmt.Sprint(i + 1), "kind": "Tweet",
				"created": c.at(i).Format("2006-01-02T15:04:05.000Z07:00"), "sha256": hex.EncodeToString(h.Sum(nil))}}, nil) {
				return
			}
		}
	}
}

func (c *endless) Open(_ context.Context, name string) (io.ReadCloser, blob.Info, error) {
	var i int
	if _, err := fmt.Sscanf(filepath.Base(name), "%d.eml", &i); err != nil {
		return nil, blob.Info{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reads++; c.reads%100 == 0 || c.length(i-1) == large {
		c.measure()
	}
	return struct {
		io.Reader
		io.Closer
	}{c.body(i - 1), io.NopCloser(nil)}, blob.Info{Name: name, Size: c.length(i - 1)}, nil
}

func (c *endless) measure() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.heap = max(c.heap, m.HeapInuse)
}

// TestMemory: 20,000 messages, five of which have 24 MB, are exported with a heap of less than
// 64 MiB. Each way of writing is tried: eml and review-set write as maildir does.
func TestMemory(t *testing.T) {
	const messages, limit = 20_000, 64 << 20
	for _, format := range []export.Format{export.Maildir, export.Mbox, export.Zip} {
		t.Run(string(format), func(t *testing.T) {
			runtime.GC()
			c := &endless{n: messages}
			dest := filepath.Join(t.TempDir(), "out")
			status := run(t, export.Options{Archive: archive.New(c), Query: export.Query{Account: account, Format: format}, Dest: dest, Now: time.Now})
			c.measure()
			want := int64(0)
			for i := range messages {
				want += c.length(i)
			}
			if status.Messages != messages || status.Bytes != want {
				t.Errorf("status %+v, expected %d messages of %d bytes", status, messages, want)
			}
			if c.heap > limit {
				t.Errorf("the heap had %d MiB, expected less than %d", c.heap>>20, limit>>20)
			}
			t.Logf("the heap had at most %.1f MiB", float64(c.heap)/(1<<20))
			if err := os.RemoveAll(filepath.Dir(dest)); err != nil { // before the next format needs the disk
				t.Error(err)
			}
		})
	}
}
