package pages

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"xarchive/handler/internal/archive"
	"xarchive/handler/internal/post"
	"xarchive/handler/internal/state"
)

// put archives a message whose HTML is given.
func (w *world) put(id string, at time.Time, html string) archive.Entry {
	w.T.Helper()
	e, _, err := archive.New(w.ArchiveContainer).Put(w.T.Context(), "77", archive.Message{Key: id, PostID: id, Created: at, Kind: post.Tweet}, func(to io.Writer) error {
		_, err := io.WriteString(to, "From: a@x.invalid\r\nSubject: Odd\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"+html)
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return e
}

// TestArchiveIsForThoseWhoSignIn: nothing of the archive is shown to strangers, and
// nothing is done for a form of others.
func TestArchiveIsForThoseWhoSignIn(t *testing.T) {
	w := newWorld(t)
	e := w.put("1", w.Now(), "hush")
	b := w.browser()
	for _, uri := range []string{"/Archive", "/Archive/Message?name=" + e.Name, "/Archive/Body?name=" + e.Name, "/Archive/File?name=" + e.Name, "/Status/Account?job=j-1"} {
		b.get(uri, 200, "Sign in", "APISecretKey")
		if strings.Contains(b.page, "hush") || strings.Contains(b.page, e.SHA256) {
			t.Errorf("%s shows a stranger something of the archive", uri)
		}
	}
	b.signIn("/Archive")
	if got := b.send("POST", "/Archive", "do=export&account=77&csrf=x"); got != 403 {
		t.Errorf("a form without its token: %d", got)
	}
}

// TestMessagePage: what a message says is shown in a frame in which it can do nothing, and
// no page but the connector's own may frame it.
func TestMessagePage(t *testing.T) {
	w := newWorld(t)
	e := w.put("1", w.Now(), `<script src="https://evil.example/x.js"></script><img src="https://evil.example/x.png">what it says`)
	b := w.browser()
	b.signIn("/Archive/Message?name=" + e.Name)
	b.has("Message 1", "they have the SHA-256 that was noted", e.SHA256, "Odd")
	if !strings.Contains(b.page, `<iframe class="says" title="The archived message" src="/Archive/Body?name=77%2F`) || !strings.Contains(b.page, ` sandbox></iframe>`) || strings.Contains(b.page, "evil.example") {
		t.Errorf("the page is %s", b.page)
	}
	if policy := b.resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-src 'self'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the page's policy is %s", policy)
	}
	b.get("/Archive/Body?name="+e.Name, 200, "what it says")
	for header, want := range map[string]string{"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"} {
		if got := b.resp.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	b.get("/Archive/File?name="+e.Name, 200)
	if got := b.resp.Header.Get("Content-Disposition"); got != `attachment; filename="1.eml"` || !strings.HasSuffix(b.page, "what it says") {
		t.Errorf("the download is %q, %q", got, b.page)
	}
	for uri, status := range map[string]int{"/Archive/Message?name=77/2020/01/01/9.eml": 404, "/Archive/Message?name=../x": 400, "/Archive/Message": 400, "/Archive/File?name=77/2020/01/01/9.eml": 404, "/Archive/Body?name=x": 400} {
		b.get(uri, status)
		if b.resp.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: an error is a file", uri)
		}
	}
}

// TestArchivePage: what is typed wrong is said; an export is a file.
func TestArchivePage(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn("/Archive")
	b.has("Nothing is archived yet")
	e := w.put("1", w.Now().Add(-time.Hour), "x")
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso", Handle: "contoso"})
	w.account(state.Account{ID: "77"})
	b.get("/Archive", 200, "Contoso (@contoso)", "The text of 1 message could not be read: 1") // it has no post.json
	b.get("/Archive?account=77&from=yesterday", 400, `"yesterday" is not a time`)
	b.get("/Archive?account=77&from=2024-02-01&to=2024-01-01", 400, "the end is before the beginning")
	b.get("/Archive?account=77&kind=Poem", 400, "is not a kind of post")
	b.get("/Archive?account=x", 400, "is not an account's id")
	b.get("/Archive?account=77&from=2024-01-01&to=2024-01-02", 200, "Nothing found")
	b.get("/Archive", 200)
	b.post("/Archive", 200, "do", "verify", "account", "77")
	b.has("Every message read is as it was archived.", "1 message read", "1 message from before there was a manifest")
	b.get("/Archive", 200)
	b.post("/Archive", 200, "do", "export", "account", "77", "from", "2020-01-01")
	files, err := zip.NewReader(bytes.NewReader([]byte(b.page)), int64(len(b.page)))
	if err != nil || len(files.File) != 4 || files.File[0].Name != e.Name || b.resp.Header.Get("Content-Disposition") != `attachment; filename="archive-77-from-2020-01-01.zip"` {
		t.Errorf("%v, %v", b.resp.Header, err)
	}
	b.get("/Views/Changes", 200, "Messages exported archive-77-from-2020-01-01.zip Account 77")
	b.get("/Archive", 200)
	b.post("/Archive", 400, "do", "statement", "account", "77", "month", "soon")
	b.has("Choose a month")
	b.post("/Archive", 200, "do", "statement", "account", "77", "month", w.Now().Add(-time.Hour).Format("2006-01"))
	if !strings.Contains(b.page, "77") || !strings.Contains(b.page, "Contoso") || b.resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("the statement is %s, %v", b.page, b.resp.Header)
	}
	w.BreakState(true)
	b.get("/Archive", 503, "at reference")
}

