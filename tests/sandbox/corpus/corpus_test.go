package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "media"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func ids(posts []Post) []string {
	var out []string
	for _, p := range posts {
		out = append(out, p.ID)
	}
	return out
}

// An untidy corpus: everything in it that X could have sent comes out, byte for
// byte, and what was passed over is said.
func TestLoadUntidy(t *testing.T) {
	dir := write(t, map[string]string{
		"posts.json": "\ufeff" + `{"data":[
 {"id":"1541815603606036480","author_id":"7","text":"b",  "extra":{"k":[1, 2]} },
 {"id":"1541815603606036480","author_id":"7","text":"b, again"},
 {"id":"99","author_id":"7","text":"from before ids held the time","created_at":"2007-01-02T03:04:05.000Z"},
 {"id":"98","author_id":"7","text":"no time at all"},
 {"id":"1800000000000000003","author_id":"7","text":"v3","edit_history_tweet_ids":["1800000000000000001","1800000000000000002","1800000000000000003"]},
 {"id":"1800000000000000001","author_id":"7","text":"v1"},
 {"id":"1700000000000000000","author_id":"8","text":"of another author"},
 {"id":"1600000000000000000","text":"nobody's","referenced_tweets":"odd"}],
 "includes":{"tweets":[{"id":"1800000000000000002","author_id":"7","text":"v2"},
   {"id":"1541815603606036481","author_id":"7","text":"only included","referenced_tweets":[{"type":"quoted","id":"1"},{"type":"replied_to","id":"2"}]},
   {"text":"no id"}],"media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/A.jpg?x=1"}]},
 "errors":[{"value":"5","title":"Not Found Error"}],"unknown":1}`,
		"media/A.jpg": "picture",
	})
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Accounts(); !slices.Equal(got, []string{"7"}) {
		t.Errorf("accounts %v", got)
	}
	if got, want := ids(c.Posts("7")), []string{"1800000000000000003", "1600000000000000000", "1541815603606036481", "1541815603606036480", "99", "98"}; !slices.Equal(got, want) {
		t.Errorf("timeline %v\nwant     %v", got, want)
	}
	if got, want := ids(c.All("7")), []string{"1800000000000000003", "1800000000000000002", "1800000000000000001", "1600000000000000000", "1541815603606036481", "1541815603606036480", "99", "98"}; !slices.Equal(got, want) {
		t.Errorf("all %v\nwant %v", got, want)
	}
	if got, want := ids(c.PostsUntil("7", "1800000000000000002"))[0], "1800000000000000002"; got != want {
		t.Errorf("before the last edit the newest is %s, want %s", got, want)
	}
	p, _ := c.Post("1541815603606036480")
	if want := `{"id":"1541815603606036480","author_id":"7","text":"b",  "extra":{"k":[1, 2]} }`; string(p.Raw) != want {
		t.Errorf("raw %s", p.Raw)
	}
	if want := time.UnixMilli(1656432460105).UTC(); !p.CreatedAt.Equal(want) { // X's own example of an id
		t.Errorf("created %v, want %v", p.CreatedAt, want)
	}
	if p, _ := c.Post("98"); !p.CreatedAt.IsZero() {
		t.Errorf("a time was made up: %v", p.CreatedAt)
	}
	if p, _ := c.Post("1541815603606036481"); p.Kind != Reply {
		t.Errorf("a reply that quotes is a %s", p.Kind)
	}
	if got := c.Problems(); len(got) != 2 || !strings.Contains(got[0]+got[1], "1541815603606036480") || !strings.Contains(got[0]+got[1], "includes.tweets[2]") {
		t.Errorf("problems %q", got)
	}
	if _, ok := c.Refusal("5"); !ok {
		t.Error("the error is lost")
	}
	f, size, ok := c.Media("A.jpg")
	if !ok || size != 7 {
		t.Fatalf("media: %v %d", ok, size)
	}
	defer f.Close()
	if got, _ := io.ReadAll(f); string(got) != "picture" {
		t.Errorf("media %q", got)
	}
	for _, bad := range []string{"", ".", "..", "../posts.json", "B.jpg", "a/b", "media"} {
		if _, _, ok := c.Media(bad); ok {
			t.Errorf("media %q is served", bad)
		}
	}
}

