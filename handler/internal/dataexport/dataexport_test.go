package dataexport_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/dataexport"
	"xarchive/handler/internal/post"
	"xarchive/tests/sandbox/xexport"
)

var (
	owner = xexport.Account{ID: "7", Username: "contoso7", Name: "Contoso"}
	noon  = time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC)
)

// sample has one of everything.
func sample() xexport.Export {
	begun := strings.Repeat("A long text with R&D in it. ", 8)
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	return xexport.Export{Account: owner, Made: at(100), PartSize: 3, Posts: []xexport.Post{
		{ID: "1787000000000000001", At: at(1), Text: "plain: 1 < 2 && \"&amp;\" > 0"},
		{ID: "1787000000000000002", At: at(2), Text: begun[:200], Long: begun + "And it goes on."},
		{ID: "1787000000000000003", At: at(3), Text: "@bob yes", ReplyTo: "17", ReplyToUser: "900", ReplyToName: "bob", Mentions: []string{"bob"}},
		{ID: "1787000000000000004", At: at(4), Text: "RT @bob: what bob said and it is cut o…", Mentions: []string{"bob"}},
		{ID: "1787000000000000005", At: at(5), Text: "pictures", Media: []xexport.Media{
			{ID: "11", Name: "Aone.jpg", Type: "photo", Data: []byte("\xff\xd8\xff one")}, {ID: "12", Name: "Btwo.jpg", Type: "photo"},
			{ID: "13", Name: "film.mp4", Type: "video", Data: []byte("\x00\x00\x00\x18ftypmp42 film")}}},
		{ID: "1787000000000000006", At: at(6), Text: "gone", Deleted: true, DeletedAt: at(50), Media: []xexport.Media{{ID: "14", Name: "Gone.png", Type: "photo", Data: []byte("\x89PNG\r\n\x1a\n")}}},
		{ID: "1787000000000000007", At: at(7), Text: "gone, who knows when", Deleted: true},
		{ID: "1787000000000000008", At: at(8), Text: "among friends", Community: true},
		{ID: "1787000000000000009", At: at(9), Text: "https://t.co/art", Links: map[string]string{"https://t.co/art": "https://x.com/i/article/77"},
			Article: &xexport.Article{ID: "77", Title: "On archives", Paragraphs: []string{"First.", "Second."}}},
		{ID: "1787000000000000010", At: at(10), Text: "see https://t.co/q", Links: map[string]string{"https://t.co/q": "https://twitter.com/bob/status/17"}},
		{ID: "1787000000000000011", At: at(11), Text: "edited", Edits: []string{"1787000000000000011", "1787000000000000012"}},
		{ID: "1787000000000000012", At: at(11), Text: "edited once", Edits: []string{"1787000000000000011", "1787000000000000012"}},
		// Two of one second that begin alike, each with a long text: which is whose?
		{ID: "1787000000000000013", At: at(13), Text: begun[:200], Long: begun + "One end."},
		{ID: "1787000000000000014", At: at(13), Text: begun[:200], Long: begun + "Another end."},
	}}
}

func write(t testing.TB, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "twitter-2024-05-10-abc.zip")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// read reads all of an export.
func read(t testing.TB, content []byte) (c dataexport.Contents, docs map[string]post.Document, x *dataexport.Export, err error) {
	t.Helper()
	x, err = dataexport.Open(write(t, content))
	if err != nil {
		return c, nil, nil, err
	}
	t.Cleanup(func() { x.Close() })
	if c, err = x.Look(t.Context(), nil); err != nil {
		return c, nil, x, err
	}
	docs = map[string]post.Document{}
	return c, docs, x, x.Posts(t.Context(), nil, func(d post.Document) error {
		if _, twice := docs[d.ID]; twice && d.ID != "" {
			t.Errorf("post %q comes twice", d.ID)
		}
		docs[d.ID] = d
		return nil
	})
}

