package capture_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/x"
)

// filmCorpus is a corpus with a film; its still picture is there or not.
func filmCorpus(t *testing.T, still bool) *corpus.Corpus {
	t.Helper()
	return filmAt(t, still, "video/mp4", "https://video.twimg.com/ext_tw_video/1/vid/Film.mp4?tag=12", map[string]string{"Film.mp4": "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"})
}

// filmAt is a corpus with a film of a type at an address, and what X's servers have.
func filmAt(t *testing.T, still bool, kind, address string, files map[string]string) *corpus.Corpus {
	t.Helper()
	dir := t.TempDir()
	all, err := json.Marshal(map[string]any{"data": []any{}, "includes": map[string]any{
		"users": []any{map[string]string{"id": account, "name": "Contoso", "username": "contoso"}},
		"media": []any{map[string]any{"media_key": "7_1", "type": "video", "duration_ms": 4000, "preview_image_url": "https://pbs.twimg.com/ext_tw_video_thumb/1/pu/img/Still.png",
			"variants": []any{map[string]any{"bit_rate": 1, "content_type": kind, "url": address}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "posts.json"), string(all))
	write(t, filepath.Join(dir, "accounts.json"), `["`+account+`"]`)
	for name, content := range files {
		write(t, filepath.Join(dir, "media", name), content)
	}
	if still {
		write(t, filepath.Join(dir, "media", "Still.png"), "\x89PNG\r\n\x1a\nthe still")
	}
	c, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestStill: a film's still picture is in its message. One that X does not have is
// neither stated as missing nor waited for: the film is there.
func TestStill(t *testing.T) {
	for _, there := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.x = x.New(x.Options{Corpus: filmCorpus(t, there), ConsumerKey: "key", ConsumerSecret: "secret", Reach: w.reach,
				Limits: map[string]int{"GET /2/users/:id/tweets": 1 << 30, "GET /2/tweets": 1 << 30}})
			p := w.x.Post(account, corpus.Post{Text: "film", MediaKeys: []string{"7_1"}})
			time.Sleep(35 * time.Second)
			w.mustTick()
			text := w.message(p.ID)
			if got := strings.Contains(text, "filename=Still.png"); got != there {
				t.Errorf("the still is in the message: %v, want %v\n%s", got, there, text)
			}
			if !strings.Contains(text, "filename=Film.mp4") || strings.Contains(text, "X-Twitter-Media-Missing") {
				t.Errorf("the film is not there, or something is said to be missing:\n%s", text)
			}
			if a := w.record(); len(a.Waiting) != 0 {
				t.Errorf("waiting for %v, want nothing", a.Waiting)
			}
		})
	}
}

// TestStreamOnly: of a film that X has as a stream only the message has the still picture,
// and the playlist with its parts in one file. While a part is missing the film is waited
// for, and the post is archived without.
func TestStreamOnly(t *testing.T) {
	for _, whole := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			files := map[string]string{"Film.m3u8": "#EXTM3U\n#EXTINF:3.0,\none.ts\n#EXTINF:1.0,\ntwo.ts\n#EXT-X-ENDLIST\n", "one.ts": "the first part", "two.ts": "the second part"}
			w.x = x.New(x.Options{Corpus: filmAt(t, true, "application/x-mpegURL", "https://video.twimg.com/ext_tw_video/1/pl/Film.m3u8", files), ConsumerKey: "key", ConsumerSecret: "secret", Reach: w.reach,
				Limits: map[string]int{"GET /2/users/:id/tweets": 1 << 30, "GET /2/tweets": 1 << 30}})
			if !whole {
				w.x.FailMedia("two.ts", x.MediaFault{Status: http.StatusServiceUnavailable})
			}
			p := w.x.Post(account, corpus.Post{Text: "film", MediaKeys: []string{"7_1"}})
			time.Sleep(35 * time.Second)
			w.mustTick()
			text := w.message(p.ID)
			if !strings.Contains(text, "filename=Still.png") {
				t.Errorf("the still is not in the message:\n%s", text)
			}
			if got := strings.Contains(text, "filename=Film.zip"); got != whole {
				t.Errorf("the film is in the message: %v, want %v\n%s", got, whole, text)
			}
			if n := len(w.record().Waiting); (n == 0) != whole {
				t.Errorf("%d media are waited for", n)
			}
			if whole {
				return
			}
			w.x.FailMedia("two.ts", x.MediaFault{})
			time.Sleep(time.Hour)
			w.mustTick()
			if text := w.message(p.ID + ".media"); !strings.Contains(text, "filename=Film.zip") || len(w.record().Waiting) != 0 {
				t.Errorf("the film did not follow:\n%s", text)
			}
		})
	}
}

// TestNotice: that X gave a notice in place of a text is logged, and in the message.
func TestNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		at := time.Now().UTC()
		id := corpus.NewID(at, 1)
		raw, err := json.Marshal(map[string]any{"id": id, "author_id": account, "created_at": at.Format(time.RFC3339), "edit_history_tweet_ids": []string{id},
			"text": "This Post is not here. Learn more.", "entities": map[string]any{"urls": []any{map[string]any{
				"start": 23, "end": 33, "url": "https://help.x.com/a", "expanded_url": "https://help.x.com/a", "display_url": "Learn more"}}}})
		if err != nil {
			t.Fatal(err)
		}
		w.x.Post(account, corpus.Post{ID: id, CreatedAt: at, Raw: raw})
		time.Sleep(35 * time.Second)
		w.mustTick()
		if text := w.message(id); !strings.Contains(text, "X-Twitter-Text-Missing: "+id+" This Post is not here.") {
			t.Errorf("the message does not say so:\n%s", text)
		}
		if n := w.log.count("WARN", "notice in place", id); n != 1 {
			t.Errorf("%d warnings in the log, want 1", n)
		}
	})
}
