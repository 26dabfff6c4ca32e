package message_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"xarchive/handler/internal/message"
	"xarchive/handler/internal/post"
)

func TestCaseNotice(t *testing.T) {
	const lead = "X did not give this post's text; in its place it gave this notice:"
	for id, want := range map[string]struct{ subject, field, notice, note string }{
		"1896832986117046272": {lead + " @heron_works's account", "1896832986117046272", "temporarily unavailable because it violates the Twitter Media Policy", ""},
		"1896848085611446272": {lead + " @heron_works's account", "1896848085611446272", "withheld in India", "X withholds this account in India"},
		"1896863185105846272": {lead + " This Post from @heron_works", "1896863185105846272", "report from the copyright holder", "X withholds this post in all countries because of a copyright claim"},
		"1896893384094646272": {"Retweet of @fen_radio: " + lead + " @fen_radio's account", "1896878284600246272", "withheld in Germany", "X withholds this account in Germany"},
	} {
		raw, _ := caseMessage(t, "notice-instead-of-text", id)
		if s := subjectOf(t, raw); !strings.HasPrefix(s, want.subject) {
			t.Errorf("%s: subject %q, want it to begin %q", id, s, want.subject)
		}
		m, err := message.Read(bytes.NewReader(raw))
		if err != nil || !strings.Contains(m.NoText[want.field], want.notice) {
			t.Errorf("%s: X-Twitter-Text-Missing %q, %v; want %s, %q", id, m.NoText, err, want.field, want.notice)
		}
		if p := m.Preview(200); !strings.HasPrefix(p, lead) {
			t.Errorf("%s: preview %q", id, p)
		}
		texts := readBodies(t, raw)
		says(t, "text", texts["text/plain"], "Tweet: "+lead+"\n       ", want.notice, want.note, "https://support.twitter.com/articles/")
		says(t, "HTML", texts["text/html"], "X did not give this post&#39;s text; in its place it gave this notice:", want.notice, want.note, `<a href="https://support.twitter.com/articles/`, ">Learn more</a>")
	}
	raw, _ := caseMessage(t, "notice-instead-of-text", "1896863185105846272")
	if got := media(t, raw); !slices.Equal(got, []string{"NOT111.png"}) {
		t.Errorf("media %q", got)
	}
}

