package message_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"

	"github.com/emersion/go-message/mail"
)

var format = message.Format{To: "archive@contoso.example", Mailboxes: map[string]string{"ann": "ann@contoso.example"}}

// document is a reply that quotes, with everything a post can carry.
const document = `{"data":{"id":"1800000000000000003","text":"Look &amp; see https://t.co/a 😀 @bob &lt;b&gt;\nsecond line","author_id":"7",
 "created_at":"2024-06-10T08:00:00.123Z","conversation_id":"1700000000000000000","in_reply_to_user_id":"8",
 "edit_history_tweet_ids":["1800000000000000003"],
 "referenced_tweets":[{"type":"quoted","id":"1700000000000000001"},{"type":"replied_to","id":"1700000000000000002"}],
 "attachments":{"media_keys":["3_1","7_2","3_3"],"poll_ids":["5"]},"geo":{"place_id":"pl"},"lang":"en",
 "entities":{"urls":[{"start":15,"end":29,"url":"https://t.co/a","expanded_url":"https://example.com/?a=1&b=2","display_url":"example.com"}],
  "mentions":[{"start":32,"end":36,"username":"bob"}]}},
"includes":{
 "tweets":[{"id":"1700000000000000001","text":"what was quoted","author_id":"8","attachments":{"media_keys":["3_9"]}},
           {"id":"1700000000000000002","text":"what was asked","author_id":"8","edit_history_tweet_ids":["1699999999999999999","1700000000000000002"]}],
 "users":[{"id":"7","username":"Ann","name":"Ann Öberg, Press\r\nBcc: evil@example.com"},{"id":"8","username":"bob","name":"Bob \"B\""}],
 "media":[{"media_key":"3_1","type":"photo","url":"https://pbs.twimg.com/media/x.png","alt_text":"A \"red\" square","width":2,"height":2},
          {"media_key":"7_2","type":"video","duration_ms":1500,"variants":[{"bit_rate":1,"content_type":"video/mp4","url":"https://video.twimg.com/v/film.mp4?tag=1"}]},
          {"media_key":"3_3","type":"photo","url":"https://pbs.twimg.com/media/gone.jpg"},
          {"media_key":"3_9","type":"photo","url":"https://pbs.twimg.com/media/x.png"}],
 "polls":[{"id":"5","options":[{"label":"yes","votes":3},{"label":"no","votes":1}],"voting_status":"open"}],
 "places":[{"id":"pl","full_name":"Oslo, Norway"}]}}`

// attach gives each shown media a body, but for those missing.
func attach(p *post.Post, bodies map[string]string, missing map[string]string) []message.Attachment {
	var sources []string
	for _, m := range p.Shown() {
		sources = append(sources, append(m.Sources(), "")[0])
	}
	names := message.FileNames(p.Shown(), sources)
	var out []message.Attachment
	for i, m := range p.Shown() {
		a := message.Attachment{Media: m, Source: sources[i], Name: names[i], Type: message.TypeOf(names[i]), Missing: missing[m.Key]}
		if a.Missing == "" {
			a.Body = strings.NewReader(bodies[m.Key])
		}
		out = append(out, a)
	}
	return out
}

var (
	bodies  = map[string]string{"3_1": "\x89PNG the square", "7_2": strings.Repeat("film ", 1000), "3_9": "the quoted picture"}
	missing = map[string]string{"3_3": "status 404 for https://pbs.twimg.com/media/gone.jpg"}
)

