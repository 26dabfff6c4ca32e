package deliver_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/importer"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// refuse lets no item of those keys into the Import service's container.
func (w *world) refuse(keys ...string) {
	w.theirs.Before(func(op blobs.Op) error {
		for _, key := range keys {
			if op.Class == blobs.Write && strings.Contains(op.Blob, key) {
				return &blobs.Answer{Status: 400, Code: "InvalidHeaderValue"}
			}
		}
		return nil
	})
}

// overwrite changes a message in the archive behind the connector's back.
func (w *world) overwrite(name, text string, metadata map[string]string) {
	w.t.Helper()
	o := &container.ClientOptions{}
	o.Transport = w.ours.Client()
	c, err := container.NewClientFromConnectionString(w.ours.ConnectionString(), "archive", o)
	if err != nil {
		w.t.Fatal(err)
	}
	m := map[string]*string{}
	for k, v := range metadata {
		m[k] = to.Ptr(v)
	}
	if _, err := c.NewBlockBlobClient(name).Upload(w.t.Context(), streaming.NopCloser(strings.NewReader(text)), &blockblob.UploadOptions{Metadata: m}); err != nil {
		w.t.Fatal(err)
	}
}

// TestRetries: uploads that fail are made up for by later ticks, not before they are
// due. What was uploaded before the first failure is not uploaded again.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.refuse(keys[3], keys[7])
		w.request("t", 0, 9)
		if _, err := w.tick(time.Minute); err == nil || !strings.Contains(err.Error(), keys[3]) || !strings.Contains(err.Error(), "status 400") {
			t.Fatalf("%v, expected the failure of the third message", err)
		}
		if open := w.open(); open.Uploads != 3 || open.Position != archive.Name("7", at(2), keys[2]) || open.Problem == nil {
			t.Errorf("task %+v, expected three items written down, and the problem", open)
		}
		w.theirs.Before(nil)
		w.theirs.ResetCalls()
		if w.run(); w.theirs.Calls().All() != 0 {
			t.Error("the task was tried again before it was due")
		}
		time.Sleep(time.Minute)
		w.service.answer = importer.ErrNotTaken
		if _, err := w.tick(time.Minute); err == nil {
			t.Fatal("no error")
		}
		if p := w.open().Partials; len(p) > 0 {
			t.Errorf("%+v is noted of items that are uploaded", p)
		}
		w.service.answer = nil
		time.Sleep(time.Hour)
		w.run()
		w.want("t", importer.Success, keys...)
		if n := w.theirs.Calls().Write; n != 7 {
			t.Errorf("%d uploads in the second attempt, expected the 7 behind the failure", n)
		}
	})
}

// TestNothingWorks: after ten attempts, further and further apart, none of which
// brought the task further, the Import service is told of a temporary failure that
// names the message.
func TestNothingWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.theirs.Before(func(blobs.Op) error { return &blobs.Answer{Status: 409, Code: "AccountBeingCreated"} })
		w.request("t", 0, 9)
		start := now()
		var last time.Duration
		for n := range 10 {
			if _, err := w.tick(10 * time.Minute); err == nil {
				t.Fatalf("attempt %d: no error", n)
			}
			if pause := w.open().NotBefore.Sub(now()); n < 9 {
				if pause < last || pause > time.Hour {
					t.Errorf("pause %s after attempt %d, the one before was %s", pause, n, last)
				}
				last = pause
				time.Sleep(pause)
			}
		}
		if took := now().Sub(start); took < 3*time.Hour {
			t.Errorf("given up after %s", took)
		}
		if n := w.log.count("level=WARN", "no further", "item="+keys[0]); n != 10 {
			t.Errorf("%d warnings name the message, expected 10:\n%s", n, w.log)
		}
		w.run()
		w.want("t", importer.TemporaryFailure)
		if reason := w.reason("t"); !strings.Contains(reason, keys[0]) || !strings.Contains(reason, "status 409") {
			t.Errorf("reason %q", reason)
		}
		if n := w.log.count("level=ERROR", `"task failed"`); n != 1 {
			t.Errorf("the failure was logged %d times, expected once", n)
		}
	})
}

// TestStuckItem: an item that ten attempts bring no further is left; everything else is
// delivered, and the temporary failure names it.
func TestStuckItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(300)
		w.refuse(keys[3], keys[250])
		w.request("t", 0, 299)
		for range 25 {
			_, _ = w.tick(10 * time.Minute) // fails for the two
			if w.service.calls.Load() > 0 {
				break
			}
			time.Sleep(time.Hour)
		}
		var rest []string
		for i, key := range keys {
			if i != 3 && i != 250 {
				rest = append(rest, key)
			}
		}
		w.want("t", importer.TemporaryFailure, rest...)
		if reason := w.reason("t"); !strings.Contains(reason, keys[3]) || !strings.Contains(reason, keys[250]) || !strings.Contains(reason, "10 attempts") {
			t.Errorf("reason %q", reason)
		}
		// Asked for again, the task delivers everything.
		w.theirs.Before(nil)
		w.request("t", 0, 299)
		w.run()
		w.want("t", importer.Success, keys...)
	})
}

