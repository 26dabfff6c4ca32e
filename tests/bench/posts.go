package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"xarchive/tests/sandbox/corpus"
)

// posts is a corpus to be made: accounts that each have posted so many posts.
type posts struct {
	accounts, each int
	media          string // file name of the one that each post has, with "%d" for the post's number; "" for none
	mediaSize      int64  // bytes
}

// beginning is when the first post was posted. Others follow every twenty minutes.
var beginning = time.Date(2025, 1, 1, 6, 0, 0, 0, time.UTC)

const (
	firstAccount = 1001
	pace         = 20 * time.Minute
)

func (p posts) count() int { return p.accounts * p.each }

// jobID is the job of an account.
func jobID(n int) string { return fmt.Sprintf("job-%d", n) }

func accountID(n int) string { return fmt.Sprint(firstAccount + n) }

// text is as long as people's posts are.
const text = "The committee has published its minutes of Tuesday. What it decided about the bridge, when the works begin, and which way the 12 and the 34 go meanwhile: all of it is on one page, number %d of this series. #works"

// write writes the corpus folder. Media are files of zeros that take no space.
func (p posts) write(dir string) error {
	var users, media, data []any
	var accounts []string
	if err := os.MkdirAll(filepath.Join(dir, "media"), 0o755); err != nil {
		return err
	}
	n := 0
	for a := range p.accounts {
		id := accountID(a)
		accounts = append(accounts, id)
		users = append(users, map[string]any{"id": id, "name": "Contoso " + id, "username": "contoso" + id, "created_at": "2015-01-01T00:00:00.000Z",
			"description": "What the town does", "verified": false, "public_metrics": map[string]int{"followers_count": 4210, "following_count": 17, "tweet_count": p.each}})
		for i := range p.each {
			n++
			post := p.post(id, n, beginning.Add(time.Duration(i)*pace))
			data = append(data, post)
			if p.media != "" {
				key, name := fmt.Sprintf("7_%d", n), fmt.Sprintf(p.media, n)
				post["attachments"] = map[string]any{"media_keys": []string{key}}
				media = append(media, mediaObject(key, name))
				if err := p.file(filepath.Join(dir, "media", name)); err != nil {
					return err
				}
			}
		}
	}
	if err := writeJSON(filepath.Join(dir, "accounts.json"), accounts); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, "posts.json"), map[string]any{"data": data, "includes": map[string]any{"users": users, "media": media}})
}

func (p posts) post(account string, n int, at time.Time) map[string]any {
	id := corpus.NewID(at, n)
	body := fmt.Sprintf(text, n)
	return map[string]any{"id": id, "text": body, "author_id": account, "created_at": at.Format("2006-01-02T15:04:05.000Z"),
		"conversation_id": id, "edit_history_tweet_ids": []string{id}, "lang": "en", "reply_settings": "everyone", "possibly_sensitive": false,
		"edit_controls":  map[string]any{"edits_remaining": 5, "is_edit_eligible": true, "editable_until": at.Add(time.Hour).Format("2006-01-02T15:04:05.000Z")},
		"public_metrics": map[string]int{"retweet_count": n % 41, "reply_count": n % 17, "like_count": n % 613, "quote_count": n % 7, "bookmark_count": n % 11, "impression_count": 2000 + n},
		"entities":       map[string]any{"hashtags": []any{map[string]any{"start": len(body) - 6, "end": len(body), "tag": "works"}}}}
}

// mediaObject describes a video if the name ends in .mp4, else a photo.
func mediaObject(key, name string) map[string]any {
	if filepath.Ext(name) != ".mp4" {
		return map[string]any{"media_key": key, "type": "photo", "url": "https://pbs.twimg.com/media/" + name, "width": 1200, "height": 800}
	}
	return map[string]any{"media_key": key, "type": "video", "duration_ms": 60000, "width": 1280, "height": 720,
		"variants": []any{map[string]any{"bit_rate": 2176000, "content_type": "video/mp4", "url": "https://video.twimg.com/ext_tw_video/" + name}}}
}

func (p posts) file(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(p.mediaSize)
}

func writeJSON(name string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}