func write(t *testing.T, doc string) []byte {
	t.Helper()
	p, err := post.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := format.Write(&b, p, []byte(doc), attach(p, bodies, missing)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHeader(t *testing.T) {
	r, err := mail.CreateReader(bytes.NewReader(write(t, document)))
	if err != nil {
		t.Fatal(err)
	}
	from, err := r.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "ann@contoso.example" || from[0].Name != "Ann Öberg, Press Bcc: evil@example.com (@Ann)" {
		t.Errorf("From %v, %v", from, err)
	}
	to, err := r.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "archive@contoso.example" {
		t.Errorf("To %v, %v", to, err)
	}
	if date, err := r.Header.Date(); err != nil || !date.Equal(time.Date(2024, 6, 10, 8, 0, 0, 0, time.UTC)) {
		t.Errorf("Date %v, %v", date, err)
	}
	if s, err := r.Header.Subject(); err != nil || s != "Reply to @bob: Look & see example.com 😀 @bob <b> second line" {
		t.Errorf("Subject %q, %v", s, err)
	}
	for field, want := range map[string]string{
		"Message-ID":          "<1800000000000000003@x.com>",
		"In-Reply-To":         "<1700000000000000002.2@x.com>",
		"References":          "<1700000000000000000@x.com> <1700000000000000002.2@x.com>",
		"X-Message-Class":     "IPM.NOTE.Twitter.Reply",
		"X-Twitter-Kind":      "Reply",
		"X-Twitter-Post-ID":   "1800000000000000003",
		"X-Twitter-Author-ID": "7",
		"MIME-Version":        "1.0",
		"Bcc":                 "",
	} {
		if got := r.Header.Get(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

func readHeader(t *testing.T, raw []byte) mail.Header {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r.Header
}

// readBodies returns the text of a message by its type.
func readBodies(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for range 2 {
		part, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := part.Header.(*mail.InlineHeader).ContentType()
		body, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatal(err)
		}
		texts[kind] = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
	return texts
}

func TestBodies(t *testing.T) {
	texts := readBodies(t, write(t, document))
	for _, want := range []string{
		"Author: Ann Öberg, Press Bcc: evil@example.com (@Ann)\nDate: 10 June 2024, 08:00:00 UTC\nTweet: Look & see example.com 😀 @bob <b>\n       second line\n",
		"https://x.com/Ann/status/1800000000000000003\n", "https://t.co/a -> https://example.com/?a=1&b=2",
		" 75 %  yes (3)", "Photo: x.png (2 × 2)", `Description: A "red" square`, "Video: film.mp4 (1.5s)",
		"Photo, not archived: status 404 for https://pbs.twimg.com/media/gone.jpg", "Place: Oslo, Norway",
		"| Quoted post\n| Author: Bob \"B\" (@bob)\n", "| Tweet: what was quoted\n", "| In reply to\n", "| Tweet: what was asked\n", "| Photo: x-2.png",
	} {
		if !strings.Contains(texts["text/plain"], want) && !strings.Contains(texts["text/plain"], strings.ReplaceAll(want, "| Photo", "|   Photo")) {
			t.Errorf("the text lacks %q:\n%s", want, texts["text/plain"])
		}
	}
	html := texts["text/html"]
	for _, want := range []string{
		"Look &amp; see <a href=\"https://example.com/?a=1&amp;b=2\">example.com</a> 😀 <a href=\"https://x.com/bob\">@bob</a> &lt;b&gt;<br>second line",
		`<img src="cid:3_1@x.com" alt="A &#34;red&#34; square"`, `<img src="cid:3_9@x.com"`, "not archived: status 404", "what was quoted", "what was asked",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the HTML lacks %q:\n%s", want, html)
		}
	}
	if strings.Contains(html, "http-equiv") || strings.Contains(html, "<script") || strings.Contains(html, `src="http`) {
		t.Error("the HTML loads something")
	}
}

// TestReadBack: everything that went into a message comes out of it.
func TestReadBack(t *testing.T) {
	m, err := message.Open(bytes.NewReader(write(t, document)))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ name, kind, source, body string }{
		{"x.png", "image/png", "https://pbs.twimg.com/media/x.png?name=orig", bodies["3_1"]},
		{"x-2.png", "image/png", "https://pbs.twimg.com/media/x.png?name=orig", bodies["3_9"]},
		{"film.mp4", "video/mp4", "https://video.twimg.com/v/film.mp4?tag=1", bodies["7_2"]},
	}
	for _, w := range want {
		part, err := m.Next()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part.Body)
		if err != nil || part.Name != w.name || part.Type != w.kind || part.Source != w.source || string(body) != w.body {
			t.Errorf("part %+v with %d bytes, %v; want %+v", part, len(body), err, w)
		}
	}
	if _, err := m.Next(); err != io.EOF {
		t.Errorf("after the last: %v", err)
	}
	if string(m.Document) != document {
		t.Errorf("document %s", m.Document)
	}
	if m.Post.ID != "1800000000000000003" || m.Missing["3_3"] != missing["3_3"] || len(m.Missing) != 1 {
		t.Errorf("post %s, missing %v", m.Post.ID, m.Missing)
	}
}

func TestSameBytes(t *testing.T) {
	first := write(t, document)
	if !bytes.Equal(first, write(t, document)) {
		t.Error("the same post gives other bytes")
	}
	if bytes.Equal(first, write(t, strings.Replace(document, "second", "Second", 1))) {
		t.Error("another post gives the same bytes")
	}
	for _, line := range bytes.Split(first, []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("a bare end of line (RFC 5322, 2.3) in %q", line)
		}
		if len(line) > 998 {
			t.Fatalf("a line of %d bytes (RFC 5322, 2.1.1)", len(line))
		}
		if bytes.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
			t.Fatalf("8-bit bytes in %q", line)
		}
	}
}