func TestLoadOnePost(t *testing.T) {
	c, err := Load(write(t, map[string]string{"posts.json": `{"data":{"id":"5","author_id":"7"}}`, "accounts.json": `["8","7"]`}))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Posts("7")) != 1 || len(c.Posts("8")) != 0 || !slices.Equal(c.Accounts(), []string{"8", "7"}) {
		t.Errorf("%v, accounts %v", c.Posts("7"), c.Accounts())
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	for name, files := range map[string]struct {
		files map[string]string
		says  string
	}{
		"no file":     {nil, "posts.json"},
		"no JSON":     {map[string]string{"posts.json": `{"data":[`}, "byte"},
		"no answer":   {map[string]string{"posts.json": `[1]`}, "not an answer"},
		"bad data":    {map[string]string{"posts.json": `{"data":"x"}`}, "data: a list"},
		"no id":       {map[string]string{"posts.json": `{"data":[{"id":"1","author_id":"7"},{"text":"x"}]}`}, "data[1]"},
		"number id":   {map[string]string{"posts.json": `{"data":[{"id":12,"author_id":"7"}]}`}, "12 is not an id"},
		"no author":   {map[string]string{"posts.json": `{"data":[{"id":"1"}]}`}, "accounts.json"},
		"no accounts": {map[string]string{"posts.json": `{"data":[{"id":"1"}]}`, "accounts.json": `[]`}, "accounts.json: it lists no"},
		"bad account": {map[string]string{"posts.json": `{"data":[{"id":"1"}]}`, "accounts.json": `["@me"]`}, `"@me"`},
		"bad list":    {map[string]string{"posts.json": `{"data":[{"id":"1"}]}`, "accounts.json": `{}`}, "accounts.json"},
		"bad include": {map[string]string{"posts.json": `{"data":[{"id":"1","author_id":"7"}],"includes":{"users":7}}`}, "includes.users"},
	} {
		_, err := Load(write(t, files.files))
		if err == nil || !strings.Contains(err.Error(), files.says) || !strings.Contains(err.Error(), ".json") {
			t.Errorf("%s: %v, want it to say %q", name, err, files.says)
		}
	}
}

