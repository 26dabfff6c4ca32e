package recheck_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/capture/capturetest"
	"xarchive/handler/internal/gone"
	"xarchive/handler/internal/manifest"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/recheck"
	"xarchive/handler/internal/state"
	"xarchive/handler/internal/verify"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
)

// world is a world with an audit.
type world struct {
	*capturetest.World
	audit *recheck.Audit
}

func newWorld(t *testing.T, days int) *world {
	w := &world{World: capturetest.New(t, nil)}
	w.restart(days)
	return w
}

// restart begins a process that remembers nothing.
func (w *world) restart(days int) {
	w.audit = recheck.New(recheck.Options{State: w.State, Archive: w.Archive, Capture: w.Capture(), Gone: w.Gone(), Days: days, Now: time.Now, Log: w.Logger()})
}

// look runs the audit after a tick of capture.
func (w *world) look() recheck.Report {
	w.T.Helper()
	w.Tick()
	report, err := w.audit.Run(w.T.Context())
	w.Must(err)
	return report
}

// days lets days pass, with ticks in the first half hour, at noon and late, and adds up what was done.
func (w *world) days(n int) (sum recheck.Report) {
	w.T.Helper()
	for end := time.Now().AddDate(0, 0, n); ; {
		at := time.Now().UTC().Truncate(24 * time.Hour)
		for _, hours := range []time.Duration{0, 12, 23, 24} {
			if t := at.Add(hours*time.Hour + 30*time.Minute); t.After(time.Now()) {
				at = t
				break
			}
		}
		if at.After(end) {
			time.Sleep(time.Until(end))
			return sum
		}
		time.Sleep(time.Until(at))
		r := w.look()
		sum.Looked, sum.Gone, sum.Back = sum.Looked+r.Looked, sum.Gone+r.Gone, sum.Back+r.Back
		sum.Differing += r.Differing
	}
}

func (w *world) note(file string) (n gone.Note) {
	w.T.Helper()
	w.Must(json.Unmarshal(w.Read(file), &n))
	return n
}

func (w *world) gone() state.Gone {
	w.T.Helper()
	g, err := w.State.Gone(w.T.Context(), capturetest.Account)
	w.Must(err)
	return g
}

func (w *world) changes() map[string]string {
	w.T.Helper()
	byJob, _, err := w.State.Changes(w.T.Context())
	w.Must(err)
	out := map[string]string{}
	for _, c := range byJob[capturetest.Job] {
		out[c.PostID] = c.What
	}
	return out
}

// TestGone: a post that X no longer gives is noted beside its message, which stays as it
// is, and the same when it is back, and when it goes again.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		posts := w.Post(5)
		time.Sleep(time.Minute)
		w.look()
		id := posts[2].ID
		before := slices.Clone(w.Read(id + ".eml"))
		time.Sleep(time.Hour) // beyond what the timeline's check of known posts sees
		w.look()
		w.X.Delete(id)
		deleted := time.Now()
		if got := w.days(1); got.Gone != 1 || got.Back != 0 {
			t.Fatalf("after a day: %+v, want one post gone", got)
		}
		n := w.note(id + ".gone.json")
		if n.PostID != id || n.Is != "gone" || n.By != gone.ByAudit || n.Noticed.Before(deleted) || n.Noticed.After(time.Now()) ||
			n.LastSeen.After(deleted) || n.LastSeen.Before(posts[2].CreatedAt) || !bytes.Contains([]byte(n.Answer), []byte(id)) || n.SHA256 == "" {
			t.Errorf("noted: %+v", n)
		}
		if !bytes.Equal(before, w.Read(id+".eml")) {
			t.Error("the message was changed")
		}
		if g := w.gone(); len(g.Posts) != 1 || g.Posts[0].PostID != id || g.Now() != 1 || g.Posts[0].Why == "" {
			t.Errorf("listed: %+v", g)
		}
		if c := w.changes(); len(c) != 1 || c[id] != "gone" {
			t.Errorf("to be told: %v", c)
		}

		w.X.Restore(id)
		if got := w.days(1); got.Gone != 0 || got.Back != 1 {
			t.Fatalf("after it is back: %+v", got)
		}
		if b := w.note(id + ".back.json"); b.Is != "back" || !b.Since.Equal(n.Noticed) || !b.Noticed.After(n.Noticed) {
			t.Errorf("noted: %+v", b)
		}
		if g := w.gone(); len(g.Posts) != 1 || g.Now() != 0 || g.Posts[0].Back.IsZero() {
			t.Errorf("listed: %+v", g)
		}
		if c := w.changes(); c[id] != "back" {
			t.Errorf("to be told: %v", c)
		}

		w.X.Delete(id)
		if got := w.days(5); got.Gone != 1 {
			t.Fatalf("after it is gone again: %+v", got)
		}
		if again := w.note(id + ".gone.2.json"); again.Is != "gone" || !again.Noticed.After(n.Noticed) {
			t.Errorf("noted: %+v", again)
		}
		if g := w.gone(); len(g.Posts) != 1 || g.Posts[0].Times != 2 || !g.Posts[0].Back.IsZero() {
			t.Errorf("listed: %+v", g)
		}
		if got := w.Names(".json"); len(got) != 3 {
			t.Errorf("notes: %v", got)
		}
		w.verified(3)
	})
}

