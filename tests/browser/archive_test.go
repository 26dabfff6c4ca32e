package browser

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// download presses what gives the browser a file to keep, and returns the file's name and
// bytes once it has come whole.
func (p *tab) download(press string) (name string, data []byte) {
	p.t.Helper()
	dir := p.t.TempDir()
	call(p, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow,
		BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID, DownloadPath: dir})
	p.press(press)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		files, err := os.ReadDir(dir)
		if err != nil {
			p.t.Fatal(err)
		}
		// Chromium gives a file its name when it has come whole.
		if len(files) == 1 && !strings.HasPrefix(files[0].Name(), ".") && !strings.HasSuffix(files[0].Name(), ".crdownload") {
			data, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
			if err != nil {
				p.t.Fatal(err)
			}
			return files[0].Name(), data
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.t.Fatalf("no file comes of %s\n%s", press, p.describe())
		}
	}
}

// framed returns what the frame says whose address has this in it. A sandboxed frame is a
// page of its own to Chromium.
func (p *tab) framed(address string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(shared.browser, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		all, err := chromedp.Targets(ctx)
		if err != nil {
			p.t.Fatalf("looking for frames: %v", err)
		}
		for _, info := range all {
			if info.Type == "iframe" && strings.HasPrefix(info.URL, p.s.HostURL+address) {
				frame, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(info.TargetID))
				p.t.Cleanup(cancel) // it closes the page
				text, err := chromedp.Run(frame, chromedp.Evaluate[string]("document.body.innerText"))
				if err != nil {
					p.t.Fatalf("asking the frame: %v", err)
				}
				return text
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.t.Fatalf("there is no frame of %s\n%s", address, p.describe())
		}
	}
}

// stored is a message as it is in the archive container.
func stored(t *testing.T, s *sandbox.Sandbox, account, postID string, at time.Time) []byte {
	t.Helper()
	c, err := container.NewClientFromConnectionString(s.Blobs.ConnectionString(""), "archive", nil)
	if err != nil {
		t.Fatal(err)
	}
	return content(t, c.NewBlockBlobClient(fmt.Sprintf("%s/%s/%s.eml", account, at.UTC().Format("2006/01/02"), postID)))
}

// TestFindVerifyExport is a person's path: sign in, find a post by a word, look at it as
// it is archived, verify it, take it out; and being told when it was altered. All pages
// work without JavaScript.
func TestFindVerifyExport(t *testing.T) {
	t.Parallel()
	s := world(t)
	account := corpus.PressAccount
	now := time.Now().UTC().Truncate(time.Second)
	ids := map[string]time.Time{}
	var wanted string
	for i := range 30 {
		at := now.Add(-time.Duration(i+1) * 24 * time.Hour)
		text := fmt.Sprintf("Quarterly numbers, part %d", i)
		if i == 20 {
			text = "The Zanzibar pipeline opens <today>"
		}
		p := s.X.Post(account, corpus.Post{Text: text, CreatedAt: at})
		ids[p.ID] = p.CreatedAt
		if i == 20 {
			wanted = p.ID
		}
	}
	if err := s.Connect(t.Context(), "job-press", account); err != nil {
		t.Fatal(err)
	}
	p := newTab(t, s)
	p.open("/")
	p.press("Sign in")
	p.signIn(sandbox.APISecretKey)
	p.heading("Working on it")
	p.press("Archive")
	p.heading("Archive")
	p.sees("Nothing is archived yet")
	p.look("archive-empty")
	tick(t, s)

	p.withoutScript()
	p.open("/Archive")
	p.sees("25 messages, the newest first", "older ones are not searched yet")
	p.withScript()
	p.look("archive")
	p.withoutScript()
	p.press("Go on with older messages")
	p.sees("From the newest")

	t.Log("find a post by a word")
	p.fill("Words in the text", "zanzibar")
	p.press("Search")
	p.sees("The Zanzibar pipeline opens <today>", wanted)
	if got := p.count(".messages li"); got != 1 {
		t.Errorf("%d messages are found, want one", got)
	}
	p.withScript()
	p.look("archive-found")
	p.withoutScript()
	p.fill("Words in the text", "no such word anywhere")
	p.press("Search")
	p.sees("Nothing found", "all there are in this time")
	p.fill("Words in the text", "zanzibar")
	p.press("Search")
	p.press("The Zanzibar pipeline opens <today>")
	p.heading("Message " + wanted)
	p.sees("they have the SHA-256 that was noted when it was archived", account+"/"+ids[wanted].Format("2006/01/02")+"/"+wanted+".eml")
	p.withScript()
	p.open("/Archive/Message?name=" + account + "/" + ids[wanted].Format("2006/01/02") + "/" + wanted + ".eml")
	p.look("message")
	if text := p.framed("/Archive/Body?"); !strings.Contains(text, "The Zanzibar pipeline opens <today>") {
		t.Errorf("the frame says %q", text)
	}
	file, eml := p.download("Download the message (.eml)")
	if file != wanted+".eml" || !bytes.Contains(eml, []byte("X-Twitter-Post-ID: "+wanted)) {
		t.Errorf("the download is %s, %.80q", file, eml)
	}
	if raw := stored(t, s, account, wanted, ids[wanted]); !bytes.Equal(raw, eml) {
		t.Error("the download is not the archived message")
	}

	t.Log("take it out")
	p.open("/Archive?account=" + account + "&text=zanzibar")
	_, data := p.download("Export as a zip file")
	files, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	inside := map[string][]byte{}
	for _, f := range files.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if inside[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	name := account + "/" + ids[wanted].Format("2006/01/02") + "/" + wanted + ".eml"
	rows, err := csv.NewReader(bytes.NewReader(inside["manifest.csv"])).ReadAll()
	if err != nil || len(inside) != 4 || !bytes.Equal(inside[name], eml) || len(rows) != 2 || rows[1][0] != name {
		t.Errorf("the export has %d files, its manifest says %v, %v", len(inside), rows, err)
	}

	t.Log("a month's statement")
	ask[any](p, `document.getElementById("month").value = "`+ids[wanted].Format("2006-01")+`"; null`)
	file2, statement := p.download("Statement as CSV")
	if file2 != "statement-"+account+"-"+ids[wanted].Format("2006-01")+".csv" || !strings.Contains(string(statement), account) {
		t.Errorf("the statement is %s, %.200q", file2, statement)
	}

	t.Log("verify, and be told what was altered")
	p.press("Verify now")
	p.sees("Every message read is as it was archived", fmt.Sprintf("%d messages read", len(s.Corpus.All(account))))
	p.look("archive-verified")
	alter(t, s, account, wanted, ids[wanted])
	p.open("/Archive?account=" + account + "&from=" + ids[wanted].Format(time.DateOnly) + "&to=" + ids[wanted].Format(time.DateOnly))
	p.press("Verify now")
	p.sees("Something is not as it was archived", "fault: altered", name)
	p.look("archive-altered")
	p.open("/Archive/Message?name=" + name)
	p.sees("This message was altered")
	p.look("message-altered")

	t.Log("the account's page")
	p.open("/Status")
	p.press("Contoso Energy ⚡ (@ContosoEnergy)")
	p.heading("Contoso Energy ⚡ (@ContosoEnergy)")
	p.sees("Posts per month", "without a gap", "Oldest post", "Read from X until")
	if got, want := ask[string](p, `[...document.querySelectorAll("dt")].find(d => d.innerText === "Posts").nextElementSibling.innerText`), fmt.Sprint(len(s.Corpus.All(account))); got != want {
		t.Errorf("the page counts %s posts, want %s", got, want)
	}
	p.press("As a table")
	p.look("account")
}