// TestEverything: each kind of thing in an export is read as what it is, and what is
// not certain is said to be that.
func TestEverything(t *testing.T) {
	for _, form := range []struct{ name, root string }{{"as X gives it", ""}, {"packed anew", "twitter-2024/"}} {
		e := sample()
		e.Root = form.root
		c, docs, x, err := read(t, e.Zip())
		if err != nil {
			t.Fatal(form.name, err)
		}
		if x.Account != (post.User{ID: "7", Username: "contoso7", Name: "Contoso"}) || !x.Made.Equal(e.Made) || x.Part {
			t.Errorf("%s: %+v %s", form.name, x.Account, x.Made)
		}
		want := dataexport.Contents{Posts: 14, Deleted: 2, Reposts: 1, Notes: 3, NotesJoined: 1, NotesOpen: 2, Articles: 1, ArticlesFound: 1, Media: 3, MediaMissing: 1}
		if got := c; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: contents\n%+v, want\n%+v", form.name, got, want)
		}
		p := func(n int) *post.Post {
			d := docs[fmt.Sprintf("17870000000000000%02d", n)]
			if d.Post == nil {
				t.Fatalf("%s: post %d: %v", form.name, n, d.Err)
			}
			again, err := post.Parse(d.JSON)
			if err != nil || !reflect.DeepEqual(again, d.Post) || bytes.Contains(d.JSON, []byte(xexport.Secret)) {
				t.Errorf("%s: the document of post %d does not hold it, %v", form.name, n, err)
			}
			var members map[string]json.RawMessage
			if err := json.Unmarshal(d.JSON, &members); err != nil || members["data"] != nil || string(members["source"]) != `"export"` {
				t.Errorf("%s: versions that know no exports take post %d for one of the API: %v", form.name, n, err)
			}
			return d.Post
		}
		if q := p(1); q.Text.Plain() != e.Posts[0].Text || !q.CreatedAt.Equal(noon.Add(time.Hour)) || q.Kind() != post.Tweet || q.Author.Name != "Contoso" {
			t.Errorf("%s: %+v", form.name, q)
		}
		if q := p(2); q.Text.Plain() != e.Posts[1].Long || q.Export.Cut {
			t.Errorf("%s: the long text is %q", form.name, q.Text.Plain())
		}
		if q := p(3); q.Kind() != post.Reply || q.Ref(post.RepliedTo).ID != "17" || q.InReplyToUser.Username != "bob" {
			t.Errorf("%s: %+v", form.name, q)
		}
		if q := p(4); q.Kind() != post.Retweet || !q.Export.Repost {
			t.Errorf("%s: %+v", form.name, q)
		}
		q := p(5)
		for i, want := range []string{"data/tweets_media/1787000000000000005-Aone.jpg", "", "data/tweets_media/1787000000000000005-film.mp4"} {
			if q.Media[i].File != want || (q.Media[i].NoFile() == "") != (want != "") {
				t.Errorf("%s: media %d is %+v", form.name, i, q.Media[i])
			}
		}
		if len(q.Media) != 3 || q.Media[0].Key != "3_11" || q.Media[2].Key != "7_13" || q.Text.Shown() != "pictures" {
			t.Errorf("%s: %+v %q", form.name, q.Media, q.Text.Shown())
		}
		body, err := x.Media(q.Media[0].File)
		if err != nil {
			t.Fatal(err)
		}
		if content, err := io.ReadAll(body); err != nil || !bytes.Equal(content, e.Posts[4].Media[0].Data) {
			t.Errorf("%s: %q %v", form.name, content, err)
		}
		if q := p(6); !q.Export.Deleted || !q.Export.DeletedAt.Equal(noon.Add(50*time.Hour)) || q.Media[0].File == "" {
			t.Errorf("%s: %+v", form.name, q.Export)
		}
		if q := p(7); !q.Export.Deleted || !q.Export.DeletedAt.IsZero() {
			t.Errorf("%s: %+v", form.name, q.Export)
		}
		if q := p(9); q.Article == nil || q.Article.Title != "On archives" || q.Article.Text != "First.\n\nSecond." {
			t.Errorf("%s: %+v", form.name, q.Article)
		}
		if q := p(10); !q.Export.Links || q.Kind() != post.Tweet {
			t.Errorf("%s: %+v", form.name, q.Export)
		}
		if q := p(12); q.Version() != 2 || p(11).Version() != 1 {
			t.Errorf("%s: version %d of %v", form.name, q.Version(), q.EditHistory)
		}
		for _, n := range []int{13, 14} {
			if q := p(n); q.Export.Undecided != 2 || strings.Contains(q.Text.Plain(), "end.") {
				t.Errorf("%s: a text was guessed: %+v %q", form.name, q.Export, q.Text.Plain())
			}
		}
	}
}

// TestOld: exports until 2022 have tweet.js and tweet_media.
func TestOld(t *testing.T) {
	e := sample()
	e.Old = true
	_, docs, _, err := read(t, e.Zip())
	if d := docs["1787000000000000005"]; err != nil || len(docs) != 14 || d.Post.Media[0].File != "data/tweet_media/1787000000000000005-Aone.jpg" {
		t.Errorf("%d posts, %v", len(docs), err)
	}
}

