package capture_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
	"xarchive/tests/sandbox/blobs"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

const noticeWords = "@contoso7's account is temporarily unavailable because it violates the media policy. Learn more."

// object is a post's object as X sends it.
func object(p corpus.Post, more map[string]any) json.RawMessage {
	o := map[string]any{"id": p.ID, "author_id": account, "text": p.Text, "created_at": p.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z"), "edit_history_tweet_ids": []string{p.ID}}
	for name, value := range more {
		o[name] = value
	}
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return raw
}

// asNotice is a post of which X gives a notice in place of the text.
func asNotice(p corpus.Post, words string) corpus.Post {
	p.Text = words
	end := len([]rune(words)) - 1
	p.Raw = object(p, map[string]any{"entities": map[string]any{"urls": []any{map[string]any{
		"start": end - 10, "end": end, "url": "https://help.x.com/a", "expanded_url": "https://help.x.com/a", "display_url": "Learn more"}}}})
	return p
}

// notice makes a post of which X gives a notice.
func (w *world) notice() corpus.Post {
	time.Sleep(time.Second)
	at := time.Now().UTC().Truncate(time.Second)
	p := asNotice(corpus.Post{ID: corpus.NewID(at, len(w.posted)+1), CreatedAt: at}, noticeWords)
	w.posted = append(w.posted, w.x.Post(account, p))
	return p
}

// given has X give a post with these words from now on.
func (w *world) given(p corpus.Post, text string, media ...string) {
	p.Text, p.AuthorID, p.Raw, p.MediaKeys = text, account, nil, media
	w.x.Change(p)
}

// versions returns the keys of the further messages about a post.
func (w *world) versions(id string) (keys []string) {
	for _, key := range w.archived() {
		if strings.HasPrefix(key, id+".version") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (w *world) read(key string) *message.Message {
	w.t.Helper()
	m, err := message.Read(strings.NewReader(w.message(key)))
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestTextGivenLater: a post of which X gave a notice is read again; the text is archived
// beside the notice, noted for the next task, and then not read again.
func TestTextGivenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.notice()
		w.ticks(8 * time.Minute)
		first := w.message(p.ID)
		if !strings.Contains(first, "X-Twitter-Text-Missing: "+p.ID+" ") {
			t.Fatalf("the message does not say that the text is missing:\n%s", first)
		}
		w.delivered()
		w.ticks(3 * time.Hour)
		if got := w.versions(p.ID); len(got) != 0 {
			t.Fatalf("X gives the same notice, and %v are archived", got)
		}
		w.given(p, "What I wrote")
		w.ticks(2 * time.Hour)
		if got := w.versions(p.ID); !slices.Equal(got, []string{p.ID + ".version"}) {
			t.Fatalf("further messages %v, want one", got)
		}
		m := w.read(p.ID + ".version")
		if m.Post.Text.Plain() != "What I wrote" || !slices.Equal(m.Changes, []post.Change{post.TextGiven}) || w.message(p.ID) != first {
			t.Errorf("text %q, changes %v; was the first message altered: %v", m.Post.Text.Plain(), m.Changes, w.message(p.ID) != first)
		}
		if got := w.late(); !slices.Equal(got, []string{p.ID + ".version"}) {
			t.Errorf("noted for the next task: %v", got)
		}
		a := w.record()
		asked := w.x.Stats().ByPath["GET /2/tweets"]
		w.ticks(25 * time.Hour)
		if len(a.Waiting) > 0 || len(a.Lost) > 0 || w.x.Stats().ByPath["GET /2/tweets"] != asked || len(w.versions(p.ID)) != 1 {
			t.Errorf("waiting %v, lost %v, asked %d times more, messages %v", a.Waiting, a.Lost, w.x.Stats().ByPath["GET /2/tweets"]-asked, w.versions(p.ID))
		}
		w.wantListed(p.ID, p.ID+".version")
	})
}

// wantListed checks that the manifest lists messages.
func (w *world) wantListed(keys ...string) {
	w.t.Helper()
	var all strings.Builder
	for _, name := range w.blobs.Names("archive") {
		if strings.HasPrefix(name, account+"/manifest/") {
			b, _ := w.blobs.Get("archive", name)
			all.Write(b.Content)
		}
	}
	for _, key := range keys {
		if !strings.Contains(all.String(), fmt.Sprintf(`"key":%q`, key)) {
			w.t.Errorf("the manifest does not list %s:\n%s", key, all.String())
		}
	}
}

// TestTextNever: a text that X has not given within a day is recorded as lost, having been
// read on two days, and a task that asks about the post still brings it.
func TestTextNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.notice()
		w.ticks(8 * time.Minute)
		w.delivered()
		read := w.x.Stats().BilledReads
		w.ticks(27 * time.Hour)
		a := w.record()
		if len(a.Waiting) != 0 || len(a.Lost) != 1 || !a.Lost[0].Text || a.Lost[0].PostID != p.ID {
			t.Fatalf("waiting %v, lost %+v", a.Waiting, a.Lost)
		}
		if n := w.x.Stats().BilledReads - read; n > 2 {
			t.Errorf("X bills %d readings more, want 2 at most", n)
		}
		w.given(p, "What I wrote")
		w.task("t", p.ID)
		w.ticks(8 * time.Minute)
		found, err := w.state.Found(t.Context(), "job"+account, "t")
		if err != nil || len(found.Names) != 2 || !strings.HasSuffix(found.Names[1], "/"+p.ID+".version.eml") {
			t.Errorf("found %v, %v; want the notice and the text", found, err)
		}
		if a := w.record(); len(a.Lost) != 0 || len(a.Waiting) != 0 {
			t.Errorf("lost %v, waiting %v", a.Lost, a.Waiting)
		}
	})
}

