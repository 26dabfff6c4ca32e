package capture_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/message"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

var noCondition = blob.Condition{}

// putMessage puts a blob into the archive that capture has not made.
func (w *world) putMessage(name string, metadata map[string]string) {
	w.t.Helper()
	_, err := w.storage.Container("archive").Upload(w.t.Context(), name, blob.Upload{Type: "message/rfc822",
		Metadata: func(string) map[string]string { return metadata }}, func(to io.Writer) error {
		_, err := io.WriteString(to, "Subject: another\r\n\r\nanother\r\n")
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// photos makes a post with photos.
func (w *world) photos(names ...string) corpus.Post {
	var keys []string
	for _, name := range names {
		keys = append(keys, "3_"+name)
	}
	time.Sleep(time.Second)
	p := w.x.Post(account, corpus.Post{Text: "with photos", MediaKeys: keys})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posted = append(w.posted, p)
	return p
}

// files returns the names of the media files in a message.
func (w *world) files(key string) (names []string) {
	w.t.Helper()
	m, err := message.Open(strings.NewReader(w.message(key)))
	if err != nil {
		w.t.Fatal(err)
	}
	for {
		part, err := m.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			w.t.Fatal(err)
		}
		names = append(names, part.Name)
		if b, err := io.ReadAll(part.Body); err != nil || len(b) < 100 {
			w.t.Errorf("file %s of message %s: %d bytes, %v", part.Name, key, len(b), err)
		}
	}
}

func (w *world) wantFiles(key string, want ...string) {
	w.t.Helper()
	if got := w.files(key); !slices.Equal(got, want) {
		w.t.Errorf("message %s has files %v, want %v", key, got, want)
	}
}

// ticks runs capture every four minutes for a while.
func (w *world) ticks(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(4 * time.Minute)
		w.mustTick()
	}
}

var down = x.MediaFault{Status: 503}

// TestMediaLater: media that X does not give are asked for again, and archived as second
// messages that hold just them; these are noted for the next task where the
// post's time is delivered. Posts are not held up.
func TestMediaLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c", "d")
		w.x.FailMedia("b.png", down)
		w.x.FailMedia("c.png", down)
		p := w.photos("a", "b", "c")
		w.post(1)
		w.ticks(8 * time.Minute)
		w.wantArchived(w.posted...)
		w.wantFiles(p.ID, "a.png")
		for _, key := range []string{"3_b", "3_c"} {
			if !strings.Contains(w.message(p.ID), "X-Twitter-Media-Missing: "+key) {
				t.Errorf("the message does not state that %s is missing", key)
			}
		}
		w.delivered()
		w.ticks(time.Hour)
		w.x.FailMedia("b.png", x.MediaFault{})
		w.ticks(2 * time.Hour)
		w.wantFiles(p.ID+".media", "b.png")
		w.x.FailMedia("c.png", x.MediaFault{})
		w.ticks(2 * time.Hour)
		w.wantFiles(p.ID+".media", "b.png")
		w.wantFiles(p.ID+".media.2", "c.png")
		if got := w.late(); !slices.Equal(got, []string{p.ID + ".media", p.ID + ".media.2"}) {
			t.Errorf("noted for the next task: %v", got)
		}
		if a := w.record(); len(a.Waiting) > 0 || len(a.Lost) > 0 {
			t.Errorf("waiting %v, lost %v", a.Waiting, a.Lost)
		}
		before := w.x.Stats().MediaRequests
		w.ticks(25 * time.Hour)
		if after := w.x.Stats().MediaRequests; after != before {
			t.Errorf("%d more requests for media", after-before)
		}
	})
}

// TestMediaNever: media that X has not given within a day are given up, once, and
// said to be.
func TestMediaNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b")
		w.x.FailMedia("b.png", down)
		p := w.photos("a", "b")
		w.ticks(23 * time.Hour)
		if a := w.record(); len(a.Waiting) != 1 {
			t.Errorf("after 23 hours waiting for %v", a.Waiting)
		}
		w.ticks(3 * time.Hour)
		a := w.record()
		if len(a.Waiting) != 0 || len(a.Lost) != 1 || !slices.Equal(a.Lost[0].Media, []string{"3_b"}) || a.Lost[0].Why == "" {
			t.Errorf("waiting %v, lost %+v", a.Waiting, a.Lost)
		}
		if w.log.count("level=ERROR", p.ID, "3_b") != 1 {
			t.Error("the log does not say so, once")
		}
		w.wantFiles(p.ID, "a.png")
	})
}