// change packs the sample with one file changed.
func change(name string, to func([]byte) []byte) []byte {
	files := sample().Files()
	for i := range files {
		if files[i].Name == name {
			files[i].Data = to(files[i].Data)
		}
	}
	return xexport.Zip(slices.DeleteFunc(files, func(f xexport.File) bool { return f.Data == nil }))
}

// raw packs the sample, and a file with a header of one's own.
func raw(header zip.FileHeader, body string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range sample().Files() {
		w, _ := z.Create(f.Name)
		_, _ = w.Write(f.Data)
	}
	w, err := z.CreateRaw(&header)
	if err == nil {
		_, err = io.WriteString(w, body)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// TestRefused: what is no export, or made to do harm, is refused with words that say why,
// and before anything of it was used.
func TestRefused(t *testing.T) {
	link := zip.FileHeader{Name: "data/tweets_media/1-x.jpg", UncompressedSize64: 4, CompressedSize64: 4}
	link.SetMode(0o777 | fs.ModeSymlink)
	zeros := string(make([]byte, 64<<20))
	text := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	for name, c := range map[string]struct {
		content []byte
		is      error
		says    string
	}{
		"text":             {[]byte("hello"), dataexport.ErrNotExport, "no zip file"},
		"empty":            {nil, dataexport.ErrNotExport, "no zip file"},
		"cut off":          {sample().Zip()[:900], dataexport.ErrNotExport, "not all of one"},
		"another zip":      {xexport.Zip([]xexport.File{{Name: "a.txt", Data: []byte("a")}}), dataexport.ErrNotExport, "no data/account.js"},
		"two exports":      {xexport.Zip(append(sample().Files(), xexport.File{Name: "b/data/account.js", Data: []byte("x")})), dataexport.ErrNotExport, "several"},
		"no account":       {change("data/account.js", text(`window.YTD.account.part0 = []`)), dataexport.ErrMalformed, "names no account"},
		"another's":        {change("data/account.js", func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"7"`), []byte(`"8"`)) }), dataexport.ErrMalformed, "account 7"},
		"no script":        {change("data/tweets.js", text(`[{"tweet":{}}]`)), dataexport.ErrMalformed, "data/tweets.js"},
		"a program":        {change("data/tweets.js", text(`window.YTD.tweets.part0 = load("x")`)), dataexport.ErrMalformed, "no list"},
		"broken":           {change("data/tweets-part1.js", func(b []byte) []byte { return b[:len(b)/2] }), dataexport.ErrMalformed, "data/tweets-part1.js"},
		"more after it":    {change("data/tweets.js", func(b []byte) []byte { return append(b, "alert(1)"...) }), dataexport.ErrMalformed, "follows the list"},
		"a giant":          {change("data/tweets.js", text(`window.YTD.tweets.part0 = [{"tweet":{"full_text":"`+randomText(4<<20)+`"}}]`)), dataexport.ErrMalformed, "more than"},
		"bomb":             {change("data/tweets.js", text(zeros)), dataexport.ErrHostile, "grow too much"},
		"media bomb":       {change("data/tweets_media/1787000000000000005-Aone.jpg", text(zeros)), dataexport.ErrHostile, "grow too much"},
		"up":               {raw(zip.FileHeader{Name: "data/tweets_media/../../../etc/passwd"}, ""), dataexport.ErrHostile, "leads out"},
		"absolute":         {raw(zip.FileHeader{Name: "/etc/passwd"}, ""), dataexport.ErrHostile, "leads out"},
		"backslash":        {raw(zip.FileHeader{Name: `data\tweets_media\1-x.jpg`}, ""), dataexport.ErrHostile, "leads out"},
		"drive":            {raw(zip.FileHeader{Name: `C:/x`}, ""), dataexport.ErrHostile, "leads out"},
		"double slash":     {raw(zip.FileHeader{Name: `data//tweets.js`}, ""), dataexport.ErrHostile, "leads out"},
		"control":          {raw(zip.FileHeader{Name: "data/a\nb.js"}, ""), dataexport.ErrHostile, "no text"},
		"twice":            {raw(zip.FileHeader{Name: "data/tweets.js"}, ""), dataexport.ErrHostile, "twice"},
		"link":             {raw(link, "/etc"), dataexport.ErrHostile, "link"},
		"encrypted":        {raw(zip.FileHeader{Name: "data/x.js", Flags: 1}, ""), dataexport.ErrHostile, "encrypted"},
		"unknown method":   {raw(zip.FileHeader{Name: "data/x.js", Method: 14}, ""), dataexport.ErrHostile, "not known"},
		"too large":        {raw(zip.FileHeader{Name: "data/x.mp4", UncompressedSize64: 1 << 40, CompressedSize64: 1}, "x"), dataexport.ErrHostile, "too large"},
		"larger than it":   {raw(zip.FileHeader{Name: "data/x.mp4", UncompressedSize64: 9 << 20, CompressedSize64: 9 << 20}, "x"), dataexport.ErrHostile, "larger than the zip"},
		"lies about size":  {raw(zip.FileHeader{Name: "data/tweets-part9.js", Method: zip.Deflate, UncompressedSize64: 10, CompressedSize64: uint64(len(deflated))}, deflated), dataexport.ErrMalformed, "data/tweets-part9.js"},
		"manifest is none": {change("data/manifest.js", text("window.__THAR_CONFIG = 1 2")), dataexport.ErrMalformed, "manifest.js"},
	} {
		_, docs, _, err := read(t, c.content)
		if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.says) || len(docs) > 0 {
			t.Errorf("%s: %v, %d posts; want %v, %q", name, err, len(docs), c.is, c.says)
		}
	}
	if _, err := dataexport.Open(t.TempDir()); !errors.Is(err, dataexport.ErrNotExport) {
		t.Errorf("a folder: %v", err)
	}
}

// deflated are many zeros.
var deflated = func() string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("a")
	_, _ = w.Write(make([]byte, 1<<20))
	_ = z.Close()
	r, _ := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	body, _ := r.File[0].OpenRaw()
	content, _ := io.ReadAll(body)
	return string(content)
}()

func randomText(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(26))
	}
	return string(b)
}