// TestDiffers: what X gives otherwise than it was archived is archived as a further
// message, once, by one more question that X does not bill.
func TestDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		posts := w.Post(5)
		time.Sleep(time.Minute)
		w.look()
		time.Sleep(time.Hour)
		w.look()
		own := slices.Clone(w.Read(posts[2].ID + ".eml"))
		changed := posts[2]
		changed.Raw, changed.Text = nil, "words that X gives now"
		w.X.Change(changed)
		billed := w.X.Stats().BilledReads
		if got := w.days(1); got.Differing != 1 || got.Gone+got.Back != 0 {
			t.Fatalf("after a day: %+v, want one post that differs", got)
		}
		if got := w.Names(".version.eml"); !slices.Equal(got, []string{posts[2].ID + ".version.eml"}) || !bytes.Contains(w.Read(got[0]), []byte(changed.Text)) {
			t.Errorf("archived: %v", got)
		}
		if !bytes.Equal(own, w.Read(posts[2].ID+".eml")) {
			t.Error("the message was changed")
		}
		if got := w.X.Stats().BilledReads - billed; got != 0 {
			t.Errorf("X bills %d posts more on their own day", got)
		}
		w.verified(0)
		answers := len(w.Names(".json.gz"))
		if got := w.days(30); got.Looked < 10 || got.Differing != 0 {
			t.Errorf("afterwards: %+v", got)
		}
		if got := len(w.Names(".json.gz")); got != answers {
			t.Errorf("%d answers of X are kept more, of which nothing was made", got-answers)
		}
		if got := w.Record().PostsTotal; got != 5 {
			t.Errorf("%d posts are counted, want 5", got)
		}
	})
}

// verified wants a sound archive in which so many notes are listed.
func (w *world) verified(notes int) {
	w.T.Helper()
	r, err := verify.Account(w.T.Context(), verify.Options{Archive: w.Archive, Manifests: manifest.New(w.Storage.Container("archive")), Account: capturetest.Account,
		To: time.Now(), Newest: w.Record().Manifest, Settled: time.Now(), Named: 10})
	w.Must(err)
	if !r.Sound() || r.Notes != notes || r.UnlistedNotes != 0 || r.Unlisted != 0 {
		w.T.Errorf("%+v, want a sound archive with %d notes listed", r, notes)
	}
}