// TestMediaKilled: a process that is killed between archiving a second message and
// writing that down loses no file: what came meanwhile is a further message.
func TestMediaKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		w.x.FailMedia("b.png", down)
		w.x.FailMedia("c.png", down)
		p := w.photos("a", "b", "c")
		w.ticks(8 * time.Minute)
		w.delivered()
		w.x.FailMedia("b.png", x.MediaFault{})
		dead := w.blobs.DieAfter(func(op blobs.Op) bool {
			return op.Name == "PutBlob" && strings.HasSuffix(op.Blob, ".media.eml")
		})
		for range 10 {
			time.Sleep(4 * time.Minute)
			if _ = w.tick(); dead() {
				break
			}
		}
		w.blobs.Before(nil)
		w.x.FailMedia("c.png", x.MediaFault{})
		w.ticks(2 * time.Hour)
		w.wantFiles(p.ID+".media", "b.png")
		w.wantFiles(p.ID+".media.2", "c.png")
		if got := w.late(); !slices.Equal(got, []string{p.ID + ".media", p.ID + ".media.2"}) {
			t.Errorf("noted for the next task: %v", got)
		}
	})
}

// TestMediaAskedForByTask: a task that asks about a post has the media that were given up
// asked for again. What came before is not archived again.
func TestMediaAskedForByTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		w.x.FailMedia("b.png", down)
		w.x.FailMedia("c.png", down)
		p := w.photos("a", "b", "c")
		w.ticks(time.Hour)
		w.x.FailMedia("b.png", x.MediaFault{})
		w.ticks(26 * time.Hour)
		w.wantFiles(p.ID+".media", "b.png")
		w.x.FailMedia("c.png", x.MediaFault{})
		w.task("t", p.ID)
		w.ticks(time.Hour)
		w.wantFiles(p.ID+".media.2", "c.png")
		found, err := w.state.Found(t.Context(), "job"+account, "t")
		if err != nil || len(found.Names) != 1 {
			t.Errorf("found %v, %v", found, err)
		}
	})
}

// task adds a task that asks about posts.
func (w *world) task(id string, dirty ...string) {
	w.t.Helper()
	_, err := w.state.AddTask(w.t.Context(), state.Task{JobID: "job" + account, TaskID: id, AccountID: account, Start: time.Now().Add(-time.Hour),
		End: time.Now(), Dirty: dirty, ReceivedAt: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestMediaServerDown: hundreds of posts whose media cannot be had neither hold new
// posts up nor make a tick long. When the server is back, all files come.
func TestMediaServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, 100, 3200, "a")
		w.x.FailMedia("", down)
		var all []corpus.Post
		for range 250 {
			all = append(all, w.photos("a"))
		}
		w.mustTick()
		for range 20 {
			time.Sleep(4 * time.Minute)
			w.post(1)
			began := time.Now()
			w.mustTick()
			if took := time.Since(began); took > 2*time.Minute {
				t.Fatalf("a tick took %s", took)
			}
		}
		w.wantArchived(w.posted...)
		w.x.FailMedia("", x.MediaFault{})
		w.ticks(3 * time.Hour)
		for _, p := range all {
			w.wantFiles(p.ID+".media", "a.png")
		}
	})
}

// TestMediaOfSuspendedAccount: that X does not show the account's timeline does not keep
// the media servers from being asked again.
func TestMediaOfSuspendedAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.x.FailMedia("a.png", down)
		p := w.photos("a")
		w.ticks(8 * time.Minute)
		w.x.FailMedia("a.png", x.MediaFault{})
		w.x.Suspend(account, true)
		for range 30 {
			time.Sleep(4 * time.Minute)
			if err := w.tick(); err == nil {
				t.Fatal("X does not show the account, and the tick does not say so")
			}
		}
		w.wantFiles(p.ID+".media", "a.png")
		if a := w.record(); a.Problem == nil {
			t.Error("no problem is noted")
		}
	})
}

// TestSlowMedia: media that take longer than a tick do not hold the account up for more
// than a few ticks, and are given up after a day.
func TestSlowMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b")
		w.x.FailMedia("a.png", x.MediaFault{BreakAfter: 50, Stall: true})
		w.photos("a", "b")
		other := w.photos("b")
		w.post(3)
		tick := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if _, err := w.capture().Run(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
		}
		for range 4 {
			tick()
		}
		w.wantArchived(w.posted...)
		w.wantFiles(other.ID, "b.png")
		for range 26 * 12 {
			tick()
		}
		if a := w.record(); len(a.Waiting) != 0 || len(a.Lost) != 1 {
			t.Errorf("waiting %v, lost %v", a.Waiting, a.Lost)
		}
	})
}