// TestOneBadPost: an element that is no post, or of which a part cannot be read, does not
// cost the others.
func TestOneBadPost(t *testing.T) {
	c, docs, _, err := read(t, change("data/tweets.js", func([]byte) []byte {
		return []byte(`window.YTD.tweets.part0 = [ 1, {"tweet":{"full_text":"no id"}}, {"tweet":{"id_str":"99","full_text":"no time"}},
			{"tweet":{"id_str":"1787000000000000001","full_text":"odd","created_at":"yesterday","entities":5}}, {"id_str":"1787000000000000002","full_text":"no object round it","created_at":"Mon May 06 12:00:00 +0000 2024"} ];`)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Unusable != 2 || docs["99"].Err == nil || docs["1787000000000000001"].Post == nil || len(docs["1787000000000000001"].Post.Problems) != 2 || docs["1787000000000000002"].Post == nil {
		t.Errorf("%+v\n%+v", c, docs["1787000000000000001"].Post)
	}
	if len(c.Short) != 1 || !strings.Contains(c.Short[0], "data/tweets.js has 5 posts, the export's manifest states 3") {
		t.Errorf("short: %q", c.Short)
	}
	if c, _, _, _ := read(t, change("data/tweets-part1.js", func([]byte) []byte { return nil })); len(c.Short) != 1 || !strings.Contains(c.Short[0], "data/tweets-part1.js is not there") {
		t.Errorf("short: %q", c.Short)
	}
}

// TestMemory: however large an export is, its posts are not held.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a large file")
	}
	e := xexport.Export{Account: owner, Made: noon}
	for i := range 6_000 {
		e.Posts = append(e.Posts, xexport.Post{ID: fmt.Sprint(1787000000000000000 + i), At: noon.Add(time.Duration(i) * time.Second), Text: fmt.Sprint("post ", i, " ", randomText(500))})
	}
	name := write(t, e.Zip())
	e.Posts = nil
	x, err := dataexport.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var most, n uint64
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := inUse()
	sample := func() {
		if n++; n%2000 == 0 {
			most = max(most, inUse())
		}
	}
	c, err := x.Look(t.Context(), func(dataexport.Status) { sample() })
	if err == nil {
		err = x.Posts(t.Context(), nil, func(post.Document) error { sample(); return nil })
	}
	if err != nil || c.Posts != 6_000 {
		t.Fatal(c.Posts, err)
	}
	used := float64(int64(most)-int64(before)) / (1 << 20)
	t.Logf("%d posts, at most %.1f MiB in use for them", c.Posts, used)
	if used > 16 {
		t.Errorf("%.1f MiB are in use", used)
	}
}

// TestInterrupted: reading ends with its context.
func TestInterrupted(t *testing.T) {
	x, err := dataexport.Open(write(t, sample().Zip()))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	ctx, cancel := context.WithCancel(t.Context())
	_, err = x.Look(ctx, func(dataexport.Status) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