// TestTextsTooMany: an account with a notice in every post does not have all of them read
// again, and says so.
func TestTextsTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, 100, 3200)
		for range 120 {
			w.notice()
		}
		w.ticks(4 * time.Minute)
		if a := w.record(); len(a.Waiting) != 100 || len(a.Lost) != 20 {
			t.Errorf("%d waited for, %d lost; want 100 and 20", len(a.Waiting), len(a.Lost))
		}
	})
}

// TestGivenDifferently: what X gives differently within the overlap is archived as a
// further message, each content once, however often X changes its mind.
func TestGivenDifferently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b")
		p := w.photos("a")
		w.ticks(4 * time.Minute)
		w.x.Change(asNotice(p, noticeWords))
		w.ticks(4 * time.Minute)
		w.given(p, "with photos", "3_a", "3_b")
		w.ticks(4 * time.Minute)
		for _, media := range [][]string{{"3_a"}, {"3_a", "3_b"}} {
			w.given(p, "with photos", media...)
			w.ticks(4 * time.Minute)
		}
		if got := w.versions(p.ID); !slices.Equal(got, []string{p.ID + ".version", p.ID + ".version.2"}) {
			t.Fatalf("further messages %v, want two", got)
		}
		w.wantFiles(p.ID, "a.png")
		w.wantFiles(p.ID + ".version")
		w.wantFiles(p.ID+".version.2", "b.png") // the other one is in the first message, which this one says
		if m := w.read(p.ID + ".version"); !slices.Contains(m.Changes, post.TextWithdrawn) || !m.Post.Notice {
			t.Errorf("the first further message: changes %v", m.Changes)
		}
		if m := w.read(p.ID + ".version.2"); !slices.Contains(m.Changes, post.TextGiven) || !slices.Contains(m.Changes, post.ChangedMedia) {
			t.Errorf("the second further message: changes %v", m.Changes)
		}
		if n := w.log.count("level=WARN", "differently", p.ID); n != 2 {
			t.Errorf("the log says so %d times, want 2", n)
		}
		w.wantListed(p.ID, p.ID+".version", p.ID+".version.2")
	})
}

// TestNotDifferent: numbers, names and what X sends besides are no difference.
func TestNotDifferent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(1)
		p := w.posted[0]
		w.ticks(4 * time.Minute)
		calls := w.blobs.Calls
		for likes := range 3 {
			w.x.Change(corpus.Post{ID: p.ID, Raw: object(p, map[string]any{"public_metrics": map[string]int{"like_count": likes}, "lang": fmt.Sprint("l", likes)})})
			time.Sleep(4 * time.Minute)
			w.blobs.ResetCalls()
			w.mustTick()
			if c := calls(); c.Lease > 0 {
				t.Errorf("a post with other likes is worked on: %+v", c)
			}
		}
		w.wantArchived(p)
	})
}

// TestGivenDifferentlyKilled: a process that is killed once the further message is there
// has it listed and noted all the same, and not twice.
func TestGivenDifferentlyKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(1)
		p := w.posted[0]
		w.ticks(4 * time.Minute)
		w.delivered()
		w.given(p, "other words")
		dead := false
		w.blobs.Before(func(op blobs.Op) error {
			if dead {
				return &blobs.Drop{Final: true}
			}
			if op.Name == "PutBlob" && strings.HasSuffix(op.Blob, ".version.eml") {
				dead = true
				return &blobs.Drop{After: true, Final: true}
			}
			return nil
		})
		time.Sleep(4 * time.Minute)
		if _ = w.tick(); !dead {
			t.Fatal("no further message was written")
		}
		w.blobs.Before(nil)
		w.ticks(12 * time.Minute)
		w.wantListed(p.ID + ".version")
		if got := w.late(); !slices.Equal(got, []string{p.ID + ".version"}) || !slices.Equal(w.versions(p.ID), got) {
			t.Errorf("noted %v, archived %v", got, w.versions(p.ID))
		}
	})
}

// TestTextAskedInVain: that X does not answer for a day ends like a text that it never
// gives.
func TestTextAskedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.notice()
		w.ticks(4 * time.Minute)
		w.x.Fail(func(r *http.Request) x.Fault {
			if r.URL.Path == "/2/tweets" {
				return x.Fault{Status: 403}
			}
			return x.Fault{}
		})
		for range 26 * 15 {
			time.Sleep(4 * time.Minute)
			_ = w.tick() // X's refusals are reported
		}
		if a := w.record(); len(a.Waiting) != 0 || len(a.Lost) != 1 || a.Lost[0].PostID != p.ID {
			t.Errorf("waiting %v, lost %+v", a.Waiting, a.Lost)
		}
	})
}

// TestOrphanGivenDifferently: a task about posts of an account that no job archives any
// more is answered with all messages that have them.
func TestOrphanGivenDifferently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.post(1)
		p := w.posted[0]
		w.ticks(4 * time.Minute)
		w.given(p, "other words")
		w.ticks(4 * time.Minute)
		w.task("t", p.ID)
		if err := w.state.UpdateJob(t.Context(), "job"+account, func(j *state.Job) error { j.AccountID = "8"; return nil }); err != nil {
			t.Fatal(err)
		}
		w.mustTick()
		found, err := w.state.Found(t.Context(), "job"+account, "t")
		if err != nil || len(found.Names) != 2 || !strings.HasSuffix(found.Names[0], "/"+p.ID+".eml") || !strings.HasSuffix(found.Names[1], "/"+p.ID+".version.eml") {
			t.Errorf("found %+v, %v; want both messages", found, err)
		}
	})
}
