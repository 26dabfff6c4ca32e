package capture_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
)

// TestKilledBehindTheEnd: a run that was at its end, found that it was not, and was
// killed just after it retained one more page, goes on.
func TestKilledBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(3)
		time.Sleep(time.Hour)
		w.mustTick()
		w.post(330) // X reaches 320
		time.Sleep(time.Minute)
		w.x.OnCall(func(n int, _ string) {
			pages := slices.DeleteFunc(w.blobs.Names("state"), func(name string) bool { return !strings.HasPrefix(name, "pages/") })
			if len(pages) == 32 { // every page that X reaches is retained
				for _, p := range w.posted[300:325] {
					w.x.Delete(p.ID) // so that X reaches further back
				}
			}
		})
		dead := w.blobs.DieAfter(func(op blobs.Op) bool {
			return op.Name == "PutBlob" && strings.HasSuffix(op.Blob, "/00032.json")
		})
		if _ = w.tick(); !dead() {
			t.Fatal("the process was not killed at page 32")
		}
		w.blobs.Before(nil)
		w.x.OnCall(nil)
		for range 3 {
			time.Sleep(time.Minute)
			w.mustTick()
		}
		w.wantArchived(w.posted...)
		if a := w.record(); a.Run != nil || len(a.Gaps) > 0 {
			t.Errorf("run %+v, gaps %v", a.Run, a.Gaps)
		}
	})
}

// TestPageLost: a retained page that somebody removed does not hold the account up for
// good: what was not archived is read again.
func TestPageLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(40)
		var puts atomic.Int64
		w.blobs.Before(func(op blobs.Op) error {
			if op.Container == "archive" && op.Name == "PutBlob" && puts.Add(1) > 25 {
				return &blobs.Drop{Final: true}
			}
			return nil
		})
		if err := w.tick(); err == nil {
			t.Fatal("storage failed, and the tick did not")
		}
		w.blobs.Before(nil)
		for _, name := range w.blobs.Names("state") {
			if strings.HasSuffix(name, "/00000.json") {
				if err := w.storage.Container("state").Remove(t.Context(), name, noCondition); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 3 {
			time.Sleep(time.Minute)
			_ = w.tick() // the loss is reported
		}
		w.wantArchived(w.posted...)
		if a := w.record(); a.Run != nil || a.Problem != nil || a.Covered.End().Before(time.Now().Add(-time.Minute)) {
			t.Errorf("run %+v, problem %+v, covered %v", a.Run, a.Problem, a.Covered)
		}
		if w.log.count("level=ERROR", "page") == 0 {
			t.Error("the log does not say that a page was lost")
		}
	})
}

// TestAsideCounted: a post that was set aside just before the process was killed is
// counted, so that a later version tries it again.
func TestAsideCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.post(1)
		w.panics = "/a.png"
		w.photos("a")
		dead := w.blobs.DieAfter(func(op blobs.Op) bool {
			return op.Name == "PutBlob" && strings.HasPrefix(op.Blob, "set-aside/posts/")
		})
		_ = w.tick()
		w.blobs.Before(nil)
		if !dead() {
			t.Fatal("nothing was set aside")
		}
		time.Sleep(time.Minute)
		_ = w.tick() // it is tried again at once
		if a := w.record(); a.SetAside.Posts != 1 {
			t.Errorf("%d posts are counted as set aside, want 1", a.SetAside.Posts)
		}
	})
}

// TestAlteredMessage: a message of the archive that was altered, or is none of ours, is
// reported and holds no other post up.
func TestAlteredMessage(t *testing.T) {
	for name, metadata := range map[string]map[string]string{
		"altered": {"postid": "1", "created": "2026-06-10T12:00:01.000Z", "kind": "Tweet", "sha256": strings.Repeat("0", 64)},
		"foreign": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "a")
				time.Sleep(time.Second)
				p := w.x.Post(account, corpus.Post{Text: "with a photo", MediaKeys: []string{"3_a"}})
				w.putMessage("7/2026/06/10/"+p.ID+".eml", metadata)
				w.post(2)
				for range 2 {
					time.Sleep(time.Minute)
					_ = w.tick()
				}
				w.wantArchived(append(w.posted, p)...)
				if a := w.record(); a.Run != nil || a.Covered.End().Before(time.Now().Add(-time.Minute)) {
					t.Errorf("covered to %s, run %+v", a.Covered.End(), a.Run)
				}
				if w.log.count("level=ERROR", p.ID) == 0 {
					t.Error("the log does not say so")
				}
			})
		})
	}
}

// TestPanicOverAPost: a post over which capture panics is set aside, and holds no other
// up.
func TestPanicOverAPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.photos("a")
		w.posted = nil
		w.post(2)
		w.panics = "/a.png"
		time.Sleep(time.Minute)
		w.mustTick()
		w.wantArchived(w.posted...)
		if a := w.record(); a.SetAside.Posts != 1 || w.log.count("level=ERROR", "panic") != 1 {
			t.Errorf("set aside %+v", a.SetAside)
		}
		w.panics, w.version = "", "v2"
		w.mustTick()
		if a := w.record(); a.SetAside.Posts != 0 || len(w.archived()) != 3 {
			t.Errorf("after a later version's try: set aside %+v, archived %v", a.SetAside, w.archived())
		}
	})
}

// TestAllSetAside: an account of which no post can be archived is not read from its
// beginning in each tick.
func TestAllSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.panics = "/a.png"
		for range 30 {
			w.photos("a")
		}
		w.mustTick()
		time.Sleep(20 * time.Minute)
		w.photos("a")
		w.mustTick()
		before := w.x.Stats().PostReads
		time.Sleep(4 * time.Minute)
		w.mustTick()
		if n := w.x.Stats().PostReads - before; n > 1 {
			t.Errorf("%d posts are read again", n)
		}
	})
}
