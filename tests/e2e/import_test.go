package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xarchive/tests/sandbox"
	"xarchive/tests/sandbox/corpus"
	"xarchive/tests/sandbox/importservice"
	"xarchive/tests/sandbox/xexport"

	"github.com/emersion/go-message/mail"
)

// importing is `handler import` of a file, as a person at a terminal runs it.
func (w *world) importing(ctx context.Context, file string, flags ...string) (*exec.Cmd, *bytes.Buffer) {
	c := w.terminal(ctx, append([]string{"import", file}, flags...)...)
	c.Env = append(c.Env, "TENANT_ID="+sandbox.TenantID, "ARCHIVE_MAILBOX="+sandbox.ArchiveMailbox)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	return c, &out
}

// imports imports a file and wants it to end so, with these words.
func (w *world) imports(content []byte, exit int, words ...string) {
	w.t.Helper()
	c, out := w.importing(w.t.Context(), write(w.t, content))
	err := c.Run()
	if is := new(exec.ExitError); err != nil && !errors.As(err, &is) {
		w.t.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != exit {
		w.t.Errorf("exit code %d, want %d: %s", got, exit, out)
	}
	for _, word := range words {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), word) {
			w.t.Errorf("it does not say %q: %s", word, out)
		}
	}
}

// exported are posts of an account that only its data export has, the oldest first, each a
// day after the other.
func exported(from time.Time) (posts []xexport.Post) {
	begun := strings.Repeat("A long text with R&D in it. ", 8)
	for i, p := range []xexport.Post{
		{Text: "old & <plain>"},
		{Text: begun[:200], Long: begun + "And it goes on."},
		{Text: "@bob yes", ReplyTo: "1500000000000000000", ReplyToUser: "900", ReplyToName: "bob", Mentions: []string{"bob"}},
		{Text: "RT @bob: what bob said and it is cut o…", Mentions: []string{"bob"}},
		{Text: "pictures", Media: []xexport.Media{{ID: "11", Name: "Aone.jpg", Type: "photo", Data: []byte("\xff\xd8\xff the photo")}, {ID: "12", Name: "Btwo.jpg", Type: "photo"},
			{ID: "13", Name: "film.mp4", Type: "video", Data: []byte("\x00\x00\x00\x18ftypmp42 the film")}}},
		{Text: "among friends", Community: true},
		{Text: "https://t.co/art", Links: map[string]string{"https://t.co/art": "https://x.com/i/article/77"}, Article: &xexport.Article{ID: "77", Title: "On archives", Paragraphs: []string{"First.", "Second."}}},
		{Text: "deleted", Deleted: true, DeletedAt: from.Add(300 * time.Hour)},
	} {
		p.At = from.Add(time.Duration(i) * 24 * time.Hour).UTC().Truncate(time.Second)
		p.ID = corpus.NewID(p.At, i)
		posts = append(posts, p)
	}
	return posts
}