func TestAdd(t *testing.T) {
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	before := len(c.Posts(PressAccount))
	id := NewID(time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC), 1)
	raw := `{"data":{"id":"` + id + `","author_id":"` + PressAccount + `","text":"fresh"}}`
	for range 2 { // the second time nothing is new
		if _, err := c.Add([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Posts(PressAccount); len(got) != before+1 || got[0].ID != id {
		t.Errorf("%d posts, newest %s", len(got), got[0].ID)
	}
	if _, err := c.Add([]byte(`{"data":{"text":"no id"}}`)); err == nil {
		t.Error("a post without id is taken")
	}
}

func builtinCorpus(t *testing.T) *Corpus {
	t.Helper()
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBuiltinIsTheSameEveryTime(t *testing.T) {
	a, b := builtinCorpus(t), builtinCorpus(t)
	for _, account := range a.Accounts() {
		x, y := a.All(account), b.All(account)
		if len(x) != len(y) {
			t.Fatalf("%d and %d posts", len(x), len(y))
		}
		for i := range x {
			if !bytes.Equal(x[i].Raw, y[i].Raw) {
				t.Fatalf("%s\n%s", x[i].Raw, y[i].Raw)
			}
		}
	}
}

// TestBuiltinHasEverything is the list of what the built-in corpus promises.
func TestBuiltinHasEverything(t *testing.T) {
	c := builtinCorpus(t)
	if p := c.Problems(); len(p) > 0 {
		t.Errorf("problems: %q", p)
	}
	press, help := c.Posts(PressAccount), c.Posts(SupportAccount)
	if len(press) <= 200 || len(press) > 300 || len(help) < 50 || len(press)+len(help) < 260 {
		t.Errorf("%d and %d posts", len(press), len(help))
	}
	if all := c.All(PressAccount); len(all) != len(press)+2 {
		t.Errorf("%d posts with earlier versions, %d without", len(all), len(press))
	}
	kinds := Counts(append(slices.Clone(press), help...))
	for _, kind := range []string{Tweet, Retweet, Reply, Quote} {
		if kinds[kind] < 3 {
			t.Errorf("%d posts of kind %s", kinds[kind], kind)
		}
	}
	var text strings.Builder
	photos := map[int]bool{}
	milliseconds := map[int64]int{}
	missing := 0
	for _, p := range append(slices.Clone(press), help...) {
		text.Write(p.Raw)
		photos[len(p.MediaKeys)] = true
		if at, ok := IDTime(p.ID); ok {
			milliseconds[at.UnixMilli()]++
		}
		for _, f := range c.Files(p) {
			if file, _, ok := c.Media(f.Name); ok {
				file.Close()
			} else {
				missing++
			}
		}
		for _, r := range p.Refs {
			_, there := c.Post(r.ID)
			_, refused := c.Refusal(r.ID)
			if there == refused {
				t.Errorf("post %s refers to %s: in the corpus %v, refused %v", p.ID, r.ID, there, refused)
			}
		}
	}
	for n := range 5 {
		if !photos[n] {
			t.Errorf("no post with %d media", n)
		}
	}
	if missing != 3 {
		t.Errorf("%d media files are missing, 3 should be", missing)
	}
	if !slices.Contains(slicesOf(milliseconds), 2) {
		t.Error("no two posts of one millisecond")
	}
	for _, part := range []string{
		`"note_tweet":`, `"article":`, `"poll_ids":`, `"place_id":`, `"possibly_sensitive":true`, `"withheld":`, `"community_id":`, `"card_uri":`,
		`&amp;amp;`, `&lt;script&gt;`, `\r\nBcc:`, "\u200B", "👩‍🔧", "𝗢", "شكرًا", `"cashtags":`, `"hashtags":`, `"id":"418223901"`, `RT @NorthGridCo`,
		`T23:59:59.000Z`, `T00:00:00.000Z`,
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no post with %s", part)
		}
	}
}

func slicesOf(m map[int64]int) (out []int) {
	for _, n := range m {
		out = append(out, n)
	}
	return out
}

// TestBuiltinEntities: what a person finds at an entity's positions is what the
// entity says, in code points.
func TestBuiltinEntities(t *testing.T) {
	c := builtinCorpus(t)
	type span struct {
		Start, End         int
		URL, Username, Tag string
	}
	type lists struct{ URLs, Mentions, Hashtags, Cashtags []span }
	type part struct {
		Text     string
		Entities lists
	}
	checked := 0
	check := func(id string, p part) {
		runes := []rune(p.Text)
		for _, l := range [][]span{p.Entities.URLs, p.Entities.Mentions, p.Entities.Hashtags, p.Entities.Cashtags} {
			for _, s := range l {
				want := s.URL
				if s.Username != "" {
					want = "@" + s.Username
				}
				got := string(runes[s.Start:s.End])
				if s.Tag != "" {
					got, want = got[1:], s.Tag
				}
				if got != want {
					t.Errorf("post %s: %q, want %q", id, got, want)
				}
				checked++
			}
		}
	}
	for _, account := range c.Accounts() {
		for _, p := range c.All(account) {
			var o struct {
				part
				Note *part `json:"note_tweet"`
			}
			if err := json.Unmarshal(p.Raw, &o); err != nil {
				t.Fatal(err)
			}
			check(p.ID, o.part)
			if n := len([]rune(o.Text)); n > 310 {
				t.Errorf("post %s has a text of %d code points", p.ID, n)
			}
			if o.Note != nil {
				check(p.ID, *o.Note)
				if len([]rune(o.Note.Text)) <= 280 || p.Text != o.Note.Text {
					t.Errorf("post %s: note of %d code points", p.ID, len([]rune(o.Note.Text)))
				}
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d entities", checked)
	}
}

// TestBuiltinMedia: every file is what its name says, and no two are the same.
func TestBuiltinMedia(t *testing.T) {
	c := builtinCorpus(t)
	seen := map[string]string{}
	for _, key := range sortedMedia(c) {
		raw, _ := c.MediaObject(key)
		var m struct {
			Type, URL     string
			Width, Height int
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		name := bestFile(raw).Name
		f, size, ok := c.Media(name)
		if !ok {
			continue
		}
		body, err := io.ReadAll(f)
		f.Close()
		if err != nil || int64(len(body)) != size {
			t.Fatalf("%s: %d of %d bytes, %v", name, len(body), size, err)
		}
		if seen[string(body)] != "" {
			t.Errorf("%s and %s are the same", name, seen[string(body)])
		}
		seen[string(body)] = name
		if m.Type == "photo" {
			img, format, err := image.Decode(bytes.NewReader(body))
			if err != nil || !strings.HasPrefix(format, strings.TrimPrefix(filepath.Ext(name), ".")[:1]) {
				t.Fatalf("%s: %s %v", name, format, err)
			}
			if b := img.Bounds(); b.Dx() != m.Width || b.Dy() != m.Height {
				t.Errorf("%s is %v, not %dx%d", name, b, m.Width, m.Height)
			}
		} else if err := boxes(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d files", len(seen))
	}
}

func sortedMedia(c *Corpus) (keys []string) {
	for key := range c.media {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// boxes walks an MP4's top level boxes (ISO/IEC 14496-12, 4.2).
func boxes(b []byte) error {
	found := map[string]bool{}
	for len(b) > 0 {
		if len(b) < 8 {
			return fmt.Errorf("%d stray bytes", len(b))
		}
		size := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if size < 8 || size > len(b) {
			return fmt.Errorf("box %q of %d bytes", b[4:8], size)
		}
		found[string(b[4:8])] = true
		b = b[size:]
	}
	if !found["ftyp"] || !found["moov"] || !found["mdat"] {
		return fmt.Errorf("boxes %v", found)
	}
	return nil
}

// TestBuiltinUntil: the same posts as always, later by whole days; nothing is from the
// future, and every reference leads where it led.
func TestBuiltinUntil(t *testing.T) {
	original := builtinCorpus(t)
	for _, now := range []time.Time{time.Date(2026, 11, 26, 0, 0, 1, 0, time.UTC), time.Date(2031, 2, 28, 23, 59, 59, 0, time.UTC)} {
		moved, err := BuiltinUntil(now)
		if err != nil {
			t.Fatal(err)
		}
		if p := moved.Problems(); len(p) > 0 {
			t.Errorf("problems: %q", p)
		}
		var newest time.Time
		for _, account := range original.Accounts() {
			before, after := original.All(account), moved.All(account)
			if len(before) != len(after) {
				t.Fatalf("%d posts, later %d", len(before), len(after))
			}
			for i, p := range after {
				was := before[i]
				if p.Kind != was.Kind || p.Text != was.Text && len(p.Text) != len(was.Text) || len(p.Refs) != len(was.Refs) || !slices.Equal(p.MediaKeys, was.MediaKeys) {
					t.Errorf("%s is not %s, later", p.Raw, was.Raw)
				}
				at, timed := IDTime(p.ID)
				wasAt, _ := IDTime(was.ID)
				if timed && (at.Sub(wasAt)%(24*time.Hour) != 0 || !p.CreatedAt.Equal(was.CreatedAt.Add(at.Sub(wasAt))) && !was.CreatedAt.IsZero()) {
					t.Errorf("%s is of %v and %v, was of %v and %v", p.ID, at, p.CreatedAt, wasAt, was.CreatedAt)
				}
				for _, r := range p.Refs {
					_, there := moved.Post(r.ID)
					_, refused := moved.Refusal(r.ID)
					if there == refused {
						t.Errorf("post %s refers to %s: in the corpus %v, refused %v", p.ID, r.ID, there, refused)
					}
				}
				if p.CreatedAt.After(newest) {
					newest = p.CreatedAt
				}
			}
		}
		if age := now.Sub(newest); age < 0 || age >= 24*time.Hour {
			t.Errorf("at %v the newest post is of %v", now, newest)
		}
	}
}