// TestNoteListed: whenever the process is killed, a note beside a message ends up in the
// manifest, and the account's list has the post. As with messages, what was listed and not
// written down is listed again.
func TestNoteListed(t *testing.T) {
	for what, last := range map[string]func(op blobs.Op) bool{
		"the note is written": func(op blobs.Op) bool { return strings.HasSuffix(op.Blob, ".gone.json") && op.Name != "GetBlob" },
		"it is to be told":    func(op blobs.Op) bool { return strings.HasPrefix(op.Blob, "changes/") },
		"it is listed":        func(op blobs.Op) bool { return strings.Contains(op.Blob, "/manifest/") && op.Name == "PutBlob" },
		"the list has it":     func(op blobs.Op) bool { return strings.HasPrefix(op.Blob, "gone/") && op.Name == "PutBlob" },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 30)
			posts := w.Post(5)
			time.Sleep(time.Minute)
			w.look()
			time.Sleep(time.Hour)
			w.look()
			w.X.Delete(posts[2].ID)
			time.Sleep(time.Until(time.Now().Truncate(24 * time.Hour).Add(23*time.Hour + 30*time.Minute)))
			w.Tick()
			dead := w.Blobs.DieAfter(last)
			_, _ = w.audit.Run(t.Context())
			if !dead() {
				t.Fatalf("%s: nobody was killed", what)
			}
			w.Blobs.Before(nil)
			w.restart(30)
			time.Sleep(5 * time.Minute)
			w.look()
			w.verified(map[bool]int{false: 1, true: 2}[what == "it is listed"])
			if g := w.gone(); len(g.Posts) != 1 || g.Now() != 1 {
				t.Errorf("%s: listed: %+v", what, g)
			}
		})
	}
}

// TestReconcileGone: X's own number of posts is compared with what is archived less what
// is gone, whoever noticed that: the audit, the timeline's check or both, each post
// once. What is back is not gone, and all versions of an edited post are one post.
func TestReconcileGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		posts := w.Post(10)
		first := w.X.Post(capturetest.Account, corpus.Post{Text: "first"})
		time.Sleep(time.Minute)
		id := corpus.NewID(time.Now(), 77)
		second := w.X.Post(capturetest.Account, corpus.Post{ID: id, Text: "second", EditHistory: []string{first.ID, id}})
		time.Sleep(time.Minute)
		w.look()
		time.Sleep(time.Hour)
		last := w.Post(1)[0]
		time.Sleep(time.Minute)
		w.look()
		// The timeline's check sees at once that the last one is gone; the audit has to look
		// for the others, and asks for all of them again each day.
		for _, gone := range []string{last.ID, posts[2].ID, first.ID, second.ID} {
			w.X.Delete(gone)
		}
		time.Sleep(time.Minute)
		w.look()
		stated := func(what string, posts, gone int) {
			t.Helper()
			if s := w.Record().Stated; s == nil || s.Posts != posts || s.Archived != 12 || s.Gone != gone || s.Missing != 0 {
				t.Errorf("%s: %+v, want X's %d, 12 archived and %d gone", what, s, posts, gone)
			}
		}
		w.days(2)
		stated("three posts are gone", 9, 3)
		if by := [2]string{w.note(last.ID + ".gone.json").By, w.note(second.ID + ".gone.json").By}; by != [2]string{gone.ByTimeline, gone.ByAudit} {
			t.Errorf("noted by %v: this does not show what it is to show", by)
		}
		w.X.Restore(posts[2].ID)
		w.days(2)
		stated("one is back", 10, 2)
	})
}

// TestPrice: each post is looked at once for each of its looks, and no more. X bills as
// many reads, but for the look of the post's own day.
func TestPrice(t *testing.T) {
	for days, looks := range map[int]int{0: 0, 1: 2, 7: 2, 10: 3, 30: 3, 100: 5} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, days)
			w.Post(7)
			time.Sleep(time.Minute)
			w.look()
			billed := w.X.Stats().BilledReads
			got := w.days(days + 9)
			if got.Looked != 7*looks || got.Gone+got.Back != 0 {
				t.Errorf("%d days: %+v, want %d looks", days, got, 7*looks)
			}
			if extra := w.X.Stats().BilledReads - billed; extra != 7*max(0, looks-1) {
				t.Errorf("%d days: X bills %d reads more, want %d", days, extra, 7*max(0, looks-1))
			}
		})
	}
}