// TestImport: an account's data export is taken into the archive, once, although the
// import is killed in the middle and run again and again; what X's API gave is left as it
// is; and a task delivers what was imported, in a time that is a gap and in one that was
// delivered before. X is asked nothing, and nothing private of the export is kept.
func TestImport(t *testing.T) {
	t.Parallel()
	account := firstAccount
	w := start(t, sandbox.Options{InMemory: true, Corpus: accounts(t, 1)})
	now := time.Now().UTC().Truncate(time.Second)
	owner := xexport.Account{ID: account, Username: "contoso" + account, Name: "Contoso " + account}
	old := exported(now.Add(-60 * 24 * time.Hour))
	e := xexport.Export{Account: owner, Made: now.Add(-time.Hour), PartSize: 3, Posts: old}
	w.imports(e.Zip(), 1, "the blob container is not there") // and is not made

	w.connect(job, account)
	w.imports(e.Zip(), 1, "has not read the account for the first time yet")
	var known []corpus.Post
	for i := range 3 {
		known = append(known, w.post(account, now.Add(time.Duration(i-9)*24*time.Hour)))
	}
	w.tick()
	w.wantKeys(account, known...)
	// What is older than ten days was beyond X's reach.
	begins := now.Add(-10 * 24 * time.Hour)
	w.edit("accounts/"+account+".json", func(a map[string]any) {
		a["covered"] = []any{map[string]any{"from": begins, "to": now.Add(-time.Minute)}}
		a["gaps"] = []any{map[string]any{"from": time.Time{}, "to": begins, "why": "beyond_reach", "noticed": now}}
	})
	w.request(importservice.Task{JobID: job, TaskID: "recent", Start: begins, End: now.Add(-2 * time.Minute)})
	w.until("the first task ends", func() bool { return w.ended(job, "recent") })
	w.wantDelivered(job, "recent", importservice.Success, known)
	before := w.blobs("archive")

	for _, bad := range []struct {
		content []byte
		words   string
	}{
		{[]byte("no zip"), "this is not X's data export"},
		{xexport.Zip(append(e.Files(), xexport.File{Name: "../../evil.js", Data: []byte("x")})), "leads out of the zip"},
		{xexport.Zip(append(e.Files(), xexport.File{Name: "data/tweets-part9.js", Data: make([]byte, 8<<20)})), "would grow too much"},
		{xexport.Zip(append(e.Files(), xexport.File{Name: "data/tweets-part9.js", Data: []byte("window.YTD.tweets.part9 = [ {")})), "data/tweets-part9.js"},
		{xexport.Export{Account: xexport.Account{ID: "99", Username: "other", Name: "O"}, Made: now, Posts: old}.Zip(), "it is of @other (99)"},
	} {
		w.imports(bad.content, 1, bad.words)
	}
	if after := w.blobs("archive"); !maps.EqualFunc(before, after, func(a, b map[string]*string) bool { return true }) || len(after) != len(before) {
		t.Errorf("what was refused has changed the archive: %d blobs, before %d", len(after), len(before))
	}

	// The export has two of the known posts, and one that was deleted in the time that is delivered.
	late := xexport.Post{At: now.Add(-5 * 24 * time.Hour), Text: "deleted before it was read", Deleted: true}
	late.ID = corpus.NewID(late.At, 7)
	e.Posts = append(slices.Clone(old), late)
	for _, p := range known[:2] {
		e.Posts = append(e.Posts, xexport.Post{ID: p.ID, At: p.CreatedAt, Text: p.Text})
	}
	zip := e.Zip()
	reads := w.X.Stats().PostReads
	w.killedImport(zip)
	// Requests that were on their way may have taken effect after it; nothing is listed.
	if n := len(w.messages(account)); n <= len(known) {
		t.Fatalf("%d messages when the import was killed", n)
	}
	for name := range w.blobs("archive") {
		if strings.Contains(name, "/manifest/") && bytes.Contains(w.read(w.container("archive"), name), []byte(`"export"`)) {
			t.Errorf("%s lists what was imported, although the import was killed before", name)
		}
	}
	w.imports(zip, 0, fmt.Sprintf("%d posts in the data export", len(old)+3), fmt.Sprintf("%d are in the archive from this export", len(old)+1), "2 were archived before",
		"2 were deleted on X", "1 are reposts", "1 have their long text whole", "1 publish an article", "1 photos and films are named by posts and not in the export")
	if got := w.X.Stats().PostReads; got != reads {
		t.Errorf("the import read %d posts of X", got-reads)
	}
	all := slices.Clone(known)
	for _, p := range append(slices.Clone(old), late) {
		all = append(all, corpus.Post{ID: p.ID})
	}
	w.wantKeys(account, all...)
	once := w.blobs("archive")
	w.imports(zip, 0, fmt.Sprintf("%d are in the archive from this export", len(old)+1))
	w.imports(xexport.Zip(append(e.Files(), xexport.File{Name: "data/more.txt", Data: []byte("x")})), 0, fmt.Sprintf("%d were archived before", len(old)+3))
	if twice := w.blobs("archive"); len(twice) != len(once) {
		t.Errorf("an import that is repeated makes %d blobs", len(twice)-len(once))
	}
	w.checkImported(account, old)
	if exit, says := w.command("verify", "--account", account); exit != 0 {
		t.Errorf("it does not verify: %d %s", exit, says)
	}

	w.request(importservice.Task{JobID: job, TaskID: "old", Start: old[0].At, End: old[len(old)-1].At})
	w.until("the second task ends", func() bool { return w.ended(job, "old") })
	w.wantEnded(job, "old", importservice.PermanentFailure, len(old)+1) // a gap stays one; the late post comes along
	w.request(importservice.Task{JobID: job, TaskID: "all", Start: beginning, End: now.Add(-2 * time.Minute)})
	w.until("the third task ends", func() bool { return w.ended(job, "all") })
	w.wantEnded(job, "all", importservice.PermanentFailure, len(all))

	// X still has one of the imported posts, and not the others.
	w.X.Post(account, corpus.Post{ID: old[0].ID, CreatedAt: old[0].At, Text: old[0].Text})
	reads = w.X.Stats().PostReads
	w.imports(zip, 0, fmt.Sprintf("add --look-up %d: that costs up to 0.04 US dollars", len(old)-1))
	if got := w.X.Stats().PostReads; got != reads {
		t.Errorf("saying what it costs read %d posts of X", got-reads)
	}
	c, out := w.importing(t.Context(), write(t, zip), "--look-up", "100")
	for name, value := range w.Settings(sandbox.Options{}) {
		c.Env = append(c.Env, name+"="+value)
	}
	if err := c.Run(); err != nil || !strings.Contains(out.String(), fmt.Sprintf("X was asked for %d posts: it gives 1,", len(old)-1)) {
		t.Errorf("%v: %s", err, out)
	}
	eml := w.read(w.container("archive"), fmt.Sprintf("%s/%s/%s.version.eml", account, old[0].At.Format("2006/01/02"), old[0].ID))
	if got := w.X.Stats().PostReads; got != reads+1 || strings.Contains(string(eml), "X-Twitter-Source") {
		t.Errorf("%d posts were read of X; what it gave:\n%.600s", got-reads, eml)
	}
	if exit, says := w.command("verify", "--account", account); exit != 0 {
		t.Errorf("it does not verify: %d %s", exit, says)
	}
	w.wantClean()
}