// TestUndeliverable: of messages that are altered, gone or not the archive's nothing is
// delivered; the others are, and the permanent failure names each.
func TestUndeliverable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		e, err := w.archive.Find(t.Context(), archive.Name("7", at(3), keys[3]))
		if err != nil {
			t.Fatal(err)
		}
		w.overwrite(e.Name, "message X", map[string]string{"created": "2024-06-10T12:03:00.000Z", "sha256": e.SHA256})
		w.overwrite("7/2024/06/10/foreign.eml", "what is this", nil)
		w.overwrite("7/2024/06/10/notes.txt", "neither is this a message", nil)
		w.ours.Before(func(op blobs.Op) error { // removed after it was listed
			if op.Name == "GetBlob" && strings.Contains(op.Blob, keys[6]) {
				return &blobs.Answer{Status: 404, Code: "BlobNotFound"}
			}
			return nil
		})
		w.refuse(keys[8])
		w.request("t", 0, 9)
		if _, err := w.tick(time.Minute); err == nil {
			t.Fatal("no error although an item was refused")
		}
		w.theirs.Before(nil)
		time.Sleep(time.Minute)
		w.run()
		rest := append(append(append([]string{}, keys[:3]...), keys[4:6]...), keys[7:]...)
		w.want("t", importer.PermanentFailure, rest...)
		if _, there := w.theirs.Get("inbox", "j/t/"+keys[3]+".json"); there {
			t.Error("an altered message was delivered")
		}
		for _, part := range []string{keys[3], "SHA-256", keys[6], "not in the archive", "foreign.eml"} {
			if reason := w.reason("t"); !strings.Contains(reason, part) {
				t.Errorf("reason %q lacks %q", reason, part)
			}
		}
		if n := w.log.count("level=ERROR", "cannot be delivered"); n != 3 {
			t.Errorf("%d errors logged, expected one a message:\n%s", n, w.log)
		}
	})
}

// TestPanic: a panic over one item is that item's failure.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.posts(3)
		w.request("t", 0, 2)
		w.item = func(io.Writer, io.Reader) error { panic("boom") }
		if _, err := w.tick(time.Minute); err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("%v, expected the panic", err)
		}
	})
}

// TestShortTicks: each tick brings a task further, however short it is, and next to
// nothing is uploaded twice.
func TestShortTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(600)
		w.request("t", 0, 599)
		w.ours.SetLatency(20 * time.Millisecond)
		w.theirs.SetLatency(200 * time.Millisecond)
		w.theirs.ResetCalls()
		before, ticks := 0, 0
		for ; w.service.events["t"] == nil && ticks < 50; ticks++ {
			if _, err := w.tick(2 * time.Second); err != nil {
				t.Fatalf("tick %d: %v", ticks, err)
			}
			if tasks, _, _ := w.state.OpenTasks(t.Context()); len(tasks) == 1 && tasks[0].Verdict == nil {
				if tasks[0].Uploads <= before || tasks[0].Attempts > 0 {
					t.Fatalf("tick %d brought the task from %d items to %d, attempts %d", ticks, before, tasks[0].Uploads, tasks[0].Attempts)
				}
				before = tasks[0].Uploads
			}
		}
		w.want("t", importer.Success, keys...)
		if writes := w.theirs.Calls().Write; writes > 600+ticks*itemsAtOnce {
			t.Errorf("%d uploads of 600 items in %d ticks", writes, ticks)
		}
		if w.log.count("interrupted", "level=INFO", "uploaded=") == 0 || w.log.count("level=WARN") > 0 {
			t.Errorf("an interruption is told, and no warning; the log has:\n%s", w.log)
		}
	})
}

const itemsAtOnce = 16

// huge is an item of 10 blocks and something.
var huge = strings.Repeat("0123456789abcdef", 10*blob.BlockSize/16) + "end"

// TestHugeItem: an item that is larger than a tick goes on behind the blocks that are
// staged, while the small ones around it wait no longer than for it.
func TestHugeItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.put(at(0).Add(-time.Minute), huge)
		other := w.put(at(0).Add(-30*time.Second), huge)
		keys := append([]string{key, other}, w.posts(5)...)
		w.request("t", -1, 4)
		w.theirs.SetLatency(2 * time.Second)
		w.theirs.ResetCalls()
		ticks := 0
		for ; w.service.events["t"] == nil && ticks < 20; ticks++ {
			if _, err := w.tick(7 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		w.want("t", importer.Success, keys...)
		if blocks := w.theirs.Calls().ByName["PutBlock"]; blocks > 2*11+2*ticks {
			t.Errorf("%d blocks were sent in %d ticks, of two items of 11", blocks, ticks)
		}
		if ticks < 3 {
			t.Errorf("the item took %d ticks: it was not larger than a tick", ticks)
		}
	})
}