// TestMissedDays: what fell into days on which nothing ran is made up for, once.
func TestMissedDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		posts := w.Post(150)
		time.Sleep(time.Minute)
		w.Tick()
		time.Sleep(time.Hour)
		w.Tick()
		w.X.Delete(posts[10].ID)
		time.Sleep(10 * 24 * time.Hour)
		if got := w.days(1); got.Looked != 150+1 || got.Gone != 1 { // what is gone is asked for the day after
			t.Errorf("%+v, want all posts looked at once", got)
		}
	})
}

// TestGoesOn: a Run that has no time ends in order, and another process goes on where it
// stopped.
func TestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		w.Post(450)
		time.Sleep(25 * time.Hour)
		w.Tick() // they are archived a day late
		time.Sleep(8 * 24 * time.Hour)
		w.Tick()
		w.X.OnCall(func(int, string) { time.Sleep(20 * time.Second) })
		total, runs := 0, 0
		for total < 450 && runs < 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			report, err := w.audit.Run(ctx)
			cancel()
			w.Must(err)
			w.restart(30)
			total, runs = total+report.Looked, runs+1
		}
		if total != 450 || runs < 2 {
			t.Errorf("%d posts looked at in %d runs, want 450 in several", total, runs)
		}
	})
}

// TestXRefuses: while X refuses, the audit waits, and its waiting keeps no new post from
// being read.
func TestXRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		w.Post(5)
		time.Sleep(time.Minute)
		w.look()
		time.Sleep(7 * 24 * time.Hour)
		w.Tick()
		w.X.RefuseRate(1, 15*time.Minute)
		report, err := w.audit.Run(t.Context())
		w.Must(err)
		if report.Looked != 0 {
			t.Errorf("%+v", report)
		}
		asked := w.X.Stats().ByPath["GET /2/tweets"]
		w.Post(1)
		time.Sleep(time.Minute)
		if got := w.look(); got.Looked != 0 || w.Record().PostsTotal != 6 {
			t.Errorf("%+v, %d posts archived; want the new post, and nothing looked at", got, w.Record().PostsTotal)
		}
		if n := w.X.Stats().ByPath["GET /2/tweets"] - asked; n != 0 {
			t.Errorf("X was asked %d times before its reset", n)
		}
		time.Sleep(20 * time.Minute)
		if got := w.look(); got.Looked != 5 {
			t.Errorf("after the reset: %+v, want 5 posts looked at", got)
		}
	})
}

// budget grants so many reads, then none.
type budget struct{ left, open int }

func (b *budget) Ask(_ context.Context, want int) (int, func(), error) {
	granted := min(want, b.left)
	b.left -= granted
	b.open++
	return granted, func() { b.open-- }, nil
}

// TestBudget: the audit reads no more than it may; what it may not, it does another day.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		w.Post(150)
		time.Sleep(time.Minute)
		w.look()
		b := &budget{}
		w.audit = recheck.New(recheck.Options{State: w.State, Archive: w.Archive, Capture: w.Capture(), Gone: w.Gone(), Budget: b, Days: 30, Now: time.Now, Log: w.Logger()})
		if got := w.days(6); got.Looked != 0 {
			t.Errorf("%+v, but nothing may be read", got)
		}
		b.left = 120
		if got := w.days(1); got.Looked != 100 {
			t.Errorf("%+v, want 100 posts looked at: 120 may be read, and X is asked for 100 at once", got)
		}
		b.left = 1000
		if got := w.days(1); got.Looked != 50 || b.open != 0 {
			t.Errorf("%+v, want the other 50 posts looked at; %d asked for and not given back", got, b.open)
		}
	})
}

// TestSilence: from a post that X neither gives nor explains nothing is concluded.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		posts := w.Post(5)
		time.Sleep(time.Minute)
		w.look()
		w.X.Mute(posts[0].ID)
		if got := w.days(1); got.Gone != 0 || got.Looked != 5 {
			t.Errorf("%+v", got)
		}
		if g := w.gone(); len(g.Posts) != 0 {
			t.Errorf("listed as gone: %+v", g)
		}
	})
}