// write writes a zip as a file.
func write(t *testing.T, zip []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "twitter-2026-01-02-abc.zip")
	if err := os.WriteFile(file, zip, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// killedImport begins to import a zip and kills the process in the middle.
func (w *world) killedImport(zip []byte) {
	w.t.Helper()
	file := write(w.t, zip)
	reached, release := w.hold(w.Memory, 4, isMessage)
	c, out := w.importing(w.t.Context(), file)
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		w.t.Fatalf("it ended before it was killed: %v %s", err, out)
	case <-time.After(2 * time.Minute):
		w.t.Fatal("it never came to the middle")
	}
	if err := c.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	<-ended
	release()
}

// checkImported compares the messages with what the export has.
func (w *world) checkImported(account string, posts []xexport.Post) {
	w.t.Helper()
	c := w.container("archive")
	for _, p := range posts {
		eml := w.read(c, fmt.Sprintf("%s/%s/%s.eml", account, p.At.Format("2006/01/02"), p.ID))
		text := textOf(w.t, eml)
		for _, want := range []string{p.Text, p.Long} {
			if !strings.Contains(normal(text), normal(want)) {
				w.t.Errorf("post %s does not say %q:\n%s", p.ID, want, text)
			}
		}
		has := func(is bool, words string) {
			w.t.Helper()
			if strings.Contains(normal(text), words) != is || !strings.Contains(string(eml), "X-Twitter-Source: export") {
				w.t.Errorf("post %s: it says %q is %v, want %v:\n%s", p.ID, words, !is, is, text)
			}
		}
		has(true, "X's own data export")
		has(strings.HasPrefix(p.Text, "RT @"), "only this beginning")
		has(p.Deleted, "Deleted on X")
		has(p.Community, "Posted in a community")
		has(p.Article != nil, "Article: On archives")
		for _, m := range p.Media {
			if m.Data != nil && !attached(w.t, eml, m.Data) {
				w.t.Errorf("post %s: %s is not attached byte for byte", p.ID, m.Name)
			}
			has(true, "not archived: X's data export does not have its file")
		}
	}
	for _, container := range []string{"archive", "connector-state"} {
		c := w.container(container)
		for name := range w.blobs(container) {
			if bytes.Contains(w.read(c, name), []byte(xexport.Secret)) || strings.Contains(name, xexport.Secret) {
				w.t.Errorf("%s holds what is private in the export", name)
			}
		}
	}
}

// textOf returns a message's plain text.
func textOf(t *testing.T, eml []byte) string {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(eml))
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := r.NextPart()
		if err != nil {
			t.Fatalf("the message has no text: %v", err)
		}
		h := partHeader(part)
		if kind, _, _ := h.ContentType(); kind == "text/plain" {
			text, err := io.ReadAll(part.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
}