// TestKilled: what was staged of a huge item counts even if the process dies, and does
// not write down where it stopped.
func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.put(at(0), huge)
		w.posts(0)
		w.account(func(a *state.Account) { a.Covered = a.Covered.Add(state.Range{To: at(1)}) })
		w.request("t", 0, 0)
		w.theirs.SetLatency(2 * time.Second)
		w.theirs.Before(func(op blobs.Op) error {
			if op.Name == "PutBlock" && w.theirs.Calls().ByName["PutBlock"] == 8 {
				w.ours.Before(func(blobs.Op) error { return &blobs.Drop{Final: true} })
			}
			return nil
		})
		if _, err := w.tick(17 * time.Second); err == nil {
			t.Error("no error although nothing could be written down")
		}
		w.theirs.Before(nil)
		w.ours.Before(nil)
		w.theirs.ResetCalls()
		time.Sleep(time.Minute)
		w.run()
		w.want("t", importer.Success, key)
		if blocks := w.theirs.Calls().ByName["PutBlock"]; blocks > 7 {
			t.Errorf("%d blocks were sent after the crash, expected those that were not written down", blocks)
		}
	})
}

// TestOtherBytes: an item that is not the same any more, since a setting has changed, is
// uploaded from its start.
func TestOtherBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.put(at(0), huge)
		w.account(func(a *state.Account) { a.Covered = a.Covered.Add(state.Range{To: at(1)}) })
		w.request("t", 0, 0)
		w.theirs.SetLatency(2 * time.Second)
		w.item = func(out io.Writer, eml io.Reader) error {
			if _, err := io.WriteString(out, "before "); err != nil {
				return err
			}
			_, err := io.Copy(out, eml)
			return err
		}
		if _, err := w.tick(9 * time.Second); err != nil {
			t.Fatal(err)
		}
		if p := w.open().Partials; len(p) != 1 || p[0].Staged.Blocks < 2 {
			t.Fatalf("partials %+v, expected some blocks to be staged", p)
		}
		w.item = func(out io.Writer, eml io.Reader) error { _, err := io.Copy(out, eml); return err }
		w.run()
		w.want("t", importer.Success, key)
	})
}

// TestContainerIsNoUse: a container that is gone is a permanent failure at once, a SAS
// whose time is over a temporary one, after which the task is done with a new one.
func TestContainerIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(30)
		w.request("gone", 0, 29, func(t *state.Task) { t.BlobSASURI = "http://blobs.invalid/devstoreaccount1/elsewhere?sig=hush" })
		w.request("unreadable", 0, 29, func(t *state.Task) { t.BlobSASURI = "http://bad host/%zz?sig=hush" })
		w.request("expired", 0, 29, func(t *state.Task) { t.BlobSASURI = sas + "&se=1999-01-01T00:00:00Z" })
		w.theirs.Before(func(op blobs.Op) error {
			if strings.HasPrefix(op.Blob, "j/expired/") {
				return &blobs.Answer{Status: 403, Code: "AuthenticationFailed"}
			}
			return nil
		})
		w.run()
		w.want("gone", importer.PermanentFailure)
		w.want("unreadable", importer.PermanentFailure)
		w.want("expired", importer.TemporaryFailure)
		if strings.Contains(w.log.String(), "hush") {
			t.Error("the log holds a signature")
		}
		w.theirs.Before(nil)
		w.request("expired", 0, 29)
		w.run()
		w.want("expired", importer.Success, keys...)
	})
}

// TestPositionGone: when the message where a walk stopped is gone, the task begins again
// and tells no item twice.
func TestPositionGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(10)
		w.refuse(keys[5])
		w.request("t", 0, 9)
		if _, err := w.tick(time.Minute); err == nil {
			t.Fatal("no error")
		}
		w.theirs.Before(nil)
		o := &container.ClientOptions{}
		o.Transport = w.ours.Client()
		c, err := container.NewClientFromConnectionString(w.ours.ConnectionString(), "archive", o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.NewBlobClient(w.open().Position).Delete(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := w.tick(time.Minute); !errors.Is(err, archive.ErrPosition) {
			t.Fatalf("%v, expected ErrPosition", err)
		}
		time.Sleep(time.Hour)
		w.run()
		w.want("t", importer.Success, append(append([]string{}, keys[:4]...), keys[5:]...)...)
	})
}

// TestManyUndeliverable: messages that are left do not make the task's record grow without
// bound.
func TestManyUndeliverable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		keys := w.posts(500)
		for i, key := range keys[:450] {
			e, err := w.archive.Find(t.Context(), archive.Name("7", at(i), key))
			if err != nil {
				t.Fatal(err)
			}
			w.overwrite(e.Name, "x", map[string]string{"created": e.Created.Format("2006-01-02T15:04:05.000Z"), "sha256": e.SHA256})
		}
		w.request("t", 0, 499)
		w.run()
		w.want("t", importer.PermanentFailure, keys[450:]...)
		ended, _ := w.state.EndedTask(t.Context(), "j", "t")
		if len(ended.Left) != 100 || ended.LeftMore != 350 || !strings.Contains(ended.Verdict.Reason, fmt.Sprintf("and %d more", 430)) {
			t.Errorf("%d named and %d more; reason %q", len(ended.Left), ended.LeftMore, ended.Verdict.Reason)
		}
	})
}
