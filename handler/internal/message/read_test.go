package message_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
)

// TestEarlierMessages: messages that earlier versions archived are read, up to their
// document and with all their files, and make HTML that names them.
func TestEarlierMessages(t *testing.T) {
	for name, want := range map[string]struct {
		key   string
		files []string
		says  string
	}{
		"plain":              {"1800000000000000003", nil, "Good morning"},
		"media":              {"1800000000000000004", []string{"x.png", "film.mp4"}, "Video: film.mp4 (1.5s)"},
		"media-missing":      {"1800000000000000004", []string{"x.png"}, "not archived: status 503"},
		"supplement-media":   {"1800000000000000004.media", []string{"film.mp4"}, "Video: film.mp4 (1.5s)"},
		"supplement-missing": {"1800000000000000006.missing", nil, "asked for from"},
	} {
		raw, err := os.ReadFile(filepath.Join("testdata/earlier", name+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := media(t, raw); !slices.Equal(got, want.files) {
			t.Errorf("%s: files %q, want %q", name, got, want.files)
		}
		m, err := message.Read(bytes.NewReader(raw))
		if err != nil || m.Key() != want.key {
			t.Fatalf("%s: %v, %+v", name, err, m)
		}
		for err == nil { // the files, whose names the HTML has
			var part message.Part
			if part, err = m.Next(); err == nil {
				_, err = io.Copy(io.Discard, part.Body)
			}
		}
		html, err := m.HTML()
		if err != nil {
			t.Fatal(err)
		}
		says(t, "HTML of "+name, html, want.says)
	}
}

// TestReadUpToDocument: Read leaves out the pictures, and Next has the rest.
func TestReadUpToDocument(t *testing.T) {
	m, err := message.Read(bytes.NewReader(write(t, document)))
	if err != nil || m.Post == nil || string(m.Document) != document {
		t.Fatalf("%+v, %v", m, err)
	}
	part, err := m.Next()
	if err != nil || part.Name != "film.mp4" {
		t.Errorf("%+v, %v, want the film", part, err)
	}
}

// TestTypesByBytes: four photos whose addresses tell no type, or a wrong one, have the
// type and the extension of their bytes, and are shown.
func TestTypesByBytes(t *testing.T) {
	d := kinds(t)["four-photos"]
	bytesOf := []string{jpegBytes, gifBytes, webpBytes, pngBytes}
	var attachments []message.Attachment
	for i, m := range d.Post.Shown() {
		name := post.FileName(m.Sources()[0])
		attachments = append(attachments, message.Attachment{Media: m, Source: m.Sources()[0], Name: name, Type: message.TypeOf(name), Body: strings.NewReader(bytesOf[i])})
	}
	attachments[3].Name = "South.gif" // is a PNG
	var b bytes.Buffer
	if err := format.Write(&b, d.Post, d.JSON, attachments); err != nil {
		t.Fatal(err)
	}
	const want = "multipart/mixed(multipart/related(multipart/alternative(text/plain text/html) image/jpeg;inline;North.jpg;<3_1@x.com> image/gif;inline;South.gif;<3_2@x.com> " +
		"image/webp;inline;East.webp;<3_3@x.com> image/png;inline;South.png;<3_4@x.com>) application/json;attachment;post.json;)"
	if got := structure(t, b.Bytes()); got != want {
		t.Errorf("structure\n%s, want\n%s", got, want)
	}
	texts := readBodies(t, b.Bytes())
	says(t, "text", texts["text/plain"], "Photo: North.jpg", "Photo: South.png\n", "Photo: East.webp")
	if n := len(imgTag.FindAllString(texts["text/html"], -1)); n != 4 {
		t.Errorf("%d pictures are shown, want 4", n)
	}
}

// TestStills: a film is shown by its still picture, and nothing is stated of one that
// could not be had.
func TestStills(t *testing.T) {
	d := caseDocs(t, "related-attachments")[0]
	still := d.Post.Stills()[0]
	var b bytes.Buffer
	err := format.Write(&b, d.Post, d.JSON, []message.Attachment{
		{Media: d.Post.Media[0], Source: "https://pbs.twimg.com/a.png", Name: "a.png", Body: strings.NewReader(pngBytes)},
		{Media: d.Post.Media[1], Source: "https://video.twimg.com/a.mp4", Name: "a.mp4", Body: strings.NewReader(mp4Bytes)},
		{Media: still, Name: "b.png", Missing: "status 404"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Read(bytes.NewReader(b.Bytes()))
	if err != nil || len(m.Missing) != 0 {
		t.Errorf("missing %q, %v", m.Missing, err)
	}
	texts := readBodies(t, b.Bytes())
	saysNot(t, "text", texts["text/plain"], "status 404", "still picture")
	says(t, "HTML", texts["text/html"], "▶ Video, 4s", "Video: a.mp4 (640 × 360, 4s)")
}

// TestLaterText: the text that X gives after a notice is a message of its own beside the
// first one, which names the media that it does not repeat.
func TestLaterText(t *testing.T) {
	d := caseDocs(t, "related-attachments")[0]
	var b bytes.Buffer
	if err := format.WriteSupplement(&b, d.Post, d.JSON, message.Supplement{Name: "version", Changes: []post.Change{post.TextGiven, post.ChangedMedia}}, []message.Attachment{
		{Media: d.Post.Media[0], Source: "https://pbs.twimg.com/a.png", Name: "a.png", Body: strings.NewReader(pngBytes)}}); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	m, err := message.Read(bytes.NewReader(raw))
	if err != nil || m.Key() != "1903355967697846272.version" || len(m.Missing) != 0 || !slices.Equal(m.Archived(), []string{"3_961", "7_962"}) {
		t.Fatalf("%v, %+v", err, m)
	}
	if s := subjectOf(t, raw); s != "Text given later: One picture, one film" {
		t.Errorf("subject %q", s)
	}
	html, err := m.HTML()
	if err != nil {
		t.Fatal(err)
	}
	texts := readBodies(t, raw)
	says(t, "text", texts["text/plain"], "Later X gave it differently: the author's text, in place of which it had given a notice; the media.\n", "Photo: a.png",
		"Video (640 × 360, 4s), in an earlier message about this post\n")
	for what, text := range map[string]string{"HTML": texts["text/html"], "HTML read back": html} {
		says(t, what, text, "Later X gave it differently: the author&#39;s text, in place of which it had given a notice; the media.", "Video (640 × 360, 4s), in an earlier message about this post<")
		saysNot(t, what, text, "not archived")
	}
	if h := readHeader(t, raw); h.Get("X-Twitter-Changed") != "text-given media" || h.Get("Message-Id") != "<1903355967697846272.version@x.com>" || h.Get("In-Reply-To") != "<1903355967697846272@x.com>" {
		t.Errorf("header %v", h)
	}
	if p := m.Preview(40); p != "Text given later: One picture, one film" {
		t.Errorf("preview %q", p)
	}
}

// TestMailReaders: Python's mail package finds no defect in any message under review,
// and reads what the post says: who, when, its words, its hashtags, where its links
// lead, and what is attached.
func TestMailReaders(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not here: the messages are read by go-message only")
	}
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d messages, %v; want 20 or more", len(files), err)
	}
	out, err := exec.Command(python, append([]string{"-c", `
import sys, json, re, datetime, email, email.policy
for name in sys.argv[1:]:
    m = email.message_from_binary_file(open(name, "rb"), policy=email.policy.default)
    for p in m.walk():
        assert not p.defects, (name, p.defects)
        for k, v in p.items():
            assert not v.defects, (name, k, v, v.defects)
        if not p.is_multipart():
            p.get_content()
            assert not p.defects, (name, p.defects)
    doc = json.loads([p for p in m.walk() if p.get_filename() == "post.json"][0].get_payload(decode=True))
    post = doc["tweet" if doc.get("source") == "export" else "data"]
    created = post["created_at"][:19]
    if doc.get("source") == "export":
        created = datetime.datetime.strptime(post["created_at"], "%a %b %d %H:%M:%S %z %Y").isoformat()[:19]
    assert m["x-twitter-source"] == doc.get("source"), name
    assert m["x-twitter-post-id"] == post["id"] and m["date"].datetime.isoformat()[:19] == created, name
    text, html = m.get_body(("plain",)).get_content(), m.get_body(("html",)).get_content()
    related = [p for p in m.walk() if p.get_content_type() == "multipart/related"]
    cids = {p["content-id"][1:-1] for p in m.walk() if p["content-id"]}
    assert cids == set(re.findall(r'src="cid:([^"]*)"', html)), (name, cids)
    for r in related:
        assert all(p.get_content_disposition() == "inline" and p["content-id"] for p in list(r.iter_parts())[1:]), name
    if m["x-twitter-supplement"] is None:
        for u in post.get("note_tweet", post).get("entities", {}).get("urls", []):
            for address in (u["expanded_url"], u.get("unwound_url", "")):
                assert address in text, (name, address)
        for tag in post.get("entities", {}).get("hashtags", []):
            assert "#" + tag["tag"] in text and "#" + tag["tag"] in html, name
    assert max(len(line) for line in open(name, "rb").read().split(b"\r\n")) <= 998, name
print(len(sys.argv) - 1, "messages")
`}, files...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("Python read %s", out)
}
