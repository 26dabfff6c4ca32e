package capture_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"xarchive/tests/sandbox/x"

	gomessage "github.com/emersion/go-message"
)

// TestIDsThatAreNone: ids in X's answer with line ends or parts of paths name no blob and make
// no header field: a post of such an id is set aside, and a post that mentions others by such
// ids is archived with none of it but in X's own bytes. Posts beside them are archived.
func TestIDsThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		time.Sleep(time.Minute)
		id := func(n int) string {
			return fmt.Sprint((time.Now().UnixMilli()-1_288_834_974_657)<<22 + int64(n))
		}
		const evil = "\r\nX-Evil: 1\r\n\r\n../../../x"
		at := time.Now().UTC().Format(time.RFC3339)
		post := func(id string, more map[string]any) map[string]any {
			p := map[string]any{"id": id, "text": "a post", "author_id": account, "created_at": at, "edit_history_tweet_ids": []string{id}, "conversation_id": id}
			for name, value := range more {
				p[name] = value
			}
			return p
		}
		good, odd := id(1), id(2)
		answer := map[string]any{
			"data": []any{
				post(good, nil),
				post(odd, map[string]any{"conversation_id": "9" + evil, "in_reply_to_user_id": "8" + evil, "author_id": "7" + evil,
					"referenced_tweets": []any{map[string]any{"type": "replied_to", "id": "5" + evil}, map[string]any{"type": "quoted", "id": "../6"}},
					"attachments":       map[string]any{"media_keys": []string{"3_a" + evil, "../3_b"}, "poll_ids": []string{"4" + evil}}}),
				post(id(3)+evil, nil), post("../../"+id(4), nil), post(account+"/2026/06/10/"+id(5), nil), post(id(6)+"%0d%0a", nil), post("", nil),
			},
			"includes": map[string]any{
				"users":  []any{map[string]any{"id": account, "username": "contoso7", "name": "Contoso"}, map[string]any{"id": "7" + evil, "username": "evil" + evil, "name": "Evil" + evil}},
				"media":  []any{map[string]any{"media_key": "3_a" + evil, "type": "photo", "url": "https://pbs.twimg.com/media/a.png", "alt_text": evil}, map[string]any{"media_key": "../3_b", "type": "photo", "url": "https://pbs.twimg.com/media/none.png"}},
				"tweets": []any{post("../6", map[string]any{"text": "quoted" + evil})},
			},
			"meta": map[string]any{"result_count": 7, "newest_id": good, "oldest_id": good},
		}
		body, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		w.x.Fail(func(r *http.Request) x.Fault {
			if !strings.HasSuffix(r.URL.Path, "/"+account+"/tweets") {
				return x.Fault{}
			}
			return x.Fault{Status: http.StatusOK, Body: string(body)}
		})
		if err := w.tick(); err != nil {
			t.Log(err)
		}
		if a := w.record(); a.SetAside.Posts != 5 || len(w.asideNames()) != 5 {
			t.Errorf("set aside: %+v, %q", a.SetAside, w.asideNames())
		}
		for _, key := range []string{good, odd} {
			parsed, err := gomessage.Read(strings.NewReader(w.message(key)))
			if err != nil || parsed.Header.Get("X-Twitter-Post-ID") != key || !strings.HasPrefix(parsed.Header.Get("Content-Type"), "multipart/") {
				t.Fatalf("message %s: %v, %v", key, parsed.Header.Map(), err)
			}
			parts := 0
			err = parsed.Walk(func(_ []int, part *gomessage.Entity, err error) error {
				parts++
				_, file, _ := part.Header.ContentDisposition()
				if part.Header.Has("X-Evil") || strings.ContainsAny(file["filename"], "/\\\r\n") || strings.Contains(file["filename"], "..") {
					t.Errorf("message %s has a part with the header %v", key, part.Header.Map())
				}
				return err
			})
			if err != nil || parts < 3 {
				t.Errorf("message %s has %d parts, %v", key, parts, err)
			}
		}
		name := regexp.MustCompile(`^[0-9a-z-]+(/[0-9a-zA-Z._-]+)+$`)
		for _, container := range []string{"archive", "state"} {
			for _, n := range w.blobs.Names(container) {
				if !name.MatchString(n) || strings.Contains(n, "..") || strings.Contains(n, "Evil") {
					t.Errorf("%s has the blob %q", container, n)
				}
			}
		}
	})
}