func TestVersions(t *testing.T) {
	const edit = `{"data":{"id":"1800000000000000005","text":"third","author_id":"7","created_at":"2024-06-10T08:00:00Z","conversation_id":"1800000000000000003",
		"edit_history_tweet_ids":["1800000000000000003","1800000000000000004","1800000000000000005"]}}`
	r, err := mail.CreateReader(bytes.NewReader(write(t, edit)))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"Message-ID":  "<1800000000000000005.3@x.com>",
		"In-Reply-To": "<1800000000000000004.2@x.com>",
		"References":  "<1800000000000000003@x.com> <1800000000000000004.2@x.com>",
		"From":        "\"account 7\" <7@x.invalid>",
	} {
		if got := r.Header.Get(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

// TestKinds: subject and class of each kind.
func TestKinds(t *testing.T) {
	with := func(refs, more string) string {
		return fmt.Sprintf(`{"data":{"id":"5","created_at":"2009-01-02T03:04:05Z","author_id":"7","text":"RT @bob: cut of…","referenced_tweets":[%s]%s},
			"includes":{"tweets":[{"id":"4","author_id":"8","text":"whole &gt; text"}],"users":[{"id":"8","username":"bob"}]}}`, refs, more)
	}
	for _, c := range []struct{ doc, class, subject string }{
		{with("", ""), "Tweet", "RT @bob: cut of…"},
		{with(`{"type":"retweeted","id":"4"}`, ""), "Retweet", "Retweet of @bob: whole > text"},
		{with(`{"type":"retweeted","id":"3"}`, ""), "Retweet", "RT @bob: cut of…"},
		{with(`{"type":"quoted","id":"4"}`, ""), "Quote", "Quote of @bob: RT @bob: cut of…"},
		{with(`{"type":"quoted","id":"4"},{"type":"replied_to","id":"3"}`, ""), "Reply", "Reply: RT @bob: cut of…"},
		{with("", `,"article":{"title":"A  headline","plain_text":"Much to read"}`), "Tweet", "A headline"},
		{`{"data":{"id":"1800000000000000005","text":""}}`, "Tweet", "Tweet 1800000000000000005"},
	} {
		raw := write(t, c.doc)
		r, err := mail.CreateReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, _ := r.Header.Subject()
		if got := r.Header.Get("X-Message-Class"); got != "IPM.NOTE.Twitter."+c.class || subject != c.subject {
			t.Errorf("%s: class %q, subject %q", c.doc, got, subject)
		}
	}
}

// TestBrokenBody: an error of a media stream comes out as it is.
func TestBrokenBody(t *testing.T) {
	p, err := post.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken off")
	attachments := attach(p, bodies, missing)
	attachments[1].Body = io.MultiReader(strings.NewReader("some"), iotestErr{broken})
	if err := format.Write(io.Discard, p, []byte(document), attachments); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type iotestErr struct{ err error }

func (r iotestErr) Read([]byte) (int, error) { return 0, r.err }

// TestStreams: a message with a large video is written and read with little memory.
func TestStreams(t *testing.T) {
	const size = 96 << 20
	p, err := post.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	attachments := attach(p, bodies, missing)
	attachments[1].Body = io.LimitReader(zeros{}, size)
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(format.Write(pw, p, []byte(document), attachments)) }()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := message.Open(pr)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for {
		part, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, part.Body)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	runtime.ReadMemStats(&after)
	if want := int64(size + len(bodies["3_1"]) + len(bodies["3_9"])); total != want {
		t.Errorf("%d bytes, want %d", total, want)
	}
	if used := after.HeapSys - min(before.HeapSys, after.HeapSys); used > 32<<20 {
		t.Errorf("the heap grew by %d bytes", used)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestFileNames(t *testing.T) {
	media := []post.Media{{Key: "1"}, {Key: "2"}, {Key: "3"}, {Key: "4"}, {Key: "5/6"}, {Key: "7"}, {Key: "8"}}
	got := message.FileNames(media, []string{
		"https://pbs.twimg.com/media/a.jpg?name=orig", "https://pbs.twimg.com/media/A.jpg", "https://pbs.twimg.com/media/Q?format=png&name=orig",
		"https://pbs.twimg.com/media/post.json", "", "https://pbs.twimg.com/media/%2e%2e%2fetc%3a", "https://pbs.twimg.com/" + strings.Repeat("ä", 300) + ".jpg"})
	if want := []string{"a.jpg", "A-2.jpg", "Q.png", "post-2.json", "5_6", "etc_"}; !slices.Equal(got[:6], want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(got[6]) > 120 || !strings.HasSuffix(got[6], ".jpg") {
		t.Errorf("a long name: %q", got[6])
	}
}

// FuzzWrite: whatever X sends, what is written can be read, holds the document
// byte for byte, and has no header field that the post's text made.
func FuzzWrite(f *testing.F) {
	f.Add("text", "name", "handle", "reason")
	f.Add("a\r\nBcc: x\r\n\r\nbody", "\"<>@,;:\\", "h\r\nX: y", "r; a=b \"c\" ä")
	f.Add("\x00\xff\u2028", "=?utf-8?q?x?=", strings.Repeat("h", 500), strings.Repeat("é ", 400))
	f.Fuzz(func(t *testing.T, text, name, handle, why string) {
		p := &post.Post{ID: "5", CreatedAt: time.Unix(1e9, 0), Text: post.Text{Wire: text}, Author: post.User{ID: "7", Name: name, Username: handle}}
		p.Media = []post.Media{{Key: name, Type: "photo"}, {Key: "3_2", Type: "photo"}}
		const doc = `{"data":{"id":"5","created_at":"2001-09-09T01:46:40Z"}}`
		var b bytes.Buffer
		supplement := message.Supplement{Name: "missing", Versions: []message.MissingVersion{{ID: handle, Said: why}}}
		err := format.WriteSupplement(&b, p, []byte(doc), supplement, []message.Attachment{{Media: p.Media[0], Missing: why},
			{Media: p.Media[1], Source: name, Name: "a", Type: "image/png", NotBetter: why, Body: strings.NewReader(text)}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := message.Read(bytes.NewReader(b.Bytes()))
		if err != nil || string(m.Document) != doc || len(m.Missing) != 1 {
			t.Fatalf("%v, %+v", err, m)
		}
		if _, err := m.HTML(); err != nil {
			t.Fatal(err)
		}
		r, _ := mail.CreateReader(bytes.NewReader(b.Bytes()))
		known := []string{"Mime-Version", "From", "To", "Date", "Subject", "Message-Id", "In-Reply-To", "References",
			"X-Twitter-Post-Id", "X-Twitter-Author-Id", "X-Twitter-Kind", "X-Message-Class", "X-Twitter-Media-Missing", "X-Twitter-Media-Kept",
			"X-Twitter-Supplement", "X-Twitter-Version-Missing", "Content-Type"}
		for fields := r.Header.Fields(); fields.Next(); {
			if !slices.Contains(known, fields.Key()) {
				t.Fatalf("field %q: %q", fields.Key(), fields.Value())
			}
		}
		if _, err := new(mime.WordDecoder).DecodeHeader(r.Header.Get("Subject")); err != nil {
			t.Fatal(err)
		}
		if from, err := r.Header.AddressList("From"); err != nil || len(from) != 1 {
			t.Fatalf("From %q: %v", r.Header.Get("From"), err)
		}
	})
}

// TestPython has another mail library read a message, where Python is at hand.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	file := filepath.Join(t.TempDir(), "a.eml")
	if err := os.WriteFile(file, write(t, document), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `
import sys, email, email.policy
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
assert not any(p.defects for p in m.walk()), [p.defects for p in m.walk()]
print(m["from"].addresses[0].addr_spec, m["date"].datetime.isoformat(), m["message-id"])
print(m["subject"])
print("Tweet: Look & see example.com" in m.get_body(("plain",)).get_content(), "cid:3_1@x.com" in m.get_body(("html",)).get_content())
print([p.get_content_type() for p in m.iter_parts()])
for a in m.walk():
    if a.get_filename(): print(a.get_filename(), a.get_content_type(), a.get_content_disposition(), len(a.get_payload(decode=True)), a["content-id"])
`, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := fmt.Sprintf(`ann@contoso.example 2024-06-10T08:00:00+00:00 <1800000000000000003@x.com>
Reply to @bob: Look & see example.com 😀 @bob <b> second line
True True
['multipart/related', 'application/json', 'video/mp4']
x.png image/png inline %d <3_1@x.com>
x-2.png image/png inline %d <3_9@x.com>
post.json application/json attachment %d None
film.mp4 video/mp4 attachment 5000 None
`, len(bodies["3_1"]), len(bodies["3_9"]), len(document))
	if string(out) != want {
		t.Errorf("Python reads\n%s, want\n%s", out, want)
	}
}

// TestMailbox: an account keeps its mailbox when it is renamed, and whoever takes its
// former handle, or has a number for a handle, does not get it.
func TestMailbox(t *testing.T) {
	mailboxes := map[string]string{"id:7": "press@contoso.example", "contoso": "old@contoso.example", "help": "help@contoso.example"}
	for _, c := range []struct {
		user post.User
		want string
	}{
		{post.User{ID: "7", Username: "contoso"}, "press@contoso.example"},
		{post.User{ID: "7", Username: "ContosoPress"}, "press@contoso.example"},
		{post.User{ID: "7"}, "press@contoso.example"},
		{post.User{ID: "8", Username: "Help"}, "help@contoso.example"},
		{post.User{ID: "9", Username: "7"}, "7@x.invalid"},
		{post.User{Username: "nobody"}, "nobody@x.invalid"},
	} {
		if got := message.Mailbox(c.user, mailboxes); got != c.want {
			t.Errorf("%+v: want %s, got %s", c.user, c.want, got)
		}
	}
}