// TestSuspended: of an account that X does not show, no post is called gone.
func TestSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		w.Post(5)
		time.Sleep(time.Minute)
		w.look()
		w.X.Suspend(capturetest.Account, true)
		for range 16 {
			time.Sleep(12 * time.Hour)
			_, _ = w.Capture().Run(t.Context()) // it fails: the account is suspended
			_, err := w.audit.Run(t.Context())
			w.Must(err)
		}
		if g := w.gone(); len(g.Posts) != 0 {
			t.Errorf("listed as gone: %+v", g)
		}
		w.X.Suspend(capturetest.Account, false)
		time.Sleep(2 * time.Hour)
		w.Tick()
		if got := w.look(); got.Looked != 5 || got.Gone != 0 {
			t.Errorf("%+v, want 5 posts looked at", got)
		}
	})
}

// TestIdle: when nothing is due the audit costs nothing at all.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 30)
		w.Post(5)
		time.Sleep(time.Minute)
		w.look()
		time.Sleep(24 * time.Hour)
		w.look()
		w.look()
		w.Blobs.ResetCalls()
		_, err := w.audit.Run(t.Context())
		w.Must(err)
		if calls := w.Blobs.Calls(); calls.All() != 0 {
			t.Errorf("%+v", calls)
		}
	})
}

// TestTaskCounts: the look-up of a post that the Compliance Center asks about counts as
// a look, too; so does that of a known post that is missing in the timeline.
func TestTaskCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		posts := w.Post(5)
		time.Sleep(time.Minute)
		w.Tick()
		w.X.Delete(posts[4].ID)
		time.Sleep(time.Minute)
		w.Tick()
		if n := w.note(posts[4].ID + ".gone.json"); n.By != gone.ByTimeline {
			t.Errorf("noted: %+v", n)
		}
		time.Sleep(time.Hour)
		w.Tick()
		w.X.Delete(posts[1].ID)
		w.X.Restore(posts[4].ID)
		_, err := w.State.AddTask(t.Context(), state.Task{JobID: capturetest.Job, TaskID: "t", AccountID: capturetest.Account, Dirty: []string{posts[1].ID, posts[4].ID, posts[0].ID},
			Start: time.Now().Add(-time.Hour), End: time.Now(), ReceivedAt: time.Now()})
		w.Must(err)
		w.Tick()
		if n := w.note(posts[1].ID + ".gone.json"); n.By != gone.ByTask {
			t.Errorf("noted: %+v", n)
		}
		if n := w.note(posts[4].ID + ".back.json"); n.By != gone.ByTask {
			t.Errorf("noted: %+v", n)
		}
		if c := w.changes(); len(c) != 2 || c[posts[1].ID] != "gone" || c[posts[4].ID] != "back" {
			t.Errorf("to be told: %v", c)
		}
	})
}

// TestGoneLongAgo: a post that the list of gone ones has no place for any more is not counted,
// and told, once more by each look at it.
func TestGoneLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		posts := w.Post(1)
		time.Sleep(time.Minute)
		w.look()
		e, err := w.Archive.FindPost(t.Context(), capturetest.Account, posts[0].ID)
		w.Must(err)
		note := func() int {
			n, _, err := w.Gone().Note(t.Context(), capturetest.Job, capturetest.Account, gone.ByAudit,
				[]gone.Look{{Entry: e, Problem: &post.Problem{Title: "Not Found"}}}, func(context.Context, []manifest.Line) error { return nil })
			w.Must(err)
			return n
		}
		if n := note(); n != 1 {
			t.Fatalf("%d posts are gone", n)
		}
		var later []state.GonePost
		for i := range 2000 {
			later = append(later, state.GonePost{PostID: fmt.Sprint(1000 + i), Noticed: time.Now().Add(time.Hour)})
		}
		w.Must(w.State.AddGone(t.Context(), capturetest.Account, later...))
		for range 2 {
			if n := note(); n != 0 {
				t.Errorf("%d posts are gone once more", n)
			}
		}
		if g := w.gone(); g.More != 1 || g.Posted() != 2001 {
			t.Errorf("%d are not listed, %d are gone; want 1 and 2001", g.More, g.Posted())
		}
	})
}