// TestAccountPage: what the archive has is counted in the archive, gaps are on a line and
// in words, and what is missing is named.
func TestAccountPage(t *testing.T) {
	w := newWorld(t)
	now := w.Now()
	w.Save(state.Job{ID: "j-1", AccountID: "77", AccountName: "Contoso", CreatedAt: now.AddDate(0, -1, 0)})
	first := time.Date(2024, 1, 31, 12, 0, 0, 0, time.UTC)
	w.put("1", first, "x")
	e := w.put("2", first.AddDate(0, 0, 30), "x")
	w.account(state.Account{ID: "77", Covered: state.Ranges{{To: now.Add(-50 * time.Hour)}, {From: now.Add(-40 * time.Hour), To: now}},
		Gaps:    []state.Gap{{Range: state.Range{From: now.Add(-50 * time.Hour), To: now.Add(-40 * time.Hour)}, Why: state.LeftOut}},
		Waiting: map[string]state.Waiting{"media/2": {PostID: "2", Name: e.Name, Media: []string{"3_1"}, Since: now, Why: "status 503"}}})
	b := w.browser()
	b.signIn("/Status/Account?job=j-1")
	b.has("Posts 2", "Tweet 2", "Oldest post "+moment(first), "2 posts in 3 months, most in January 2024 (1).", "with 1 gap.",
		moment(now.Add(-50*time.Hour)), "X left posts out of its answers for a day.", "1 media file", "asked for again", "status 503", "Acknowledge the loss")
	if !strings.Contains(b.page, `href="`+strings.ReplaceAll(messageURL(e.Name), "&", "&amp;")+`"`) {
		t.Error("there is no way to the message")
	}
	b.get("/Status/Account?job=j-9", 404)
	b.get("/Status/Account", 400, "job is missing")
}

func TestTimeLine(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if l := newTimeLine(state.Account{}, now); l.Summary != "Nothing is covered yet." {
		t.Errorf("%+v", l)
	}
	l := newTimeLine(state.Account{Covered: state.Ranges{{From: now.AddDate(0, 0, -10), To: now}}, Gaps: []state.Gap{{Range: state.Range{To: now.AddDate(0, 0, -10)}, Why: state.BeyondReach}}}, now)
	if g, c := l.Gaps[0], l.Covered[0]; g.X != 0 || g.Width <= 0 || c.X != g.Width || c.X+c.Width != lineWidth {
		t.Errorf("gap %+v, covered %+v", g, c)
	}
}

// TestStatementWithoutRecord: an account of which the archive has messages and the state
// nothing has a statement; one that nobody knows is not found.
func TestStatementWithoutRecord(t *testing.T) {
	w := newWorld(t)
	w.put("1", w.Now(), "hush")
	b := w.browser()
	b.signIn("/Archive")
	month := w.Now().Format("2006-01")
	b.post("/Archive", 200, "do", "statement", "account", "77", "month", month)
	if got := b.resp.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" || !strings.Contains(b.page, month+",77,77,1,") || !strings.Contains(b.page, "not known") {
		t.Errorf("%s: %s", got, b.page)
	}
	b.get("/Archive", 200)
	b.post("/Archive", 404, "do", "statement", "account", "78", "month", month)
	b.has("There is no account")
}