func TestCaseRepostOfQuote(t *testing.T) {
	const words = "We looked at batch 7: cracks in 3 of 40 welds. Photo below."
	for _, id := range []string{"1896500797240246272", "1896515896734646272"} {
		raw, p := caseMessage(t, "rt-of-quote", id)
		if got := media(t, raw); !slices.Equal(got, []string{"RTQ101.png"}) {
			t.Errorf("%s: media %q", id, got)
		}
		texts := readBodies(t, raw)
		says(t, "text", texts["text/plain"], "| | Quoted post\n| | Author: Marsh Lab (@marsh_lab)\n| | Date: 3 March 2025, 08:00:00 UTC\n| | Tweet: "+words, "| |   Photo: RTQ101.png", "Description: Crack in a weld, marked in red")
		says(t, "HTML", texts["text/html"], words, "<bdi>Marsh Lab</bdi>", `<img src="cid:3_101@x.com"`)
		m, err := message.Read(bytes.NewReader(raw))
		if err != nil || !strings.Contains(string(m.Document), words) {
			t.Errorf("%s: post.json lacks what was looked up, %v", id, err)
		}
		if p.ID != id {
			t.Errorf("post %s", p.ID)
		}
	}
	// Not looked up: it is said.
	raw, err := os.ReadFile("testdata/cases/rt-of-quote/posts.json")
	if err != nil {
		t.Fatal(err)
	}
	page, err := post.SplitPage(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := page.Posts[0].Lacks(); !slices.Equal(got, []string{"1896470598251446272"}) {
		t.Errorf("the repost lacks %v", got)
	}
	texts := readBodies(t, writeDoc(t, page.Posts[0]))
	says(t, "text", texts["text/plain"], "| Quoted post – not archived: X did not send it, and gave no reason, https://x.com/i/status/1896470598251446272\n")
	says(t, "HTML", texts["text/html"], "Not archived: X did not send it, and gave no reason", `href="https://x.com/i/status/1896470598251446272"`)
}

func TestCaseArticle(t *testing.T) {
	raw, _ := caseMessage(t, "article-media", "1897195373982646272")
	if got := media(t, raw); !slices.Equal(got, []string{"ART201.png", "ART202.png", "ART203.png", "ART204p.png", "ART204.mp4"}) {
		t.Errorf("media %q", got) // of the film its still picture, too
	}
	if s := subjectOf(t, raw); s != "The next five years" {
		t.Errorf("subject %q", s)
	}
	texts := readBodies(t, raw)
	says(t, "text", texts["text/plain"], "Article: The next five years\n  Cover. Photo: ART201.png (1200 × 480)\n    Description: Blast furnace at dusk\n\n         In 2019 we rolled",
		"  Photo: ART202.png (800 × 500)\n    Description: Table: output 2019–2024\n  Photo: ART203.png (800 × 500)\n  Video: ART204.mp4 (1280 × 720, 9s), still picture: ART204p.png\n",
		"https://heron-works.example/next", "Come & see us at the fair.")
	html := texts["text/html"]
	says(t, "HTML", html, `cid:3_201@x.com`, `cid:3_202@x.com`, `cid:3_203@x.com`, "cid:7_204-still@x.com", `alt="Blast furnace at dusk"`, "Description: Table: output 2019–2024")
	if n := strings.Count(html, "The next five years"); n != 1 {
		t.Errorf("the title stands %d times in the HTML", n)
	}
	if strings.Index(html, "cid:3_201") > strings.Index(html, "The next five years") {
		t.Error("the cover is not above the title")
	}
	// One that cannot be had is said to be missing.
	d := caseDocs(t, "article-media")[0]
	var b bytes.Buffer
	if err := format.Write(&b, d.Post, d.JSON, nil); err != nil {
		t.Fatal(err)
	}
	m, err := message.Read(&b)
	if err != nil || len(m.Missing) != 4 {
		t.Errorf("missing %q, %v; want all four", m.Missing, err)
	}
}

func TestCaseDuplicateKeys(t *testing.T) {
	raw, _ := caseMessage(t, "dup-media-keys", "1897572861342646272")
	if got := media(t, raw); !slices.Equal(got, []string{"MUL301.png", "MUL302.png"}) {
		t.Errorf("media %q", got)
	}
	for kind, text := range readBodies(t, raw) {
		if n := strings.Count(text, "Description: Plan of the yard, sheet 1 of 4"); n != 1 {
			t.Errorf("the first picture is described %d times in the %s", n, kind)
		}
		if n := strings.Count(text, "cid:3_301@x.com"); kind == "text/html" && n != 1 {
			t.Errorf("the first picture is shown %d times", n)
		}
	}
}

func TestCaseAltText(t *testing.T) {
	raw, _ := caseMessage(t, "alt-newlines", "1899732089041846272")
	texts := readBodies(t, raw)
	says(t, "text", texts["text/plain"], "\n    Description: Notes of the council\n\n                 1. Prices rise on 1 May\n                 2. Plant B closes\n                    – 40 people\n",
		"Description: The signed page", "\n                 line two\n")
	says(t, "HTML", texts["text/html"], "Description: Notes of the council<br><br>1. Prices rise on 1 May<br>2. Plant B closes<br>&nbsp;&nbsp;&nbsp;– 40 people")
}

func TestCaseFacts(t *testing.T) {
	for id, want := range map[string]string{
		"1900456864773046272": "Location: 54.3544, -1.9102",
		"1900464414520246272": "Place 0fa17bbbd3aac001 (X did not send its name)",
		"1900471964267446272": "Posted in community 1490000000000000007",
		"1900487063761846272": "Only accounts mentioned may reply",
	} {
		raw, p := caseMessage(t, "facts-not-shown", id)
		texts := readBodies(t, raw)
		item, err := message.HTML(p)
		if err != nil {
			t.Fatal(err)
		}
		says(t, "text", texts["text/plain"], "\n"+want+"\n")
		says(t, "HTML", texts["text/html"], ">"+want+"<")
		says(t, "item's HTML", item, ">"+want+"<")
	}
}

func TestCaseInvisibleSubject(t *testing.T) {
	for _, id := range []string{"1900819252638646272", "1900821769221046272"} {
		raw, _ := caseMessage(t, "invisible-subject", id)
		if s := subjectOf(t, raw); s != "Tweet "+id {
			t.Errorf("subject %q, want kind and id", s)
		}
		m, err := message.Read(bytes.NewReader(raw))
		if err != nil || m.Preview(200) != "Tweet "+id {
			t.Errorf("preview of an item %q, %v", m.Preview(200), err)
		}
	}
}

func TestCaseLinkSchemes(t *testing.T) {
	raw, _ := caseMessage(t, "link-schemes", "1899052611793846272")
	texts := readBodies(t, raw)
	saysNot(t, "HTML", texts["text/html"], "ZgotmplZ", `href="javascript`, `href="ftp`, `href="https://t.co`)
	says(t, "HTML", texts["text/html"], "Odd scheme javascript:alert(1) and files.heron-works.example/…", "ftp://files.heron-works.example/q1.pdf")
	says(t, "text", texts["text/plain"], "https://t.co/lnk4aaaa11 -> javascript:alert(1)", "https://t.co/lnk5aaaa11 -> ftp://files.heron-works.example/q1.pdf")
}

func TestCaseLinkText(t *testing.T) {
	chain := []string{"https://bit.ly/4HeronQ1", "https://www.heron-works.example/investors/2025/q1-trading-update"}
	for id, subject := range map[string]string{"1899007313310646272": "Heron Steel: trading update for the first quarter", "1899022412805046272": "Our update is out: bit.ly/4HeronQ1"} {
		raw, p := caseMessage(t, "link-text", id)
		if s := subjectOf(t, raw); s != subject {
			t.Errorf("subject %q, want %q", s, subject)
		}
		texts := readBodies(t, raw)
		says(t, "text", texts["text/plain"], "bit.ly/4HeronQ1\n", p.Text.Links[0].URL+" -> "+chain[0]+" -> "+chain[1], "Title: "+p.Text.Links[0].Title, "Description: Profit warning: volumes 12% below last year.")
		says(t, "HTML", texts["text/html"], `<a href="`+chain[1]+`" title=`, ">bit.ly/4HeronQ1</a>", "q1-trading-update", "trading update for the first quarter", "Profit warning", ">"+"heron-works.example"+"<")
		saysNot(t, "text", strings.SplitN(texts["text/plain"], "\n\n", 2)[0], "t.co")
	}
}

func TestCaseNameOverride(t *testing.T) {
	raw, _ := caseMessage(t, "name-override-own", "1899430099153846272")
	h := readHeader(t, raw)
	from, err := h.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "\u2068Heron \u202eleets\u202c\u2069 (@heron_works)" {
		t.Errorf("From %+q, %v", from[0].Name, err)
	}
	texts := readBodies(t, raw)
	says(t, "text", texts["text/plain"], "Author: \u2068Heron \u202eleets\u202c\u2069 (@heron_works)\n")
	says(t, "HTML", texts["text/html"], "<bdi>Heron \u202eleets</bdi>")
}

// imgTag finds pictures.
var imgTag = regexp.MustCompile(`<img [^>]*>`)

func TestCaseOutlookWidth(t *testing.T) {
	raw, _ := caseMessage(t, "outlook-width", "1902661390955446272")
	html := readBodies(t, raw)["text/html"]
	says(t, "HTML", html, `<table class="b" role="presentation" width="600"`, `width="568"`, `border:1px solid #c8c8c8`)
	if tags := imgTag.FindAllString(html, -1); len(tags) != 1 || !strings.Contains(tags[0], `width="568"`) {
		t.Errorf("pictures %q", tags)
	}
	checkHTML(t, html)
}

// checkHTML is what holds for every HTML body.
func checkHTML(t *testing.T, html string) {
	t.Helper()
	for _, tag := range imgTag.FindAllString(html, -1) {
		width := regexp.MustCompile(` width="(\d+)"`).FindStringSubmatch(tag)
		if width == nil {
			t.Errorf("%s has no width", tag)
		} else if n, _ := strconv.Atoi(width[1]); n < 1 || n > 568 {
			t.Errorf("%s is not between 1 and 568 wide", tag)
		}
		if !strings.Contains(tag, `src="cid:`) {
			t.Errorf("%s is not in the message", tag)
		}
	}
	if bad := regexp.MustCompile(`#[0-9a-f]{4}\b[^0-9a-f]|#[0-9a-f]{8}\b|opacity|rgba`).FindString(html[:strings.Index(html, "</head>")]); bad != "" {
		t.Errorf("a colour is not opaque: %q", bad)
	}
	saysNot(t, "HTML", html, "ZgotmplZ", "<script", `src="http`, "@import", "url(", "opacity", "rgba(")
	for _, tag := range []string{"table", "tr", "td", "p", "bdi", "a", "strong", "span"} {
		open, end := len(regexp.MustCompile(`<`+tag+`[ >]`).FindAllString(html, -1)), strings.Count(html, "</"+tag+">")
		if open != end {
			t.Errorf("%d <%s>, %d ends:\n%s", open, tag, end, html)
		}
	}
}

func TestCaseRelatedAttachments(t *testing.T) {
	raw, _ := caseMessage(t, "related-attachments", "1903355967697846272")
	if got, want := structure(t, raw), `multipart/mixed(multipart/related(multipart/alternative(text/plain text/html) image/png;inline;MIX961.png;<3_961@x.com> image/png;inline;MIX962p.png;<7_962-still@x.com>) application/json;attachment;post.json; video/mp4;attachment;MIX962.mp4;)`; got != want {
		t.Errorf("structure\n%s, want\n%s", got, want)
	}
	says(t, "HTML", readBodies(t, raw)["text/html"], "▶ Video: MIX962.mp4 (640 × 360, 4s)")
}

func TestCaseReplyToPhoto(t *testing.T) {
	raw, _ := caseMessage(t, "reply-to-photo", "1903008679326646272")
	if got := media(t, raw); !slices.Equal(got, []string{"RTP951.png"}) {
		t.Errorf("media %q", got)
	}
	if s := subjectOf(t, raw); s != "Reply to @ferry_news: It does; please pay." {
		t.Errorf("subject %q", s)
	}
	texts := readBodies(t, raw)
	says(t, "text", texts["text/plain"], "| In reply to\n| Author: Ferry News (@ferry_news)\n", "| Tweet: @heron_works did you folks send us this bill?\n", "|   Photo: RTP951.png (640 × 400)\n|     Description: Invoice 4711 with a red circle around 9,000 EUR",
		"https://t.co/rtp1aaaa11 -> https://x.com/ferry_news/status/1/photo/1")
	says(t, "HTML", texts["text/html"], `<img src="cid:3_951@x.com"`)
	saysNot(t, "HTML", texts["text/html"], ">pic.x.com/rtp1aaaa11<")
}

// TestCaseUntimed: a post without a time is set aside for itself alone.
func TestCaseUntimed(t *testing.T) {
	docs := caseDocs(t, "untimed-old")
	if len(docs) != 3 || docs[0].Err != nil || docs[1].Err != nil {
		t.Fatalf("%+v", docs)
	}
	if docs[2].ID != "418223901" || docs[2].Err == nil || docs[2].Post != nil || !bytes.Contains(docs[2].JSON, []byte("An old number, no time")) {
		t.Errorf("%+v", docs[2])
	}
}

func TestCaseWhitespace(t *testing.T) {
	raw, _ := caseMessage(t, "whitespace", "1898644925445046272")
	texts := readBodies(t, raw)
	says(t, "text", texts["text/plain"], "Tweet:   (\\__/)   ||\n         (•ㅅ•)   ||\n", "\n       Q1     Q2     Q3\n       1.10   1.25   0.98\n       \ttab here\n            indented five\n")
	says(t, "HTML", texts["text/html"], "white-space:pre-wrap", "<br>Q1&nbsp;&nbsp;&nbsp;&nbsp; Q2&nbsp;&nbsp;&nbsp;&nbsp; Q3<br>1.10&nbsp;&nbsp; 1.25&nbsp;&nbsp; 0.98<br>",
		`<span style="white-space:pre;mso-tab-count:1">`+"\t</span>tab here", "<br>&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;indented five")
}

// TestCases: what holds for every message of every case.
func TestCases(t *testing.T) {
	for _, name := range caseNames(t) {
		for _, d := range caseDocs(t, name) {
			if d.Err != nil {
				continue
			}
			raw := writeDoc(t, d)
			if !bytes.Equal(raw, writeDoc(t, d)) {
				t.Errorf("%s: %s has other bytes the second time", name, d.ID)
			}
			texts := readBodies(t, raw)
			checkHTML(t, texts["text/html"])
			m, err := message.Read(bytes.NewReader(raw))
			if err != nil || !bytes.Equal(m.Document, d.JSON) {
				t.Errorf("%s: %s: %v", name, d.ID, err)
			}
			if h := readHeader(t, raw); strings.TrimSpace(subjectOf(t, raw)) == "" || h.Get("X-Twitter-Post-ID") != d.ID {
				t.Errorf("%s: %s: header %v", name, d.ID, h)
			}
			says(t, fmt.Sprintf("text of %s", d.ID), texts["text/plain"], "Author: ", "\nDate: ", "\nTweet: ", "SHA-256 ")
		}
	}
}

// TestBoxesAndPrint: a box within a box has another colour, which Word draws as well, and
// pictures are printed so high that some of them fit one page.
func TestBoxesAndPrint(t *testing.T) {
	for name, height := range map[string]string{"plain": "110mm", "four-photos": "35mm"} {
		raw := golden(t)[name]
		says(t, name, readBodies(t, raw)["text/html"], "img{max-height:"+height+"!important")
	}
	html := readBodies(t, golden(t)["deep"])["text/html"]
	var shades []string
	for _, m := range regexp.MustCompile(`<table class="x"[^>]* bgcolor="(#[0-9a-f]{6})" style="width:100%;background:(#[0-9a-f]{6});border:1px solid #c8c8c8;border-left:4px`).FindAllStringSubmatch(html, -1) {
		if m[1] != m[2] {
			t.Errorf("a box has two colours: %v", m)
		}
		shades = append(shades, m[1])
	}
	if len(shades) < 3 {
		t.Errorf("boxes %v, want three or more", shades)
	}
	for i := 1; i < len(shades); i++ {
		if shades[i] == shades[i-1] {
			t.Errorf("box %d has the colour of the box round it: %v", i+1, shades)
		}
	}
}
